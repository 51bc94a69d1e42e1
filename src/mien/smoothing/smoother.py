"""Smoothing of predictions over the frames of a video: filtered predictions, stable label, vote and summary per track.

All times are seconds of the video, so the same film has the same results at any frame rate. A frame lasts until the
next frame. The state of a track is plain Python numbers: a face has some ten of each kind, for which NumPy would be
slower, and JSON keeps them exactly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mien import defaults
from mien.errors import InputError
from mien.models.card import Head
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.results.track import Episode, Track, TrackPrediction, Vote
from mien.results.video import SmoothedPredictions
from mien.smoothing.head_state import Estimate, decay
from mien.smoothing.options import SmoothingOptions
from mien.smoothing.track_state import TrackState

MIN_WEIGHT = 1e-6
"""Weight of a prediction for a face without score or size."""
LARGE = 160.0
"""Shorter side above which a larger face is no better view, pixels."""
_PLAIN = ("id", "start", "end", "frames", "seen")
"""Attributes of a `Track` that JSON holds unchanged."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedFaces:
    """Predictions for the faces of one frame, smoothed over time.

    Attributes:
        faces: the faces, with the predictions of this frame alone.
        nominal: head → filtered predictions, stable labels and votes.
        pooled: ordered head → distributions pooled over each track so far, NaN rows for faces without a prediction yet;
            a head is missing where no face of the frame has one.

    Examples:
        >>> with analyzer.stream("clip.mp4", end=0.1) as frames:
        ...     faces = next(iter(frames)).faces
        >>> smoothed = Smoother(faces.heads).update(0, 0.0, faces)
        >>> len(smoothed.faces), list(smoothed.nominal), list(smoothed.pooled)
        (2, ['emotion'], ['age'])
    """

    faces: Faces
    nominal: Mapping[str, SmoothedPredictions]
    pooled: Mapping[str, Predictions]


class Smoother:
    """Smooths the predictions for the tracks of a video; one call of `update` per frame, in order of time.

    It knows no later frame; `mien.smoothing.look_ahead.LookAheadSmoother` does. Call it for every analysed frame, also
    for one without a face, because a frame lasts until the next one.

    Args:
        heads: name → head, of all heads that faces have predictions of.
        options: how to smooth.
        interval: seconds between frames that are assumed until the second frame.
        max_interval: greatest length of a frame, seconds; set it higher for slower sampling.

    Examples:
        >>> with analyzer.stream("clip.mp4", end=0.1) as frames:
        ...     faces = next(iter(frames)).faces
        >>> smoother = Smoother(faces.heads, interval=0.04)
        >>> [smoother.update(i, 0.04 * i, faces).nominal["emotion"].labels for i in range(12)][-1]
        ('happy', 'neutral')
        >>> saved = smoother.state()
        >>> smoother.end([1])
        >>> [(track.id, track.frames) for track in smoother.tracks()]
        [(1, 12), (2, 12)]
        >>> smoother.restore(saved)
    """

    def __init__(
        self,
        heads: Mapping[str, Head],
        options: SmoothingOptions | None = None,
        *,
        interval: float = defaults.FRAME_INTERVAL,
        max_interval: float = 1.0,
    ) -> None:
        for name, value in (("interval", interval), ("max_interval", max_interval)):
            if not 0.0 < value < math.inf:
                raise InputError(f"{name} is a number of seconds above 0, got {value}")
        self._heads = dict(heads)
        self._options = options or SmoothingOptions()
        self._first_interval, self._max_interval = interval, max_interval
        self._live: dict[int, TrackState] = {}
        # as JSON, a third of the memory of the values: a camera that runs for days has many tracks
        self._ended: dict[int, str] = {}
        self._current: list[TrackState] = []  # the tracks of the last frame, whose length is not known yet
        self._time: float | None = None
        self._interval = min(interval, max_interval)  # before the last frame
        self._previous_interval: float | None = None  # before the frame before it

    def update(
        self,
        frame_index: int,
        time: float,
        faces: Faces,
        estimates: Mapping[str, Sequence[Estimate]] | None = None,
    ) -> SmoothedFaces:
        """Add the faces of one frame and return their smoothed predictions.

        Args:
            frame_index: number of the frame in the video.
            time: its time in seconds; not before that of the last frame.
            faces: with ``tracks``, each a different one; predictions may be missing, wholly or as NaN.
            estimates: nominal head → filtered probabilities and stable label of each face, where later frames
                determine them as well; by default they are determined here.

        Raises:
            InputError: faces without tracks, of an ended track, of other heads, or a frame out of order.
        """
        tracks = self._check(time, faces)
        self._advance(time)
        trust = frame_weights(faces, self._options.flagged)
        rows = {name: distributions(faces, name, trust) for name in self._heads}
        seconds = self._interval
        kept = decay(seconds, self._options.time_constant)
        self._current = []
        for i, (track, box, score) in enumerate(zip(tracks, faces.boxes.tolist(), faces.scores.tolist(), strict=True)):
            live = self._live.get(track)
            if live is None:
                live = self._live[track] = TrackState(track, time, self._heads, self._options)
            live.add_frame(time)
            for name, nominal in live.nominal.items():
                estimate = None if estimates is None else estimates[name][i]
                nominal.add_frame(time, seconds, kept, rows[name][i], estimate, trust[i])
            weight = trust[i] * max(score * min(box[2] - box[0], box[3] - box[1], LARGE), MIN_WEIGHT)
            for name, ordered in live.ordered.items():
                probabilities = rows[name][i]
                if probabilities is not None:
                    ordered.add_frame(probabilities, weight)
            live.add_view(frame_index, time, box, _quality(box, score, faces.landmarks[i].tolist(), faces.image_size))
            self._current.append(live)
        return self._smoothed_faces(faces)

    def end(self, ids: Iterable[int]) -> None:
        """End these tracks: only their summary is kept. Unknown and ended numbers are ignored."""
        for track in ids:
            live = self._live.pop(int(track), None)
            if live is not None:
                if live in self._current:
                    self._current.remove(live)
                    live.close_frame(self._length)
                self._ended[live.id] = json.dumps(_pack(live.summary()))

    def tracks(self) -> tuple[Track, ...]:
        """All tracks so far by number, live ones as if they ended now."""
        every = {track: self._unpack(json.loads(text)) for track, text in self._ended.items()}
        for track, live in self._live.items():
            if live in self._current:
                live = live.copy()
                live.close_frame(self._length)
            every[track] = live.summary()
        return tuple(every[track] for track in sorted(every))

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to continue exactly so; JSON-ready."""
        return self._key() | {
            "time": self._time,
            "intervals": [self._interval, self._previous_interval],
            "seen": [live.id for live in self._current],
            "live": [live.state() for live in self._live.values()],
            "ended": [json.loads(text) for text in self._ended.values()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state` of a smoother with the same heads and options; `InputError` for others."""
        for name, value in self._key().items():
            if state.get(name) != value:
                raise InputError(
                    f"the saved state is of other {name}", advice="resume with the models and options of that run"
                )
        self._time = state["time"]
        self._interval, self._previous_interval = state["intervals"]
        self._live = {}
        for saved in state["live"]:
            live = TrackState(saved["id"], saved["start"], self._heads, self._options)
            live.restore(saved)
            self._live[live.id] = live
        self._current = [self._live[track] for track in state["seen"]]
        self._ended = {saved["id"]: json.dumps(_pack(self._unpack(saved))) for saved in state["ended"]}

    def _key(self) -> dict[str, Any]:
        """The heads and options that must be equal for a state to fit."""
        heads = {name: [list(head.labels), head.ordered] for name, head in self._heads.items()}
        options = asdict(self._options) | {"interval": self._first_interval, "max_interval": self._max_interval}
        return {"heads": heads, "options": options}

    @property
    def _length(self) -> float:
        # a lost frame doubles one interval, so the shorter of the last two is a frame's usual length
        return self._interval if self._previous_interval is None else min(self._interval, self._previous_interval)

    def _check(self, time: float, faces: Faces) -> list[int]:
        if not math.isfinite(time) or (self._time is not None and time < self._time):
            raise InputError(
                f"a frame at {time} s follows one at {self._time} s", advice="pass frames in order of time"
            )
        tracks = check_faces(faces, self._heads)
        for track in tracks:
            if track in self._ended:
                raise InputError(f"track {track} has ended", advice="give a face that returns a new number")
        return tracks

    def _advance(self, time: float) -> None:
        """End the last frame where this one begins, or after its greatest length."""
        if self._time is not None:
            passed = min(time - self._time, self._max_interval)
            for live in self._current:
                live.close_frame(passed)
            if passed > 0.0:
                self._previous_interval = passed if self._previous_interval is None else self._interval
                self._interval = passed
        self._time = time

    def _smoothed_faces(self, faces: Faces) -> SmoothedFaces:
        nominal, pooled = {}, {}
        for name, head in self._heads.items():
            k = len(head.labels)
            unknown = [math.nan] * k
            if head.ordered:
                rows = [live.ordered[name].pooled for live in self._current]
                if any(rows):
                    pooled[name] = Predictions(head, np.array([row or unknown for row in rows], np.float32))
                continue
            states = [live.nominal[name] for live in self._current]
            nominal[name] = SmoothedPredictions(
                head,
                np.array([state.filtered or unknown for state in states], np.float32).reshape(-1, k),
                tuple(head.labels[state.label] if state.label >= 0 else None for state in states),
                tuple(state.vote(self._time or 0.0) for state in states),
            )
        return SmoothedFaces(faces, nominal, pooled)

    def _unpack(self, state: Mapping[str, Any]) -> Track:
        frame, time, (x1, y1, x2, y2) = state["best"]
        predictions = {}
        for name, saved in state["predictions"].items():
            head = self._heads[name]
            predictions[name] = TrackPrediction(
                head,
                saved["probabilities"],
                saved["shares"],
                None if saved["vote"] is None else Vote(*saved["vote"]),
                tuple(Episode(state["id"], name, *values) for values in saved["episodes"]),
            )
        return Track(
            **{name: state[name] for name in _PLAIN}, predictions=predictions, best=(frame, time, (x1, y1, x2, y2))
        )


def check_faces(faces: Faces, heads: Mapping[str, Head]) -> list[int]:
    """The tracks of the faces of a frame; `InputError` without tracks, with one twice, or with other heads."""
    if faces.tracks is None:
        raise InputError("the faces of a video frame need their tracks")
    for name, head in faces.heads.items():
        if name not in heads or head.labels != heads[name].labels:
            raise InputError(f"predictions of {name!r} ({', '.join(head.labels)}) are not those of the given heads")
    tracks: list[int] = faces.tracks.tolist()
    if len(set(tracks)) != len(tracks):
        raise InputError(f"a track can be in a frame only once, got {tracks}")
    return tracks


def frame_weights(faces: Faces, flagged: str) -> list[float]:
    """Weight of this frame for each face, 0 to 1: 1, or by `SmoothingOptions.flagged` where the face is flagged."""
    weight = {"keep": 1.0, "weigh": defaults.FLAGGED_WEIGHT, "leave-out": 0.0}[flagged]
    if weight == 1.0 or not len(faces):
        return [1.0] * len(faces)
    return [weight if one else 1.0 for one in faces.flagged.tolist()]


def distributions(faces: Faces, head: str, weights: Sequence[float]) -> list[list[float] | None]:
    """The usable predictions of each face in a head: k values that sum to 1 in double precision, or None.

    Faces of weight 0 have none.
    """
    if head not in faces.predictions:
        return [None] * len(faces)
    rows = faces.predictions[head].probabilities.tolist()
    return [_distribution(row) if weight else None for row, weight in zip(rows, weights, strict=True)]


def _distribution(row: list[float]) -> list[float] | None:
    """The row normalised to the sum 1 in double precision; None where it holds NaN or is no distribution."""
    total = math.fsum(row) if row else 0.0
    if not 0.0 < total < math.inf or min(row) < 0.0:
        return None
    return [p / total for p in row]


def _quality(
    box: Sequence[float], score: float, landmarks: Sequence[Sequence[float]], image_size: tuple[int, int]
) -> float:
    """Quality of a view of a face: score × shorter side × share inside the picture × frontalness."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    if not (width > 0.0 and height > 0.0):
        return 0.0
    inside_x = min(x2, float(image_size[0])) - max(x1, 0.0)
    inside_y = min(y2, float(image_size[1])) - max(y1, 0.0)
    inside = max(inside_x, 0.0) * max(inside_y, 0.0) / (width * height)
    return score * min(width, height, LARGE) * inside * _frontalness(landmarks)


def _frontalness(landmarks: Sequence[Sequence[float]]) -> float:
    """1 where the nose lies midway between the eyes, down to 0.1 in profile; 0.5 without landmarks."""
    (ax, ay), (bx, by), (x, y) = landmarks[:3]
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    if not length > 0.0:
        return 0.5
    off = abs(((x - ax) * dx + (y - ay) * dy) / length - 0.5)
    return max(0.1, 1.0 - 2.0 * off) if math.isfinite(off) else 0.5


def _pack(track: Track) -> dict[str, Any]:
    """All values of a track, JSON-ready and unrounded."""
    predictions = {}
    for name, prediction in track.predictions.items():
        vote = prediction.vote
        predictions[name] = {
            "probabilities": dict(prediction.probabilities),
            "shares": dict(prediction.shares),
            "vote": None if vote is None else [vote.label, vote.share, vote.low, vote.high, vote.n, vote.effective],
            "episodes": [[e.label, e.start, e.end, e.peak, e.peak_time, e.mean] for e in prediction.episodes],
        }
    best = [track.best[0], track.best[1], list(track.best[2])]
    return {name: getattr(track, name) for name in _PLAIN} | {"predictions": predictions, "best": best}
