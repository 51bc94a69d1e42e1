"""One decoded picture, of a photo or a video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.text import quoted_end


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture, upright.

    Attributes:
        rgb: RGB uint8 ``(height, width, 3)``.
        source: where it came from (a path or a description), None for an array.
        index: 0 for a photo, the frame number in a video.
        time: seconds from the start of the video, 0.0 for a photo.
        full_size: (width, height) of the picture where ``rgb`` is a smaller version of it, else None.
            Results are in pixels of the picture.

    Examples:
        >>> frame = mien.Frame(np.zeros((48, 64, 3), np.uint8), source="photo 1", time=2.5)
        >>> frame, frame.size
        (Frame('photo 1', 64x48, index=0, time=2.500), (64, 48))
    """

    rgb: NDArray[np.uint8]
    source: str | None = None
    index: int = 0
    time: float = 0.0
    full_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.rgb.shape, self.rgb.dtype
        if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
            raise InputError(f"a frame is an RGB uint8 array (height, width, 3), got {dtype} {shape}")
        if 0 in shape:
            raise InputError(f"a frame needs at least one pixel, got shape {shape}")

    def __repr__(self) -> str:
        width, height = self.size
        parts = [] if self.source is None else [quoted_end(self.source)]
        parts += [f"{width}x{height}"] + ([] if self.full_size is None else ["of {}x{}".format(*self.full_size)])
        return f"Frame({', '.join([*parts, f'index={self.index}', f'time={self.time:.3f}'])})"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]
