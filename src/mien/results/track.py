"""The values of one followed face: a vote over frames, an episode of one emotion, the whole track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Vote:
    """What most frames of a window say about one face.

    Attributes:
        label: the emotion with most votes; None before the first vote.
        share: the fraction of the window's votes that it has, 0–1.
        low: lower end of the interval of ``share``, 0–1.
        high: upper end.
        n: votes in the window (frames in which the face was seen).
        effective: independent votes that would know as much, 1 to ``n``: neighbouring frames repeat each other. 0 where
            it is not told.
    """

    label: str | None
    share: float
    low: float
    high: float
    n: int
    effective: float = 0.0

    @property
    def decided(self) -> bool:
        """Whether the label has a majority beyond doubt: the whole interval lies above one half."""
        return self.label is not None and self.low > 0.5


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which one face shows one emotion.

    Attributes:
        track: number of the face's track.
        label: the emotion.
        start: seconds.
        end: seconds; the end of the last frame's time.
        peak: greatest smoothed probability of the emotion, 0–1.
        peak_time: when, seconds.
        mean: time-weighted mean of the smoothed probability, 0–1.
    """

    track: int
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
        return {
            "track": self.track,
            "label": self.label,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "peak": round(self.peak, 4),
            "peak_time": round(self.peak_time, 3),
            "mean": round(self.mean, 4),
        }


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed through a video.

    Attributes:
        id: its number, from 1 in the order of appearance.
        start: seconds, its first frame.
        end: seconds, the end of its last frame's time.
        frames: frames in which it was seen.
        seen: seconds in which it was seen; less than ``end - start`` where it was hidden for a while.
        emotions: name → time-weighted mean probability; sums to 1, empty without an emotion model.
        shares: name → fraction of the seen time with this stable label; sums to at most 1.
        vote: the vote over the whole track.
        episodes: in order of time.
        ages: bin name → probability, pooled over the track; empty without an age model.
        age_bins: the bins as inclusive years.
        best: (frame, time in seconds, box xyxy pixels) of the view that shows the face best, for a thumbnail.
    """

    id: int
    start: float
    end: float
    frames: int
    seen: float
    emotions: Mapping[str, float]
    shares: Mapping[str, float]
    vote: Vote
    episodes: tuple[Episode, ...]
    ages: Mapping[str, float]
    age_bins: tuple[tuple[int, int], ...]
    best: tuple[int, float, tuple[float, float, float, float]]

    @property
    def emotion(self) -> str | None:
        """The emotion with the greatest time-weighted mean probability."""
        return max(self.emotions, key=self.emotions.__getitem__) if self.emotions else None

    @property
    def age_range(self) -> str | None:
        """The most probable age bin, such as "20-29"."""
        return max(self.ages, key=self.ages.__getitem__) if self.ages else None

    @property
    def age(self) -> float | None:
        """The expected age in years under `ages` (bin centres weighted by probability)."""
        if not self.ages:
            return None
        return float(sum(p * (a + b + 1) / 2 for p, (a, b) in zip(self.ages.values(), self.age_bins, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        row: dict[str, Any] = {
            "track": self.id,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "frames": self.frames,
            "seen": round(self.seen, 3),
        }
        if self.emotions:
            row |= {
                "emotion": self.emotion,
                "emotions": {k: round(v, 4) for k, v in self.emotions.items()},
                "shares": {k: round(v, 4) for k, v in self.shares.items()},
                "vote": {
                    "label": self.vote.label,
                    "share": round(self.vote.share, 4),
                    "low": round(self.vote.low, 4),
                    "high": round(self.vote.high, 4),
                    "n": self.vote.n,
                    "decided": self.vote.decided,
                },
                "episodes": [episode.to_dict() for episode in self.episodes],
            }
        if self.ages:
            row |= {
                "age_range": self.age_range,
                "age": round(self.age or 0.0, 1),
                "ages": {k: round(v, 4) for k, v in self.ages.items()},
            }
        return row
