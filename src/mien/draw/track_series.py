"""The table of a video as time series for drawing: when each face was visible, its probabilities, runs of a label."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.results.track import Episode
from mien.results.video import VideoReport

Float = NDArray[np.float64]
GAP_STEPS = 3.0
"""A frame that comes this many usual steps after the previous one leaves a gap."""


@dataclass(frozen=True, slots=True)
class LabelRun:
    """A stretch of time with one label; None where there is none.

    Attributes:
        start: seconds.
        end: seconds.
        label: name of the emotion.
    """

    start: float
    end: float
    label: str | None


@dataclass(frozen=True, slots=True, eq=False)
class TrackSeries:
    """One face over time, one row per frame in which it was visible.

    Attributes:
        times: ``(n,)`` seconds, increasing.
        ends: ``(n,)`` start of the next frame, seconds.
        first: ``(n,)`` whether the face was not visible in the previous frame.
        smoothed: ``(n, k)`` probabilities, filtered over time; k is 0 without a head.
        votes: ``(n,)`` index of the label that the sliding window votes for, −1 where its majority may be chance.
        labels: names of the columns of ``smoothed``.
    """

    times: Float
    ends: Float
    first: NDArray[np.bool_]
    smoothed: NDArray[np.float32]
    votes: NDArray[np.int64]
    labels: tuple[str, ...]

    def stretches(self, gap: float = 0.0) -> list[tuple[int, int]]:
        """Rows [first, last) of each stretch of time in which the face was visible without a gap of ``gap`` seconds."""
        starts = np.flatnonzero(self.first)
        kept = starts[self.times[starts] - self.ends[starts - 1] >= gap] if gap > 0 else starts
        return list(itertools.pairwise([*sorted({*starts[:1].tolist(), *kept.tolist()}), len(self.times)]))

    def visible_spans(self, gap: float = 0.0) -> list[tuple[float, float]]:
        """Start and end of each of the `stretches`, seconds."""
        return [(float(self.times[a]), float(self.ends[b - 1])) for a, b in self.stretches(gap)]

    def vote_runs(self, span: tuple[float, float], columns: int) -> list[LabelRun]:
        """Runs of the vote's label, None while it is undecided; no more than there are columns between two times."""
        votes, starts, ends = self.votes, self.times, self.ends
        if len(votes) > columns:
            votes, starts, ends = self._most_frequent_votes(votes, span, columns)
        runs: list[LabelRun] = []
        for vote, start, end in zip(votes.tolist(), starts.tolist(), ends.tolist(), strict=True):
            label = self.labels[vote] if vote >= 0 else None
            if runs and runs[-1].label == label and start <= runs[-1].end + 1e-9:
                runs[-1] = LabelRun(runs[-1].start, end, label)
            else:
                runs.append(LabelRun(start, end, label))
        return runs

    def thin(self, stretch: tuple[int, int], span: tuple[float, float], columns: int) -> NDArray[np.int64]:
        """Rows of a stretch that suffice to draw it: in each column its ends, and the extremes of every label."""
        a, b = stretch
        if b - a <= 2 * columns or not self.labels:
            return np.arange(a, b)
        column = _columns(self.times[a:b], span, columns)
        edges = np.flatnonzero(np.diff(column, prepend=-1, append=columns + 1))
        kept = [edges[:-1], edges[1:] - 1]
        for values in self.smoothed[a:b].T:
            order = np.lexsort((values, column))
            kept += [order[edges[:-1]], order[edges[1:] - 1]]
        return np.asarray(a + np.unique(np.concatenate(kept)), np.int64)

    def _most_frequent_votes(
        self, votes: NDArray[np.int64], span: tuple[float, float], columns: int
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
        """The most frequent vote of each column in which the face was visible, and the column's start and end."""
        column = _columns(self.times, span, columns)
        counts = np.zeros((columns, len(self.labels) + 1), np.int64)
        np.add.at(counts, (column, votes + 1), 1)
        used = np.flatnonzero(counts.sum(axis=1))
        width = (span[1] - span[0]) / columns
        votes = np.asarray(counts[used].argmax(axis=1) - 1, np.int64)
        return votes, np.asarray(span[0] + used * width), np.asarray(span[0] + (used + 1) * width)


def series_by_track(report: VideoReport, head: str | None = None) -> dict[int, TrackSeries]:
    """Number of a track → its series, empty for a track without rows.

    Args:
        report: of one video.
        head: name of a head whose labels have no order; None for a series that only shows when a face was visible.
    """
    rows = report.rows
    records = rows.records
    labels = rows.heads[head].labels if head else ()
    _, where, ordinal = np.unique(records["frame"], return_index=True, return_inverse=True)
    times = np.asarray(records["time"][where], np.float64)
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else defaults.FRAME_INTERVAL
    late = np.append(steps > GAP_STEPS * usual, True)
    ends = np.append(np.where(late[:-1], times[:-1] + usual, times[1:]), times[-1:] + usual)
    order = np.argsort(records["track"], kind="stable")
    numbers = records["track"][order]
    nothing = np.zeros((len(records), 0), np.float32)
    smoothed = records[f"{head}/smoothed"] if head else nothing
    votes = records[f"{head}/vote"] if head else np.full(len(records), -1)
    decided = records[f"{head}/vote_low"] > 0.5 if head else np.zeros(len(records), np.bool_)
    series: dict[int, TrackSeries] = {}
    for track in report.tracks:
        own = order[np.searchsorted(numbers, track.id, "left") : np.searchsorted(numbers, track.id, "right")]
        own = own[np.argsort(ordinal[own], kind="stable")]
        position = ordinal[own]
        gap = np.diff(position, prepend=-2) > 1
        gap[1:] |= late[position[:-1]]
        series[track.id] = TrackSeries(
            times=times[position],
            ends=ends[position],
            first=gap,
            smoothed=np.asarray(smoothed[own], np.float32),
            votes=np.where(decided[own], votes[own], -1).astype(np.int64),
            labels=labels,
        )
    return series


def time_span(report: VideoReport) -> tuple[float, float]:
    """Seconds from the first frame to the end of the last; a short time for a video without one."""
    times = report.rows.records["time"]
    ends = [track.end for track in report.tracks]
    if not len(times):
        return 0.0, max([1.0, *ends])
    start = float(times.min())
    return start, max([float(times.max()), start + report.coverage.seconds, start + defaults.FRAME_INTERVAL, *ends])


def scene_cut_times(report: VideoReport) -> list[float]:
    """Seconds at which new scenes start."""
    records = report.rows.records
    return np.unique(records["time"][records["cut"]]).tolist()  # type: ignore[no-any-return]


def time_ticks(start: float, end: float, most: int = 10) -> list[float]:
    """At most ``most`` round times between ``start`` and ``end``, seconds."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
    step = next((s for s in steps if (end - start) / s <= most), (end - start) / most)
    slack = 1e-7 / step  # a tenth of a microsecond, whatever the step
    first = int(np.ceil(start / step - slack))
    return [round(i * step, 6) for i in range(first, int(np.floor(end / step + slack)) + 1)]


def episode_runs(episodes: Sequence[Episode], span: tuple[float, float], columns: int) -> list[LabelRun]:
    """Episodes as runs; where there are more than columns, the label that covers most of each column."""
    if len(episodes) <= columns:
        return [LabelRun(e.start, e.end, e.label) for e in episodes]
    labels = sorted({e.label for e in episodes})
    width = (span[1] - span[0]) / columns
    covered = np.zeros((len(labels), columns))
    starts = span[0] + width * np.arange(columns)
    for e in episodes:
        a, b = _columns(np.array([e.start, e.end]), span, columns).tolist()
        shared = np.minimum(starts[a : b + 1] + width, e.end) - np.maximum(starts[a : b + 1], e.start)
        covered[labels.index(e.label), a : b + 1] += np.maximum(shared, 0.0)
    # a face that was not visible for most of a column has no label there
    most = np.where(covered.sum(axis=0) >= 0.5 * width, covered.argmax(axis=0), -1)
    edges = [0, *(np.flatnonzero(np.diff(most)) + 1).tolist(), columns]
    runs = ((starts[a], starts[b - 1] + width, int(most[a])) for a, b in itertools.pairwise(edges))
    return [LabelRun(float(start), float(end), labels[k]) for start, end, k in runs if k >= 0]


def longest_episodes(episodes: Sequence[Episode], count: int) -> list[Episode]:
    """The ``count`` longest episodes, in order of time."""
    selected = sorted(episodes, key=lambda e: -e.duration)[:count]
    return sorted(selected, key=lambda e: e.start)


def _columns(times: Float, span: tuple[float, float], columns: int) -> NDArray[np.int64]:
    width = max(span[1] - span[0], 1e-9) / columns
    return np.clip(((times - span[0]) / width).astype(np.int64), 0, columns - 1)
