"""The scenes in which tracking is measured: one function a scenario, everything else drawn from the seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sequences import HEIGHT, LOOKS, WIDTH, Moment, Placed, Sequence

Scenario = Callable[[int], Sequence]


def _setting(seed: int, people: int) -> tuple[np.random.Generator, tuple[int, ...], tuple[int, ...]]:
    """Chance, who takes part, and backgrounds."""
    rng = np.random.default_rng(seed)
    looks = tuple(int(i) for i in rng.permutation(len(LOOKS))[:people])
    return rng, looks, tuple(int(i) for i in rng.permutation(14)[:4])


def _sway(phase: float, t: float, size: float) -> tuple[float, float, float]:
    """Nobody stands quite still: pixels, pixels, degrees."""
    x = size * 0.06 * math.sin(2 * math.pi * (0.5 * t + phase))
    y = size * 0.04 * math.sin(2 * math.pi * (0.9 * t + 2 * phase))
    return x, y, 5 * math.sin(2 * math.pi * (0.4 * t + 3 * phase))


def _stand(who: int, x: float, y: float, size: float, t: float, phase: float) -> Placed:
    dx, dy, angle = _sway(phase, t, size)
    return Placed(who, x + dx, y + dy, size, angle, track=who)


def _crossing(seed: int, *, back: bool = False, alike: bool = False) -> Sequence:
    rng, looks, scenes = _setting(seed, 2)
    if alike:
        looks = (looks[0], looks[0])
    size, height = rng.uniform(60, 100, 2), rng.uniform(150, 200)
    size[1] = size[0] * rng.uniform(0.85, 1.0)
    phase, drop, meet = rng.uniform(0, 1, 2), rng.uniform(-0.25, 0.25), rng.uniform(280, 360)
    speed = rng.uniform(80, 140, 2)

    def moment(t: float) -> Moment:
        u = t - 2.4
        way = -abs(u) if back else u
        a = _stand(0, meet + speed[0] * way, height, size[0], t, phase[0])
        b = _stand(1, meet - speed[1] * way, height + drop * size[0], size[1], t, phase[1])
        return Moment((b, a))

    return Sequence("", moment, 4.8, looks=looks, scenes=scenes, seed=seed)


def waiting(seed: int) -> Sequence:
    """One stands hidden behind the other for a while, then both go back where they came from."""
    rng, looks, scenes = _setting(seed, 2)
    size, height = rng.uniform(60, 100), rng.uniform(150, 200)
    phase, drop, meet = rng.uniform(0, 1, 2), rng.uniform(-0.15, 0.15), rng.uniform(280, 360)
    speed, wait = rng.uniform(80, 140, 2), rng.uniform(0.4, 1.0)

    def moment(t: float) -> Moment:
        way = max(abs(t - 2.4) - wait / 2, 0)
        a = _stand(0, meet - speed[0] * way, height, size, t, phase[0])
        b = _stand(1, meet + speed[1] * way, height + drop * size, 0.9 * size, t, phase[1])
        return Moment((b, a))

    return Sequence("", moment, 4.8, looks=looks, scenes=scenes, seed=seed)


def crossing(seed: int) -> Sequence:
    return _crossing(seed)


def turning_back(seed: int) -> Sequence:
    return _crossing(seed, back=True)


def crossing_alike(seed: int) -> Sequence:
    return _crossing(seed, alike=True)


def _absence(seed: int, gap: float) -> Sequence:
    """One stays, one walks out of the picture and comes back on the same side."""
    rng, looks, scenes = _setting(seed, 2)
    size, phase, speed, height = (
        rng.uniform(60, 100, 2),
        rng.uniform(0, 1, 2),
        rng.uniform(150, 220),
        rng.uniform(140, 240),
    )
    home = rng.uniform(150, 260)

    def moment(t: float) -> Moment:
        stays = _stand(0, 470, 200, size[0], t, phase[0])
        # out of sight once half the face has left
        outside = t - 0.8 - home / speed
        x = home - speed * max(t - 0.8, 0) if outside < gap / 2 else -speed * (gap - outside)
        return Moment((stays, _stand(1, min(x, home), height, size[1], t, phase[1])))

    return Sequence("", moment, 0.8 + 2 * home / speed + gap + 0.6, looks=looks, scenes=scenes, seed=seed)


def away_half(seed: int) -> Sequence:
    return _absence(seed, 0.5)


def away_one(seed: int) -> Sequence:
    return _absence(seed, 1.0)


def away_three(seed: int) -> Sequence:
    return _absence(seed, 3.0)


def replaced(seed: int) -> Sequence:
    """One walks out of the picture; a second later somebody else comes in at the same place."""
    rng, looks, scenes = _setting(seed, 3)
    size, phase, speed = rng.uniform(60, 100, 3), rng.uniform(0, 1, 3), rng.uniform(150, 220)
    height, home, gap = rng.uniform(140, 240), rng.uniform(150, 260), rng.uniform(0.6, 1.4)
    out = 0.8 + home / speed

    def moment(t: float) -> Moment:
        stays = _stand(0, 470, 200, size[0], t, phase[0])
        if t < out + gap / 2:
            other = _stand(1, min(home - speed * (t - 0.8), home), height, size[1], t, phase[1])
        else:
            other = _stand(2, min(speed * (t - out - gap), home), height, size[2], t, phase[2])
        return Moment((stays, other))

    return Sequence("", moment, 2 * out + gap, looks=looks, scenes=scenes, seed=seed)


def hidden(seed: int) -> Sequence:
    """Two walk one after the other behind a board."""
    rng, looks, scenes = _setting(seed, 2)
    size, phase = rng.uniform(60, 90), rng.uniform(0, 1, 2)
    speed, height, wide = rng.uniform(110, 170), rng.uniform(140, 240), rng.uniform(1.1, 1.7)

    def moment(t: float) -> Moment:
        x = 120 + speed * t
        a = _stand(0, x, height, size, t, phase[0])
        b = _stand(1, x - 2.4 * size, height + 0.2 * size, size, t, phase[1])
        return Moment((a, b, Placed(-1, 340, 0, wide * size)))

    return Sequence("", moment, 4.2, looks=looks, scenes=scenes, seed=seed)


def _group(seed: int, people: int, move: float) -> Callable[[float], Moment]:
    """People in a row who wander about their places, by ``move`` times the distance between two."""
    rng = np.random.default_rng((seed, 1))
    step = WIDTH / people
    size, phase = rng.uniform(0.5, 0.68, people) * min(step, 130), rng.uniform(0, 1, (people, 2))
    rate, y = rng.uniform(0.15, 0.3, people), rng.uniform(150, 220, people)
    depth = np.argsort(size)

    def moment(t: float) -> Moment:
        placed = []
        for i in depth.tolist():
            x = step * (i + 0.5 + move * math.sin(2 * math.pi * (rate[i] * t + phase[i, 1])))
            placed.append(_stand(i, x, y[i], size[i], t, phase[i, 0]))
        return Moment(tuple(placed))

    return moment


def five(seed: int) -> Sequence:
    _, looks, scenes = _setting(seed, 5)
    return Sequence("", _group(seed, 5, 0.65), 5, looks=looks, scenes=scenes, seed=seed)


def missing_10(seed: int) -> Sequence:
    return replace(five(seed + 50), missing=0.1)


def missing_30(seed: int) -> Sequence:
    return replace(five(seed + 60), missing=0.3)


def slow_five(seed: int) -> Sequence:
    return replace(five(seed + 70), fps=5.0, seconds=8.0)


def slow_crossing(seed: int) -> Sequence:
    return replace(crossing(seed + 80), fps=5.0)


def zoom(seed: int) -> Sequence:
    _, looks, scenes = _setting(seed, 2)
    still = _group(seed, 2, 0.05)

    def moment(t: float) -> Moment:
        return replace(still(t), zoom=math.exp(0.45 * math.sin(2 * math.pi * t / 2.5)))

    return Sequence("", moment, 5, looks=looks, scenes=scenes, seed=seed)


def pan(seed: int) -> Sequence:
    rng, looks, scenes = _setting(seed, 3)
    still, speed = _group(seed, 3, 0.05), rng.uniform(450, 800)

    def moment(t: float) -> Moment:
        # rest, swing, rest, swing back
        swing = speed / 6 * (math.tanh(6 * (t - 0.9)) - math.tanh(6 * (t - 2.3)))
        return replace(still(t), shift=(swing, 0.0))

    return Sequence("", moment, 3.4, looks=looks, scenes=scenes, seed=seed)


def shake(seed: int) -> Sequence:
    rng, looks, scenes = _setting(seed, 3)
    still = _group(seed, 3, 0.2)
    path = np.cumsum(rng.normal(0, 1, (400, 2)), axis=0)
    path -= np.array([np.convolve(axis, np.ones(9) / 9, "same") for axis in path.T]).T
    path *= 9 / path.std()

    def moment(t: float) -> Moment:
        at = t * 25
        low = int(at)
        x, y = path[low] + (at - low) * (path[low + 1] - path[low])
        return replace(still(t), shift=(float(x), float(y)))

    return Sequence("", moment, 4, looks=looks, scenes=scenes, seed=seed)


def cuts(seed: int) -> Sequence:
    """Two cameras show the same three people, by turns; everybody gets a new number in the truth."""
    rng, looks, scenes = _setting(seed, 3)
    times = tuple(np.cumsum(rng.uniform(0.8, 1.4, 4)).tolist())
    views = [_group(seed + 1000 * k, 3, 0.1) for k in range(len(times) + 1)]
    order = [rng.permutation(3) for _ in views]
    shots = rng.permutation(4)

    def moment(t: float) -> Moment:
        shot = sum(t >= cut for cut in times)
        placed = tuple(
            replace(one, who=int(order[shot][one.who]), track=int(order[shot][one.who]) + 100 * shot)
            for one in views[shot](t).placed
        )
        return Moment(placed, scene=int(shots[shot % 2]))

    return Sequence("", moment, times[-1] + 1, looks=looks, scenes=scenes, seed=seed, cuts=times)


SCENARIOS: dict[str, Scenario] = {
    "two cross": crossing,
    "two meet and turn back": turning_back,
    "two who look the same cross": crossing_alike,
    "away for 0.5 s": away_half,
    "away for 1 s": away_one,
    "away for 3 s": away_three,
    "hidden behind a board": hidden,
    "five faces": five,
    "10 % of detections missing": missing_10,
    "30 % of detections missing": missing_30,
    "zoom in and out": zoom,
    "fast pan": pan,
    "camera shake": shake,
    "cuts": cuts,
    "5 frames per second, two cross": slow_crossing,
    "5 frames per second, five faces": slow_five,
    "two meet, wait and turn back": waiting,
    "one leaves, another comes in": replaced,
}


def sequence(name: str, seed: int) -> Sequence:
    """A scenario by name, with a variant's seed."""
    return replace(SCENARIOS[name](seed), name=name)


def size_of_frames() -> tuple[int, int]:
    return WIDTH, HEIGHT
