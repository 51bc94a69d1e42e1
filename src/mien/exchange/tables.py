"""Codings as tables: one row per label with its start and end, as people, BORIS, BIDS and Mien write them.

Mien's own tables of rows, one per face and frame, are read too: runs of the stable label become intervals.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien import defaults
from mien.csv_cells import csv_cells, csv_text
from mien.errors import DataError
from mien.exchange.coding import Coding, Interval, Tier, ceil_time, choose_observation, subject_name
from mien.exchange.text_files import not_unicode
from mien.text_encodings import decode_text

_NAMES: Mapping[str, tuple[str, ...]] = {
    "label": ("label", "behavior", "behaviour", "code", "trial_type", "annotation"),
    "start": ("start", "onset", "start (s)", "begin time - ss.msec", "start_time", "begin time - hh:mm:ss.ms"),
    "end": ("end", "offset", "stop", "stop (s)", "end time - ss.msec", "end_time", "end time - hh:mm:ss.ms"),
    "duration": ("duration", "duration (s)"),
    "subject": ("subject", "track", "face", "person", "participant", "tier"),
    "head": ("head", "behavioral category", "category"),
    "recording": ("observation id", "observation", "source", "file"),
    "time": ("time", "timestamp"),
    "track": ("track", "face_id"),
}
"""What a column holds → names that it has, in small letters."""
_STABLE = "_stable"
_RANGE = re.compile(r"^(\d+) to (\d+)$")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d*)?)")


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


def read_table(path: Path, observation: str | None = None) -> Coding:
    """A table with a header, separated by commas, semicolons or tabs.

    Args:
        path: the file.
        observation: which one of a table of several recordings, by its column of observations or videos.

    Raises:
        DataError: it has not the columns of a coding, or a row that is none.
        InputError: it has rows of several recordings, or none of this name.
    """
    spelled, rows = _read_rows(path)
    columns = _small(spelled)
    if (which := _column(columns, "recording")) is not None:
        recordings = list(dict.fromkeys(row.text(which) for row in rows))
        if observation is not None or len(recordings) > 1:
            chosen = choose_observation(recordings, observation, path)
            rows = [row for row in rows if row.text(which) == chosen]
    if stable := [(name, number) for name, number in spelled.items() if name.endswith(_STABLE)]:
        tiers = list(_tiers_of_rows(rows, columns, stable, path))
    else:
        tiers = _tiers_of_intervals(rows, columns, path)
    ends = [one.end for tier in tiers for one in tier.intervals]
    starts = [one.start for tier in tiers for one in tier.intervals]
    return Coding(None, tuple(tiers), min([0.0, *starts]), max(ends, default=0.0))


def table_observations(path: Path) -> tuple[str, ...]:
    """The recordings of a table, by its column of observations or videos; none without one.

    Raises:
        DataError: the file is no table.
    """
    spelled, rows = _read_rows(path)
    which = _column(_small(spelled), "recording")
    return () if which is None else tuple(dict.fromkeys(row.text(which) for row in rows))


def _read_rows(path: Path) -> tuple[dict[str, int], list[_Row]]:
    """Name of a column → its number, and the rows."""
    try:
        text = decode_text(path.read_bytes())
        header = next((line for line in text.splitlines() if line.strip()), "")
        separator = max("\t;,", key=header.count)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [_Row(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError as error:
        raise not_unicode(path, error) from None
    except csv.Error as error:
        raise DataError(f"is no table that can be read ({error})", path=path) from None
    if len(rows) < 2:
        raise DataError("has no rows", path=path)
    columns: dict[str, int] = {}
    for number, name in enumerate(rows.pop(0).cells):
        columns.setdefault(name.strip(), number)
    return columns, rows


def _small(columns: Mapping[str, int]) -> dict[str, int]:
    """The columns by their names in small letters; of two that are equal then, the first."""
    return {name.lower(): number for name, number in reversed(list(columns.items()))}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row: the number of its (last) line, and its cells; those that it lacks are empty."""

    line: int
    cells: list[str]

    def text(self, column: int | None) -> str:
        return self.cells[column].strip() if column is not None and column < len(self.cells) else ""

    def seconds(self, column: int | None, path: Path) -> float:
        try:
            return _seconds(self.text(column))
        except ValueError:
            text = self.text(column)
            reason = f"{text!r} is no time" if text else "a time is missing"
            raise DataError(
                f"line {self.line}: {reason}", path=path, advice="give seconds, such as 61.5, or 0:01:01.5"
            ) from None


def _column(columns: Mapping[str, int], what: str) -> int | None:
    return next((columns[one] for one in _NAMES[what] if one in columns), None)


def _tiers_of_intervals(rows: Sequence[_Row], columns: Mapping[str, int], path: Path) -> list[Tier]:
    column = {what: _column(columns, what) for what in _NAMES}
    label, start, end, duration = column["label"], column["start"], column["end"], column["duration"]
    if label is None or start is None or (end is None and duration is None):
        raise DataError(
            f"has the columns {', '.join(columns)}",
            path=path,
            advice="a coding needs label, start and end (or duration), and may have subject and head",
        )
    found: dict[tuple[str, str], list[Interval]] = {}
    for row in rows:
        first = row.seconds(start, path)
        if end is not None:
            last = row.seconds(end, path)
        else:
            last = first + (row.seconds(duration, path) if row.text(duration) else 0.0)
        name = _label(row.text(label))
        if not name:
            continue
        try:
            interval = Interval(first, last, name)
        except DataError as error:
            raise DataError(
                f"line {row.line}: {error.reason}", path=path, advice="a label ends at or after its start"
            ) from None
        found.setdefault((_subject(row.text(column["subject"])), row.text(column["head"])), []).append(interval)
    return [Tier(subject, head, tuple(sorted(one))) for (subject, head), one in found.items()]


def _tiers_of_rows(
    rows: Sequence[_Row], columns: Mapping[str, int], stable: Sequence[tuple[str, int]], path: Path
) -> Iterator[Tier]:
    when, who = _column(columns, "time"), _column(columns, "track")
    if when is None or who is None:
        raise DataError(
            f"has the columns {', '.join(columns)}", path=path, advice="rows of a video need time and track"
        )
    seconds = [row.seconds(when, path) for row in rows]
    times = sorted(set(seconds))
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else defaults.FRAME_INTERVAL
    ends = dict(zip(times, [*times[1:], times[-1] + step], strict=True))
    seen = columns.get("success")  # of OpenFace: 0 where there is no face
    for track in dict.fromkeys(row.text(who) for row in rows if row.text(who) and row.text(seen) != "0"):
        mine = [(time, row) for time, row in zip(seconds, rows, strict=True) if row.text(who) == track]
        for name, column in stable:
            runs: list[Interval] = []
            for time, row in mine:
                label = _label(row.text(column))
                if label and runs and runs[-1].label == label and time <= runs[-1].end + 1e-6:
                    runs[-1] = Interval(runs[-1].start, ends[time], label)
                elif label:
                    runs.append(Interval(time, ends[time], label))
            yield Tier(_subject(track), name.removesuffix(_STABLE), tuple(runs))


def _seconds(text: str) -> float:
    """A time, also as spreadsheets of many languages write it, with a decimal comma, and as hh:mm:ss.

    Raises:
        ValueError: it is none.
    """
    if clock := _CLOCK.fullmatch(text):
        return 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + float(clock[3].replace(",", "."))
    found = float(text.replace(",", "."))
    if not math.isfinite(found):
        raise ValueError(text)
    return found


def _subject(text: str) -> str:
    """A number is that of a track."""
    text = text.strip()
    return subject_name(int(text)) if text.isdigit() else text


def _label(text: str) -> str:
    """Without what keeps spreadsheets from running a cell or turning it into a date; see `mien.csv_cells`."""
    return _RANGE.sub(r"\1-\2", (text or "").strip().removeprefix("'"))
