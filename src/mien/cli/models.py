"""``mien models``."""

from __future__ import annotations

from pathlib import Path

import click

from mien.cli.options import OUTPUT_FOLDER, OutputCommand
from mien.cli.output import table_console
from mien.text import percent

EPILOG = """\b
Examples:
  mien models
  mien models emotion
  mien models emotion --out hub/emotion
  mien models --fetch yunet
"""


@click.command("models", cls=OutputCommand, epilog=EPILOG)
@click.argument("name", required=False)
@click.option("--fetch", type=click.Choice(["yunet"]), help="Download and verify a detector's weights.")
@click.option(
    "--out",
    type=OUTPUT_FOLDER,
    help="Write NAME as a folder for a hub of models: README.md with a YAML head, model.onnx, card.json.",
)
def command(name: str | None, fetch: str | None, out: Path | None) -> None:
    """List the shipped models, or print the card of one (or of any exported .onnx file) as JSON.

    Only --fetch downloads anything.
    """
    import json

    if out is not None and name is None:
        raise click.UsageError("--out needs NAME, the model to write")
    if fetch is not None:
        from mien.detect.yunet import find_model

        click.echo(find_model(download=True))
        return

    from mien.models.catalog import MODELS, read_model
    from mien.models.model import Model

    if name is not None:
        content = read_model(name)
        card = Model(content, threads=1, name=name).card
        if out is not None:
            from mien.models.hub_folder import write_hub_folder

            click.echo(write_hub_folder(content, card, Path(name).stem, out), err=True)
            return
        click.echo(json.dumps(json.loads(card.to_json()), indent=2, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table(title="shipped models (mien models NAME prints a card)")
    for column in ("name", "predicts", "input", "parameters", "scores", "trained on", "licence"):
        table.add_column(column)
    for key, row in MODELS.items():
        card = Model(read_model(key), threads=1).card
        results = card.scores.get("results", {})
        scores = "\n".join(f"{protocol} {percent(one['accuracy'])}" for protocol, one in results.items())
        shape = f"{card.size}×{card.size} {card.channels}"
        table.add_row(key, row.summary, shape, f"{card.parameters:,}", scores, card.data, card.licence)
    table_console(160).print(table)
