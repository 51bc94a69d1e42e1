"""The values of one tracked face: a vote over frames, an episode of one label, the whole track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.models.card import Head
from mien.results.face_columns import AGE, EMOTION
from mien.results.prediction import Prediction, prediction_set
from mien.results.track_columns import episode_objects, track_objects
from mien.text import count, listing


@dataclass(frozen=True, slots=True)
class Vote:
    """The majority vote of the frames of a window for one face.

    Attributes:
        label: the label with most votes; None before the first vote.
        share: its fraction of the window's votes, 0–1.
        low: lower end of the interval of ``share``, 0–1.
        high: upper end.
        n: votes in the window (frames in which the face was observed).
        effective: number of independent votes with the same information, 1 to ``n``, because neighbouring frames are
            correlated. 0 where it is not known.

    Examples:
        >>> vote = report.tracks[0].vote
        >>> vote.label, vote.n, vote.low <= vote.share <= vote.high
        ('happy', 25, True)
        >>> vote.decided  # one second is too short for a significant majority
        False
    """

    label: str | None
    share: float
    low: float
    high: float
    n: int
    effective: float = 0.0

    @property
    def decided(self) -> bool:
        """Whether the label has a significant majority: the whole interval lies above one half."""
        return self.label is not None and self.low > 0.5


NO_VOTE = Vote(None, 0.0, 0.0, 1.0, 0)
"""No frame has voted."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which one face shows one label of a head, such as one emotion.

    Attributes:
        track: number of the face's track.
        head: name of the head, such as "emotion".
        label: the label.
        start: seconds.
        end: seconds; the end of the last frame.
        peak: greatest smoothed probability of the label, 0–1.
        peak_time: time of the peak, seconds.
        mean: time-weighted mean of the smoothed probability, 0–1.

    Examples:
        >>> episode = report.episodes[0]
        >>> episode.track, episode.head, episode.label, round(episode.duration, 2)
        (1, 'emotion', 'happy', 1.0)
        >>> list(episode.to_dict())
        ['track', 'head', 'label', 'start', 'end', 'peak', 'peak_time', 'mean']
    """

    track: int
    head: str
    label: str
    start: float
    end: float
    peak: float
    peak_time: float
    mean: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return episode_objects([self])[0]


@dataclass(frozen=True, slots=True)
class TrackPrediction:
    """The prediction of one head for a face over its whole track.

    Attributes:
        head: labels, and whether they have an order.
        probabilities: label → probability; sums to 1. The time-weighted mean for a nominal head, the pooled
            distribution of all frames for an ordered one.
        shares: label → fraction of the observed time with this stable label, sums to at most 1; empty for an ordered
            head.
        vote: the vote over the whole track; None for an ordered head.
        episodes: in order of time; none for an ordered head.

    Examples:
        >>> prediction = report.tracks[0].predictions["emotion"]
        >>> prediction.label, prediction.vote.label, len(prediction.episodes)
        ('happy', 'happy', 1)
        >>> prediction.set, prediction.expected
        ((), None)
        >>> report.tracks[0].predictions["age"].expected > 20
        True
    """

    head: Head
    probabilities: Mapping[str, float]
    shares: Mapping[str, float] = field(default_factory=dict)
    vote: Vote | None = None
    episodes: tuple[Episode, ...] = ()

    def __repr__(self) -> str:
        parts = [f"{self.label!a} {self.probabilities[self.label]:.0%}"]
        parts += [] if self.vote is None else [f"vote {self.vote.label!a}"]
        parts += [count(len(self.episodes), "episode")] if self.episodes else []
        return f"TrackPrediction({', '.join(parts)})"

    @property
    def label(self) -> str:
        """The label with the greatest probability."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def set(self) -> tuple[str, ...]:
        """The labels that include the right one, with the chosen coverage; empty without a coverage."""
        return prediction_set(self.head, self.probabilities)

    @property
    def expected(self) -> float | None:
        """Mean of the middles of the ranges, weighted by probability; None for labels that are no ranges."""
        return Prediction(self.head, self.probabilities).expected


@dataclass(frozen=True, slots=True)
class Track:
    """One face tracked through a video.

    Attributes:
        id: its number, from 1 in the order of appearance.
        start: time of its first frame, seconds.
        end: end of its last frame, seconds.
        frames: frames in which it was observed.
        seen: seconds in which it was observed; less than ``end - start`` where it was hidden for a while.
        predictions: head → its prediction over the track; heads without any prediction are missing.
        best: (frame, time in seconds, box xyxy pixels) of the best view of the face, for a thumbnail.

    Examples:
        >>> track = report.tracks[0]
        >>> track.id, track.frames, track.emotion
        (1, 25, 'happy')
        >>> track.emotions["happy"] > 0.5, track.shares["happy"] > 0.5
        (True, True)
        >>> track.vote.label, [episode.label for episode in track.episodes]
        ('happy', ['happy'])
        >>> track.ages[track.age_range] == max(track.ages.values()), 20 < track.age < 50
        (True, True)
        >>> list(track.to_dict())[:4]
        ['track', 'start', 'end', 'frames']
    """

    id: int
    start: float
    end: float
    frames: int
    seen: float
    predictions: Mapping[str, TrackPrediction]
    best: tuple[int, float, tuple[float, float, float, float]]

    def __repr__(self) -> str:
        parts = [f"id={self.id}", f"{self.start:.2f}-{self.end:.2f} s", count(self.frames, "frame")]
        parts += [f"{name}={one.label!a}" for name, one in self.predictions.items()]
        return f"Track({listing(parts, 8)})"

    @property
    def emotions(self) -> dict[str, float]:
        """Emotion → time-weighted mean probability; empty without an emotion model."""
        return self._probabilities(EMOTION)

    @property
    def emotion(self) -> str | None:
        """The emotion with the greatest time-weighted mean probability."""
        return self._label(EMOTION)

    @property
    def shares(self) -> dict[str, float]:
        """Emotion → fraction of the observed time with this stable label."""
        prediction = self.predictions.get(EMOTION)
        return {} if prediction is None else dict(prediction.shares)

    @property
    def vote(self) -> Vote:
        """The vote of all frames on the emotion."""
        prediction = self.predictions.get(EMOTION)
        return NO_VOTE if prediction is None or prediction.vote is None else prediction.vote

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The episodes of all heads, in order of time."""
        every = [episode for one in self.predictions.values() for episode in one.episodes]
        return tuple(sorted(every, key=lambda episode: (episode.start, episode.head)))

    @property
    def ages(self) -> dict[str, float]:
        """Age range → probability, pooled over the track; empty without an age model."""
        return self._probabilities(AGE)

    @property
    def age_range(self) -> str | None:
        """The most probable age range, such as "20-29"."""
        return self._label(AGE)

    @property
    def age(self) -> float | None:
        """The expected age in years (middles of the ranges weighted by probability)."""
        prediction = self.predictions.get(AGE)
        return None if prediction is None else prediction.expected

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return track_objects([self])[0]

    def _probabilities(self, head: str) -> dict[str, float]:
        prediction = self.predictions.get(head)
        return {} if prediction is None else dict(prediction.probabilities)

    def _label(self, head: str) -> str | None:
        prediction = self.predictions.get(head)
        return None if prediction is None else prediction.label
