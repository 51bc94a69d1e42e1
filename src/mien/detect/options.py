"""How faces are detected: one frozen value, passed whole from Python, the command line and the service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien import defaults
from mien.arguments import set_plain_numbers
from mien.errors import InputError


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Options of a detector.

    Attributes:
        detector: a name in `mien.detect.DETECTORS`.
        min_face: height of the smallest face to detect, pixels; smaller is slower. None for 16 pixels, and 1/80 of the
            longer side of pictures above 1,280 pixels.
        threshold: least score of a face, 0–1; None for the detector's own.
        max_side: pixels of the longer side above which a picture is shrunk before detection; None for no limit.
        detector_model: file of the detector's weights, for detectors that need one from the user.

    Raises:
        InputError: a value out of range.

    Examples:
        >>> DetectionOptions("mien", min_face=48, threshold=0.8).max_side is None
        True
    """

    detector: str = defaults.DETECTOR
    min_face: int | None = defaults.MIN_FACE
    threshold: float | None = None
    max_side: int | None = None
    detector_model: Path | None = None

    def __post_init__(self) -> None:
        set_plain_numbers(self, "min_face", "threshold", "max_side")
        if self.min_face is not None and not self.min_face >= 1:
            raise InputError(f"min_face is a size in pixels and must be at least 1, got {self.min_face}")
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise InputError(f"threshold is a score between 0 and 1, got {self.threshold}")
        if self.max_side is not None and not self.max_side >= 1:
            raise InputError(f"max_side is a size in pixels and must be at least 1, got {self.max_side}")
