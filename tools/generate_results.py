"""The tables of columns in docs/results.md, from the tables of columns that everything is written by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from markdown_tables import table

from mien.models.card import Head
from mien.results.columns import AnyKey, Column
from mien.results.face_columns import face_columns
from mien.results.track_columns import EPISODE_COLUMNS, track_columns


def columns_section(heads: Mapping[str, Head]) -> str:
    """Four tables: photos, videos, tracks, episodes, with predictions of these heads."""
    parts = (
        (
            "Photos",
            "One row per face; a picture without a face has a row too, in which only `source` is filled.",
            "faces[].",
            face_columns(heads, video=False),
        ),
        (
            "Videos",
            "One row per face and frame; a frame without a face has a row too, so that no time is missing.",
            "faces[].",
            face_columns(heads, video=True),
        ),
        (
            "Tracks",
            "One row per face tracked through a video: `tracks.csv` of a report, after `source`.",
            "tracks[].",
            track_columns(heads),
        ),
        ("Episodes", "`episodes.csv` of a report, after `source`.", "tracks[].episodes[].", EPISODE_COLUMNS),
    )
    lines: list[str] = []
    for title, text, root, columns in parts:
        header = ["column", "type", "in JSON", "unit", "digits", "what it is"]
        lines += [f"### {title}", "", text, "", *table(header, list(_rows(columns, root)))]
    return "\n".join(lines).strip()


def _rows(columns: Sequence[Column[Any]], root: str) -> Iterator[list[str]]:
    """One row per column; those of the labels of a head share one."""
    for _, group in groupby(enumerate(columns), key=lambda item: _label_group(*item)):
        alike = [column for _, column in group]
        first = alike[0]
        names = ", ".join(f"`{column.name}`" for column in alike) if first.flat else "–"
        description = first.description
        if len(alike) > 1:
            description = description.replace(str(first.path[-1]), "LABEL", 1)
        yield [
            names,
            first.dtype if first.flat else "–",
            _path(first, root, one_label=len(alike) > 1),
            first.unit or "–",
            "–" if first.digits is None else str(first.digits),
            description,
        ]


def _label_group(place: int, column: Column[Any]) -> tuple[Any, ...]:
    """The same for columns that differ in their label alone."""
    return column.path[:-1] if column.path and isinstance(column.path[-1], AnyKey) else (place,)


def _path(column: Column[Any], root: str, *, one_label: bool) -> str:
    if not column.path:
        # what is required and not in the object of a face is in the object around it
        return f"`{column.name}`" if column.required else "–"
    keys = [*column.path[:-1], "LABEL"] if one_label else column.path
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return f"`{root}{text[1:]}`"
