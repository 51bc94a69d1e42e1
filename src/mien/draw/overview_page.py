"""Overview of the videos of one run: a table of all faces, one of all episodes, a page that links the reports.

Made from the summaries of the single videos, so that a resumed run has the same overview as an uninterrupted one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.csv_cells import csv_cells
from mien.draw.pages import render
from mien.files import atomic_path, write_text
from mien.models.card import Head
from mien.results.columns import Column, flat_row
from mien.results.track_columns import EPISODE_COLUMNS, track_columns

TRACKS, EPISODES, PAGE = OVERVIEW_FILES = ("tracks.csv", "episodes.csv", "index.html")
"""The files of an overview."""


def write_overview(folder: Path, summaries: Sequence[Path]) -> None:
    """Write ``tracks.csv``, ``episodes.csv`` and ``index.html`` into ``folder``.

    Args:
        folder: of the run.
        summaries: one JSON file per video, from `VideoReport.to_json`; those that do not exist yet are left out.

    Raises:
        OutputError: a file cannot be written.
    """
    known = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in summaries if path.is_file()]
    tracks, episodes = [], []
    for _, summary in known:
        heads = {
            name: Head(name, tuple(head["labels"]), ordered=head["ordered"]) for name, head in summary["heads"].items()
        }
        source = {"source": csv_cells([summary["source"]])[0]}
        tracks += [source | _cells(track_columns(heads), track) for track in summary["tracks"]]
        episodes += [
            source | _cells(EPISODE_COLUMNS, episode)
            for track in summary["tracks"]
            for episode in track.get("episodes", [])
        ]
    _write_csv(folder / TRACKS, tracks)
    _write_csv(folder / EPISODES, episodes)
    videos_by_folder = [(path.parent.name, summary) for path, summary in known]
    write_text(folder / PAGE, render("draw/overview_page.html", videos=videos_by_folder))


def _cells(columns: Sequence[Column[Any]], document: Mapping[str, Any]) -> dict[str, Any]:
    """Column name → cell, from one JSON object."""
    row = flat_row(columns, document)
    return {c.name: csv_cells([row[c.name]], labels=c.is_label)[0] for c in columns if c.flat}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names or ["source", "track"], lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
