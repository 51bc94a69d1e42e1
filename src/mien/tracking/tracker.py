"""Tracking: detections of successive frames are assigned to tracks, so that the same face keeps its number.

The evidence for a pair of a track and a face is a log-likelihood ratio: how much likelier the face belongs to the track
than to a new person, by position and size against those expected (`mien.tracking.motion`) and by colours
(`mien.tracking.appearance`). The pairs of a frame are assigned together so that the sum of the evidence is greatest
(`mien.tracking.assignment`); an unassigned face is a new person and gets the next number at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.errors import InputError
from mien.results.faces import Faces
from mien.tracking.appearance import N_CELLS, N_CHANNELS, color_descriptor, descriptor_distance
from mien.tracking.assignment import assign
from mien.tracking.motion import MotionModel, advance, correct

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

RECENT = 0.5
"""Seconds after which a lost face is no longer propagated to where it is expected."""

CENTRE = MotionModel(speed=1.8, memory=0.5, noise=0.05)
"""Units are sizes of the face: the square root of its box's area."""
SIZE = MotionModel(speed=0.35, memory=0.5, noise=0.06)
"""Units are natural logarithms of pixels."""
BORDER_NOISE = 4.0
"""Factor on the measurement noise of a box that the picture's border cuts."""
TAIL = 10.0
"""Degrees of freedom of the t distribution of innovations: faces jump more often than in a Gaussian."""
NEW = 6.5
"""Evidence, in nats, above which a pair is likelier than a new person."""
ABSENT, ABSENT_SECONDS = 3.0, 0.5
"""Evidence, in nats, that a track loses by a long absence, and the time constant with which it does."""
MAX_APPEARANCE = 7.0
"""Greatest evidence, in nats, of appearance: for a pair at half of `NEUTRAL_DISTANCE`, against it at 1.5 times."""
NEUTRAL_DISTANCE = 0.53
"""Distance of descriptors that is evidence neither for nor against a pair."""
DESCRIPTOR_SECONDS = 1.0
"""Time constant with which a track's descriptor adapts."""
ASPECT_SECONDS = 0.3
"""Time constant with which a track's aspect adapts."""

_TRACK = np.dtype(
    [
        ("id", np.int64),
        ("last_seen", np.float64),
        ("centre", np.float64, (2, 2)),
        ("centre_spread", np.float64, (3,)),
        ("size", np.float64, (1, 2)),
        ("size_spread", np.float64, (3,)),
        ("aspect", np.float64),
        ("descriptor", np.float32, (N_CELLS, N_CHANNELS)),
        ("views", np.int64, (N_CELLS,)),
    ]
)
"""A live track. ``last_seen`` is the time of its last face, seconds; ``centre`` is x and y, ``size`` the logarithm of
pixels, each with its velocity, at the time of the last update, and their ``spread`` as in `mien.tracking.motion`;
``aspect`` is the logarithm of height over width; ``views`` counts how often each cell of the descriptor was visible."""


class Tracker:
    """Numbers the faces of a video, or of a live camera, frame by frame. Not for several threads.

    Args:
        max_gap: seconds without a face after which a track ends. The same person then gets a new number.
        appearance: whether colours count; without them only position and size do, and pictures are not read.

    Raises:
        InputError: ``max_gap`` is negative or not finite.

    Examples:
        >>> tracker = Tracker()
        >>> picture = np.zeros((100, 100, 3), np.uint8)
        >>> faces = Faces.detected(np.array([[10, 10, 50, 50]]), np.array([0.9]), None, (100, 100))
        >>> [tracker.update(faces, time, picture).tolist() for time in (0.0, 0.04)]
        [[1], [1]]
        >>> numbers, boxes = tracker.predict(0.08)
        >>> numbers.tolist(), boxes.round().tolist(), tracker.live_tracks(0.08).tolist()
        ([1], [[10.0, 10.0, 50.0, 50.0]], [1])
        >>> saved = tracker.state()
        >>> tracker.end_tracks()
        >>> tracker.update(faces, 0.12, picture).tolist()
        [2]
        >>> tracker.restore(saved)
        >>> tracker.update(faces, 0.12, picture).tolist()
        [1]
    """

    def __init__(self, *, max_gap: float = defaults.MAX_GAP, appearance: bool = True) -> None:
        if not (math.isfinite(max_gap) and max_gap >= 0):
            raise InputError(f"max_gap is in seconds and at least 0, got {max_gap}")
        self._max_gap = float(max_gap)
        self._appearance = appearance
        self._tracks = np.zeros(0, _TRACK)
        self._time: float | None = None
        self._next = 1

    def predict(self, time: float, *, within: float | None = RECENT) -> tuple[Ids, NDArray[np.float32]]:
        """Where the tracks are expected.

        Args:
            time: seconds, as for `update`.
            within: only tracks with a face in this many seconds before the last update, because the position of others
                is too uncertain; 0 for those of the last update alone, None for all live tracks.

        Returns:
            ``(m,)`` numbers and ``(m, 4)`` float32 xyxy boxes in pixels, which may lie outside the picture; the most
            recently seen first, of these the oldest first.
        """
        tracks = self._advanced_tracks(self._monotonic(time))
        if within is not None and self._time is not None:
            tracks = tracks[self._time - tracks["last_seen"] <= within]
        order = np.lexsort((tracks["id"], -tracks["last_seen"]))
        return tracks["id"][order], _boxes(tracks[order])

    def update(self, faces: Faces, time: float, rgb: NDArray[np.uint8]) -> Ids:
        """Assign the faces of a frame to the tracks.

        Args:
            faces: the detected or propagated faces, in any order.
            time: the frame's time, seconds. One that is a little before the last counts as the same; one that is more
                than ``max_gap`` before it ends every track.
            rgb: the frame, RGB uint8 ``(h, w, 3)``.

        Returns:
            ``(n,)`` the number of each face's track, from 1, no number twice; of several new faces the one further
            left has the smaller number.

        Raises:
            InputError: the time or boxes are not finite.
        """
        if not np.isfinite(faces.boxes).all():
            raise InputError("a tracker needs finite boxes", advice="leave out faces without a box")
        now = self._monotonic(time)
        tracks = self._advanced_tracks(now)
        # the order of the faces must not matter, not even between equally good assignments
        order = np.lexsort(faces.boxes.T[::-1])
        measured = _measure(faces.boxes[order], faces.image_size)
        n = len(measured)
        descriptors, visible = (
            color_descriptor(rgb, *_centres_and_sizes(measured)) if self._appearance else _no_descriptors(n)
        )
        rows, columns = assign(self._costs(tracks, measured, descriptors, visible))
        ids = np.zeros(n, np.int64)
        ids[columns] = tracks["id"][rows]
        tracks[rows] = _correct_tracks(tracks[rows], measured[columns], now, descriptors[columns], visible[columns])
        new = np.flatnonzero(ids == 0)
        ids[new] = self._next + np.arange(len(new))
        self._next += len(new)
        new_tracks = _new_tracks(ids[new], measured[new], now, descriptors[new], visible[new])
        self._tracks = np.concatenate([tracks, new_tracks])
        self._time = now
        out = np.empty(n, np.int64)
        out[order] = ids
        return out

    def end_tracks(self) -> None:
        """End every track, as at a scene cut; numbers continue."""
        self._tracks = self._tracks[:0]

    def live_tracks(self, time: float) -> Ids:
        """``(m,)`` the tracks that can still continue at this time (seconds), ascending; all others have ended."""
        return np.sort(self._tracks["id"][self._alive(self._monotonic(time))])

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs to continue bit for bit."""
        tracks = {str(name): self._tracks[name].tolist() for name in _TRACK.names or ()}
        return {"time": self._time, "next": self._next, "tracks": tracks}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`; the options are this tracker's own."""
        self._time, self._next = state["time"], int(state["next"])
        self._tracks = np.zeros(len(state["tracks"]["id"]), _TRACK)
        for name in _TRACK.names or ():
            if len(self._tracks):
                self._tracks[name] = state["tracks"][name]

    def _monotonic(self, time: float) -> float:
        """``time``, or the last one where it is a little before that, as in some files."""
        if not math.isfinite(time):
            raise InputError(f"time is in seconds and finite, got {time}")
        if self._time is None or time >= self._time or self._time - time > self._max_gap:
            return float(time)
        return self._time

    def _alive(self, now: float) -> NDArray[np.bool_]:
        alive: NDArray[np.bool_] = now - self._tracks["last_seen"] <= self._max_gap
        # a clock that jumps back by more than max_gap has restarted
        return alive if self._time is None or now >= self._time else np.zeros_like(alive)

    def _advanced_tracks(self, now: float) -> NDArray[np.void]:
        """A copy of the live tracks, advanced to this time."""
        tracks = self._tracks[self._alive(now)]
        if len(tracks) and self._time is not None:
            seconds = now - self._time
            unit = np.exp(tracks["size"][:, 0, 0])
            tracks["centre"], tracks["centre_spread"] = advance(
                tracks["centre"], tracks["centre_spread"], seconds, CENTRE, unit
            )
            tracks["size"], tracks["size_spread"] = advance(
                tracks["size"], tracks["size_spread"], seconds, SIZE, np.ones_like(unit)
            )
        return tracks

    def _costs(
        self,
        tracks: NDArray[np.void],
        measured: NDArray[np.void],
        descriptors: NDArray[np.float32],
        visible: NDArray[np.bool_],
    ) -> Floats:
        """``(m, n)`` minus the evidence, in nats, that a face belongs to a track and not to a new person."""
        cost = _negative_log_density(tracks, measured) - NEW
        if self._time is not None:
            cost -= ABSENT * np.expm1((tracks["last_seen"] - self._time) / ABSENT_SECONDS)[:, None]
        if not self._appearance:
            return cost
        rows, columns = np.nonzero(cost < MAX_APPEARANCE)
        known = tracks["views"][rows] > 0
        distance, share = descriptor_distance(tracks["descriptor"][rows], known, descriptors[columns], visible[columns])
        cost[rows, columns] -= MAX_APPEARANCE * share * np.clip(2 - 2 * distance / NEUTRAL_DISTANCE, -1, 1)
        return cost


_MEASUREMENT = np.dtype(
    [("centre", np.float64, (2,)), ("size", np.float64), ("aspect", np.float64), ("noise_factor", np.float64)]
)
"""A measured face: ``size`` and ``aspect`` as of a track, ``noise_factor`` on the standard deviation of the noise."""


def _measure(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.void]:
    corners = boxes.astype(np.float64)
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 1.0)
    measured = np.zeros(len(boxes), _MEASUREMENT)
    measured["centre"] = (corners[:, :2] + corners[:, 2:]) / 2
    measured["size"] = np.log(sides).mean(axis=1)
    measured["aspect"] = np.log(sides[:, 1] / sides[:, 0])
    at_border = (corners[:, :2] <= 0).any(axis=1) | (corners[:, 2:] >= np.array(size)).any(axis=1)
    measured["noise_factor"] = np.where(at_border, BORDER_NOISE, 1.0)
    return measured


def _centres_and_sizes(measured: NDArray[np.void]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return measured["centre"].astype(np.float32), np.exp(measured["size"]).astype(np.float32)


def _no_descriptors(n: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return np.zeros((n, N_CELLS, N_CHANNELS), np.float32), np.zeros((n, N_CELLS), np.bool_)


def _negative_log_density(tracks: NDArray[np.void], measured: NDArray[np.void]) -> Floats:
    """``(m, n)`` minus the log density of each face under each track's prediction, in sizes of the face; nats."""
    unit = np.exp(tracks["size"][:, 0, 0])[:, None]
    centre = tracks["centre_spread"][:, :1] / unit**2 + (CENTRE.noise * measured["noise_factor"]) ** 2
    size = tracks["size_spread"][:, :1] + (SIZE.noise * measured["noise_factor"]) ** 2
    distance = ((tracks["centre"][:, None, :, 0] - measured["centre"]) ** 2).sum(axis=2) / unit**2 / centre
    distance = distance + (tracks["size"][:, :1, 0] - measured["size"]) ** 2 / size
    return np.asarray((TAIL + 3) / 2 * np.log1p(distance / TAIL) + np.log(centre) + np.log(size) / 2, np.float64)


def _correct_tracks(
    tracks: NDArray[np.void],
    measured: NDArray[np.void],
    time: float,
    descriptors: NDArray[np.float32],
    visible: NDArray[np.bool_],
) -> NDArray[np.void]:
    """The tracks updated by one face each."""
    out = tracks.copy()
    gap = time - tracks["last_seen"]
    unit = np.exp(tracks["size"][:, 0, 0])
    noise = measured["noise_factor"]
    out["centre"], out["centre_spread"] = correct(
        tracks["centre"], tracks["centre_spread"], measured["centre"], (CENTRE.noise * noise * unit) ** 2
    )
    out["size"], out["size_spread"] = correct(
        tracks["size"], tracks["size_spread"], measured["size"][:, None], (SIZE.noise * noise) ** 2
    )
    gain = -np.expm1(-gap / ASPECT_SECONDS) / noise
    out["aspect"] += gain * (measured["aspect"] - tracks["aspect"])
    # a plain mean of the first views, then an exponential one
    share = np.maximum(-np.expm1(-gap / DESCRIPTOR_SECONDS)[:, None], 1 / (tracks["views"] + 1)) * visible
    out["descriptor"] += (share[..., None] * (descriptors - tracks["descriptor"])).astype(np.float32)
    out["views"] += visible
    out["last_seen"] = time
    return out


def _new_tracks(
    ids: Ids,
    measured: NDArray[np.void],
    time: float,
    descriptors: NDArray[np.float32],
    visible: NDArray[np.bool_],
) -> NDArray[np.void]:
    tracks = np.zeros(len(ids), _TRACK)
    unit = np.exp(measured["size"])
    tracks["id"], tracks["last_seen"], tracks["aspect"] = ids, time, measured["aspect"]
    tracks["centre"][:, :, 0], tracks["size"][:, 0, 0] = measured["centre"], measured["size"]
    tracks["centre_spread"][:, 0] = (CENTRE.noise * measured["noise_factor"] * unit) ** 2
    tracks["centre_spread"][:, 2] = (CENTRE.speed * unit) ** 2
    tracks["size_spread"][:, 0] = (SIZE.noise * measured["noise_factor"]) ** 2
    tracks["size_spread"][:, 2] = SIZE.speed**2
    tracks["descriptor"], tracks["views"] = descriptors, visible
    return tracks


def _boxes(tracks: NDArray[np.void]) -> NDArray[np.float32]:
    half = np.exp(tracks["size"][:, 0, 0, None] + tracks["aspect"][:, None] * np.array([-0.5, 0.5])) / 2
    centre = tracks["centre"][:, :, 0]
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
