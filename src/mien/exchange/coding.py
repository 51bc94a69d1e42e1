"""A coding: who shows which label when, as people code it and as a report has it. Every exchange file starts from it.

A tier holds the labels of one subject in one head. Times are seconds from the start of the video; a label that begins
with a frame has the time of that frame, and ends with the time of the first frame without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.draw.track_series import GAP_STEPS
from mien.errors import DataError, InputError, choose_one
from mien.results.face_columns import Records
from mien.results.video import VideoReport

Float = NDArray[np.float64]
_LONGEST = 1e9
"""Seconds: no recording is longer."""
_FUZZ = 1e-6
"""Of a time step: what is left of rounding errors."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A label over a stretch of time.

    Attributes:
        start: seconds.
        end: seconds; ``start`` for a point in time.
        label: its name.

    Raises:
        DataError: times that are no numbers, or an end before the start.

    Examples:
        >>> Interval(1.0, 2.5, "happy").label
        'happy'
    """

    start: float
    end: float
    label: str

    def __post_init__(self) -> None:
        if not (abs(self.start) < _LONGEST and abs(self.end) < _LONGEST and self.start <= self.end):
            raise DataError(f"a label from {self.start:g} to {self.end:g} seconds")


@dataclass(frozen=True, slots=True)
class Tier:
    """The labels of one subject in one head, in order of time.

    Attributes:
        subject: such as "face 1"; may be empty.
        head: such as "emotion"; may be empty.
        intervals: in order of time.

    Examples:
        >>> Tier("face 1", "emotion", (Interval(1.0, 2.5, "happy"),)).name
        'face 1 emotion'
    """

    subject: str
    head: str
    intervals: tuple[Interval, ...]

    @property
    def name(self) -> str:
        """Subject and head."""
        return " ".join(part for part in (self.subject, self.head) if part) or "coding"


@dataclass(frozen=True, slots=True)
class Coding:
    """The labels of one recording.

    Attributes:
        source: path of the video, None where it is not known.
        tiers: of all subjects and heads.
        start: of the coded time, seconds.
        end: its end, seconds.
        labels: head → its labels in order, as far as they are known.
        ordered: heads whose labels have an order.
        rate: frames per second, 0 where it is not known.

    Examples:
        >>> tiers = (Tier("face 1", "emotion", (Interval(1.0, 2.5, "happy"),)),)
        >>> coding = Coding("clip.mp4", tiers, start=0.0, end=10.0)
        >>> coding.subjects, coding.head_labels("emotion")
        (('face 1',), ('happy',))
    """

    source: str | None
    tiers: tuple[Tier, ...]
    start: float
    end: float
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordered: frozenset[str] = frozenset()
    rate: float = 0.0

    @property
    def subjects(self) -> tuple[str, ...]:
        """In order of appearance."""
        return tuple(dict.fromkeys(tier.subject for tier in self.tiers))

    def head_labels(self, head: str) -> tuple[str, ...]:
        """The labels of a head: those that are declared, then others that occur."""
        used = (interval.label for tier in self.tiers if tier.head == head for interval in tier.intervals)
        return tuple(dict.fromkeys([*self.labels.get(head, ()), *used]))


def subject_name(track: int) -> str:
    """The subject of a track in exchange files: ``1`` → ``"face 1"``."""
    return f"face {track}"


def report_coding(report: VideoReport) -> Coding:
    """The episodes of a report, and for heads whose labels have an order the runs of the most probable label.

    Examples:
        >>> [tier.name for tier in report_coding(report).tiers]
        ['face 1 emotion', 'face 1 age', 'face 2 emotion', 'face 2 age']
    """
    times = frame_times(report.rows.records)
    start, end = span(report)
    tiers = []
    for track in report.tracks:
        for name, head in report.heads.items():
            if head.ordered:
                mine = report.rows.records[report.rows.records["track"] == track.id]
                intervals = tuple(_runs(mine, name, head.labels, times, end))
            elif name in track.predictions:
                episodes = track.predictions[name].episodes
                intervals = tuple(Interval(one.start, one.end, one.label) for one in episodes)
            else:
                continue
            tiers.append(Tier(subject_name(track.id), name, intervals))
    return Coding(
        report.source,
        tuple(tiers),
        start,
        end,
        {name: head.labels for name, head in report.heads.items()},
        frozenset(name for name, head in report.heads.items() if head.ordered),
        frame_rate(report.rows.records),
    )


def frame_times(records: Records) -> Float:
    """``(n,)`` times of the frames, increasing, seconds."""
    return np.unique(records["time"].astype(np.float64))


def frame_rate(records: Records) -> float:
    """Analysed frames per second: the inverse of the usual step; 0 with less than two frames."""
    times = frame_times(records)
    if len(times) < 2:
        return 0.0
    step = (times[-1] - times[0]) / (len(times) - 1)
    usual = float(np.median(np.diff(times)))
    # a constant rate is the mean, whose rounding errors cancel; where frames are missing, the median
    return 1 / float(step if abs(step - usual) < 0.01 * usual else usual)


def span(report: VideoReport) -> tuple[float, float]:
    """Seconds from the first analysed frame to the end of the last; (0, 0) without frames."""
    times = frame_times(report.rows.records)
    if not len(times):
        return 0.0, 0.0
    rate = frame_rate(report.rows.records)
    last = float(times[-1]) + (1 / rate if rate else defaults.FRAME_INTERVAL)
    return float(times[0]), max([last, *(track.end for track in report.tracks)])


def ceil_time(seconds: float, digits: int) -> float:
    """A time as a decimal number that lies in the frame that begins at it: rounded up, never into the frame before.

    Examples:
        >>> ceil_time(1 / 3, 3), ceil_time(0.04, 3)
        (0.334, 0.04)
    """
    scale = 10.0**digits
    return math.ceil(seconds * scale - _FUZZ * scale * 1e-3) / scale


def _runs(rows: Records, head: str, labels: tuple[str, ...], times: Float, end: float) -> Iterator[Interval]:
    rows = rows[~np.isnan(rows[head]).any(axis=1)]
    if not len(rows):
        return
    usual = float(np.median(np.diff(times))) if len(times) > 1 else defaults.FRAME_INTERVAL
    at = np.searchsorted(times, rows["time"])
    after = np.append(times, end)[at + 1]
    stops = np.minimum(after, rows["time"] + GAP_STEPS * usual)
    steps = np.diff(rows["time"])
    best = rows[head].argmax(axis=1)
    first = 0
    for i in range(1, len(rows) + 1):
        if i < len(rows) and best[i] == best[first] and steps[i - 1] <= GAP_STEPS * usual + _FUZZ:
            continue
        yield Interval(float(rows["time"][first]), float(stops[i - 1]), labels[int(best[first])])
        first = i


def choose_observation(names: Sequence[str], wanted: str | None, path: Path) -> str:
    """The observation of a file that is meant.

    Args:
        names: of all that it holds.
        wanted: the chosen one; None takes the only one.
        path: the file.

    Raises:
        InputError: there is none of this name; there are several, or none.

    Examples:
        >>> choose_observation(["monday", "tuesday"], "tuesday", Path("clip.boris"))
        'tuesday'
    """
    if wanted is not None and wanted in names:
        return wanted
    if wanted is not None:
        raise InputError(f"no observation {wanted!r}", path=path, advice=choose_one(wanted, names))
    if len(names) != 1:
        raise InputError(
            f"holds {len(names)} observations", path=path, advice=f"choose one: {', '.join(names)}" if names else None
        )
    return names[0]
