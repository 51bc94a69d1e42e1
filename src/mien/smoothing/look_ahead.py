"""Smoothing of files: a frame's results follow from the frames before and after it, so that nothing is delayed.

A frame waits until `SmoothingOptions.look_ahead` seconds of later ones are known. Its filtered probabilities are the
mean over a symmetric window; its stable label is that of the best sequence of labels of the frames that wait, which
continues those that were returned before. Votes, episodes and pooled predictions follow frame by frame, as live.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien import defaults
from mien.errors import InputError
from mien.models.card import Head
from mien.results.faces import Faces
from mien.results.faces_state import faces_from_state, faces_to_state
from mien.results.track import Track
from mien.smoothing.head_state import Estimate
from mien.smoothing.options import TIME_TOLERANCE, SmoothingOptions
from mien.smoothing.segmentation import LabelPrice, best_labels
from mien.smoothing.smoother import SmoothedFaces, Smoother, check_faces, distributions, frame_weights


@dataclass(slots=True)
class _LabelState:
    """The stable label of the last frame that was returned, in one head of one track.

    Attributes:
        label: its index, −1 for none.
        held: seconds for which it has stood.
        credit: per label, probability × seconds by which it has led since then, less what it has trailed.
    """

    label: int = -1
    held: float = 0.0
    credit: list[float] = field(default_factory=list)

    def add(self, label: int, row: list[float] | None, seconds: float) -> None:
        """Add the next frame, with its stable label."""
        self.held = self.held + seconds if label == self.label else seconds
        if label != self.label or not self.credit:
            self.credit = [0.0] * len(row or self.credit)
        self.label = label
        if row is not None and label >= 0:
            own = row[label]
            self.credit = [max(c + seconds * (p - own), 0.0) for c, p in zip(self.credit, row, strict=True)]


@dataclass(slots=True)
class _TrackWindow:
    """The frames of a track around the next one to be returned.

    Attributes:
        times: of the frames with the face, seconds.
        lengths: seconds until the next frame of the video; for the last one, as far as they are known.
        weights: mean of the seconds before and after each frame.
        trust: weight of each frame because of its flags, 0–1.
        rows: head → k probabilities of each frame, or None.
        position: number of the frames that were returned.
        labels: head → its stable label.
    """

    times: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    trust: list[float] = field(default_factory=list)
    rows: dict[str, list[list[float] | None]] = field(default_factory=dict)
    position: int = 0
    labels: dict[str, _LabelState] = field(default_factory=dict)

    def add(self, time: float, interval: float, rows: Mapping[str, list[float] | None], trust: float) -> None:
        """Add a frame, ``interval`` seconds after the one before it."""
        self.times.append(time)
        self.lengths.append(interval)
        self.weights.append(interval)
        self.trust.append(trust)
        for name, row in rows.items():
            self.rows.setdefault(name, []).append(row)
            self.labels.setdefault(name, _LabelState())

    def close_frame(self, seconds: float) -> None:
        """Set the length of the last frame."""
        self.weights[-1] = (self.weights[-1] + seconds) / 2
        self.lengths[-1] = seconds

    def estimate(self, head: str, half_width: float, price: LabelPrice) -> Estimate:
        """The results of the next frame to be returned."""
        at, rows, state = self.position, self.rows[head], self.labels[head]
        leads = [_towards_even(row, trust) for row, trust in zip(rows[at:], self.trust[at:], strict=True)]
        label = best_labels(leads, self.lengths[at:], price, before=state.label, held=state.held, credit=state.credit)[
            0
        ]
        state.add(label, leads[0], self.lengths[at])
        return self._filtered(rows, half_width), label

    def move_on(self, half_width: float) -> None:
        """Count the next frame as returned, and forget those that no longer matter."""
        self.position += 1
        oldest = self.times[self.position - 1] - half_width
        gone = next((i for i, time in enumerate(self.times) if time > oldest or i >= self.position), self.position)
        if gone:
            del self.times[:gone], self.lengths[:gone], self.weights[:gone], self.trust[:gone]
            for rows in self.rows.values():
                del rows[:gone]
            self.position -= gone

    def _filtered(self, rows: list[list[float] | None], half_width: float) -> list[float] | None:
        now = self.times[self.position]
        used, weights = [], []
        for time, length, trust, row in zip(self.times, self.weights, self.trust, rows, strict=True):
            weight = length * trust
            distance = abs(time - now)
            if row is not None and (distance < half_width or time == now):
                used.append(row)
                weights.append(weight * (1 + math.cos(math.pi * distance / half_width)) if half_width else trust)
        total = math.fsum(weights)
        if not total > 0.0:
            return None
        filtered: list[float] = (np.array(weights) @ np.array(used) / total).tolist()
        return filtered


def _towards_even(row: list[float] | None, trust: float) -> list[float] | None:
    """A row whose leads of one label over another are ``trust`` times as large."""
    if row is None or trust == 1.0:
        return row
    even = (1.0 - trust) / len(row)
    return [trust * p + even for p in row]


@dataclass(frozen=True, slots=True)
class _WaitingFrame:
    """A frame that waits for later ones, with the tracks that ended with it."""

    index: int
    time: float
    faces: Faces
    ended: tuple[int, ...]


class LookAheadSmoother:
    """Smooths the predictions for the tracks of a file; one call of `update` per frame, in order of time.

    Args:
        heads: name → head, of all heads that faces have predictions of.
        options: how to smooth.
        interval: seconds between frames that are assumed until the second frame.
        max_interval: greatest length of a frame, seconds; set it higher for slower sampling.
    """

    def __init__(
        self,
        heads: Mapping[str, Head],
        options: SmoothingOptions | None = None,
        *,
        interval: float = defaults.FRAME_INTERVAL,
        max_interval: float = 1.0,
    ) -> None:
        self._heads = dict(heads)
        self._options = options or SmoothingOptions()
        self._smoother = Smoother(heads, self._options, interval=interval, max_interval=max_interval)
        self._price = LabelPrice(self._options.change_cost, self._options.min_label)
        self._interval, self._max_interval = min(interval, max_interval), max_interval
        self._nominal = [name for name, head in self._heads.items() if not head.ordered]
        self._waiting: deque[_WaitingFrame] = deque()
        self._windows: dict[int, _TrackWindow] = {}
        self._current: list[int] = []  # the tracks of the last frame, whose length is not known yet
        self._time: float | None = None

    @property
    def waiting(self) -> int:
        """Number of frames that wait for later ones."""
        return len(self._waiting)

    def update(self, frame_index: int, time: float, faces: Faces, ended: Iterable[int] = ()) -> list[SmoothedFaces]:
        """Add the faces of one frame and return the results of the frames that need not wait any longer, in order.

        Args:
            frame_index: number of the frame in the video.
            time: its time in seconds; not before that of the last frame.
            faces: with ``tracks``, each a different one; predictions may be missing, wholly or as NaN.
            ended: tracks that have ended before this frame.

        Raises:
            InputError: faces without tracks, of other heads, or a frame out of order.
        """
        if not math.isfinite(time) or (self._time is not None and time < self._time):
            raise InputError(
                f"a frame at {time} s follows one at {self._time} s", advice="pass frames in order of time"
            )
        tracks = check_faces(faces, self._heads)
        if self._time is not None:
            passed = min(time - self._time, self._max_interval)
            for track in self._current:
                self._windows[track].close_frame(passed)
            self._interval = passed if passed > 0.0 else self._interval
        trust = frame_weights(faces, self._options.flagged)
        rows = {name: distributions(faces, name, trust) for name in self._nominal}
        for i, track in enumerate(tracks):
            window = self._windows.setdefault(track, _TrackWindow())
            window.add(time, self._interval, {name: each[i] for name, each in rows.items()}, trust[i])
        self._current, self._time = tracks, time
        self._waiting.append(_WaitingFrame(frame_index, time, faces, tuple(int(track) for track in ended)))
        ready = []
        while self._waiting and time - self._waiting[0].time >= self._options.look_ahead - TIME_TOLERANCE:
            ready.append(self.release())
        return ready

    def release(self) -> SmoothedFaces:
        """The results of the frame that has waited longest, from the frames that are known now.

        Raises:
            IndexError: no frame waits.
        """
        frame = self._waiting.popleft()
        tracks = [] if frame.faces.tracks is None else frame.faces.tracks.tolist()
        half_width = self._options.half_width
        estimates: dict[str, list[Estimate]] = {
            name: [self._windows[track].estimate(name, half_width, self._price) for track in tracks]
            for name in self._nominal
        }
        for track in tracks:
            self._windows[track].move_on(half_width)
        smoothed = self._smoother.update(frame.index, frame.time, frame.faces, estimates)
        self._smoother.end(frame.ended)
        for track in frame.ended:
            self._windows.pop(track, None)
        return smoothed

    def finish(self) -> list[SmoothedFaces]:
        """The results of all frames that wait: no other one follows."""
        return [self.release() for _ in range(len(self._waiting))]

    def tracks(self) -> tuple[Track, ...]:
        """All tracks so far by number, from the frames that were returned."""
        return self._smoother.tracks()

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to continue exactly so; JSON-ready."""
        return {
            "smoother": self._smoother.state(),
            "waiting": [[w.index, w.time, faces_to_state(w.faces), list(w.ended)] for w in self._waiting],
            "windows": {
                str(track): {
                    "times": w.times, "lengths": w.lengths, "weights": w.weights, "trust": w.trust, "rows": w.rows,
                    "position": w.position,
                    "labels": {name: [s.label, s.held, s.credit] for name, s in w.labels.items()},
                }
                for track, w in self._windows.items()
            },
            "current": self._current,
            "time": self._time,
            "interval": self._interval,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state` of a smoother with the same heads and options; `InputError` for others."""
        self._smoother.restore(state["smoother"])
        self._waiting = deque(
            _WaitingFrame(index, time, faces_from_state(faces, self._heads), tuple(ended))
            for index, time, faces, ended in state["waiting"]
        )
        self._windows = {}
        for track, saved in state["windows"].items():
            labels = {name: _LabelState(*values) for name, values in saved["labels"].items()}
            window = _TrackWindow(**{**saved, "labels": labels})
            sizes = {
                len(window.times),
                len(window.lengths),
                len(window.weights),
                len(window.trust),
                *map(len, window.rows.values()),
            }
            if set(window.rows) != set(self._nominal) or len(sizes) != 1 or not 0 <= window.position <= sizes.pop():
                raise InputError("the saved state is of other models", advice="start the video again, without it")
            self._windows[int(track)] = window
        self._current = [int(track) for track in state["current"]]
        if not self._windows.keys() >= set(self._current):
            raise ValueError("a track has no window")
        self._time = None if state["time"] is None else float(state["time"])
        self._interval = float(state["interval"])
