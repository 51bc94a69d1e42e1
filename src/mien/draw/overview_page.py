"""The videos of one run beside each other: a table of all faces, one of all episodes, a page that links the reports.

Written from the summaries of the single videos, so that a resumed run gives the same as an uninterrupted one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.draw.pages import render
from mien.files import atomic_path, writing


def write_overview(folder: Path, summaries: Sequence[Path]) -> None:
    """Write ``tracks.csv``, ``episodes.csv`` and ``index.html`` into ``folder``.

    Args:
        folder: of the run.
        summaries: one JSON file a video, as `VideoReport.to_json` gives it; those not there yet are left out.

    Raises:
        OutputError: a file cannot be written.
    """
    known = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in summaries if path.is_file()]
    videos = [summary for _, summary in known]
    _write_csv(folder / "tracks.csv", [_track(v["source"], t) for v in videos for t in v["tracks"]])
    _write_csv(
        folder / "episodes.csv",
        [{"source": v["source"], **e} for v in videos for t in v["tracks"] for e in t.get("episodes", [])],
    )
    with writing(folder / "index.html"), atomic_path(folder / "index.html") as temporary:
        videos_by_folder = [(path.parent.name, summary) for path, summary in known]
        temporary.write_text(render("draw/overview_page.html", videos=videos_by_folder), encoding="utf-8")


def _track(source: str | None, track: Mapping[str, Any]) -> dict[str, Any]:
    """The row of one face."""
    row = {"source": source, **{key: track[key] for key in ("track", "start", "end", "frames", "seen")}}
    if "vote" in track:
        vote = track["vote"]
        row |= {
            "emotion": track["emotion"],
            **{f"mean_{name}": value for name, value in track["emotions"].items()},
            **{f"share_{name}": value for name, value in track["shares"].items()},
            "vote": vote["label"],
            **{f"vote_{key}": vote[key] for key in ("share", "low", "high", "decided")},
            "episodes": len(track["episodes"]),
        }
    if "ages" in track:
        row |= {"age_range": track["age_range"], "age": track["age"]}
    return row


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with writing(path), atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names or ["source", "track"], lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
