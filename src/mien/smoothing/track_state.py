"""One live track: everything that is remembered of a face while it may still come back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.errors import InputError
from mien.labels import age_bin_names
from mien.results.track import Track, Vote
from mien.smoothing.episodes import EpisodeLog
from mien.smoothing.voting import Ballot

_FUZZ = 1e-9
_LEAST = 1e-4
"""An age bin never counts as less probable than this: one frame cannot rule an age out."""


@dataclass(frozen=True, slots=True)
class Options:
    """Those of `mien.smoothing.Smoother`, which explains them."""

    time_constant: float
    margin: float
    hold: float
    settle: float
    window: float
    vote_seconds: float
    min_episode: float
    bridge: float
    interval: float
    max_interval: float

    def __post_init__(self) -> None:
        for name in ("window", "vote_seconds", "interval", "max_interval"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is a number of seconds above 0, got {getattr(self, name)}")
        for name in ("time_constant", "hold", "settle", "min_episode", "bridge"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} is a number of seconds, 0 or more, got {getattr(self, name)}")
        if not 0.0 <= self.margin <= 1.0:
            raise InputError(f"margin is a difference of probabilities between 0 and 1, got {self.margin}")


def faded(seconds: float, time_constant: float) -> float:
    """What an observation still weighs after so many seconds."""
    return math.exp(-seconds / time_constant) if time_constant else 0.0


_NUMBERS = ("stop", "frames", "seen", "mass", "told", "seconds", "emotion_seconds", "age_weight", "quality")
"""What of a `Life.state` is always a number."""


class Life:
    """What is known of one track so far.

    A frame is told by `see`, `pool` and `view`, and `last` once its length is known. Its attributes are read, not
    written, from outside.

    Attributes:
        id: number of the track.
        filtered: k filtered probabilities; None before the first usable emotions.
        label: index of the stable label, −1 for none.
        pooled: probabilities of the age bins; None before the first usable ages.
    """

    __slots__ = (
        "_age_logs", "_age_weight", "_behind", "_best", "_bins", "_emotion_seconds", "_emotions", "_frames", "_log",
        "_mass", "_names", "_options", "_poll", "_quality", "_raw", "_seconds", "_seen", "_shares", "_start", "_stop",
        "_told", "_window", "filtered", "id", "label", "pooled",
    )  # fmt: skip

    def __init__(
        self, track: int, time: float, names: Sequence[str], bins: Sequence[tuple[int, int]], options: Options
    ) -> None:
        self.id = track
        self._names, self._bins, self._options = names, bins, options
        self._start = self._stop = time  # the end of the last frame's time, so far as it is known
        self._frames = 0
        self._seen = 0.0  # seconds, those of the last frame once they are known
        self.filtered: list[float] | None = None
        self._mass = 0.0  # what the observations in `filtered` weigh, 1 for endless ones
        self._told = time  # of the last usable emotions
        self._seconds = 0.0  # in which there were usable emotions, the last frame included
        self.label = -1
        self._behind: float | None = None  # seconds since the emotion of the label led; None while it leads
        self._raw: list[float] | None = None  # emotions of the last frame
        self._emotions = [0.0] * len(names)  # probability × seconds
        self._emotion_seconds = 0.0
        self._shares = [0.0] * len(names)  # seconds
        self._window = Ballot(names, window=options.window, vote_seconds=options.vote_seconds)
        self._poll = Ballot(names, window=None, vote_seconds=options.vote_seconds)
        self._log = EpisodeLog(shortest=options.min_episode, bridge=options.bridge)
        self.pooled: list[float] | None = None
        self._age_logs = [0.0] * len(bins)
        self._age_weight = 0.0
        self._quality = -1.0
        self._best: tuple[int, float, tuple[float, float, float, float]] = (0, time, (0.0, 0.0, 0.0, 0.0))

    def see(self, time: float, seconds: float, fade: float, emotions: list[float] | None) -> None:
        """The face in a frame.

        Args:
            time: of the frame.
            seconds: since the frame before.
            fade: what an observation still weighs after these seconds, see `faded`.
            emotions: k probabilities that sum to 1; None where this frame tells none.
        """
        self._frames += 1
        self._stop = time
        self._raw = emotions
        if emotions is not None:
            self._filter(time, seconds, fade, emotions)
            self._settle(seconds)
            winner = emotions.index(max(emotions))
            self._window.cast(winner, time, seconds)
            self._poll.cast(winner, time, seconds)
        self._log.see(self.label, time, self.filtered[self.label] if self.filtered is not None else 0.0)

    def pool(self, ages: Sequence[float], weight: float) -> None:
        """Ages that one frame tells, and how much it is to be believed."""
        self._age_weight += weight
        self._age_logs = [
            total + weight * math.log(p if p > _LEAST else _LEAST)
            for total, p in zip(self._age_logs, ages, strict=True)
        ]
        means = [total / self._age_weight for total in self._age_logs]
        most = max(means)
        odds = [math.exp(mean - most) for mean in means]
        whole = sum(odds)
        self.pooled = [value / whole for value in odds]

    def view(self, frame: int, time: float, box: Sequence[float], quality: float) -> None:
        """How well the frame shows the face: the best view is kept."""
        if quality > self._quality:
            self._quality = quality
            self._best = (frame, time, (box[0], box[1], box[2], box[3]))

    def last(self, seconds: float) -> None:
        """The frame seen last lasted so long."""
        self._seen += seconds
        self._stop += seconds
        if self._raw is not None:
            self._emotion_seconds += seconds
            self._emotions = [total + seconds * p for total, p in zip(self._emotions, self._raw, strict=True)]
        if self.label >= 0 and self.filtered is not None:
            self._shares[self.label] += seconds
            self._log.last(self.filtered[self.label], self._stop, seconds)

    def vote(self, time: float) -> Vote:
        """The vote over the window that ends now."""
        self._window.forget(time)
        return self._window.result()

    def summary(self) -> Track:
        """The track as if it ended with the last frame."""
        names, means = self._names, self.filtered or []
        if self._emotion_seconds > 0.0:
            means = [total / self._emotion_seconds for total in self._emotions]
        shares = [seconds / self._seen for seconds in self._shares] if means and self._seen > 0.0 else []
        return Track(
            id=self.id,
            start=self._start,
            end=self._stop,
            frames=self._frames,
            seen=self._seen,
            emotions=dict(zip(names, means, strict=True)) if means else {},
            shares=dict(zip(names, shares, strict=True)) if shares else {},
            vote=self._poll.result(),
            episodes=self._log.episodes(self.id, names),
            ages={} if self.pooled is None else dict(zip(age_bin_names(self._bins), self.pooled, strict=True)),
            age_bins=() if self.pooled is None else tuple(self._bins),
            best=self._best,
        )

    def copy(self) -> Life:
        """An independent copy."""
        other = Life(self.id, self._start, self._names, self._bins, self._options)
        other.restore(self.state())
        return other

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "id": self.id,
            "start": self._start,
            "stop": self._stop,
            "frames": self._frames,
            "seen": self._seen,
            "filtered": self.filtered,
            "mass": self._mass,
            "told": self._told,
            "seconds": self._seconds,
            "label": self.label,
            "behind": self._behind,
            "raw": self._raw,
            "emotions": self._emotions,
            "emotion_seconds": self._emotion_seconds,
            "shares": list(self._shares),
            "window": self._window.state(),
            "poll": self._poll.state(),
            "log": self._log.state(),
            "pooled": self.pooled,
            "age_logs": self._age_logs,
            "age_weight": self._age_weight,
            "quality": self._quality,
            "best": [self._best[0], self._best[1], list(self._best[2])],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; `InputError` where it is not of as many emotions and ages."""
        emotions, ages = len(self._names), len(self._bins)
        fits = all(_are(state[name], emotions) for name in ("emotions", "shares"))
        fits &= all(state[name] is None or _are(state[name], emotions) for name in ("raw", "filtered"))
        fits &= _are(state["age_logs"], ages) and (state["pooled"] is None or _are(state["pooled"], ages))
        fits &= _are([state[name] for name in _NUMBERS], len(_NUMBERS)) and state["label"] in range(-1, emotions)
        if not fits:
            raise InputError("the saved state is of other emotions or ages: begin the video anew, without it")
        self._stop, self._frames, self._seen = state["stop"], state["frames"], state["seen"]
        self.filtered, self._mass, self._told = state["filtered"], state["mass"], state["told"]
        self._seconds, self.label, self._behind = state["seconds"], state["label"], state["behind"]
        self._raw, self._emotions = state["raw"], state["emotions"]
        self._emotion_seconds, self._shares = state["emotion_seconds"], list(state["shares"])
        self._window.restore(state["window"])
        self._poll.restore(state["poll"])
        self._log.restore(state["log"])
        self.pooled, self._age_logs, self._age_weight = state["pooled"], state["age_logs"], state["age_weight"]
        self._quality = state["quality"]
        frame, time, (x1, y1, x2, y2) = state["best"]
        self._best = (frame, time, (x1, y1, x2, y2))

    def _filter(self, time: float, seconds: float, fade: float, emotions: list[float]) -> None:
        """Filtered p ← p + g (x − p), where g is what this frame weighs among all that are still remembered."""
        weight = 1.0 - fade
        if self.filtered is None:
            self.filtered, self._mass = emotions, weight
        else:
            passed = time - self._told
            kept = fade if passed == seconds else faded(passed, self._options.time_constant)
            self._mass = self._mass * kept + weight
            gain = weight / self._mass
            self.filtered = [p + gain * (x - p) for p, x in zip(self.filtered, emotions, strict=True)]
        self._told = time
        self._seconds += seconds

    def _settle(self, seconds: float) -> None:
        """Give the first label, or let another emotion take it over."""
        filtered, options = self.filtered or [], self._options
        most = max(filtered)
        leader = filtered.index(most)
        if self.label < 0:
            if self._seconds >= options.settle - _FUZZ:
                self.label = leader
            return
        if leader == self.label:
            self._behind = None
            return
        self._behind = 0.0 if self._behind is None else self._behind + seconds
        if most - filtered[self.label] >= options.margin or self._behind >= options.hold - _FUZZ:
            self.label, self._behind = leader, None


def _are(values: Any, count: int) -> bool:
    """Whether these are so many numbers."""
    return isinstance(values, list) and len(values) == count and all(isinstance(v, int | float) for v in values)
