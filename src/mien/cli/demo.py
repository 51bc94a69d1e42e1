"""``mien demo``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from mien.cli.options import OUTPUT, PATH, OutputCommand

PORTRAITS = (
    ("skimage", "data/astronaut.png", "scikit-image"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "matplotlib"),
)
"""Public-domain portraits in other packages: module, file in it, package to install."""

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

    faces = Analyzer().analyze(photo or portrait())
    print_table([faces])
    faces.save(out)
    click.echo(f"annotated picture: {out.resolve()}")


def portrait() -> Path:
    """The portrait of the first installed package that has one; the package is not imported."""
    from mien.errors import MissingFileError

    for module, file, _ in PORTRAITS:
        spec = find_spec(module)
        for folder in (spec.submodule_search_locations if spec is not None else None) or ():
            path = Path(folder) / file
            if path.is_file():
                return path
    raise MissingFileError(
        "no installed package has the demo's portrait",
        advice="pip install --no-deps scikit-image, or give --photo FILE",
    )
