"""The videos of one run beside each other: a table of all faces, one of all episodes, a page that links the reports.

Written from the summaries of the single videos, so a run that was resumed tells the same as one that was not.
"""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mien.files import atomic_path, writing

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;"
    "color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .8rem .35rem 0;"
    "border-bottom:1px solid #d0d7de}td.n{text-align:right}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}a{color:#79b8ff}th,td{border-color:#30363d}}"
)
_NOTE = (
    "The figures tell how faces look to raters, not what people feel. Emotion recognition at work and in education is "
    "banned in the EU (AI Act, Article 5(1)(f))."
)


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
        temporary.write_text(_page([(path.parent.name, summary) for path, summary in known]), encoding="utf-8")


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


def _page(videos: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    rows = "".join(
        f'<tr><td><a href="{quote(name)}/report.html">{html.escape(str(video["source"]))}</a></td>'
        f'<td class="n">{len(video["tracks"])}</td><td class="n">{video["coverage"]["seconds"]:.1f}</td>'
        f'<td class="n">{video["coverage"]["frames"]:,}</td><td class="n">{video["coverage"]["without_face"]:,}</td>'
        f'<td class="n">{video["coverage"]["lost"]:,}</td></tr>'
        for name, video in videos
    )
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("video", "faces", "seconds", "frames", "without a face", "not decoded")
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>Videos</title>'
        f"<style>{_STYLE}</style></head><body><h1>Videos</h1><p>{_NOTE}</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        '<p>All faces: <a href="tracks.csv">tracks.csv</a>. All episodes: <a href="episodes.csv">episodes.csv</a>.</p>'
        "</body></html>\n"
    )
