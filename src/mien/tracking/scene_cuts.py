"""Detection of scene cuts: hard cuts, from the structure and the colours of tiny thumbnails of neighbouring frames.

Structure: the blocks of a gray thumbnail are matched in the previous one, all with one displacement, that of the
camera. Blocks are compared by correlation, so light does not matter, and a quarter of the picture may be covered by
something that moves or appears. Colours: the overlap of two histograms of chromaticity. A new scene starts where the
structure does not match, or matches badly while the colours differ as well. It must also match worse than between the
frames before: in fast motion nothing matches for a while, which is no cut.

Detected: cuts between places, between views of one place and between people in one place; a fade through black, as one
cut when the new scene shows. Not detected: dissolves, cuts after which most of the picture is as before, and shots of
up to two frames. False cuts: a camera that starts to swing by more than a sixth of the picture between two frames,
which at few frames per second is no great speed, a flash that burns the picture out, and something that suddenly
covers most of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from mien.errors import InputError
from mien.resampling import LUMA

Floats = NDArray[np.float32]

WIDTH, HEIGHT = 24, 18
SAMPLES = 4
"""Pixels of the frame that are averaged for one pixel of a thumbnail, along each side."""
BLOCK, REACH = 6, 4
"""Side of a block and the distance up to which it is matched, pixels of the thumbnail."""
COVERED = 0.25
"""Part of the picture that may change without being a new scene."""
OTHER, UNLIKE = 0.8, 0.9
"""Structure below which the scene is another; and below which it is where the colours differ as well."""
OTHER_COLORS = 0.9
"""Overlap of the colours below which they differ."""
BRIGHTER = 40.0
"""Gray levels of change in the mean above which colours count for nothing: a flash whitens them."""
DROP = 0.12
"""How much worse than between the frames before the structure matches at a cut, at least."""
SMOOTH = 4.0
"""Standard deviation in gray levels at which a block has half its full weight."""
BLANK = 4.0
"""Standard deviation below which a picture is black, white or fog: nothing can be compared with it."""
STILL = 0.1
"""Mean difference of two thumbnails, over the contrast of one, below which nothing need be matched."""
MEMORY = 3
"""Number of frames that a new one is compared with: the end of a flash or of a broken frame is no cut."""
SETTLE = 2
"""Frames after a cut that are no other cut: a flash may light the first ones."""
BINS = 12
"""Bins of a color histogram along each of its two axes."""
DARK = 30.0
"""Sum of the three channels at which a color counts half: those of black are noise."""


@dataclass(frozen=True, slots=True)
class _FrameSignature:
    """What is kept of a frame: its gray thumbnail ``(18, 24)``, and its color histogram ``(144,)``, which sums to 1."""

    gray: Floats
    colors: Floats


class SceneCutDetector:
    """Detects hard cuts frame by frame, from past frames alone. Not for several threads.

    Examples:
        >>> cuts = SceneCutDetector()
        >>> one, other = mien.load_image("photo.jpg").rgb, mien.load_image("other.jpg").rgb
        >>> [cuts.update(rgb) for rgb in [one] * 10]
        [False, False, False, False, False, False, False, False, False, False]
        >>> saved = cuts.state()
        >>> cuts.update(other)
        True
        >>> cuts.restore(saved)
    """

    def __init__(self) -> None:
        self._past: list[_FrameSignature] = []
        self._structure = 1.0  # between the last two frames
        self._since_cut = SETTLE

    def update(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether a new scene starts with this frame; the first frame starts none.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``, of any size.

        Raises:
            InputError: another kind of picture.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise InputError(f"scene cuts are detected in RGB uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
        thumbnail = _thumbnail(rgb)
        gray = thumbnail @ LUMA
        if gray.std() < BLANK:
            return False
        now = _FrameSignature(gray, _color_histogram(thumbnail))
        structure = structure_similarity(self._past[0].gray, gray) if self._past else 1.0
        limit = self._structure - DROP
        cut = (
            bool(self._past)
            and self._since_cut >= SETTLE
            and _is_other(self._past[0], now, structure, limit)
            and all(_is_other(p, now, structure_similarity(p.gray, gray), limit) for p in self._past[1:])
        )
        self._since_cut = 0 if cut else min(self._since_cut + 1, SETTLE)
        self._past, self._structure = [now, *self._past[: MEMORY - 1]], structure
        return cut

    def state(self) -> dict[str, Any]:
        """JSON-ready: all that `restore` needs to continue."""
        return {
            "past": [{"gray": look.gray.tolist(), "colors": look.colors.tolist()} for look in self._past],
            "structure": self._structure,
            "since_cut": self._since_cut,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`; `InputError` where its thumbnails have another size."""
        past = [
            _FrameSignature(np.array(p["gray"], np.float32), np.array(p["colors"], np.float32)) for p in state["past"]
        ]
        if len(past) > MEMORY or any(
            look.gray.shape != (HEIGHT, WIDTH) or look.colors.shape != (BINS**2,) for look in past
        ):
            raise InputError("the saved state is of other pictures", advice="start the video again, without it")
        self._past = past
        self._structure, self._since_cut = float(state["structure"]), int(state["since_cut"])


def _is_other(before: _FrameSignature, now: _FrameSignature, structure: float, limit: float) -> bool:
    """Whether two frames show different scenes, whose structure has a similarity and must be below a limit."""
    if structure >= min(UNLIKE, limit):
        return False
    if structure < OTHER:
        return True
    brighter = abs(float(now.gray.mean() - before.gray.mean())) > BRIGHTER
    return not brighter and float(np.minimum(before.colors, now.colors).sum()) < OTHER_COLORS


def structure_similarity(before: Floats, now: Floats) -> float:
    """How well the blocks of one gray thumbnail match another: correlation weighted by contrast, about 0 to 1.

    All blocks are moved by the same displacement, the one with the best result. Of the blocks, those that match best
    count, up to three quarters of all weight.

    Args:
        before: float32 ``(18, 24)``, 0–255.
        now: likewise.
    """
    if float(np.abs(before - now).mean()) < STILL * float(now.std()):
        return 1.0
    grid = now.reshape(HEIGHT // BLOCK, BLOCK, WIDTH // BLOCK, BLOCK).transpose(0, 2, 1, 3)
    blocks: Floats = grid.reshape(-1, BLOCK * BLOCK)
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    contrast = np.sqrt((blocks * blocks).sum(axis=1))
    places = _places(before)
    places = places - places.mean(axis=2, keepdims=True)
    products = np.matmul(places, blocks[:, :, None])[:, :, 0]
    norms = np.sqrt(np.einsum("bdp,bdp->bd", places, places)) * contrast[:, None]
    correlation = products / np.maximum(norms, 1e-3)  # (blocks, displacements)
    weights = contrast / (contrast + SMOOTH * BLOCK) + 1e-6
    order = np.argsort(-correlation, axis=0)
    ordered = weights[order]
    wanted = (1.0 - COVERED) * weights.sum()
    used = np.clip(wanted - (np.cumsum(ordered, axis=0) - ordered), 0.0, ordered)
    return float((used * np.take_along_axis(correlation, order, axis=0)).sum(axis=0).max() / wanted)


def _places(gray: Floats) -> Floats:
    """``(12, 81, 36)``: for each block and displacement, the pixels of the thumbnail in that place."""
    around = np.pad(gray, REACH, mode="reflect")
    rows, columns = around.strides
    shape = (HEIGHT // BLOCK, WIDTH // BLOCK, 2 * REACH + 1, 2 * REACH + 1, BLOCK, BLOCK)
    strides = (BLOCK * rows, BLOCK * columns, rows, columns, rows, columns)
    places = as_strided(around, shape, strides, writeable=False)
    return np.asarray(places.reshape(-1, shape[2] * shape[3], BLOCK * BLOCK), np.float32)


def _thumbnail(rgb: NDArray[np.uint8]) -> Floats:
    """``(18, 24, 3)``, 0–255: means of samples, so that the cost is independent of the frame's size."""
    height, width = rgb.shape[:2]
    rows = ((np.arange(HEIGHT * SAMPLES) + 0.5) * height / (HEIGHT * SAMPLES)).astype(np.intp)
    columns = ((np.arange(WIDTH * SAMPLES) + 0.5) * width / (WIDTH * SAMPLES)).astype(np.intp)
    samples = rgb[rows[:, None], columns].reshape(HEIGHT, SAMPLES, WIDTH * SAMPLES, 3)
    sums = samples.sum(axis=1, dtype=np.uint16).reshape(HEIGHT, WIDTH, SAMPLES, 3).sum(axis=2, dtype=np.uint32)
    return np.asarray(sums / (SAMPLES * SAMPLES), np.float32)


def _color_histogram(thumbnail: Floats) -> Floats:
    """Shares of the colours ``(144,)``, without their brightness; each is divided among neighbouring bins."""
    red, green, blue = thumbnail[..., 0].ravel(), thumbnail[..., 1].ravel(), thumbnail[..., 2].ravel()
    whole = red + green + blue + DARK
    histogram = np.zeros(BINS**2)
    halves = []
    for value in (2 * (red - blue) / whole, 2.4 * (2 * green - red - blue) / whole):
        position = np.clip((value + 1) / 2 * (BINS - 1), 0, BINS - 1.001)
        low = position.astype(np.intp)
        halves.append(((low, 1 - (position - low)), (low + 1, position - low)))
    for row, share in halves[0]:
        for column, other in halves[1]:
            histogram += np.bincount(row * BINS + column, share * other, BINS**2)
    return np.asarray(histogram / histogram.sum(), np.float32)
