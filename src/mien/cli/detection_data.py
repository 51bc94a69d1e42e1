"""``mien data prepare`` for detectors: photos with boxes of faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.evaluation_tables import print_table
from mien.cli.output import progress_bar
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.datasets.detection import DetectionPhotos


def prepare_detection(source: Path, kind: str, out: Path, validation: float | None, seed: int) -> None:
    """Read photos with boxes, write them as one file, and print what they are.

    Args:
        source: the photos, in a layout of `mien.datasets.detection_layouts`.
        kind: its name, or "auto".
        out: the file.
        validation: share of the faces to hold out, by whole sources; None keeps the split of the photos.
        seed: of the choice of sources.

    Raises:
        DataError: the photos are not in their layout.
        InputError: the photos come from too few sources to hold some out.
    """
    from mien.datasets.detection import choose_sources, hold_out_sources
    from mien.datasets.detection_file import write_detection
    from mien.datasets.detection_layouts import open_detection

    photos = open_detection(source, kind)
    if validation is not None:
        chosen = choose_sources(photos, validation, seed)
        if not chosen:
            count = len(set(photos.sources))
            raise InputError(
                f"no sources make up {validation:.0%} of the faces: the photos come from {count}",
                advice="leave --validation out, or sort the photos into folders by where they come from",
            )
        photos = hold_out_sources(photos, chosen)
    with progress_bar() as progress:
        bar = progress.add_task("writing photos")
        write_detection(photos, out, progress=lambda done, total: progress.update(bar, completed=done, total=total))
    _print_summary(photos, out.name)
    if len(set(photos.splits)) == 1:
        click.echo("note: no photos are held out: --validation 0.12 holds out about an eighth of the faces", err=True)
    click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)", err=True)


def _print_summary(photos: DetectionPhotos, name: str) -> None:
    import numpy as np

    from mien.datasets.detection import HELD_OUT, SIZE_NAMES, TRAIN, count_licences, count_sizes
    from mien.evaluation.tables import FigureTable, TableCell, TableRow

    def row(*cells: object) -> TableRow:
        return TableRow(tuple(TableCell(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in cells))

    splits = np.array(photos.splits)
    parts = {split: photos.select(splits == split) for split in (TRAIN, HELD_OUT)}
    sizes = []
    for split, part in parts.items():
        points = int(np.isfinite(part.landmarks).all(axis=(1, 2)).sum())
        counts = count_sizes(part)
        free = int((part.face_counts == 0).sum())
        sizes.append(row(split, len(part), free, len(part.boxes), *counts.values(), points, len(set(part.sources))))
    header = ("split", "photos", "without faces", "faces", *SIZE_NAMES, "with landmarks", "sources")
    print_table(FigureTable(f"{name}: faces by height in pixels", header, tuple(sizes)))
    licences = {split: count_licences(part) for split, part in parts.items()}
    names = list(count_licences(photos))
    rows = tuple(row(one or "not stated", *(licences[split].get(one, 0) for split in parts)) for one in names)
    print_table(FigureTable("photos by licence", ("licence", *parts), rows))
