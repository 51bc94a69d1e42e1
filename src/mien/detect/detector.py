"""What every face detector promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # the command line reads the names of detectors without loading NumPy
    import numpy as np
    from numpy.typing import NDArray

    from mien.results.faces import Faces


class Detector(Protocol):
    """Finds faces in one picture. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The detector's name in `mien.detect.DETECTORS`."""
        ...

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        """The faces of an RGB uint8 ``(h, w, 3)`` picture, best score first, boxes clamped to the picture."""
        ...
