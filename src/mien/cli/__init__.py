"""The command line. One file per command, imported when it is called.

Exit codes: 0 done; 1 some of it could not be done (each failure is one line on stderr, the rest was done); 2 the call
itself was wrong; 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP. Data goes to stdout, everything else to
stderr.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import importlib
import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TextIO

import click

from mien.cli.error_output import INTERRUPTED, ErrorOutput, json_errors_option, wants_json, without_flag
from mien.cpus import limit_libraries
from mien.errors import MienError, OutputError, nearest_names
from mien.files import check_temporary_folder
from mien.models.devices import DeviceWarning
from mien.output_checks import OUTPUT_IS_INPUT
from mien.signals import DISGUISES, INTERRUPTED_EXIT, InterruptHandler, handle_interrupts

COMMANDS: Mapping[str, tuple[str, str]] = {
    "analyze": ("mien.cli.analyze", "Detect the faces in photos and videos and report their emotions and age ranges."),
    "batch": ("mien.cli.batch", "Analyse very many photos and videos, on all cores or a cluster, into Parquet files."),
    "live": ("mien.cli.live", "Track the faces of a camera or a network stream."),
    "serve": ("mien.cli.serve", "Run a web page and an HTTP interface for photos, videos and cameras."),
    "web": ("mien.cli.web", "Write the web page as static files: the networks run in the browser."),
    "demo": ("mien.cli.demo", "Analyse a public-domain portrait and save the annotated picture."),
    "doctor": ("mien.cli.doctor", "Check this installation: versions, devices, shipped files, speed."),
    "models": ("mien.cli.models", "List the shipped models, or show one model's card."),
    "licence": (
        "mien.cli.licence",
        "List every weight file with its licence, its data, and open questions about them.",
    ),
    "agree": ("mien.cli.agree", "Compare a person's coding of a video with a report, or with another coding."),
    "notice": ("mien.cli.notice", "Write the notice for people who are exposed to emotion recognition."),
    "schema": ("mien.cli.schema", "Print the JSON Schema of results."),
    "data": ("mien.cli.data", "Turn datasets into training files, audit and clean them."),
    "train": ("mien.cli.train", "Train a recipe on a prepared dataset."),
    "tune": ("mien.cli.tune", "Search for better settings of a recipe."),
    "reproduce": ("mien.cli.reproduce", "Reproduce published networks and write their scores."),
    "evaluate": ("mien.cli.evaluate", "Score a model on a prepared dataset."),
    "calibrate": ("mien.cli.calibrate", "Calibrate a model: fit the temperatures of its heads."),
    "quantize": ("mien.cli.quantize", "Quantise a model to 8 bits."),
    "explain": ("mien.cli.explain", "Show which pixels a network uses, and test the maps that show it."),
    "export": ("mien.cli.export", "Write a trained network as one ONNX file with its card inside."),
}
"""Command → (module that holds it, one line for the overview)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument; the nearest names for one that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = " or ".join(map(repr, nearest_names(args[0], COMMANDS)))
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near}?" if near else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C prints no empty line among JSON objects, as click would."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.obj is not None and ctx.obj.as_json:
                raise click.exceptions.Abort from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 something failed, with one line each on stderr; 2 wrong usage; 130 interrupted "
    "(143 by SIGTERM, 129 by SIGHUP).",
)
@click.version_option(package_name="mien")
@json_errors_option
@click.pass_context
def cli(context: click.Context, json_errors: bool) -> None:
    """Read facial expressions: how faces look to people who rate them, not what they feel.

    Nothing leaves this machine.
    """
    if context.obj is None:
        context.obj = ErrorOutput(json_errors, context.invoked_subcommand)


def main(interrupts: InterruptHandler | None = None) -> None:
    """Run the command line with the arguments of the process, and exit; without a handler of signals it makes one."""
    interrupts = interrupts or handle_interrupts()
    arguments = sys.argv[1:]
    limit_libraries(os.environ)
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(sys.stdout.buffer, io.FileIO):
        sys.stdout = _unbuffered(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # what the encoding lacks is written as JSON would escape it, so that JSON lines stay JSON
            stream.reconfigure(errors=ESCAPE)
    errors = ErrorOutput(wants_json(arguments, os.environ))
    warnings.showwarning = _show_warning
    _silence_libraries()
    try:
        errors = replace(errors, command=_command_name(arguments))
        code = cli.main(without_flag(arguments), standalone_mode=False, obj=errors)
        if sys.stdout is not None:
            sys.stdout.flush()
    except MienError as error:
        errors.print(error)
        code = 2 if error.code == OUTPUT_IS_INPUT else 1
    except (click.exceptions.Abort, KeyboardInterrupt):
        errors.print(MienError("interrupted", code=INTERRUPTED))
        code = INTERRUPTED_EXIT
    except click.ClickException as error:
        errors.print_click_error(error)
        code = error.exit_code
    except DISGUISES:
        if not interrupts.received:
            raise
        errors.print(MienError("interrupted", code=INTERRUPTED))
        code = INTERRUPTED_EXIT
    except BrokenPipeError:
        # the reader of our output has ended (`| head`): there is nothing to report
        sys.stderr.close()
        code = 0
    except OSError as error:
        known = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EBADF)
        missing = _temporary_folder_error()
        if missing is None and not known:
            raise
        # a terminal that was closed takes no output either, so that its signal ends in such an error
        stopped = MienError("interrupted", code=INTERRUPTED) if interrupts.received else missing
        errors.print(
            stopped or OutputError(f"cannot be written: {error.strerror}", path=error.filename or "standard output")
        )
        if known and error.filename is None:
            # what is left in its buffer cannot be written either, and would be reported a second time
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = INTERRUPTED_EXIT if interrupts.received else 1
    if code == INTERRUPTED_EXIT:
        _exit_at_once(interrupts.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


class _WholeWrites(io.FileIO):
    """An unbuffered file of which every write is whole, or an error."""

    def write(self, data: Any) -> int:
        """Write all of it: the system may take a part only, the last one before the disk is full."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        while rest:
            rest = rest[super().write(rest) or 0 :]
        return length


def _unbuffered(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Standard output under ``PYTHONUNBUFFERED``, as containers set it: Python drops what the system does not take."""
    whole: Any = _WholeWrites(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(whole, stream.encoding, stream.errors, write_through=True)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Warnings that users are to act on are a line like those of errors; others look as Python prints them."""
    if issubclass(category, DeviceWarning):
        click.echo(f"mien: {message}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), err=True, nl=False)


def _temporary_folder_error() -> OutputError | None:
    """Why libraries fail, each in words of its own, where no temporary folder can be written to."""
    try:
        check_temporary_folder()
    except OutputError as error:
        return error
    return None


def _silence_libraries() -> None:
    """Keep remarks of libraries about places that they cannot write to from the user, who need do nothing."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # nothing here runs on joblib's processes; without them it needs no semaphores, here or in processes started later
    os.environ.setdefault("JOBLIB_MULTIPROCESSING", "0")


def _exit_at_once(code: int) -> None:
    """End without waiting for threads, if there are any: one that decodes a picture cannot be interrupted."""
    if not any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(json.dumps(character)[1:-1] for character in text), error.end


ESCAPE = "mien.escape"
"""Name of the handler of characters that the encoding of stdout or stderr lacks."""
codecs.register_error(ESCAPE, _escape)


def _command_name(arguments: Sequence[str]) -> str | None:
    """``["--json-errors", "data", "clean", "x.parquet"]`` → ``"data clean"``."""
    names: list[str] = []
    command: click.Command | None = cli
    for word in (argument for argument in arguments if not argument.startswith("-")):
        command = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if command is None:
            break
        names.append(word)
    return " ".join(names) or None
