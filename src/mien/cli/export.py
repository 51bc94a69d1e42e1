"""``mien export``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mien.cli.options import ONNX, PATH, OutputCommand

EPILOG = """\b
Examples:
  mien export runs/emotion-cpu --out emotion.onnx --name emotion --scores scores.json
  mien export runs/age-cpu/last.safetensors --out age.onnx --name age
"""


@click.command("export", cls=OutputCommand, epilog=EPILOG)
@click.argument("run", type=PATH)
@click.option("--out", required=True, type=ONNX, help="ONNX file to write.")
@click.option("--name", help="The model's name.", show_default="the recipe's task")
@click.option("--scores", type=PATH, help="JSON of `mien evaluate` to put on the card.")
@click.option("--temperature", multiple=True, metavar="HEAD=T", help="Calibration temperature of a head; repeatable.")
@click.option("--blend", type=PATH, help="Exported model that the run started from: write the mean of both weights.")
@click.option(
    "--blend-share",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of that model in the mean.",
)
def command(
    run: Path,
    out: Path,
    name: str | None,
    scores: Path | None,
    temperature: tuple[str, ...],
    blend: Path | None,
    blend_share: float,
) -> None:
    """Write a trained network (a RUN folder or one of its .safetensors files) as one ONNX file with its card inside.

    Nothing is written where its outputs differ from torch's by more than 1e-4. The same input gives the same bytes.
    """
    from mien.errors import InputError, MissingFileError
    from mien.extras import NETWORKS, require_extra

    require_extra("train", "mien export", *NETWORKS)
    from mien.export import export

    figures = {}
    if scores is not None:
        if not scores.is_file():
            advice = f"write it with `mien evaluate … --json {scores}`"
            raise MissingFileError("no such file", path=scores, advice=advice)
        try:
            figures = json.loads(scores.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            reason = f"not readable as JSON ({error})"
            raise InputError(reason, path=scores, advice="write it with `mien evaluate`") from None
        if not isinstance(figures, dict) or "results" not in figures:
            advice = f"write them with `mien evaluate {run} … --json`"
            raise InputError("not the scores of one model", path=scores, advice=advice)
        # curves are for pages, not for cards
        figures.pop("details", None)
    temperatures = {}
    for item in temperature:
        head, sign, value = item.partition("=")
        try:
            temperatures[head] = float(value)
        except ValueError:
            sign = ""
        if not sign or not temperatures[head] > 0:
            advice = "write HEAD=T with T above 0, such as ferplus=1.2"
            raise InputError(f"--temperature {item!r} is no temperature of a head", advice=advice)
    card = export(
        run,
        out,
        name=name or _task(run),
        scores=figures,
        temperatures=temperatures,
        blend=blend,
        blend_share=blend_share,
    )
    click.echo(f"{out}: {card.name}, {card.parameters:,} parameters, {out.stat().st_size / 1e6:.1f} MB")


def _task(run: Path) -> str:
    from mien.training.run_folder import load_run

    return load_run(run)[0].task
