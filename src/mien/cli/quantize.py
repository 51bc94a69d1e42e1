"""``mien quantize``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.cli.options import ONNX, OutputCommand, data_option, figures_option, threads_option
from mien.files import temporary_folder, write_text

if TYPE_CHECKING:
    from mien.models.card import Card

EPILOG = """\b
Examples:
  mien quantize emotion --data fer2013.parquet --out emotion-int8.onnx
  mien quantize age.onnx --data fairface.parquet --max-loss 0.1 --out age-int8.onnx
"""


@click.command("quantize", cls=OutputCommand, epilog=EPILOG)
@click.argument("model")
@data_option
@click.option("--out", required=True, type=ONNX, help="ONNX file to write.")
@click.option(
    "--images",
    default=defaults.CALIBRATION_IMAGES,
    show_default=True,
    type=click.IntRange(1),
    help="Number of calibration images.",
)
@click.option(
    "--max-loss",
    default=0.3,
    show_default=True,
    type=float,
    help="Greatest loss of accuracy, in points; above it nothing is written.",
)
@click.option("--split", default="validation", show_default=True, help="Images on which the loss is measured.")
@click.option("--test", "test_split", default="test", show_default=True, help="Further images to report on.")
@figures_option
@threads_option(default=None)
def command(
    model: str,
    data: Path,
    out: Path,
    images: int,
    max_loss: float,
    split: str,
    test_split: str,
    json_file: Path | None,
    threads: int | None,
) -> None:
    """Write MODEL, a shipped model or an ONNX file of `mien export`, in 8 bits: a quarter of the size, and faster.

    The ranges of its activations are measured on training images of --data. The loss of accuracy is measured on
    the validation images, and nothing is written where it is above --max-loss; the card gets the scores of the test
    images. Processors with VNNI, or its equivalent of ARM, gain the most speed.
    """
    from mien.extras import NETWORKS, require_extra

    require_extra("train", "mien quantize", *NETWORKS)
    from mien.datasets.prepared_file import read_prepared
    from mien.errors import ExportError
    from mien.evaluation.scoring.calibration import rewrite_card
    from mien.evaluation.scoring.evaluate import evaluate
    from mien.evaluation.scoring.report import to_json
    from mien.evaluation.scoring.scored_model import open_model
    from mien.models.catalog import read_model
    from mien.quantize import accuracy_losses, quantize

    content, prepared = read_model(model), read_prepared(data)
    small = quantize(content, prepared, images=images, name=model)
    splits = [each for each in (split, test_split) if (prepared.split == each).any()]
    measured = {each: accuracy_losses(content, small, prepared, each, threads) for each in splits}
    # a file without its folder: what is published names no folder of this machine
    shown = Path(model).name
    document = {"model": shown, "images": images, "bytes": [len(content), len(small)], "losses": measured}
    if json_file is not None:
        write_text(json_file, to_json(document))
    _print(document)
    worst = max((one["loss"] for one in measured.get(split, {}).values()), default=0.0)
    if worst > max_loss:
        raise ExportError(
            f"8 bits cost {worst:.2f} points of accuracy on {split} images, more than {max_loss:g}: nothing is written",
            advice="allow more with --max-loss, or measure the ranges on more images with --images",
            code="accuracy-lost",
            details={"loss": worst, "limit": max_loss},
        )
    with temporary_folder() as folder:
        draft = folder / "draft.onnx"
        draft.write_bytes(small)
        scores: dict[str, Any] = {}
        if test_split in splits:
            scores = evaluate(open_model(draft, threads), prepared, split=test_split)
            scores.pop("details", None)
        provenance = {"command": f"mien quantize {shown} --data {data.name} --images {images} --out {out.name}"}

        def with_scores(card: Card) -> Card:
            training = {**card.training, "quantized": {**card.training["quantized"], **provenance}}
            return replace(card, scores=scores, training=training)

        rewrite_card(draft, with_scores, out)
    click.echo(f"wrote {out}", err=True)


def _print(document: dict[str, Any]) -> None:
    from mien.cli.evaluation_tables import print_table
    from mien.evaluation.tables import quantisation_table

    before, after = document["bytes"]
    title = f"{document['model']} in 8 bits: {before / 1e6:.2f} MB → {after / 1e6:.2f} MB"
    print_table(quantisation_table(document["losses"], title))
