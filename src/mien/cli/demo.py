"""``mien demo``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

PORTRAITS = (
    ("skimage", "data/astronaut.png", "scikit-image"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "matplotlib"),
)
"""Public-domain portraits that packages carry: module, file in it, package to install."""


EPILOG = """\b
Examples:
  mien demo
  mien demo --photo holiday.jpg --out holiday-faces.png
"""


@click.command("demo", epilog=EPILOG)
@click.option("--photo", type=click.Path(path_type=Path), help="Analyse this photo instead of the portrait.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo.png"), show_default=True)
def command(photo: Path | None, out: Path) -> None:
    """Analyse a public-domain portrait, or your own photo, and save the annotated picture."""
    from mien.cli.photo_table import print_table
    from mien.pipeline.analyzer import Analyzer

    chosen = photo or portrait()
    faces = Analyzer().analyze(chosen)
    print_table([faces], top=3)
    faces.save(out)
    click.echo(f"annotated picture: {out.resolve()}")


def portrait() -> Path:
    """The portrait of the first installed package that carries one, found without importing the package."""
    from mien.errors import MissingFileError

    for module, file, _ in PORTRAITS:
        spec = find_spec(module)
        for folder in (spec.submodule_search_locations if spec is not None else None) or ():
            path = Path(folder) / file
            if path.is_file():
                return path
    raise MissingFileError(
        "the demo's portrait comes with a package: pip install --no-deps scikit-image, or --photo FILE"
    )
