"""Episodes of one track: stretches of one stable label, collected frame by frame.

A stretch ends where the label changes or the face is hidden for longer than `bridge`. When the label returns within
`bridge` seconds, and no stretch of at least `shortest` seconds lies in between, its last stretch continues. Shorter
stretches are dropped. Episodes of a track never overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.results.track import Episode
from mien.smoothing.options import TIME_TOLERANCE


@dataclass(slots=True)
class _LabelStretch:
    label: int
    start: float
    end: float
    peak: float
    peak_time: float
    weight: float = 0.0  # seconds in which the face was visible
    total: float = 0.0  # probability × seconds

    @property
    def mean(self) -> float:
        """Time-weighted mean probability."""
        return self.total / self.weight if self.weight else self.peak


class EpisodeLog:
    """Collects the episodes of one track.

    Args:
        shortest: seconds that an episode must last.
        bridge: longest gap in seconds between two stretches of one label that are one episode.
    """

    __slots__ = ("_bridge", "_fixed", "_open", "_shortest", "_stretches")

    def __init__(self, *, shortest: float, bridge: float) -> None:
        self._shortest = shortest - TIME_TOLERANCE
        self._bridge = bridge + TIME_TOLERANCE
        self._stretches: list[_LabelStretch] = []
        self._fixed = 0  # number of stretches that cannot change any more
        self._open = False

    def add_frame(self, label: int, time: float, probability: float) -> None:
        """Add a frame with the face.

        Args:
            label: index of the stable label, −1 for none.
            time: of the frame, seconds.
            probability: smoothed probability of the label, 0–1.
        """
        top = self._stretches[-1] if self._open else None
        if top is None or top.label != label or time - top.end > self._bridge:
            self._open = label >= 0
            if not self._open:
                return
            top = self._begin(label, time, probability)
        top.end = max(top.end, time)
        if probability > top.peak:
            top.peak, top.peak_time = probability, time

    def close_frame(self, probability: float, end: float, seconds: float) -> None:
        """Set the length of the last frame with the face: ``seconds``, up to the time ``end``."""
        if self._open:
            top = self._stretches[-1]
            top.end = end
            top.weight += seconds
            top.total += seconds * probability

    def episodes(self, track: int, head: str, labels: Sequence[str]) -> tuple[Episode, ...]:
        """All stretches that are long enough, in order of time, the last one as if it ended now."""
        return tuple(
            Episode(track, head, labels[s.label], s.start, s.end, s.peak, s.peak_time, s.mean)
            for s in self._stretches
            if self._is_long_enough(s)
        )

    def copy(self) -> EpisodeLog:
        """An independent copy."""
        other = EpisodeLog(shortest=0.0, bridge=0.0)
        other._shortest, other._bridge = self._shortest, self._bridge
        other.restore(self.state())
        return other

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "open": self._open,
            "fixed": self._fixed,
            "stretches": [[s.label, s.start, s.end, s.peak, s.peak_time, s.weight, s.total] for s in self._stretches],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self._open, self._fixed = state["open"], state["fixed"]
        self._stretches = [_LabelStretch(*values) for values in state["stretches"]]

    def _is_long_enough(self, stretch: _LabelStretch) -> bool:
        return stretch.end - stretch.start >= self._shortest

    def _begin(self, label: int, time: float, probability: float) -> _LabelStretch:
        stretches = self._stretches
        for i in range(len(stretches) - 1, -1, -1):
            stretch = stretches[i]
            if time - stretch.end > self._bridge:
                break
            if stretch.label == label:
                del stretches[i + 1 :]
                return stretch
            if self._is_long_enough(stretch):
                break
        tail: list[_LabelStretch] = []
        for stretch in stretches[self._fixed :]:
            if self._is_long_enough(stretch):
                tail = [*(s for s in tail if self._is_long_enough(s)), stretch]
            elif time - stretch.end <= self._bridge:
                tail.append(stretch)
        stretches[self._fixed :] = tail
        long_enough = [i for i in range(self._fixed, len(stretches)) if self._is_long_enough(stretches[i])]
        self._fixed = long_enough[-1] if long_enough else self._fixed
        new = _LabelStretch(label, time, time, probability, time)
        stretches.append(new)
        return new
