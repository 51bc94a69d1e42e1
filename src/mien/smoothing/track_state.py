"""The state of one live track, kept as long as its face may return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.models.card import Head
from mien.results.track import Track, TrackPrediction
from mien.smoothing.head_state import NominalState, OrderedState, are_numbers, other_heads
from mien.smoothing.options import SmoothingOptions


class TrackState:
    """The state of one track.

    A frame is added by `add_frame`, `NominalState.add_frame` or `OrderedState.add_frame` for each head, and `add_view`;
    `close_frame` follows once its length is known. Its attributes are read-only for other classes.

    Attributes:
        id: number of the track.
        nominal: head → its state, for heads without an order.
        ordered: head → its state, for ordered heads.
    """

    __slots__ = (
        "_best", "_frames", "_heads", "_options", "_quality", "_seen", "_start", "_stop", "id", "nominal", "ordered",
    )  # fmt: skip

    def __init__(self, track: int, time: float, heads: Mapping[str, Head], options: SmoothingOptions) -> None:
        self.id = track
        self._heads, self._options = heads, options
        self._start = self._stop = time  # the end of the last frame, as far as it is known
        self._frames = 0
        self._seen = 0.0  # seconds, without the last frame until its length is known
        self.nominal = {n: NominalState(n, head, options, time) for n, head in heads.items() if not head.ordered}
        self.ordered = {name: OrderedState(head) for name, head in heads.items() if head.ordered}
        self._quality = -1.0
        self._best: tuple[int, float, tuple[float, float, float, float]] = (0, time, (0.0, 0.0, 0.0, 0.0))

    def add_frame(self, time: float) -> None:
        """Count a frame with the face at this time, seconds."""
        self._frames += 1
        self._stop = time

    def add_view(self, frame: int, time: float, box: Sequence[float], quality: float) -> None:
        """Keep the view of this frame where its quality is the best so far; see `Track.best`."""
        if quality > self._quality:
            self._quality = quality
            self._best = (frame, time, (box[0], box[1], box[2], box[3]))

    def close_frame(self, seconds: float) -> None:
        """Set the length of the last frame with the face, seconds."""
        self._seen += seconds
        self._stop += seconds
        for state in self.nominal.values():
            state.close_frame(seconds, self._stop)

    def summary(self) -> Track:
        """The track as if it ended with the last frame."""
        predictions: dict[str, TrackPrediction | None] = {
            name: self.nominal[name].summary(self.id, self._seen)
            if name in self.nominal
            else self.ordered[name].summary()
            for name in self._heads
        }
        return Track(
            id=self.id,
            start=self._start,
            end=self._stop,
            frames=self._frames,
            seen=self._seen,
            predictions={name: each for name, each in predictions.items() if each is not None},
            best=self._best,
        )

    def copy(self) -> TrackState:
        """An independent copy."""
        other = TrackState(self.id, self._start, self._heads, self._options)
        other.restore(self.state())
        return other

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        heads = {name: state.state() for name, state in self.nominal.items()}
        heads |= {name: state.state() for name, state in self.ordered.items()}
        return {
            "id": self.id,
            "start": self._start,
            "stop": self._stop,
            "frames": self._frames,
            "seen": self._seen,
            "heads": heads,
            "quality": self._quality,
            "best": [self._best[0], self._best[1], list(self._best[2])],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`; `InputError` where it is of other heads."""
        numbers = [state[name] for name in ("stop", "frames", "seen", "quality")]
        if not are_numbers(numbers, len(numbers)) or set(state["heads"]) != set(self._heads):
            raise other_heads()
        self._stop, self._frames, self._seen = state["stop"], state["frames"], state["seen"]
        for name, saved in state["heads"].items():
            (self.nominal.get(name) or self.ordered[name]).restore(saved)
        self._quality = state["quality"]
        frame, time, (x1, y1, x2, y2) = state["best"]
        self._best = (frame, time, (x1, y1, x2, y2))
