"""The state of one track in one head: `NominalState` for labels without an order, which are filtered, voted on and
divided into episodes, and `OrderedState` for ordered ones, which are pooled.

Filter and stable label are those of `mien.smoothing.look_ahead` where frames are known that come later, else causal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mien.errors import InputError
from mien.models.card import Head
from mien.results.track import TrackPrediction, Vote
from mien.smoothing.episodes import EpisodeLog
from mien.smoothing.options import TIME_TOLERANCE, SmoothingOptions
from mien.smoothing.voting import MajorityVote

LEAD = 0.1
"""Lead of pooled probability with which another label of an ordered head becomes the most probable one."""
MIN_PROBABILITY = 1e-4
"""Lower bound of a probability in a pool: a single frame cannot rule out a label."""


Estimate = tuple[list[float] | None, int]
"""k filtered probabilities, None before the first usable prediction; index of the stable label, −1 for none."""


def decay(seconds: float, time_constant: float) -> float:
    """Weight that an observation still has after so many seconds."""
    return math.exp(-seconds / time_constant) if time_constant else 0.0


class NominalState:
    """Filter, stable label, votes and episodes of one track in one head.

    Its attributes are read-only for other classes.

    Attributes:
        filtered: k filtered probabilities; None before the first usable prediction.
        label: index of the stable label, −1 for none.
    """

    __slots__ = (
        "_all_votes", "_behind", "_episodes", "_head", "_held", "_last_time", "_mass", "_name", "_options", "_raw",
        "_seconds", "_shares", "_total_seconds", "_totals", "_trust", "_window", "filtered", "label",
    )  # fmt: skip

    def __init__(self, name: str, head: Head, options: SmoothingOptions, time: float) -> None:
        self._name, self._head, self._options = name, head, options
        k = len(head.labels)
        self.filtered: list[float] | None = None
        self._mass = 0.0  # weight of the observations in `filtered`, 1 after infinitely many
        self._last_time = time  # of the last usable prediction
        self._seconds = 0.0  # with usable predictions, including the last frame
        self.label = -1
        self._behind: float | None = None  # seconds since the stable label led; None while it leads
        self._held = 0.0  # seconds since the stable label changed
        self._raw: list[float] | None = None  # probabilities of the last frame
        self._trust = 1.0  # weight of the last frame
        self._totals = [0.0] * k  # probability × seconds
        self._total_seconds = 0.0
        self._shares = [0.0] * k  # seconds
        self._window = MajorityVote(head.labels, window=options.window, vote_seconds=options.vote_seconds)
        self._all_votes = MajorityVote(head.labels, window=None, vote_seconds=options.vote_seconds)
        self._episodes = EpisodeLog(shortest=options.min_episode, bridge=options.bridge)

    def add_frame(
        self,
        time: float,
        seconds: float,
        kept: float,
        probabilities: list[float] | None,
        estimate: Estimate | None = None,
        trust: float = 1.0,
    ) -> None:
        """Add a frame with the face.

        Args:
            time: of the frame, seconds.
            seconds: since the previous frame.
            kept: weight that an observation still has after these seconds, see `decay`.
            probabilities: k values that sum to 1; None where this frame has no prediction.
            estimate: the filtered probabilities and the stable label where later frames determine them as well.
            trust: weight of this frame in filter and mean, 0–1.
        """
        self._raw, self._trust = probabilities, trust
        if estimate is not None:
            self.filtered, self.label = estimate
        elif probabilities is not None:
            self._filter(time, seconds, kept, probabilities, trust)
            self._update_label(seconds)
        if probabilities is not None:
            winner = probabilities.index(max(probabilities))
            self._window.cast(winner, time, seconds)
            self._all_votes.cast(winner, time, seconds)
        self._episodes.add_frame(self.label, time, self.filtered[self.label] if self.filtered is not None else 0.0)

    def close_frame(self, seconds: float, end: float) -> None:
        """Set the length of the last frame with the face: ``seconds``, up to the time ``end``."""
        if self._raw is not None:
            weight = seconds * self._trust
            self._total_seconds += weight
            self._totals = [total + weight * p for total, p in zip(self._totals, self._raw, strict=True)]
        if self.label >= 0 and self.filtered is not None:
            self._shares[self.label] += seconds
            self._episodes.close_frame(self.filtered[self.label], end, seconds)

    def vote(self, time: float) -> Vote:
        """The vote over the window that ends now."""
        self._window.forget(time)
        return self._window.result()

    def summary(self, track: int, seen: float) -> TrackPrediction | None:
        """The track's prediction so far; None before the first usable one."""
        means = self.filtered or []
        if self._total_seconds > 0.0:
            means = [total / self._total_seconds for total in self._totals]
        if not means:
            return None
        shares = [seconds / seen for seconds in self._shares] if seen > 0.0 else []
        labels = self._head.labels
        return TrackPrediction(
            self._head,
            dict(zip(labels, means, strict=True)),
            dict(zip(labels, shares, strict=True)) if shares else {},
            self._all_votes.result(),
            self._episodes.episodes(track, self._name, labels),
        )

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "filtered": self.filtered,
            "mass": self._mass,
            "last_time": self._last_time,
            "seconds": self._seconds,
            "label": self.label,
            "behind": self._behind,
            "held": self._held,
            "raw": self._raw,
            "trust": self._trust,
            "totals": self._totals,
            "total_seconds": self._total_seconds,
            "shares": list(self._shares),
            "window": self._window.state(),
            "all_votes": self._all_votes.state(),
            "episodes": self._episodes.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`; `InputError` where it is of a head with another number of labels."""
        k = len(self._head.labels)
        fits = all(are_numbers(state[name], k) for name in ("totals", "shares"))
        fits &= all(state[name] is None or are_numbers(state[name], k) for name in ("raw", "filtered"))
        numbers = [state[name] for name in ("mass", "last_time", "seconds", "total_seconds", "trust")]
        if not fits or not are_numbers(numbers, len(numbers)) or state["label"] not in range(-1, k):
            raise other_heads()
        self.filtered, self._mass, self._last_time = state["filtered"], state["mass"], state["last_time"]
        self._seconds, self.label, self._behind = state["seconds"], state["label"], state["behind"]
        self._held = state["held"]
        self._raw, self._totals, self._trust = state["raw"], state["totals"], state["trust"]
        self._total_seconds, self._shares = state["total_seconds"], list(state["shares"])
        self._window.restore(state["window"])
        self._all_votes.restore(state["all_votes"])
        self._episodes.restore(state["episodes"])

    def _filter(self, time: float, seconds: float, kept: float, probabilities: list[float], trust: float) -> None:
        """Filtered p ← p + g (x − p), where g is the weight of this frame relative to all frames with decay."""
        weight = (1.0 - kept) * trust
        if self.filtered is None:
            self.filtered, self._mass = probabilities, weight
        else:
            passed = time - self._last_time
            remaining = kept if passed == seconds else decay(passed, self._options.time_constant)
            self._mass = self._mass * remaining + weight
            gain = weight / self._mass if self._mass > 0.0 else 1.0
            self.filtered = [p + gain * (x - p) for p, x in zip(self.filtered, probabilities, strict=True)]
        self._last_time = time
        self._seconds += seconds

    def _update_label(self, seconds: float) -> None:
        """Set the first stable label, or change to another one."""
        filtered, options = self.filtered or [], self._options
        most = max(filtered)
        leader = filtered.index(most)
        if self.label < 0:
            if self._seconds >= options.settle - TIME_TOLERANCE:
                self.label, self._held = leader, 0.0
            return
        self._held += seconds
        if leader == self.label:
            self._behind = None
            return
        self._behind = 0.0 if self._behind is None else self._behind + seconds
        leads = most - filtered[self.label] >= options.margin or self._behind >= options.hold - TIME_TOLERANCE
        if leads and self._held >= options.min_label - TIME_TOLERANCE:
            self.label, self._behind, self._held = leader, None, 0.0


class OrderedState:
    """The pooled distribution of one track in one ordered head: the weighted geometric mean of all observations.

    It changes its most probable label only when another one leads clearly, else the distribution before stands: what a
    face shows for a while, such as a smile, moves the range of a whole track only if the evidence is strong.

    Attributes:
        pooled: k probabilities; None before the first usable prediction.
    """

    __slots__ = ("_head", "_logs", "_weight", "pooled")

    def __init__(self, head: Head) -> None:
        self._head = head
        self.pooled: list[float] | None = None
        self._logs = [0.0] * len(head.labels)
        self._weight = 0.0

    def add_frame(self, probabilities: Sequence[float], weight: float) -> None:
        """Add the prediction of one frame with this weight."""
        self._weight += weight
        self._logs = [
            total + weight * math.log(p if p > MIN_PROBABILITY else MIN_PROBABILITY)
            for total, p in zip(self._logs, probabilities, strict=True)
        ]
        means = [total / self._weight for total in self._logs]
        most = max(means)
        odds = [math.exp(mean - most) for mean in means]
        whole = sum(odds)
        pooled = [value / whole for value in odds]
        label = 0 if self.pooled is None else self.pooled.index(max(self.pooled))
        lead = max(pooled) - pooled[label]
        if self.pooled is None or lead == 0.0 or lead >= LEAD:
            self.pooled = pooled

    def summary(self) -> TrackPrediction | None:
        """The track's prediction so far; None before the first usable one."""
        if self.pooled is None:
            return None
        return TrackPrediction(self._head, dict(zip(self._head.labels, self.pooled, strict=True)))

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"pooled": self.pooled, "logs": self._logs, "weight": self._weight}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`; `InputError` where it is of a head with another number of labels."""
        k = len(self._head.labels)
        fits = are_numbers(state["logs"], k) and (state["pooled"] is None or are_numbers(state["pooled"], k))
        if not fits or not are_numbers([state["weight"]], 1):
            raise other_heads()
        self.pooled, self._logs, self._weight = state["pooled"], state["logs"], state["weight"]


def are_numbers(values: Any, count: int) -> bool:
    """Whether ``values`` is a list of ``count`` numbers."""
    return isinstance(values, list) and len(values) == count and all(isinstance(v, int | float) for v in values)


def other_heads() -> InputError:
    """The error for a saved state that does not fit the models of this run."""
    return InputError("the saved state is of other models", advice="start the video again, without it")
