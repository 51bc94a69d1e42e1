"""Generated videos made of shots, whose cuts are known: pans, zooms, shakes, flashes, fades, cuts within one place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sequences import LOOKS, WIDTH, Moment, Placed, Sequence

CAMERAS = ("still", "pan", "whip pan", "zoom", "shake", "walk close by")
JOINTS = ("other place", "same place, other view", "same place, other people", "fade through black", "dissolve")
FADE = 0.4
"""Seconds that a fade to black, a fade from it, or a dissolve takes."""


@dataclass(frozen=True)
class Shot:
    """One take: how it is filmed, how it is joined to the one before, and whether there is a flash in it."""

    sequence: Sequence
    camera: str
    joint: str
    flash: bool


def shot(seed: int, index: int, before: Sequence | None, fps: float) -> Shot:
    rng = np.random.default_rng((seed, index, 7))
    camera = CAMERAS[(seed + index) % len(CAMERAS)]
    joint = JOINTS[int(rng.integers(len(JOINTS)))] if before is not None else "start"
    place = before.scenes[0] if before is not None and joint.startswith("same place") else None
    if place is None:
        others = [i for i in range(14) if before is None or i % 7 != before.scenes[0] % 7]
        place = int(rng.choice(others))
    keep_view = joint == "same place, other people"
    view = before.moment(before.seconds) if before is not None and keep_view else None
    start = view.shift if view is not None else tuple(rng.uniform((-320, -140), (320, 140)).tolist())
    zoom = view.zoom if view is not None else float(rng.uniform(0.8, 1.6))
    looks = tuple(rng.permutation(len(LOOKS))[:3].tolist())
    people = int(rng.integers(1, 4))
    x, y, size = rng.uniform(80, 560, people), rng.uniform(140, 240, people), rng.uniform(60, 150, people)
    sign, speed, rate = rng.choice([-1, 1]), rng.uniform(100, 400), rng.uniform(0.2, 0.5)
    jitter = rng.normal(0, 8, (200, 2))
    flash_at, flash_gain, flash_lift = rng.uniform(0.5, 0.9), rng.uniform(1.2, 2.2), rng.uniform(20, 110)
    flash = bool(rng.random() < 0.5)

    def moment(t: float) -> Moment:
        shift, z = start, zoom
        walk = np.zeros(people)
        if camera == "pan":
            shift = (start[0] + sign * speed * t, start[1])
        elif camera == "whip pan":
            shift = (start[0] + sign * 250 * (1 + math.tanh(9 * (t - 0.7))), start[1])
        elif camera == "zoom":
            z = zoom * math.exp(sign * rate * t)
        elif camera == "shake":
            at = t * 25
            low = int(at)
            a, b = jitter[low % 200], jitter[(low + 1) % 200]
            dx, dy = a + (at - low) * (b - a)
            shift = (start[0] + float(dx), start[1] + float(dy))
        elif camera == "walk close by":
            walk[:] = sign * 350 * t
        placed = [
            Placed(i, float((x[i] + walk[i]) % (WIDTH + 200) - 100 if walk[i] else x[i]), float(y[i]), float(size[i]))
            for i in range(people)
        ]
        # people stand in the scene, so a moving camera moves them too
        placed = [Placed(p.who, p.x + start[0], p.y + start[1], p.size) for p in placed]
        lit = flash and 0 <= t - flash_at < 0.09
        return Moment(tuple(placed), shift=shift, zoom=z, light=flash_gain if lit else 1, lift=flash_lift if lit else 0)

    seconds = float(rng.uniform(1.2, 2.0))
    sequence = Sequence("shot", moment, seconds, fps, looks, (place,), seed=seed * 100 + index)
    return Shot(sequence, camera, joint, flash)


@dataclass(frozen=True)
class View:
    """One frame of a video of shots.

    Attributes:
        rgb: the picture.
        time: seconds.
        starts: how the shot that starts with this frame is joined to the one before; None for all other frames.
        camera: how it is filmed.
        flash: whether a flash lights this frame or the one before.
        between: in a fade or dissolve, where no answer is wrong.
    """

    rgb: NDArray[np.uint8]
    time: float
    starts: str | None
    camera: str
    flash: bool
    between: bool


def film(seed: int, shots: int, fps: float) -> Iterator[View]:
    """The frames of a video."""
    all_shots: list[Shot] = []
    for index in range(shots):
        all_shots.append(shot(seed, index, all_shots[-1].sequence if all_shots else None, fps))
    time = 0.0
    fade = max(round(FADE * fps), 1)
    for index, one in enumerate(all_shots):
        frames = len(one.sequence)
        after = all_shots[index + 1] if index + 1 < shots else None
        lit = False
        for i in range(frames):
            rgb = one.sequence.frame(i)[0]
            here = one.sequence.moment(one.sequence.time(i)).light != 1
            flash, lit = here or lit, here
            level, between = 1.0, False
            if one.joint == "fade through black" and i < fade:
                level, between = i / fade, True
            if after is not None and after.joint == "fade through black" and i >= frames - fade:
                level, between = (frames - 1 - i) / fade, True
            if level < 1:
                rgb = (rgb * level).astype(np.uint8)
            if after is not None and after.joint == "dissolve" and i >= frames - fade:
                share = (i - (frames - fade) + 1) / (fade + 1)
                other = after.sequence.frame(0)[0]
                rgb, between = (rgb * (1 - share) + other * share).astype(np.uint8), True
            soft = one.joint in ("fade through black", "dissolve")
            between = between or (soft and i == 0)
            yield View(rgb, time, one.joint if i == 0 and index else None, one.camera, flash, between)
            time += 1 / fps
