"""The protocols of face detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    # imported for types only: the command line reads the names of detectors without loading NumPy
    import numpy as np
    from numpy.typing import NDArray

    from mien.results.faces import Faces


class Detector(Protocol):
    """Finds faces in one picture. Safe to call from several threads.

    Examples:
        >>> class WholePicture:
        ...     name = "default"
        ...     def detect(self, rgb):
        ...         height, width = rgb.shape[:2]
        ...         return mien.Faces.detected(np.array([[0, 0, width, height]]), np.ones(1), None, (width, height))
        >>> detector = WholePicture()
        >>> detector.name, len(detector.detect(np.zeros((48, 64, 3), np.uint8)))
        ('default', 1)
        >>> mien.Analyzer(models=[], detector=detector).analyze("photo.jpg")[0].box
        (0.0, 0.0, 512.0, 512.0)
    """

    @property
    def name(self) -> str:
        """The detector's name in `mien.detect.DETECTORS`."""
        ...

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        ...


@runtime_checkable
class BatchDetector(Protocol):
    """A detector that also takes several pictures at once.

    Examples:
        >>> from mien.detect import make_detector
        >>> detector = make_detector("mien", threads=1)
        >>> isinstance(detector, BatchDetector)
        True
        >>> pictures = [mien.load_image(name).rgb for name in ("photo.jpg", "other.jpg")]
        >>> [len(faces) for faces in detector.detect_batch(pictures)]
        [1, 1]
    """

    def detect_batch(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """As `Detector.detect` for each RGB uint8 ``(h, w, 3)`` picture."""
        ...


@runtime_checkable
class RefiningDetector(Protocol):
    """A detector that can also detect faces only where some are expected.

    Examples:
        >>> from mien.detect import make_detector
        >>> detector = make_detector("mien", threads=1)
        >>> isinstance(detector, RefiningDetector), 0 < detector.recovery_score < 1
        (True, True)
        >>> faces, origin = detector.refine(mien.load_image("photo.jpg").rgb, result.boxes)
        >>> len(faces), origin
        (1, array([0]))
    """

    @property
    def recovery_score(self) -> float:
        """Least score, 0–1, of a face that `refine` finds where `detect` found none: most others are parts of faces."""
        ...

    def refine(self, rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> tuple[Faces, NDArray[np.intp]]:
        """The faces near ``(m, 4)`` boxes, and ``(n,)`` the index of the box that led to each.

        Args:
            rgb: RGB uint8 ``(h, w, 3)``.
            boxes: ``(m, 4)`` xyxy pixels, around which faces are expected.
        """
        ...
