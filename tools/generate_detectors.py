"""The section of docs/benchmarks.md on detectors, from docs/results/detector.json."""

from __future__ import annotations

from typing import Any

from markdown_tables import table

_SHIPPED = "mien"
_SIZES = ("all", "<16", "16-32", "32-64", "64-128", ">=128")


def detectors_section(measured: dict[str, Any]) -> list[str]:
    """Its lines."""
    data = measured["data"]
    rows = [
        [
            f"**{name}**" if name == _SHIPPED else name,
            _percent(row["average precision"]),
            *(_percent(row["recall"][size]) for size in _SIZES),
            "–" if row["false boxes"] is None else f"{row['false boxes']:.3f}",
            _percent(row["points, median from 32 pixels"]),
            _percent(row["points on portraits"]),
        ]
        for name, row in measured["detectors"].items()
    ]
    return [
        "## Detectors",
        "",
        "`python benchmarks/detectors.py photos.parquet --models src/mien/models/files --out docs/results`",
        "",
        f"Faces found, in percent, on {data['photos']} photos with {sum(data['faces'].values()):,} faces of repositories whose "
        f"owners the training never saw ({data['photos without faces']} of them show no face), by height in pixels; false boxes "
        "per photo without faces; median error of the landmarks of faces from 32 pixels, and mean error on "
        f"{data['portraits']} portraits, in percent of the distance of the eyes. The rows of Mien are at the threshold with "
        f"{measured['false boxes per photo without faces, at most']} false boxes, which was chosen on these photos; the "
        "others are at their own. **Bold** is `--detector mien`.",
        "",
        *table(
            ["detector", "average precision", *_SIZES, "false boxes", "landmarks", "landmarks, portraits"],
            rows,
        ),
        "The labels are what YuNet proposed and MTCNN or CenterFace confirmed, so a face that MTCNN misses is often no label: "
        "its row looks better than it is. Profiles and covered faces have poor landmarks.",
        "",
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
