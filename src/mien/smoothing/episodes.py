"""Episodes of one track: stretches of one stable label, put together while the frames come in.

A stretch ends where the label changes or the face is away for longer than `bridge`. Then the same label joins its last
stretch again if no more than `bridge` seconds lie between and nothing that lasted does; what is left of less than
`shortest` is dropped. Episodes of a track never overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.results.track import Episode

_FUZZ = 1e-9


@dataclass(slots=True)
class _Stretch:
    label: int
    start: float
    end: float
    peak: float
    peak_time: float
    weight: float = 0.0  # seconds in which the face was seen
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
        self._shortest = shortest - _FUZZ
        self._bridge = bridge + _FUZZ
        self._stretches: list[_Stretch] = []
        self._fixed = 0  # how many stretches nothing can change any more
        self._open = False

    def add_frame(self, label: int, time: float, probability: float) -> None:
        """A frame at this time shows a stable label (an index, −1 for none) of this smoothed probability."""
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
        """The last frame with the face lasted so many seconds and ended at ``end``."""
        if self._open:
            top = self._stretches[-1]
            top.end = end
            top.weight += seconds
            top.total += seconds * probability

    def episodes(self, track: int, head: str, labels: Sequence[str]) -> tuple[Episode, ...]:
        """All that lasted, in order of time, the last one as if it ended now."""
        return tuple(
            Episode(track, head, labels[s.label], s.start, s.end, s.peak, s.peak_time, s.mean)
            for s in self._stretches
            if self._lasted(s)
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
        self._stretches = [_Stretch(*values) for values in state["stretches"]]

    def _lasted(self, stretch: _Stretch) -> bool:
        return stretch.end - stretch.start >= self._shortest

    def _begin(self, label: int, time: float, probability: float) -> _Stretch:
        stretches = self._stretches
        for i in range(len(stretches) - 1, -1, -1):
            one = stretches[i]
            if time - one.end > self._bridge:
                break
            if one.label == label:
                del stretches[i + 1 :]
                return one
            if self._lasted(one):
                break
        tail: list[_Stretch] = []
        for one in stretches[self._fixed :]:
            if self._lasted(one):
                tail = [*(s for s in tail if self._lasted(s)), one]
            elif time - one.end <= self._bridge:
                tail.append(one)
        stretches[self._fixed :] = tail
        lasting = [i for i in range(self._fixed, len(stretches)) if self._lasted(stretches[i])]
        self._fixed = lasting[-1] if lasting else self._fixed
        new = _Stretch(label, time, time, probability, time)
        stretches.append(new)
        return new
