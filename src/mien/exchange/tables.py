"""Codings as tables: one row per label with its start and end, as people, BORIS, BIDS and Mien write them.

Mien's own tables of rows, one per face and frame, are read too: runs of the stable label become intervals.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mien import defaults
from mien.csv_cells import csv_cells, csv_text
from mien.errors import DataError
from mien.exchange.coding import Coding, Interval, Tier, ceil_time, subject_name
from mien.text_encodings import decode_text

_NAMES: Mapping[str, tuple[str, ...]] = {
    "label": ("label", "behavior", "behaviour", "code", "trial_type", "annotation"),
    "start": ("start", "onset", "start (s)", "begin time - ss.msec", "start_time"),
    "end": ("end", "offset", "stop", "stop (s)", "end time - ss.msec", "end_time"),
    "duration": ("duration", "duration (s)"),
    "subject": ("subject", "track", "face", "person", "participant", "tier"),
    "head": ("head", "behavioral category", "category"),
}
"""What a column holds → names that it has, in small letters."""
_STABLE = "_stable"
_RANGE = re.compile(r"^(\d+) to (\d+)$")


def table_file(coding: Coding, path: Path) -> bytes:
    """A CSV file with one row per label: subject, head, label, start, end; ``path`` is not used."""
    rows = [(tier.subject, tier.head, one) for tier in coding.tiers for one in tier.intervals]
    columns = {
        "subject": csv_cells([subject for subject, _, _ in rows]),
        "head": csv_cells([head for _, head, _ in rows]),
        "label": csv_cells([one.label for _, _, one in rows], labels=True),
        "start": [f"{ceil_time(one.start, 6):.6f}" for _, _, one in rows],
        "end": [f"{ceil_time(one.end, 6):.6f}" for _, _, one in rows],
    }
    return csv_text(columns).encode("utf-8", "backslashreplace")


def read_table(path: Path) -> Coding:
    """A table with a header, separated by commas, semicolons or tabs.

    Raises:
        DataError: it has not the columns of a coding, or a row that is none.
    """
    try:
        lines = decode_text(path.read_bytes()).splitlines()
        header = next((line for line in lines if line.strip()), "")
        separator = max("\t;,", key=header.count)
        rows = list(csv.DictReader([line for line in lines if line.strip()], delimiter=separator))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"is no table that can be read ({error})", path=path) from None
    if not rows:
        raise DataError("has no rows", path=path)
    names = {str(name).strip().lower(): str(name) for name in rows[0] if name is not None}
    try:
        if stable := [name for name in names if name.endswith(_STABLE)]:
            tiers = list(_tiers_of_rows(rows, names, stable))
        else:
            tiers = _tiers_of_intervals(rows, names, path)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError) and error.path is not None:
            raise
        raise DataError(f"has a row that is no label over time ({error})", path=path) from None
    ends = [one.end for tier in tiers for one in tier.intervals]
    starts = [one.start for tier in tiers for one in tier.intervals]
    return Coding(None, tuple(tiers), min([0.0, *starts]), max(ends, default=0.0))


def _tiers_of_intervals(rows: Sequence[Mapping[str, str]], names: Mapping[str, str], path: Path) -> list[Tier]:
    column = {what: next((names[one] for one in known if one in names), None) for what, known in _NAMES.items()}
    label, start, end, duration = column["label"], column["start"], column["end"], column["duration"]
    if label is None or start is None or (end is None and duration is None):
        raise DataError(
            f"has the columns {', '.join(names)}",
            path=path,
            advice="a coding needs label, start and end (or duration), and may have subject and head",
        )
    found: dict[tuple[str, str], list[Interval]] = {}
    for row in rows:
        first = _seconds(row[start])
        last = _seconds(row[end]) if end is not None else first + _seconds(row[duration or ""] or "0")
        subject = _subject(row[column["subject"]]) if column["subject"] else ""
        head = row[column["head"]].strip() if column["head"] else ""
        if name := _label(row[label]):
            found.setdefault((subject, head), []).append(Interval(first, last, name))
    return [Tier(subject, head, tuple(sorted(one))) for (subject, head), one in found.items()]


def _tiers_of_rows(
    rows: Sequence[Mapping[str, str]], names: Mapping[str, str], stable: Sequence[str]
) -> Iterator[Tier]:
    times = sorted({_seconds(row[names["time"]]) for row in rows})
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else defaults.FRAME_INTERVAL
    ends = dict(zip(times, [*times[1:], times[-1] + step], strict=True))
    for track in dict.fromkeys(row[names["track"]] for row in rows if row[names["track"]]):
        mine = [row for row in rows if row[names["track"]] == track]
        for name in stable:
            runs: list[Interval] = []
            for row in mine:
                time, label = _seconds(row[names["time"]]), _label(row[names[name]])
                if label and runs and runs[-1].label == label and time <= runs[-1].end + 1e-6:
                    runs[-1] = Interval(runs[-1].start, ends[time], label)
                elif label:
                    runs.append(Interval(time, ends[time], label))
            yield Tier(_subject(track), name.removesuffix(_STABLE), tuple(runs))


def _seconds(text: str) -> float:
    """A time, also as spreadsheets of many languages write it: with a decimal comma."""
    return float(text.replace(",", "."))


def _subject(text: str) -> str:
    """A number is that of a track."""
    text = text.strip()
    return subject_name(int(text)) if text.isdigit() else text


def _label(text: str) -> str:
    """Without what keeps spreadsheets from running a cell or turning it into a date; see `mien.csv_cells`."""
    return _RANGE.sub(r"\1-\2", (text or "").strip().removeprefix("'"))
