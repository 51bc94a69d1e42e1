"""The same face keeps its number: detections of one frame after another joined to tracks.

Every pair of a track and a face is weighed by how much likelier the face is that person than a newcomer: by where and
how large the track expects it (`mien.tracking.motion`) and by how it looks (`mien.tracking.appearance`). The pairs of
a frame are chosen together so that the sum of this evidence is the greatest (`mien.tracking.assignment`); a face that
is left is a new person and gets the next number at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.results.faces import Faces
from mien.tracking.appearance import N_CELLS, N_CHANNELS, color_descriptor, descriptor_distance
from mien.tracking.assignment import assign
from mien.tracking.motion import MotionModel, advance, correct

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

MAX_GAP = 3.0
RECENT = 0.5
"""Seconds after which it is no longer worth looking for a lost face where it is expected."""

_CENTRE = MotionModel(speed=1.8, memory=0.5, noise=0.05)
"""Units are sizes of the face: the square root of its box's area."""
_SIZE = MotionModel(speed=0.35, memory=0.5, noise=0.06)
"""Units are natural logarithms of pixels."""
_CUT_NOISE = 4.0
"""A box that the picture's border cuts is measured this much worse."""
_TAIL = 10.0
"""Degrees of freedom of the distribution of surprises: faces jump more often than a Gaussian would have it."""
_NEW = 6.5
"""Evidence, in nats, that a pair needs to beat a newcomer."""
_ABSENT, _ABSENT_SECONDS = 3.0, 0.5
"""Evidence, in nats, that a track loses by going unseen for long, and the time constant with which it does."""
_EVIDENCE = 7.0
"""Greatest evidence, in nats, that looks give either way: half as unlike as `_UNSURE` for, half more against."""
_UNSURE = 0.53
"""Unlikeness at which looks say nothing."""
_LOOK_SECONDS = 1.0
"""Time constant with which a track's look follows what is seen."""
_SHAPE_SECONDS = 0.3

_TRACK = np.dtype(
    [
        ("id", np.int64),
        ("seen", np.float64),
        ("centre", np.float64, (2, 2)),
        ("centre_spread", np.float64, (3,)),
        ("size", np.float64, (1, 2)),
        ("size_spread", np.float64, (3,)),
        ("aspect", np.float64),
        ("look", np.float32, (N_CELLS, N_CHANNELS)),
        ("views", np.int64, (N_CELLS,)),
    ]
)
"""A live track. ``centre`` is x and y, ``size`` the logarithm, each with its velocity, at the tracker's own time;
``aspect`` is the logarithm of height over width; ``views`` counts how often each cell of the look was seen."""


class Tracker:
    """Numbers the faces of a video, or of a live camera, frame by frame. Not for several threads.

    Args:
        max_gap: seconds a track may go unseen before it ends. Afterwards the same person is somebody new.
        appearance: whether looks count; without them only place and size do, and pictures are not read.

    Raises:
        InputError: ``max_gap`` is negative or not finite.
    """

    def __init__(self, *, max_gap: float = MAX_GAP, appearance: bool = True) -> None:
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
            within: only tracks seen in so many seconds before the last update: of others too little is known to look
                for them; 0 for those of the last update alone, None for all that are live.

        Returns:
            ``(m,)`` numbers and ``(m, 4)`` float32 xyxy boxes in pixels, which may lie outside the picture; the most
            recently seen first, of these the oldest first.
        """
        tracks = self._moved(self._now(time))
        if within is not None and self._time is not None:
            tracks = tracks[self._time - tracks["seen"] <= within]
        order = np.lexsort((tracks["id"], -tracks["seen"]))
        return tracks["id"][order], _boxes(tracks[order])

    def update(self, faces: Faces, time: float, rgb: NDArray[np.uint8]) -> Ids:
        """Join the faces of a frame to the tracks.

        Args:
            faces: what was detected or carried, in any order.
            time: the frame's time in seconds. One that is a little before the last counts as the same; one that is
                more than ``max_gap`` before it ends every track.
            rgb: the frame, RGB uint8 ``(h, w, 3)``.

        Returns:
            ``(n,)`` the number of each face's track, from 1, no number twice; of several new faces the one further
            left has the smaller.

        Raises:
            InputError: the time or boxes are not finite.
        """
        if not np.isfinite(faces.boxes).all():
            raise InputError("a tracker needs finite boxes: leave out faces without one")
        now = self._now(time)
        tracks = self._moved(now)
        # the order of the faces must not matter, not even between equally good answers
        order = np.lexsort(faces.boxes.T[::-1])
        seen = _measured(faces.boxes[order], faces.image_size)
        look, visible = color_descriptor(rgb, *_places(seen)) if self._appearance else _unseen(len(seen))
        rows, columns = assign(self._costs(tracks, seen, look, visible))
        ids = np.zeros(len(seen), np.int64)
        ids[columns] = tracks["id"][rows]
        tracks[rows] = _corrected(tracks[rows], seen[columns], now, look[columns], visible[columns])
        new = np.flatnonzero(ids == 0)
        ids[new] = self._next + np.arange(len(new))
        self._next += len(new)
        started = _started(ids[new], seen[new], now, look[new], visible[new])
        self._tracks = np.concatenate([tracks, started])
        self._time = now
        out = np.empty(len(seen), np.int64)
        out[order] = ids
        return out

    def cut(self) -> None:
        """A new scene: every track ends, numbers go on."""
        self._tracks = self._tracks[:0]

    def live(self, time: float) -> Ids:
        """``(m,)`` the tracks that may still be continued at this time (seconds), ascending; all others are over."""
        return np.sort(self._tracks["id"][self._alive(self._now(time))])

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs to continue bit by bit."""
        tracks = {str(name): self._tracks[name].tolist() for name in _TRACK.names or ()}
        return {"time": self._time, "next": self._next, "tracks": tracks}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave; the options are this tracker's own."""
        self._time, self._next = state["time"], int(state["next"])
        self._tracks = np.zeros(len(state["tracks"]["id"]), _TRACK)
        for name in _TRACK.names or ():
            if len(self._tracks):
                self._tracks[name] = state["tracks"][name]

    def _now(self, time: float) -> float:
        """The time to go by: some files have frames whose time goes back a little; then none has passed."""
        if not math.isfinite(time):
            raise InputError(f"time is in seconds and finite, got {time}")
        if self._time is None or time >= self._time or self._time - time > self._max_gap:
            return float(time)
        return self._time

    def _alive(self, now: float) -> NDArray[np.bool_]:
        alive: NDArray[np.bool_] = now - self._tracks["seen"] <= self._max_gap
        # a clock that jumps back by more than a gap starts anew
        return alive if self._time is None or now >= self._time else np.zeros_like(alive)

    def _moved(self, now: float) -> NDArray[np.void]:
        """A copy of the live tracks, advanced to this time."""
        tracks = self._tracks[self._alive(now)]
        if len(tracks) and self._time is not None:
            seconds = now - self._time
            unit = np.exp(tracks["size"][:, 0, 0])
            tracks["centre"], tracks["centre_spread"] = advance(
                tracks["centre"], tracks["centre_spread"], seconds, _CENTRE, unit
            )
            tracks["size"], tracks["size_spread"] = advance(
                tracks["size"], tracks["size_spread"], seconds, _SIZE, np.ones_like(unit)
            )
        return tracks

    def _costs(
        self, tracks: NDArray[np.void], seen: NDArray[np.void], look: NDArray[np.float32], visible: NDArray[np.bool_]
    ) -> Floats:
        """``(m, n)`` minus the evidence, in nats, that a face is the track rather than a newcomer."""
        cost = _surprise(tracks, seen) - _NEW
        if self._time is not None:
            cost -= _ABSENT * np.expm1((tracks["seen"] - self._time) / _ABSENT_SECONDS)[:, None]
        if not self._appearance:
            return cost
        rows, columns = np.nonzero(cost < _EVIDENCE)
        known = tracks["views"][rows] > 0
        unlike, share = descriptor_distance(tracks["look"][rows], known, look[columns], visible[columns])
        cost[rows, columns] -= _EVIDENCE * share * np.clip(2 - 2 * unlike / _UNSURE, -1, 1)
        return cost


_SEEN = np.dtype([("centre", np.float64, (2,)), ("size", np.float64), ("aspect", np.float64), ("worse", np.float64)])
"""A measured face: ``size`` and ``aspect`` as of a track, ``worse`` the factor on the noise."""


def _measured(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.void]:
    corners = boxes.astype(np.float64)
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 1.0)
    seen = np.zeros(len(boxes), _SEEN)
    seen["centre"] = (corners[:, :2] + corners[:, 2:]) / 2
    seen["size"] = np.log(sides).mean(axis=1)
    seen["aspect"] = np.log(sides[:, 1] / sides[:, 0])
    cut = (corners[:, :2] <= 0).any(axis=1) | (corners[:, 2:] >= np.array(size)).any(axis=1)
    seen["worse"] = np.where(cut, _CUT_NOISE, 1.0)
    return seen


def _places(seen: NDArray[np.void]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return seen["centre"].astype(np.float32), np.exp(seen["size"]).astype(np.float32)


def _unseen(n: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return np.zeros((n, N_CELLS, N_CHANNELS), np.float32), np.zeros((n, N_CELLS), np.bool_)


def _surprise(tracks: NDArray[np.void], seen: NDArray[np.void]) -> Floats:
    """``(m, n)`` minus the logarithm of the probability density of a face where a track expects it; in sizes, nats."""
    unit = np.exp(tracks["size"][:, 0, 0])[:, None]
    centre = tracks["centre_spread"][:, :1] / unit**2 + (_CENTRE.noise * seen["worse"]) ** 2
    size = tracks["size_spread"][:, :1] + (_SIZE.noise * seen["worse"]) ** 2
    far = ((tracks["centre"][:, None, :, 0] - seen["centre"]) ** 2).sum(axis=2) / unit**2 / centre
    far = far + (tracks["size"][:, :1, 0] - seen["size"]) ** 2 / size
    return np.asarray((_TAIL + 3) / 2 * np.log1p(far / _TAIL) + np.log(centre) + np.log(size) / 2, np.float64)


def _corrected(
    tracks: NDArray[np.void],
    seen: NDArray[np.void],
    time: float,
    look: NDArray[np.float32],
    visible: NDArray[np.bool_],
) -> NDArray[np.void]:
    """The tracks after these faces, one each."""
    out = tracks.copy()
    gap = time - tracks["seen"]
    unit = np.exp(tracks["size"][:, 0, 0])
    out["centre"], out["centre_spread"] = correct(
        tracks["centre"], tracks["centre_spread"], seen["centre"], (_CENTRE.noise * seen["worse"] * unit) ** 2
    )
    out["size"], out["size_spread"] = correct(
        tracks["size"], tracks["size_spread"], seen["size"][:, None], (_SIZE.noise * seen["worse"]) ** 2
    )
    follow = -np.expm1(-gap / _SHAPE_SECONDS) / seen["worse"]
    out["aspect"] += follow * (seen["aspect"] - tracks["aspect"])
    # a plain mean of the first views, then a mean that forgets
    share = np.maximum(-np.expm1(-gap / _LOOK_SECONDS)[:, None], 1 / (tracks["views"] + 1)) * visible
    out["look"] += (share[..., None] * (look - tracks["look"])).astype(np.float32)
    out["views"] += visible
    out["seen"] = time
    return out


def _started(
    ids: Ids, seen: NDArray[np.void], time: float, look: NDArray[np.float32], visible: NDArray[np.bool_]
) -> NDArray[np.void]:
    tracks = np.zeros(len(ids), _TRACK)
    unit = np.exp(seen["size"])
    tracks["id"], tracks["seen"], tracks["aspect"] = ids, time, seen["aspect"]
    tracks["centre"][:, :, 0], tracks["size"][:, 0, 0] = seen["centre"], seen["size"]
    tracks["centre_spread"][:, 0] = (_CENTRE.noise * seen["worse"] * unit) ** 2
    tracks["centre_spread"][:, 2] = (_CENTRE.speed * unit) ** 2
    tracks["size_spread"][:, 0] = (_SIZE.noise * seen["worse"]) ** 2
    tracks["size_spread"][:, 2] = _SIZE.speed**2
    tracks["look"], tracks["views"] = look, visible
    return tracks


def _boxes(tracks: NDArray[np.void]) -> NDArray[np.float32]:
    half = np.exp(tracks["size"][:, 0, 0, None] + tracks["aspect"][:, None] * np.array([-0.5, 0.5])) / 2
    centre = tracks["centre"][:, :, 0]
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
