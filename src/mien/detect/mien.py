"""Mien's own detector: one network in 8 bits for boxes and scores, a small second one for the five points.

It finds more than half of the faces below 16 pixels and nearly all from 32, and was trained on photos under free
licences (`mien.recipes.detector`); what it finds on photos held out is in ``docs/results/detector.json``. Its labels
come from other detectors, so it shares some of their mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.defaults import DEVICE, MIN_FACE
from mien.detect.argument_checks import check_min_face, check_probability, picture_size, smallest_face
from mien.detect.landmark_refinement import refine, roll_angles
from mien.detect.plausibility import implausible
from mien.detect.raw_output import faces_from_rows, rows_of_faces
from mien.detect.single_shot import (
    STRIDES,
    CandidateBoxes,
    Floats,
    concatenate,
    confirm,
    detect,
    detect_again,
    detect_near,
    suppress,
)
from mien.errors import MissingFileError, ModelError
from mien.models.packaged_files import PackagedFile
from mien.models.session import Session, open_session, run_session
from mien.results.faces import Faces

NETWORK = PackagedFile(
    "mien",
    "models/files/detector-int8.onnx",
    "0baad8857631cdbc2fe9fae0df55c64d2d0c9c301eefbf7a9de7d86f60830d36",
    "mien",
)
FLOAT_NETWORK = PackagedFile(
    "mien",
    "models/files/detector.onnx",
    "1f8802c67194e1d2bc4bf356c45353123f914c832eb434497023b51cda99fae9",
    "mien",
)
"""The same network in float32, from which training starts and which other devices may run."""
LANDMARKS = PackagedFile(
    "mien",
    "models/files/landmarks.onnx",
    "9fc794fa1bb815f3fd10cdd75375a311fed8acd086fa99b8c458072ef7fec2ca",
    "mien",
)

CONFIDENCE = 0.5
"""Lowest score of a face; for doubtful faces, after the second pass on a crop around them."""
DOUBTFUL = (0.3, 0.8)
"""Scores of the first pass from which, and below which, a face is doubtful."""
LARGE_CONFIDENCE = 0.64
"""Lowest score in the first pass at stride 32, where faces from 88 pixels are found: real ones score higher there."""
NEAR_CONFIDENCE = 0.536
"""Lowest score of a face in the single pass on a crop around it (`MienDetector.refine`)."""
PLAUSIBLE_CONFIDENCE = 0.75
"""Score below which a face may be implausible next to the others, see `mien.detect.plausibility`."""
SURE_CONFIDENCE = 0.82
"""Best score of a picture from which small copies are not searched: upside-down faces reach 0.77 in the first pass."""
SECOND_CONFIDENCE = 0.72
"""Lowest score of a face that only the search of small copies finds."""
SMALLEST, RELIABLE = 16, 20
"""Height in pixels of the smallest faces that the network finds, and that a picture is shrunk to for larger ones."""
MAX_SCALE = 2.0
"""Pictures are enlarged at most this many times for faces below `SMALLEST`."""
RUN_FILE = "detector.onnx"
"""What the training of a detector exports into its run folder, in float32."""
_FACES_AT_ONCE = 32
"""Faces in one run of the network of landmarks: activations of more do not stay in the processor's cache."""
OUTPUTS = tuple(f"stride{stride}" for stride in STRIDES)


class MienDetector:
    """Mien's own detector in ONNX Runtime. Safe to call from several threads.

    If no face is certain, small copies are searched for a face larger than the picture, and for faces rotated by 90° or
    180°, whose landmarks then show the angle.

    Args:
        min_face: height of the smallest face to detect, pixels: it sets the scale at which a picture is scanned, and so
            the cost; smaller faces are dropped. None scans for 16 pixels, and 1/80 of the longer side of pictures above
            1,280 pixels, and drops none.
        threads: threads of ONNX Runtime inside one operator; None takes the available CPUs, at most 4.
        confidence: lowest score, 0–1; None for `CONFIDENCE`, and for large faces `LARGE_CONFIDENCE` in the first pass.
        device: what the networks run on, see `mien.models.devices.DEVICES`.
        model: file of another network that `mien train detector` exported; None for the one that ships.

    Raises:
        MissingFileError: ``model`` does not exist.
        ModelError: the weights are missing or damaged, or those of another kind of network.
        InputError: an option outside its range.

    Examples:
        >>> from mien.detect import make_detector
        >>> len(make_detector("mien").detect(np.full((96, 128, 3), 128, np.uint8)))
        0
    """

    name = "mien"
    recovery_score = 0.67
    """Least score of a face that `refine` finds where `detect` found none."""

    def __init__(
        self,
        min_face: int | None = MIN_FACE,
        threads: int | None = None,
        confidence: float | None = None,
        device: str = DEVICE,
        model: Path | None = None,
    ) -> None:
        self._min_face = check_min_face(min_face)
        self._confidence = CONFIDENCE if confidence is None else check_probability("confidence", confidence)
        # of the mean of two scores neither can be lower than this
        low = max(min(DOUBTFUL[0], self._confidence), self._confidence**2)
        self._doubtful = (low, DOUBTFUL[1])
        large = max(low, LARGE_CONFIDENCE) if confidence is None else low
        near = NEAR_CONFIDENCE if confidence is None else self._confidence
        self._first = (_inside(low), _inside(low), _inside(large))
        self._near = _inside(near)
        self._network = _open_network(model, threads, device)
        self._landmarks = open_session(LANDMARKS.read(), threads=threads, name=LANDMARKS.filename, device=device)

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        return self.detect_batch([rgb])[0]

    def detect_batch(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """As `detect` for several pictures; those of one size go through the networks together."""
        if not pictures:
            return []
        sizes = [picture_size(rgb) for rgb in pictures]
        scales = [scale_for(smallest_face(self._min_face, size)) for size in sizes]
        # without a requested size, smaller faces that are found are kept
        smallest = self._min_face or 0
        first = detect(self._forward, pictures, self._first, scales)
        unsure = [i for i, each in enumerate(first) if not len(each) or each.scores[0] < SURE_CONFIDENCE]
        counting = [
            each.select(rows_of_faces(each.boxes, each.scores, size, min_face=smallest))
            for each, size in zip(first, sizes, strict=True)
        ]
        found = confirm(self._forward, pictures, counting, self._doubtful)
        found = [each.select(each.scores >= self._confidence) for each in found]
        second = _inside(max(SECOND_CONFIDENCE, self._confidence))
        again = detect_again(self._forward, [pictures[i] for i in unsure], second)
        for i, more in zip(unsure, again, strict=True):
            found[i] = _merge(found[i], more)
        found = [each.select(~_implausible(each)) for each in found]
        boxes = [each.boxes for each in found]
        points = refine(self._points, pictures, boxes, [each.landmarks for each in found])
        return [
            faces_from_rows(each.boxes, each.scores, five, size, min_face=smallest)
            for each, five, size in zip(found, points, sizes, strict=True)
        ]

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """Detect faces only where some are expected, such as near those of the previous frame.

        The network runs on a small crop around each box. Several boxes that lead to the same face leave one.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``.
            boxes: ``(m, 4)`` finite xyxy pixels, about as `detect` returns them; they may extend beyond the picture.

        Returns:
            The faces as from `detect`, best score first, and ``(n,)`` the index of the box that led to each.

        Raises:
            InputError: another kind of picture, or boxes that are not finite.
        """
        size = picture_size(rgb)
        found, origin = detect_near(self._forward, rgb, np.asarray(boxes, np.float64).reshape(-1, 4), self._near)
        points = refine(self._points, [rgb], [found.boxes], [found.landmarks])[0]
        faces = faces_from_rows(found.boxes, found.scores, points, size)
        return faces, origin[rows_of_faces(found.boxes, found.scores, size)]

    def _forward(self, images: NDArray[np.uint8]) -> Sequence[Floats]:
        return run_session(self._network, OUTPUTS, {"images": images}, NETWORK.filename)

    def _points(self, crops: NDArray[np.uint8]) -> Floats:
        parts = [crops[start : start + _FACES_AT_ONCE] for start in range(0, len(crops), _FACES_AT_ONCE)]
        run = [run_session(self._landmarks, ("points",), {"images": part}, LANDMARKS.filename)[0] for part in parts]
        return np.asarray(np.concatenate(run), np.float32)


def _open_network(model: Path | None, threads: int | None, device: str) -> Session:
    """The network that ships, or one of the same kind."""
    if model is None:
        return open_session(NETWORK.read(), threads=threads, name=NETWORK.filename, device=device)
    if not model.is_file():
        raise MissingFileError("no such file", path=model, advice=f"give {RUN_FILE} of a run of `mien train detector`")
    session = open_session(model, threads=threads, device=device)
    if [one.name for one in session.inputs] != ["images"] or {one.name for one in session.outputs} != set(OUTPUTS):
        raise ModelError("is no network of this detector", path=model, advice=f"give {RUN_FILE} of a run folder")
    return session


def _inside(score: float) -> float:
    """As the network's decoding takes it: above 0 and below 1."""
    return min(max(score, 1e-4), 1 - 1e-6)


def scale_for(min_face: int) -> float:
    """Factor by which a picture is scaled so that faces of ``min_face`` pixels are found: one over a whole number where
    such faces then have `SMALLEST` to `RELIABLE` pixels, because means of whole blocks are cheap.
    """
    if min_face < SMALLEST:
        return min(SMALLEST / min_face, MAX_SCALE)
    block = -(-min_face // RELIABLE)
    return 1 / block if block * SMALLEST <= min_face else min(1.0, RELIABLE / min_face)


def _implausible(found: CandidateBoxes) -> NDArray[np.bool_]:
    """Which faces the surer ones of their picture make implausible."""
    quarters = np.round(roll_angles(found.landmarks) / (np.pi / 2)).astype(np.intp)
    return implausible(found.boxes, found.scores, PLAUSIBLE_CONFIDENCE, quarters)


def _merge(first: CandidateBoxes, second: CandidateBoxes) -> CandidateBoxes:
    """The faces of two looks, of those that overlap the better one."""
    if not len(second):
        return first
    both = concatenate([first, second])
    return suppress(both.select(np.argsort(-both.scores, kind="stable")), vote=1.0)
