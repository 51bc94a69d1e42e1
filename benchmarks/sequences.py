"""Generated videos whose truth is known: people walk, cross, hide, leave and return before textured backgrounds.

The people are made of two public-domain portraits that dependencies ship (scikit-image's astronaut, matplotlib's
Grace Hopper): cut out along a rough outline, mirrored, stretched a little, clothes recoloured, brighter or darker. They
do not move within themselves, so nothing here shows how well turned heads or changing faces are followed. Backgrounds
are scikit-image's pictures. Everything follows from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 640, 480
Picture = NDArray[np.uint8]

_OUTLINES = {
    "astronaut": [
        [(227, 12), (270, 22), (297, 60), (298, 105), (275, 135), (262, 150), (300, 200), (305, 232), (340, 270)],
        [(362, 330), (360, 512), (18, 512), (28, 400), (48, 290), (110, 235), (118, 190), (150, 152), (185, 148)],
        [(178, 128), (158, 105), (154, 70), (180, 28)],
    ],
    "hopper": [
        [(255, 22), (345, 62), (370, 92), (372, 150), (378, 205), (352, 300), (322, 322), (420, 362), (490, 402)],
        [(511, 480), (511, 599), (8, 599), (30, 480), (70, 385), (160, 348), (203, 322), (165, 290), (150, 200)],
        [(150, 112), (182, 62)],
    ],
}
_FACES = {"astronaut": ((223.5, 119.5), 95.0, 185.0), "hopper": ((264.0, 224.0), 198.0, 325.0)}
"""Middle and size (root of the area) of the box as the detector gives it, and where the clothes begin: pixels."""


@cache
def _portrait(name: str) -> Picture:
    if name == "astronaut":
        from skimage import data

        return np.ascontiguousarray(data.astronaut())
    import matplotlib

    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        return np.asarray(image.convert("RGB"))


@dataclass(frozen=True)
class Look:
    """How one person is made of a portrait.

    Attributes:
        portrait: whose outline and pixels.
        mirror: left and right swapped.
        hue: the clothes' hue is turned by so many degrees.
        dye: RGB levels added to dark clothes.
        gamma: of the whole person; above 1 is darker.
        warmth: red over blue of the whole person.
        stretch: height over width.
    """

    portrait: str
    mirror: bool = False
    hue: float = 0
    dye: tuple[int, int, int] = (0, 0, 0)
    gamma: float = 1
    warmth: float = 1
    stretch: float = 1


LOOKS = (
    Look("astronaut"),
    Look("hopper"),
    Look("astronaut", mirror=True, hue=110, gamma=1.25, stretch=1.05),
    Look("hopper", mirror=True, dye=(120, 100, 70), gamma=0.85, stretch=0.96),
    Look("astronaut", hue=-140, gamma=0.8, warmth=0.93, stretch=0.96),
    Look("hopper", dye=(20, 90, 40), gamma=1.25, warmth=1.06, stretch=1.05),
    Look("astronaut", mirror=True, hue=30, gamma=1.05, warmth=1.08),
    Look("hopper", mirror=True, dye=(110, 10, 20), gamma=1.1, warmth=0.95, stretch=1.02),
)


@dataclass(frozen=True)
class Person:
    """Pixels of a person at several sizes: RGBA float32 halvings, the first the largest."""

    levels: tuple[NDArray[np.float32], ...]
    middle: tuple[float, float]
    size: float


@cache
def person(look: Look) -> Person:
    rgb = _portrait(look.portrait)
    height, width = rgb.shape[:2]
    (x, y), size, collar = _FACES[look.portrait]
    alpha = np.zeros((height, width), np.uint8)
    outline = [point for part in _OUTLINES[look.portrait] for point in part]
    cv2.fillPoly(alpha, [np.array(outline, np.int32)], 255)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 2)
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + look.hue / 2) % 180
    dressed = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    dark = np.clip(1 - rgb.mean(axis=2, keepdims=True) / 120, 0, 1)
    dressed = dressed + dark * np.array(look.dye, np.float32)
    below = np.clip((np.arange(height, dtype=np.float32) - collar) / 12, 0, 1)[:, None, None]
    mixed = rgb * (1 - below) + dressed * below
    mixed = 255 * (mixed / 255) ** look.gamma * np.array([look.warmth, 1, 1 / look.warmth], np.float32)
    rgba = np.dstack([np.clip(mixed, 0, 255), alpha.astype(np.float32)]).astype(np.float32)
    if look.mirror:
        rgba, x = np.ascontiguousarray(rgba[:, ::-1]), width - x
    tall = round(height * look.stretch)
    rgba = cv2.resize(rgba, (width, tall), interpolation=cv2.INTER_AREA)
    levels = [rgba]
    while min(levels[-1].shape[:2]) > 64:
        level = levels[-1]
        half = (level.shape[1] // 2, level.shape[0] // 2)
        levels.append(cv2.resize(level, half, interpolation=cv2.INTER_AREA))
    return Person(tuple(levels), (x, y * tall / height), size * math.sqrt(tall / height))


@dataclass(frozen=True)
class Placed:
    """Somebody, or something, in a frame before the camera: later ones stand in front of earlier ones.

    Attributes:
        who: index of a look; −1 for a board that hides people.
        x: middle of the face (of the board), pixels.
        y: likewise.
        size: of the face, pixels; of a board its width.
        angle: degrees.
        track: number of the person in the truth.
    """

    who: int
    x: float
    y: float
    size: float
    angle: float = 0.0
    track: int = 0


@dataclass(frozen=True)
class Moment:
    """What stands where at one time, how the camera looks at it, and the light.

    Attributes:
        placed: from back to front, in the scene's pixels.
        scene: index of the background.
        shift: of the camera, pixels.
        zoom: of the camera, about the middle of the picture.
        light: factor on brightness.
        lift: levels added.
    """

    placed: tuple[Placed, ...]
    scene: int = 0
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    light: float = 1.0
    lift: float = 0.0


@dataclass(frozen=True)
class Truth:
    """Who is where: ``(n,)`` numbers, ``(n, 4)`` boxes, ``(n,)`` how much of each face is visible, 0–1."""

    ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    visible: NDArray[np.float32]


@cache
def background(index: int) -> Picture:
    """RGB, at least as large as two frames side by side."""
    from skimage import data

    names = ("coffee", "rocket", "brick", "gravel", "chelsea", "grass", "texture")
    name = names[index % len(names)]
    if name == "texture":
        rng = np.random.default_rng(index)
        picture = sum(
            cv2.resize(rng.uniform(0, 80, (6 * k, 8 * k, 3)).astype(np.float32), (1280, 960)) for k in (1, 4, 16)
        )
        picture = np.clip(picture, 0, 255).astype(np.uint8)
    else:
        picture = getattr(data, name)()
        if picture.ndim == 2:
            tint = np.random.default_rng(index).uniform(0.6, 1, 3)
            picture = (picture[..., None] * tint).astype(np.uint8)
    if (index // len(names)) % 2:
        picture = picture[:, ::-1]
    scale = max(1280 / picture.shape[1], 720 / picture.shape[0])
    return np.ascontiguousarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR))


@cache
def _noise() -> NDArray[np.int16]:
    return np.random.default_rng(0).normal(0, 2.5, (HEIGHT + 64, WIDTH + 64, 3)).round().astype(np.int16)


@dataclass(frozen=True)
class Sequence:
    """A generated video.

    Attributes:
        name: of the scenario.
        moment: seconds → what there is to see.
        seconds: how long it lasts.
        fps: frames per second.
        looks: who takes part, as indices of `LOOKS`, for ``Placed.who``.
        scenes: backgrounds, for ``Moment.scene``.
        seed: of noise and small movements.
        missing: share of the detections to be dropped by chance.
        cuts: times of scene cuts, seconds.
    """

    name: str
    moment: Callable[[float], Moment]
    seconds: float = 5.0
    fps: float = 25.0
    looks: tuple[int, ...] = (0, 1)
    scenes: tuple[int, ...] = (0,)
    seed: int = 0
    missing: float = 0.0
    cuts: tuple[float, ...] = field(default=())

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    def time(self, index: int) -> float:
        return index / self.fps

    def frame(self, index: int) -> tuple[Picture, Truth]:
        """The picture, RGB uint8 (480, 640, 3), and its truth."""
        moment = self.moment(self.time(index))
        canvas = self._scene(moment)
        cover: list[tuple[slice, slice, NDArray[np.float32]]] = []
        rows: list[tuple[int, NDArray[np.float64], float, int]] = []
        for one in moment.placed:
            x, y, size = self._seen(one, moment)
            layer = (
                self._board(x, size)
                if one.who < 0
                else _drawn(person(LOOKS[self.looks[one.who]]), x, y, size, one.angle)
            )
            if layer is None:
                continue
            down, across, rgba = layer
            part = canvas[down, across]
            alpha = rgba[..., 3:] / 255
            part[:] = part * (1 - alpha) + rgba[..., :3] * alpha
            cover.append((down, across, alpha[..., 0]))
            if one.who >= 0:
                rows.append((one.track, np.array([x, y]), size, len(cover)))
        visible = [_visible(middle, size, cover[after:]) for _, middle, size, after in rows]
        # the detector's boxes are taller than wide
        half = np.array([0.5 / math.sqrt(1.22), 0.5 * math.sqrt(1.22)])
        boxes = [np.concatenate([middle - size * half, middle + size * half]) for _, middle, size, _ in rows]
        truth = Truth(
            np.array([row[0] for row in rows], np.int64),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(visible, np.float32),
        )
        down, across = np.random.default_rng((self.seed, index)).integers(0, 64, 2)
        lit = canvas * moment.light + moment.lift + _noise()[down : down + HEIGHT, across : across + WIDTH]
        return np.clip(lit, 0, 255).astype(np.uint8), truth

    def _seen(self, one: Placed, moment: Moment) -> tuple[float, float, float]:
        x = (one.x - moment.shift[0] - WIDTH / 2) * moment.zoom + WIDTH / 2
        y = (one.y - moment.shift[1] - HEIGHT / 2) * moment.zoom + HEIGHT / 2
        return x, y, one.size * moment.zoom

    def _scene(self, moment: Moment) -> NDArray[np.float32]:
        world = background(self.scenes[moment.scene % len(self.scenes)])
        z = 1 / moment.zoom
        left = world.shape[1] / 2 + moment.shift[0] - WIDTH / 2 * z
        top = world.shape[0] / 2 + moment.shift[1] - HEIGHT / 2 * z
        matrix = np.array([[z, 0, left], [0, z, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(world, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT).astype(
            np.float32
        )

    def _board(self, x: float, size: float) -> tuple[slice, slice, NDArray[np.float32]] | None:
        low, high = max(round(x - size / 2), 0), min(round(x + size / 2), WIDTH)
        if low >= high:
            return None
        rgba = np.empty((HEIGHT, high - low, 4), np.float32)
        rgba[..., :3] = (90, 70, 50) + 20 * np.sin(np.arange(HEIGHT) / 7)[:, None, None]
        rgba[..., 3] = 255
        return slice(0, HEIGHT), slice(low, high), rgba


def _drawn(
    who: Person, x: float, y: float, size: float, angle: float
) -> tuple[slice, slice, NDArray[np.float32]] | None:
    """The part of a frame that a person covers, and its pixels."""
    depth = min(max(int(math.log2(max(who.size / size, 1.0))), 0), len(who.levels) - 1)
    rgba = who.levels[depth]
    scale = rgba.shape[1] / who.levels[0].shape[1]
    matrix = cv2.getRotationMatrix2D((who.middle[0] * scale, who.middle[1] * scale), angle, size / (who.size * scale))
    matrix[:, 2] += np.array([x, y]) - np.array(who.middle) * scale
    tall, wide = rgba.shape[:2]
    corners = np.array([[0, 0], [wide, 0], [0, tall], [wide, tall]]) @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)), (WIDTH, HEIGHT)).astype(int)
    if left >= right or top >= bottom:
        return None
    matrix[:, 2] -= (left, top)
    warped = cv2.warpAffine(rgba, matrix, (int(right - left), int(bottom - top)), borderMode=cv2.BORDER_CONSTANT)
    return slice(top, bottom), slice(left, right), warped


def _visible(middle: NDArray[np.float64], size: float, cover: list[tuple[slice, slice, NDArray[np.float32]]]) -> float:
    """Share of the inner face that lies in the picture and under nothing."""
    steps = np.linspace(-0.4, 0.4, 9)
    x, y = np.meshgrid(middle[0] + size * steps, middle[1] + size * steps)
    x, y = x.ravel().round().astype(int), y.ravel().round().astype(int)
    free = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
    share = free.astype(np.float32)
    for down, across, alpha in cover:
        on = free & (x >= across.start) & (x < across.stop) & (y >= down.start) & (y < down.stop)
        share[on] *= 1 - alpha[y[on] - down.start, x[on] - across.start]
    return float(share.mean())
