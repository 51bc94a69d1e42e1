"""Metrics of a run: one CSV row per epoch, and the same as a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.files import atomic_path


def append_epoch(path: Path, row: Mapping[str, float]) -> None:
    """Add an epoch; a row of the same or a later epoch (from before a resume) is replaced."""
    rows: list[Mapping[str, Any]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            # as text: earlier rows stay as they were written
            rows = [old for old in csv.DictReader(file) if float(old["epoch"]) < row["epoch"]]
    rows.append(dict(row))
    columns = list(dict.fromkeys(name for one in rows for name in one))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_epochs(path: Path) -> list[dict[str, float]]:
    """The rows as numbers; empty cells are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def draw_curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Losses, accuracies and the learning rate over the epochs, as one PNG."""
    # the object-oriented interface needs no display and no global state
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, title, suffixes, corner in zip(
        panels,
        ("loss", "validation accuracy and macro F1", "learning rate"),
        (("_loss",), ("_accuracy", "_macro_f1"), ("lr",)),
        ("upper right", "lower right", "upper right"),
        strict=True,
    ):
        for name in dict.fromkeys(name for row in rows for name in row if name.endswith(suffixes)):
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            axes.plot([x for x, _ in points], [y for _, y in points], marker=".", label=name)
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(loc=corner, fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})
