"""The command line. One file a command, imported when it is called.

Exit codes: 0 done; 1 something asked for could not be done (each failure is one line on stderr, the rest was done);
2 the call itself was wrong; 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from mien.errors import MienError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "analyze": ("mien.cli.analyze", "Find the faces in photos and videos and tell their emotions and age ranges."),
    "batch": ("mien.cli.batch", "Analyse very many photos and videos, on all cores or a cluster, into Parquet files."),
    "live": ("mien.cli.live", "Follow the faces of a camera or a network stream."),
    "serve": ("mien.cli.serve", "A web page and an HTTP interface for photos, videos and cameras."),
    "demo": ("mien.cli.demo", "Analyse a public-domain portrait and save the annotated picture."),
    "models": ("mien.cli.models", "List the shipped models, or show one model's card."),
    "schema": ("mien.cli.schema", "Print the JSON Schema of results."),
    "data": ("mien.cli.data", "Turn datasets into training files, look them over and clean them."),
    "train": ("mien.cli.train", "Train a recipe on a prepared dataset."),
    "tune": ("mien.cli.tune", "Search for better settings of a recipe."),
    "reproduce": ("mien.cli.reproduce", "Train published networks again and write what they score."),
    "evaluate": ("mien.cli.evaluate", "Score a model on a prepared dataset."),
    "calibrate": ("mien.cli.calibrate", "Fit a model's temperatures, so that its probabilities can be trusted."),
    "quantize": ("mien.cli.quantize", "Write a model in 8 bits."),
    "explain": ("mien.cli.explain", "Show where a network looks, and whether that can be believed."),
    "export": ("mien.cli.export", "Write a trained network as one ONNX file with its card inside."),
}
"""Command → (file that holds it, one line for the overview)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's file."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 something could not be done, one line each on stderr; 2 wrong call; 130 interrupted.",
)
@click.version_option(package_name="mien")
def cli() -> None:
    """Read facial expressions: how faces look to raters, not what people feel. Nothing leaves this machine."""


def main() -> None:
    """Entry point of the ``mien`` command."""
    try:
        code = cli.main(standalone_mode=False)
    except MienError as error:
        click.echo(f"mien: {error}", err=True)
        code = 1
    except click.exceptions.Abort:
        click.echo("mien: interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # the reader of our output went away (`| head`): nothing is left to say
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
