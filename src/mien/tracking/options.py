"""How faces are tracked: one frozen value, passed whole from Python, the command line and the service."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mien import defaults
from mien.arguments import set_plain_numbers, whole_number
from mien.errors import InputError


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """How faces are tracked through a video.

    Attributes:
        detect_every: detect faces in every N-th frame and propagate them in between; 1 detects in every frame.
        max_gap: seconds that a face may be hidden and still be the same track.
        min_track: seconds that a face must be visible to be among the tracks of the report; false detections are
            shorter. Rows are written for all.

    Raises:
        InputError: a value out of range.

    Examples:
        >>> analyzer.video("clip.mp4", tracking=TrackingOptions(detect_every=5, min_track=0.2))
        VideoReport('clip.mp4', 320x144, 1.0 s, 25 frames, 2 tracks)
    """

    detect_every: int = defaults.DETECT_EVERY
    max_gap: float = defaults.MAX_GAP
    min_track: float = defaults.MIN_TRACK

    def __post_init__(self) -> None:
        object.__setattr__(self, "detect_every", whole_number("detect_every", self.detect_every))
        set_plain_numbers(self, "max_gap", "min_track")
        if self.detect_every < 1:
            raise InputError(f"detect_every is at least 1 (every frame), got {self.detect_every}")
        if not 0 < self.max_gap < math.inf:
            raise InputError(f"max_gap is a time in seconds above 0, got {self.max_gap}")
        if not self.min_track >= 0:
            raise InputError(f"min_track is a time in seconds, at least 0, got {self.min_track}")
