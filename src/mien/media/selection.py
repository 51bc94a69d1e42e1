"""Which frames of a source are returned: every N-th, a number per second, from one time to another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from mien.arguments import set_plain_numbers, whole_number
from mien.defaults import EVERY
from mien.errors import InputError


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """A selection among the frames of a source, by their numbers and times alone, so that every run selects the same.

    Attributes:
        every: take the frames whose number is a multiple of this.
        fps: take about this many frames per second: of each 1/fps seconds the frame nearest to its start. For numbered
            pictures, which have no times of their own, the rate at which they were taken.
        start: seconds of the first frame taken, at the earliest.
        end: seconds before which the last frame lies.

    Raises:
        InputError: a value out of range.

    Examples:
        >>> selection = FrameSelection(fps=5, start=1.0, end=3.0)
        >>> selection.expected_frames(250, 10.0, 25.0)
        10
    """

    every: int = EVERY
    fps: float | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole_number("every", self.every))
        set_plain_numbers(self, "fps", "start", "end")
        if self.every < 1:
            raise InputError(f"every is a whole number from 1, got {self.every!r}")
        for name, value, least in (("fps", self.fps, None), ("start", self.start, 0.0), ("end", self.end, None)):
            if value is None:
                continue
            if not math.isfinite(value) or (value <= 0 if least is None else value < least):
                raise InputError(f"{name} is a number {'above' if least is None else 'from'} 0, got {value}")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InputError(f"end lies after start, got start={self.start} and end={self.end}")

    def expected_frames(self, frames: int | None, seconds: float | None, rate: float | None) -> int | None:
        """How many frames will be taken; None where too little is known.

        Args:
            frames: number of frames of the source.
            seconds: length of the source.
            rate: nominal frames per second.
        """
        if frames is None:
            frames = round(seconds * rate) if seconds and rate else None
        if seconds is None and frames is not None and rate:
            seconds = frames / rate
        if frames is None or seconds is None or seconds <= 0:
            return frames if self == ALL_FRAMES else None
        first, last = min(self.start or 0.0, seconds), min(seconds if self.end is None else self.end, seconds)
        inside = frames * (last - first) / seconds
        if self.fps is not None:
            inside = min(inside, (last - first) * self.fps)
        return max(0, math.ceil(inside / self.every - 1e-6))


ALL_FRAMES: Final = FrameSelection()
"""Every frame from the first to the last."""


class FrameSelector:
    """Goes through the frames of a source in order and decides which are taken.

    Args:
        selection: which frames to take.
        rate: nominal frames per second of the source; a time may be off by half a frame (containers round times).
        after: number of the last frame that an earlier run has taken; only frames behind it are taken.

    Raises:
        InputError: ``after`` below 0, or a selection with both ``every`` and ``fps``.
    """

    def __init__(self, selection: FrameSelection, rate: float | None, after: int | None = None) -> None:
        if after is not None and after < 0:
            raise InputError(f"after is the number of a frame, from 0, got {after}")
        if selection.fps is not None and selection.every != 1:
            raise InputError("give every or fps, not both: every counts frames, fps uses their times")
        self._selection, self._after = selection, after
        self._slack = 0.0
        if selection.fps is not None and rate:
            self._slack = 0.5 / max(rate, selection.fps)
        self._slot: int | None = None

    def selects(self, index: int, time: float) -> bool:
        """Whether frame number ``index`` at ``time`` seconds is taken; must be called for every frame, in order."""
        selection = self._selection
        if selection.start is not None and time < selection.start:
            return False
        new_slot = True
        if selection.fps is not None:
            slot = math.floor((time + self._slack) * selection.fps + 1e-6)
            new_slot, self._slot = slot != self._slot, slot
        return new_slot and index % selection.every == 0 and (self._after is None or index > self._after)

    def is_past_end(self, time: float) -> bool:
        """Whether ``time`` lies behind the last frame that can be taken."""
        return self._selection.end is not None and time >= self._selection.end
