"""From the raw outputs of the single-shot detector to faces: grid, distances, points, suppression. NumPy only.

The network (`mien.networks.detector`) returns per stride 8, 16, 32 a tensor ``(n, 15, h / stride, w / stride)``: logit
of the score, logarithms of four distances in strides, five points from the box's centre in its width and height.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.geometry import iou, nms, resize
from mien.resampling import multiply, shrink

Floats = NDArray[np.float32]

STRIDES = (8, 16, 32)
MULTIPLE = 32
"""Both sides of what the network takes are multiples of this."""
PADDING = 128
"""Pixel value right of and below a picture whose sides are no such multiples: zero to the network."""
Threshold = float | tuple[float, ...]
"""Least score, of all strides or one per stride."""
MAX_CANDIDATES = 2000
"""Cells of one picture that suppression compares, the best first: more means a threshold near zero."""
PIXELS_AT_ONCE = 1_500_000
"""Pixels in one run of the network: they bound memory (about 100 bytes per pixel)."""
ROUGH_PIXELS = 4_000_000
"""Pixels above which a picture is shrunk roughly: half the time; in small ones it would cost certainty."""
MAX_LOG_DISTANCE = 4.0
"""Upper bound of the logarithm of a distance in strides."""
OVERLAP, VOTE = 0.45, 0.6
"""Intersection over union above which a box falls to a better one, and from which on it counts in that one's mean."""
COARSEST = 224
"""Longer side in pixels of the smallest copy: faces that fill the picture have a usual size in it."""
STEP = 5
"""Longer side of a copy over that of the next smaller one, at most."""
COARSE_FACE = 32
"""Height in pixels from which a face of a smaller copy counts: smaller ones are better visible in the larger one."""
STRIP_OVERLAP = 192
"""Pixels by which strips overlap; taller faces (`STEP` times `COARSE_FACE` or more) count in the smaller copy."""
PADDED_SIDE, PADDED_MARGIN = 128, 64
"""Copy in which faces larger than the picture are detected: longer side, and gray margin all around, pixels."""
TURNED_SIDE = 192
"""Longer side in pixels of the copies that are turned."""
CROP_SIDE, CROP_REACH = 96, 2.4
"""Crop around an expected face: side in pixels, and over the longer side of the box."""
CONFIRM_SIDE, CONFIRM_REACH = 96, 3.4
"""The same around a doubtful face."""
CONFIRM_LEAST = 0.05
"""Score below which a crop around a doubtful face shows no face."""
QUARTER_SIDE = 64
"""Side in pixels of the middle of that crop, which is also rotated by quarter turns."""
QUARTER_FACE = 16
"""Longer side of the box from which it is, pixels of the picture: smaller faces look alike from every side."""
UPRIGHT_SCORE, QUARTER_SCORE, QUARTER_GAIN = 0.8, 0.8, 0.05
"""Score of the upright crop from which the turned ones are left out; least score of a turned one, and by how much it
must exceed the upright one's."""
QUARTER_LIMIT = 0.74
"""Greatest score of a face that is found turned there: surer faces may make it implausible, as a badge on a chest."""
_CROPS_AT_ONCE = 16
SAME_FACE_IOU, DUPLICATE_IOU = 0.3, 0.45
"""Intersection over union with an expected box from which a face is the expected one, and of two that are one face."""

Forward = Callable[[NDArray[np.uint8]], Sequence[Floats]]
"""From RGB uint8 ``(n, h, w, 3)`` to the outputs per stride, ``(n, 15, h / stride, w / stride)`` float32."""


@dataclass(frozen=True, slots=True, eq=False)
class CandidateBoxes:
    """Boxes of one picture.

    Attributes:
        boxes: ``(n, 4)`` float32 xyxy pixels.
        scores: ``(n,)`` float32, 0–1.
        landmarks: ``(n, 5, 2)`` float32 xy pixels.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> CandidateBoxes:
        """These rows."""
        return CandidateBoxes(self.boxes[rows], self.scores[rows], self.landmarks[rows])


def concatenate(parts: Sequence[CandidateBoxes]) -> CandidateBoxes:
    """Several sets of boxes of one picture as one."""
    return CandidateBoxes(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
    )


def pad_picture(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a gray margin right and below, both sides multiples of 32."""
    height, width = rgb.shape[:2]
    tall, wide = -height % MULTIPLE, -width % MULTIPLE
    if not tall and not wide:
        return rgb
    return np.pad(rgb, ((0, tall), (0, wide), (0, 0)), constant_values=PADDING)


def decode(outputs: Sequence[Floats], threshold: Threshold) -> CandidateBoxes:
    """Every cell of one picture whose score reaches the threshold.

    Args:
        outputs: per stride ``(15, h / stride, w / stride)``.
        threshold: score, between 0 and 1, of all strides or per stride.

    Returns:
        Up to `MAX_CANDIDATES` boxes, best score first.

    Raises:
        InputError: a threshold outside its range.
    """
    thresholds = (threshold,) * len(STRIDES) if isinstance(threshold, float | int) else threshold
    if not all(0 < value < 1 for value in thresholds):
        raise InputError(f"threshold must lie between 0 and 1, got {threshold}")
    values, centres, strides = [], [], []
    for output, stride, value in zip(outputs, STRIDES, thresholds, strict=True):
        least = float(np.log(value) - np.log1p(-value))
        rows, columns = np.nonzero(output[0] >= least)
        values.append(output[:, rows, columns].T)
        centres.append((np.stack([columns, rows], axis=1).astype(np.float32) + 0.5) * stride)
        strides.append(np.full((len(rows), 1), stride, np.float32))
    rows_of, centre, stride_of = np.concatenate(values), np.concatenate(centres), np.concatenate(strides)
    order = np.argsort(-rows_of[:, 0], kind="stable")[:MAX_CANDIDATES]
    cells, centre, stride_of = rows_of[order], centre[order], stride_of[order]
    distances = np.exp(np.minimum(cells[:, 1:5], MAX_LOG_DISTANCE)) * stride_of
    boxes = np.concatenate([centre - distances[:, :2], centre + distances[:, 2:]], axis=1)
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    points = middle[:, None] + cells[:, 5:].reshape(-1, 5, 2) * size[:, None]
    scores = 1 / (1 + np.exp(-cells[:, 0]))
    return CandidateBoxes(boxes.astype(np.float32), scores.astype(np.float32), points.astype(np.float32))


def suppress(candidates: CandidateBoxes, overlap: float = OVERLAP, *, vote: float = VOTE) -> CandidateBoxes:
    """Greedy non-maximum suppression; each box that is kept becomes the mean of those it stands for.

    Args:
        candidates: boxes, best score first.
        overlap: a box falls when its intersection over union with a better one that is kept is above this.
        vote: boxes and points of those that overlap a kept one by at least this are averaged, weighted by score
            times overlap; 1 averages none.

    Returns:
        The boxes kept, best score first, with the scores of the best.
    """
    n = len(candidates)
    if n == 0:
        return candidates
    shared = _overlaps(candidates.boxes)
    covers = np.triu(shared > overlap, 1)
    kept: NDArray[np.bool_] = np.ones(n, np.bool_)
    # a box stands when no standing one before it covers it: what is right for the first k boxes is right for one more
    # after each pass, and in practice for all of them after two or three
    for _ in range(n):
        now = np.asarray(~covers[kept].any(axis=0), np.bool_)
        if np.array_equal(now, kept):
            break
        kept = now
    rows = np.flatnonzero(kept)
    if vote >= 1:
        return candidates.select(rows)
    weights = np.where(shared[rows] >= vote, shared[rows], 0) * candidates.scores
    weights[np.arange(len(rows)), rows] = candidates.scores[rows]
    # a box votes for the best of those it overlaps only
    weights *= shared[rows] >= shared[rows].max(axis=0)
    weights /= weights.sum(axis=1, keepdims=True)
    boxes = multiply(weights, candidates.boxes)
    points = multiply(weights, candidates.landmarks.reshape(n, -1)).reshape(-1, 5, 2)
    return CandidateBoxes(boxes.astype(np.float32), candidates.scores[rows], points.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """A part of a copy of a picture.

    Attributes:
        picture: index of the picture.
        pixels: RGB uint8, both sides multiples of 32.
        matrix: ``(2, 3)`` from pixels of the tile to pixels of the picture.
        heights: least and greatest height of the faces that count, pixels of the tile.
        rows: first and last row of the centres of the faces that count, pixels of the tile.
    """

    picture: int
    pixels: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    heights: tuple[float, float] = (0.0, np.inf)
    rows: tuple[float, float] = (-np.inf, np.inf)

    def candidates(self, outputs: Sequence[Floats], threshold: Threshold) -> CandidateBoxes:
        """What the network found in this tile, in pixels of the picture."""
        found = decode(outputs, threshold)
        tall = found.boxes[:, 3] - found.boxes[:, 1]
        row = (found.boxes[:, 1] + found.boxes[:, 3]) / 2
        low, high = self.heights
        first, last = self.rows
        found = found.select((tall >= low) & (tall <= high) & (row >= first) & (row < last))
        linear, shift = self.matrix[:, :2].astype(np.float32), self.matrix[:, 2].astype(np.float32)
        # a turn by quarters maps corners to corners
        corners = found.boxes.reshape(-1, 2, 2) @ linear.T + shift
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return CandidateBoxes(boxes, found.scores, found.landmarks @ linear.T + shift)


def detect(
    forward: Forward, pictures: Sequence[NDArray[np.uint8]], threshold: Threshold, scales: Sequence[float]
) -> list[CandidateBoxes]:
    """The faces of several pictures, best score first.

    Each picture is scaled once, and large faces are also detected in smaller copies of it. Copies of one size, of
    whichever picture, go through the network together; large ones go in strips.

    Args:
        forward: the network.
        pictures: RGB uint8 ``(h, w, 3)``.
        threshold: score, between 0 and 1.
        scales: per picture the factor by which it is scaled before.
    """
    tiles = []
    for i, (rgb, scale) in enumerate(zip(pictures, scales, strict=True)):
        tiles += _split(i, rgb, scale)
    return [suppress(each) for each in _run(forward, tiles, len(pictures), threshold)]


def detect_again(
    forward: Forward, pictures: Sequence[NDArray[np.uint8]], threshold: Threshold, *, turned: bool = True
) -> list[CandidateBoxes]:
    """Faces that the first pass misses: those larger than the picture, and rotated ones. Small copies suffice.

    Args:
        forward: the network.
        pictures: RGB uint8 ``(h, w, 3)``.
        threshold: score, between 0 and 1; such faces are rare, so it should be higher than that of the first pass.
        turned: also detect in the picture rotated by 90°, 180° and 270°.

    Returns:
        Per picture the faces. Landmarks of a turned face are in its own order: the eye and the mouth corner that are
        left in an upright picture come first.
    """
    tiles = []
    for i, rgb in enumerate(pictures):
        tiles.append(_padded_tile(i, rgb))
        if turned:
            tiles += [_turned_tile(i, rgb, quarters) for quarters in (1, 2, 3)]
    # boxes of different turns are not averaged: their landmarks are in different order
    return [suppress(each, vote=1.0) for each in _run(forward, tiles, len(pictures), threshold)]


def confirm(
    forward: Forward,
    pictures: Sequence[NDArray[np.uint8]],
    found: Sequence[CandidateBoxes],
    doubtful: tuple[float, float],
) -> list[CandidateBoxes]:
    """A second pass for doubtful faces, each in a crop in which it has the height that suits the network best.

    A doubtful face gets the geometric mean of both scores, and 0 if the crop shows no face. The crops of all pictures
    go through the network together. If the upright crop is inconclusive, its middle is also tried in the other quarter
    turns: a sideways or upside-down face is clearer there, and gets its box, landmarks and score from there.

    Args:
        forward: the network.
        pictures: RGB uint8 ``(h, w, 3)``.
        found: per picture the faces of the first pass.
        doubtful: scores of the first pass from which, and below which, a face is doubtful.

    Returns:
        Per picture the same faces, best score first. Landmarks of turned ones are in the face's own order.
    """
    low, high = doubtful
    boxes = [each.boxes.copy() for each in found]
    scores = [each.scores.copy() for each in found]
    points = [each.landmarks.copy() for each in found]
    rows = [(i, int(row)) for i, each in enumerate(scores) for row in np.flatnonzero((each >= low) & (each < high))]
    is_turned = np.zeros(len(found), np.bool_)
    for start in range(0, len(rows), _CROPS_AT_ONCE):
        part = rows[start : start + _CROPS_AT_ONCE]
        around = np.array([found[i].boxes[row] for i, row in part], np.float64)
        tiles = [
            _crop_tile(pictures[i], box, CONFIRM_SIDE, CONFIRM_REACH) for (i, _), box in zip(part, around, strict=True)
        ]
        shift = np.array([tile.matrix[:, 2] for tile in tiles])
        scale = np.array([np.diag(tile.matrix) for tile in tiles])
        within = (around - np.tile(shift, 2)) / np.tile(scale, 2)
        second = _scores_at(forward(np.stack([tile.pixels for tile in tiles])), within)
        turned = _turned_faces(forward, tiles, around, within, second)
        for k, (i, row) in enumerate(part):
            score = np.sqrt(scores[i][row] * second[k])
            if k in turned:
                boxes[i][row], points[i][row] = turned[k].boxes[0], turned[k].landmarks[0]
                score = min(np.sqrt(scores[i][row] * turned[k].scores[0]), QUARTER_LIMIT)
                is_turned[i] = True
            scores[i][row] = score
    again = []
    for i, each in enumerate(zip(boxes, scores, points, strict=True)):
        ordered = CandidateBoxes(*each).select(np.argsort(-each[1], kind="stable"))
        # boxes of a turned face that stood apart may meet where it lies upright
        again.append(suppress(ordered, vote=1.0) if is_turned[i] else ordered)
    return again


def _turned_faces(
    forward: Forward,
    tiles: Sequence[_Tile],
    boxes: NDArray[np.float64],
    within: NDArray[np.float64],
    upright: Floats,
) -> dict[int, CandidateBoxes]:
    """The doubtful faces that are clearer in a crop rotated by quarter turns: number of the crop → face.

    Args:
        forward: the network.
        tiles: the upright crops, of `CONFIRM_SIDE` pixels.
        boxes: ``(n, 4)`` xyxy pixels of the picture, one per crop.
        within: the same in pixels of the crop.
        upright: ``(n,)`` scores in the upright crop.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    rows = [int(row) for row in np.flatnonzero((upright < UPRIGHT_SCORE) & (sides >= QUARTER_FACE))]
    if not rows:
        return {}
    turned, places = [], []
    margin = (CONFIRM_SIDE - QUARTER_SIDE) // 2
    inner = slice(margin, margin + QUARTER_SIDE)
    for row in rows:
        middle = tiles[row].pixels[inner, inner]
        linear, shift = tiles[row].matrix[:, :2], tiles[row].matrix[:, 2]
        x1, y1, x2, y2 = (within[row] - margin).tolist()
        for quarters in (1, 2, 3):
            x1, y1, x2, y2 = y1, QUARTER_SIDE - x2, y2, QUARTER_SIDE - x1
            back = _back(QUARTER_SIDE, QUARTER_SIDE, quarters)
            back[:, 2] += margin
            matrix = linear @ back
            matrix[:, 2] += shift
            turned.append(_Tile(0, np.ascontiguousarray(np.rot90(middle, quarters)), matrix))
            places.append((x1, y1, x2, y2))
    outputs = forward(np.stack([tile.pixels for tile in turned]))
    scores = _scores_at(outputs, np.array(places)).reshape(-1, 3)
    best = scores.max(axis=1)
    faces: dict[int, CandidateBoxes] = {}
    for k in np.flatnonzero((best >= QUARTER_SCORE) & (best > upright[rows] + QUARTER_GAIN)):
        n, row = 3 * int(k) + int(scores[k].argmax()), rows[k]
        face = turned[n].candidates([output[n] for output in outputs], QUARTER_SCORE)
        same = np.flatnonzero(iou(boxes[row : row + 1], face.boxes)[0] >= SAME_FACE_IOU)
        if len(same):
            faces[row] = face.select(same[:1])
    return faces


def _scores_at(outputs: Sequence[Floats], boxes: NDArray[np.float64]) -> Floats:
    """``(n,)`` the best score of each image's faces that are the one in its box, at least `CONFIRM_LEAST`, else 0.

    Args:
        outputs: per stride ``(n, 15, h / stride, w / stride)``.
        boxes: ``(n, 4)`` xyxy pixels, one per image.
    """
    best = np.zeros(len(boxes), np.float32)
    least = float(np.log(CONFIRM_LEAST) - np.log1p(-CONFIRM_LEAST))
    for output, stride in zip(outputs, STRIDES, strict=True):
        image, row, column = np.nonzero(output[:, 0] >= least)
        cells = output[image, :5, row, column]
        distances = np.exp(np.minimum(cells[:, 1:5], MAX_LOG_DISTANCE)) * stride
        centre = (np.stack([column, row], axis=1) + 0.5) * stride
        low, high = centre - distances[:, :2], centre + distances[:, 2:]
        box = boxes[image]
        shared = np.minimum(high, box[:, 2:]) - np.maximum(low, box[:, :2])
        both = np.clip(shared, 0, None).prod(axis=1)
        union = (high - low).prod(axis=1) + (box[:, 2:] - box[:, :2]).prod(axis=1) - both
        same = both >= SAME_FACE_IOU * union
        np.maximum.at(best, image[same], 1 / (1 + np.exp(-cells[same, 0])))
    return best


def detect_near(
    forward: Forward, rgb: NDArray[np.uint8], boxes: NDArray[np.float64], threshold: Threshold
) -> tuple[CandidateBoxes, NDArray[np.intp]]:
    """The faces near boxes, from one small crop around each.

    Args:
        forward: the network.
        rgb: RGB uint8 ``(h, w, 3)``.
        boxes: ``(m, 4)`` finite xyxy pixels.
        threshold: score, between 0 and 1.

    Returns:
        The faces, best score first, and ``(n,)`` the index of the box that led to each. Several boxes that lead to the
        same face leave one.

    Raises:
        InputError: boxes that are not finite.
    """
    if not np.isfinite(boxes).all():
        raise InputError("a face is detected near finite boxes", advice="leave out faces without a box")
    sides = boxes[:, 2:] - boxes[:, :2]
    in_view = (sides > 0).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    in_view &= (boxes[:, :2] < (rgb.shape[1], rgb.shape[0])).all(axis=1)
    rows = np.flatnonzero(in_view)
    found, origin = [], []
    for start in range(0, len(rows), _CROPS_AT_ONCE):
        part = rows[start : start + _CROPS_AT_ONCE]
        tiles = [_crop_tile(rgb, boxes[row], CROP_SIDE, CROP_REACH) for row in part]
        outputs = forward(np.stack([tile.pixels for tile in tiles]))
        for i, (row, tile) in enumerate(zip(part, tiles, strict=True)):
            near = suppress(tile.candidates([output[i] for output in outputs], threshold))
            overlap = iou(boxes[row : row + 1], near.boxes)[0]
            value = np.where(overlap >= SAME_FACE_IOU, overlap * near.scores, 0)
            if len(near) and value.max() > 0:
                found.append(near.select(np.array([value.argmax()])))
                origin.append(row)
    if not found:
        return CandidateBoxes(*(np.empty((0, *shape), np.float32) for shape in ((4,), (), (5, 2)))), np.empty(
            0, np.intp
        )
    every = concatenate(found)
    kept = nms(every.boxes, every.scores, DUPLICATE_IOU)
    return every.select(kept), np.asarray(origin, np.intp)[kept]


def _crop_tile(rgb: NDArray[np.uint8], box: NDArray[np.float64], pixels_side: int, reach: float) -> _Tile:
    """The square around a box; gray beyond the picture."""
    limit = np.array([rgb.shape[1], rgb.shape[0]])
    middle, side = (box[:2] + box[2:]) / 2, max(float((box[2:] - box[:2]).max()) * reach, 4.0)
    low = np.floor(np.clip(middle - side / 2, 0, limit - 1)).astype(np.intp)
    high = np.clip(np.ceil(middle + side / 2), low + 1, limit).astype(np.intp)
    part = rgb[low[1] : high[1], low[0] : high[0]]
    scale = pixels_side / side
    size = np.clip(np.round((high - low) * scale), 1, pixels_side).astype(np.intp)
    small = resize(part, (int(size[0]), int(size[1])), enlarge="linear")
    # where the part lies in the crop: the crop's own corner may be beyond the picture
    place = np.clip(np.round((low - (middle - side / 2)) * scale), 0, pixels_side - size).astype(np.intp)
    pixels = np.full((pixels_side, pixels_side, 3), PADDING, np.uint8)
    pixels[place[1] : place[1] + size[1], place[0] : place[0] + size[0]] = small
    x, y = ((high - low) / size).tolist()
    return _Tile(0, pixels, np.array([[x, 0, low[0] - x * place[0]], [0, y, low[1] - y * place[1]]]))


def _split(picture: int, rgb: NDArray[np.uint8], scale: float) -> list[_Tile]:
    """The tiles of a picture: the scaled picture, and smaller copies for larger faces."""
    block = round(1 / scale)
    if block >= 2 and scale == 1 / block and min(rgb.shape[:2]) >= block:
        copy, pixel = _blocks(rgb, block), (float(block), float(block))
    else:
        copy = _shrink(rgb, max(round(max(rgb.shape[:2]) * scale), 1))
        pixel = rgb.shape[1] / copy.shape[1], rgb.shape[0] / copy.shape[0]
    tiles: list[_Tile] = []
    least = 0.0
    while True:
        whole = max(copy.shape[:2]) <= COARSEST / 0.7
        tiles += _strips(picture, copy, pixel, least, whole=whole)
        if whole:
            return tiles
        copy, pixel = _coarser(copy, pixel)
        least = COARSE_FACE


def _coarser(copy: NDArray[np.uint8], pixel: tuple[float, float]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """The next smaller copy, and the sides of its pixels in the picture: means of whole blocks where it can."""
    height, width = copy.shape[:2]
    longest = max(height, width)
    block = round(longest / max(COARSEST, longest / STEP))
    if block < 2 or min(height, width) < block:
        smaller = _shrink(copy, max(COARSEST, round(longest / STEP)))
        return smaller, (pixel[0] * width / smaller.shape[1], pixel[1] * height / smaller.shape[0])
    return _blocks(copy, block), (pixel[0] * block, pixel[1] * block)


def _blocks(rgb: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Means of blocks of pixels; what is left at the right and at the bottom is cut off."""
    size = rgb.shape[1] // block, rgb.shape[0] // block
    return shrink(rgb[: size[1] * block, : size[0] * block], size)


def _strips(
    picture: int, copy: NDArray[np.uint8], pixel: tuple[float, float], least: float, *, whole: bool
) -> list[_Tile]:
    """A copy of a picture as one tile, or as overlapping strips where it is large."""
    height, width = copy.shape[:2]
    matrix = np.array([[pixel[0], 0, 0], [0, pixel[1], 0]])
    if whole or height * width <= PIXELS_AT_ONCE:
        return [_Tile(picture, pad_picture(copy), matrix, (least, np.inf))]
    step = max(PIXELS_AT_ONCE // width - STRIP_OVERLAP, STRIP_OVERLAP) // MULTIPLE * MULTIPLE
    tiles = []
    for top in range(0, max(height - STRIP_OVERLAP, 1), step):
        bottom = min(top + step + STRIP_OVERLAP, height)
        placed = matrix.copy()
        placed[1, 2] = matrix[1, 1] * top
        rows = (
            -np.inf if top == 0 else STRIP_OVERLAP / 2,
            np.inf if bottom == height else bottom - top - STRIP_OVERLAP / 2,
        )
        tiles.append(_Tile(picture, pad_picture(copy[top:bottom]), placed, (least, STRIP_OVERLAP), rows))
    return tiles


def _padded_tile(picture: int, rgb: NDArray[np.uint8]) -> _Tile:
    copy = _shrink(rgb, PADDED_SIDE)
    margin = PADDED_MARGIN
    x, y = rgb.shape[1] / copy.shape[1], rgb.shape[0] / copy.shape[0]
    pixels = np.pad(copy, ((margin, margin), (margin, margin), (0, 0)), constant_values=PADDING)
    return _Tile(picture, pad_picture(pixels), np.array([[x, 0, -x * margin], [0, y, -y * margin]]))


def _turned_tile(picture: int, rgb: NDArray[np.uint8], quarters: int) -> _Tile:
    """The picture turned counter-clockwise by quarters."""
    copy = _shrink(rgb, TURNED_SIDE)
    height, width = copy.shape[:2]
    matrix = _back(width, height, quarters) * np.array([[rgb.shape[1] / width], [rgb.shape[0] / height]])
    return _Tile(picture, pad_picture(np.ascontiguousarray(np.rot90(copy, quarters))), matrix)


def _back(width: int, height: int, quarters: int) -> NDArray[np.float64]:
    """``(2, 3)`` from a picture that was turned counter-clockwise by quarters to the picture of this size."""
    matrices = {
        1: [[0.0, -1, width], [1, 0, 0]],
        2: [[-1.0, 0, width], [0, -1, height]],
        3: [[0.0, 1, 0], [-1, 0, height]],
    }
    return np.array(matrices[quarters])


def _shrink(rgb: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """The picture with a longer side of ``longest`` pixels."""
    height, width = rgb.shape[:2]
    scale = longest / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return resize(rgb, size, enlarge="linear", rough=height * width > ROUGH_PIXELS)


def _run(forward: Forward, tiles: Sequence[_Tile], pictures: int, threshold: Threshold) -> list[CandidateBoxes]:
    """Candidates per picture, best score first; tiles of one shape go through the network together."""
    groups: dict[tuple[int, ...], list[_Tile]] = {}
    for tile in tiles:
        groups.setdefault(tile.pixels.shape, []).append(tile)
    found: list[list[CandidateBoxes]] = [[] for _ in range(pictures)]
    for shape, group in groups.items():
        count = max(PIXELS_AT_ONCE // (shape[0] * shape[1]), 1)
        for start in range(0, len(group), count):
            part = group[start : start + count]
            outputs = forward(np.stack([tile.pixels for tile in part]))
            for i, tile in enumerate(part):
                found[tile.picture].append(tile.candidates([output[i] for output in outputs], threshold))
    merged = [concatenate(parts) for parts in found]
    return [each.select(np.argsort(-each.scores, kind="stable")) for each in merged]


def _overlaps(boxes: Floats) -> Floats:
    """``(n, n)`` intersection over union."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    shared = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
    np.maximum(shared, 0, out=shared)
    tall = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    shared *= np.maximum(tall, 0, out=tall)
    areas = np.maximum((x2 - x1) * (y2 - y1), 1e-9)
    return np.asarray(shared / (areas[:, None] + areas - shared), np.float32)
