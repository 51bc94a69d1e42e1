"""``mien demo``."""

from __future__ import annotations

from pathlib import Path

import click

from mien.cli.options import OUTPUT, PATH, OutputCommand

PORTRAIT = Path(__file__).parents[1] / "web" / "static" / "sample-collins.webp"
"""Eileen Collins, by NASA (public domain), which the page of the service offers as well."""

EPILOG = """\b
Examples:
  mien demo
  mien demo --photo holiday.jpg --out holiday-faces.png
"""


@click.command("demo", cls=OutputCommand, epilog=EPILOG)
@click.option("--photo", type=PATH, help="Analyse this photo instead of the portrait.")
@click.option("--out", type=OUTPUT, default=Path("demo.png"), show_default=True, help="The annotated picture to write.")
def command(photo: Path | None, out: Path) -> None:
    """Analyse a public-domain portrait, or your own photo, and save the annotated picture."""
    from mien.cli.photo_table import print_table
    from mien.pipeline.analyzer import Analyzer

    faces = Analyzer().analyze(photo or PORTRAIT)
    print_table([faces])
    faces.save(out)
    click.echo(f"annotated picture: {out.resolve()}")
