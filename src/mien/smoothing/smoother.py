"""What the frames of a video say together about each face: filtered emotions, a stable label, a vote, a summary.

All spans are seconds of the video, so the same film tells the same at any frame rate. A frame counts as long as the
time until the next frame. The state of a track is plain Python numbers: a face has some ten of each kind, for which
NumPy would be slower, and JSON keeps them exactly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.results.faces import Faces
from mien.results.track import Episode, Track, Vote
from mien.smoothing.track_state import Life, Options, faded

_LEAST = 1e-6
"""Weight of the ages of a face that the detector gave no score or no size."""
_PLAIN = ("id", "start", "end", "frames", "seen", "emotions", "shares", "ages")
"""Attributes of a `Track` that JSON holds as they are."""
_LARGE = 160.0
"""Pixels of the shorter side from which a larger face is no better view."""


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """What is known of the faces of one frame with all frames before it.

    Attributes:
        smoothed: ``(n, k)`` float32 emotions filtered over time, NaN rows for faces without any usable emotions yet;
            None where the frame carries no emotions.
        labels: the stable label of each face, None where there is none yet; a frame without emotions keeps it.
        votes: the vote over the sliding window, one a face; its label is None where the window holds no vote.
        ages: ``(n, a)`` float32 ages pooled over each track so far, NaN rows for faces without any yet; None as long as
            no face of the frame has any.
    """

    smoothed: NDArray[np.float32] | None
    labels: tuple[str | None, ...]
    votes: tuple[Vote, ...]
    ages: NDArray[np.float32] | None


class Smoother:
    """Follows what the tracks of a video show; one call of `update` a frame, in order of time.

    Every analysed frame is told, also one without a face, because a frame lasts until the next one.

    Args:
        emotion_labels: names of the columns of the faces' emotions; empty without an emotion model.
        age_bins: inclusive years of the columns of the faces' ages; empty without an age model.
        time_constant: of the filter, seconds; 0 filters nothing.
        margin: another emotion takes the stable label over at once when its filtered probability leads by this much.
        hold: or when the emotion of the stable label has not led for this many seconds.
        settle: seconds that a face is seen before it gets its first label.
        window: seconds that a vote counts.
        vote_seconds: seconds of frames that are worth one independent vote, as long as the votes do not tell.
        min_episode: seconds that an episode must last.
        bridge: longest gap in seconds between two stretches of one label that are one episode.
        interval: seconds between frames that are assumed until a second frame tells.
        max_interval: most seconds that a single frame counts for; set it higher for slower sampling.
    """

    def __init__(
        self,
        emotion_labels: Sequence[str],
        age_bins: Sequence[tuple[int, int]],
        *,
        time_constant: float = 0.5,
        margin: float = 0.15,
        hold: float = 0.5,
        settle: float = 0.2,
        window: float = 4.0,
        vote_seconds: float = 0.4,
        min_episode: float = 0.5,
        bridge: float = 0.5,
        interval: float = 0.04,
        max_interval: float = 1.0,
    ) -> None:
        self._names = tuple(emotion_labels)
        self._bins = tuple((int(low), int(high)) for low, high in age_bins)
        self._options = Options(
            time_constant, margin, hold, settle, window, vote_seconds, min_episode, bridge, interval, max_interval
        )
        self._live: dict[int, Life] = {}
        # as text, a third of what the values take: of a camera that runs for days there are many
        self._ended: dict[int, str] = {}
        self._seen: list[Life] = []  # the tracks of the last frame: its length is not known yet
        self._time: float | None = None
        self._interval = min(interval, max_interval)  # before the last frame
        self._earlier: float | None = None  # before the frame before it

    def update(self, frame_index: int, time: float, faces: Faces) -> Smoothed:
        """Take in the faces of one frame and tell what is known of them now.

        Args:
            frame_index: number of the frame in the video.
            time: its time in seconds; not before that of the last frame.
            faces: with ``tracks``, each a different one; ``emotions`` and ``ages`` may be missing, wholly or as NaN.

        Raises:
            InputError: faces without tracks, of an ended track, of other labels, or a frame out of order.
        """
        tracks = self._checked(time, faces)
        self._advance(time)
        emotions: list[list[float] | None] = [None] * len(tracks)
        ages = list(emotions)
        if faces.emotions is not None and self._names:
            emotions = [_distribution(row) for row in faces.emotions.tolist()]
        if faces.ages is not None and self._bins:
            ages = [_distribution(row) for row in faces.ages.tolist()]
        seconds = self._interval
        fade = faded(seconds, self._options.time_constant)
        self._seen = []
        for i, (track, box, score) in enumerate(zip(tracks, faces.boxes.tolist(), faces.scores.tolist(), strict=True)):
            live = self._live.get(track)
            if live is None:
                live = self._live[track] = Life(track, time, self._names, self._bins, self._options)
            live.see(time, seconds, fade, emotions[i])
            told = ages[i]
            if told is not None:
                live.pool(told, max(score * min(box[2] - box[0], box[3] - box[1], _LARGE), _LEAST))
            live.view(frame_index, time, box, _quality(box, score, faces.landmarks[i].tolist(), faces.image_size))
            self._seen.append(live)
        return self._told(faces)

    def end(self, ids: Iterable[int]) -> None:
        """These tracks are over: only their summary stays. Unknown numbers and ended ones are passed over."""
        for track in ids:
            live = self._live.pop(int(track), None)
            if live is not None:
                if live in self._seen:
                    self._seen.remove(live)
                    live.last(self._length)
                self._ended[live.id] = json.dumps(_packed(live.summary()))

    def tracks(self) -> tuple[Track, ...]:
        """All tracks so far by number, those that still live as if they ended now."""
        every = {track: _unpacked(json.loads(text)) for track, text in self._ended.items()}
        for track, live in self._live.items():
            if live in self._seen:
                live = live.copy()
                live.last(self._length)
            every[track] = live.summary()
        return tuple(every[track] for track in sorted(every))

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on exactly so; JSON-ready."""
        return self._key() | {
            "time": self._time,
            "intervals": [self._interval, self._earlier],
            "seen": [live.id for live in self._seen],
            "live": [live.state() for live in self._live.values()],
            "ended": [json.loads(text) for text in self._ended.values()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` of a smoother with the same labels, age bins and options; `InputError` for others."""
        for name, value in self._key().items():
            if state.get(name) != value:
                what = name.replace("_", " ")
                raise InputError(f"the saved state is of other {what}: go on with the models and options of that run")
        self._time = state["time"]
        self._interval, self._earlier = state["intervals"]
        self._live = {}
        for saved in state["live"]:
            live = Life(saved["id"], saved["start"], self._names, self._bins, self._options)
            live.restore(saved)
            self._live[live.id] = live
        self._seen = [self._live[track] for track in state["seen"]]
        self._ended = {saved["id"]: json.dumps(_packed(_unpacked(saved))) for saved in state["ended"]}

    def _key(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        bins = [list(pair) for pair in self._bins]
        return {"emotion_labels": list(self._names), "age_bins": bins, "options": asdict(self._options)}

    @property
    def _length(self) -> float:
        # a lost frame doubles one interval, so the shorter of the last two is a frame's usual length
        return self._interval if self._earlier is None else min(self._interval, self._earlier)

    def _checked(self, time: float, faces: Faces) -> list[int]:
        if not math.isfinite(time) or (self._time is not None and time < self._time):
            raise InputError(f"a frame at {time} s after one at {self._time} s: frames must come in order of time")
        if faces.tracks is None:
            raise InputError("the faces of a video frame need their tracks")
        if faces.emotions is not None and faces.emotion_labels != self._names:
            raise InputError(f"emotions {faces.emotion_labels} where {self._names} were announced")
        if faces.ages is not None and faces.age_bins != self._bins:
            raise InputError(f"age bins {faces.age_bins} where {self._bins} were announced")
        tracks: list[int] = faces.tracks.tolist()
        if len(set(tracks)) != len(tracks):
            raise InputError(f"a track can be in a frame only once, got {tracks}")
        for track in tracks:
            if track in self._ended:
                raise InputError(f"track {track} has ended: a face that comes back needs a new number")
        return tracks

    def _advance(self, time: float) -> None:
        """The last frame ends where this one begins, or after the longest time that a frame can count for."""
        if self._time is not None:
            passed = min(time - self._time, self._options.max_interval)
            for live in self._seen:
                live.last(passed)
            if passed > 0.0:
                self._earlier = passed if self._earlier is None else self._interval
                self._interval = passed
        self._time = time

    def _told(self, faces: Faces) -> Smoothed:
        names, seen = self._names, self._seen
        smoothed = ages = None
        if faces.emotions is not None and names:
            unknown = [math.nan] * len(names)
            smoothed = np.array([live.filtered or unknown for live in seen], np.float32).reshape(-1, len(names))
        if any(live.pooled for live in seen):
            unknown = [math.nan] * len(self._bins)
            ages = np.array([live.pooled or unknown for live in seen], np.float32)
        labels = tuple(names[live.label] if live.label >= 0 else None for live in seen)
        return Smoothed(smoothed, labels, tuple(live.vote(self._time or 0.0) for live in seen), ages)


def _distribution(row: list[float]) -> list[float] | None:
    """The row scaled to the sum 1 in double precision; None where it holds NaN or is no distribution."""
    total = math.fsum(row) if row else 0.0
    if not 0.0 < total < math.inf or min(row) < 0.0:
        return None
    return [p / total for p in row]


def _quality(
    box: Sequence[float], score: float, landmarks: Sequence[Sequence[float]], image_size: tuple[int, int]
) -> float:
    """How well a view shows a face: score × shorter side × part inside the picture × frontalness."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    if not (width > 0.0 and height > 0.0):
        return 0.0
    inside_x = min(x2, float(image_size[0])) - max(x1, 0.0)
    inside_y = min(y2, float(image_size[1])) - max(y1, 0.0)
    inside = max(inside_x, 0.0) * max(inside_y, 0.0) / (width * height)
    return score * min(width, height, _LARGE) * inside * _frontalness(landmarks)


def _frontalness(landmarks: Sequence[Sequence[float]]) -> float:
    """1 where the nose lies midway between the eyes, down to 0.1 in profile; 0.5 where nothing is known."""
    (ax, ay), (bx, by), (x, y) = landmarks[:3]
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    if not length > 0.0:
        return 0.5
    off = abs(((x - ax) * dx + (y - ay) * dy) / length - 0.5)
    return max(0.1, 1.0 - 2.0 * off) if math.isfinite(off) else 0.5


def _packed(track: Track) -> dict[str, Any]:
    """All of a track, JSON-ready and unrounded."""
    vote = track.vote
    return {name: getattr(track, name) for name in _PLAIN} | {
        "vote": [vote.label, vote.share, vote.low, vote.high, vote.n, vote.effective],
        "episodes": [[e.label, e.start, e.end, e.peak, e.peak_time, e.mean] for e in track.episodes],
        "age_bins": [list(pair) for pair in track.age_bins],
        "best": [track.best[0], track.best[1], list(track.best[2])],
    }


def _unpacked(state: dict[str, Any]) -> Track:
    frame, time, (x1, y1, x2, y2) = state["best"]
    return Track(
        **{name: state[name] for name in _PLAIN},
        vote=Vote(*state["vote"]),
        episodes=tuple(Episode(state["id"], *values) for values in state["episodes"]),
        age_bins=tuple((low, high) for low, high in state["age_bins"]),
        best=(frame, time, (x1, y1, x2, y2)),
    )
