"""Which frames of a source are handed out: every n-th, so many a second, from here to there, after those done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mien.errors import InputError


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """A choice among the frames of a source, by their numbers and times alone, so that every run chooses the same.

    Attributes:
        every: take the frames whose number is a multiple of this.
        fps: take about so many frames a second: of each 1/fps seconds the frame nearest to its start.
        start: seconds of the first frame taken, at the earliest.
        end: seconds before which the last frame lies.
        after: number of the last frame that an earlier run has done; the choice goes on behind it.
    """

    every: int = 1
    fps: float | None = None
    start: float | None = None
    end: float | None = None
    after: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise InputError(f"every is a whole number from 1, got {self.every!r}")
        for name, value, least in (("fps", self.fps, None), ("start", self.start, 0.0), ("end", self.end, None)):
            if value is None:
                continue
            if not math.isfinite(value) or (value <= 0 if least is None else value < least):
                raise InputError(f"{name} is a number {'above' if least is None else 'from'} 0, got {value}")
        if self.fps is not None and self.every != 1:
            raise InputError("give every or fps, not both: every counts frames, fps goes by their times")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise InputError(f"end lies after start, got start={self.start} and end={self.end}")
        if self.after is not None and self.after < 0:
            raise InputError(f"after is the number of a frame, from 0, got {self.after}")

    def expected(self, frames: int | None, seconds: float | None, rate: float | None) -> int | None:
        """How many frames will be taken, ``after`` aside; None where too little is known.

        Args:
            frames: number of frames of the source.
            seconds: length of the source.
            rate: nominal frames a second.
        """
        if frames is None:
            frames = round(seconds * rate) if seconds and rate else None
        if seconds is None and frames is not None and rate:
            seconds = frames / rate
        if frames is None or seconds is None or seconds <= 0:
            return frames if self == FrameSelection(after=self.after) else None
        first, last = min(self.start or 0.0, seconds), min(seconds if self.end is None else self.end, seconds)
        inside = frames * (last - first) / seconds
        if self.fps is not None:
            inside = min(inside, (last - first) * self.fps)
        return max(0, math.ceil(inside / self.every - 1e-6))


class FrameSelector:
    """Goes along the frames in order and says of each whether it is taken.

    Args:
        choice: what to take.
        rate: nominal frames a second of the source; half a frame is what a time may be off (containers round times).
    """

    def __init__(self, choice: FrameSelection, rate: float | None) -> None:
        self._choice = choice
        self._slack = 0.0
        if choice.fps is not None and rate:
            self._slack = 0.5 / max(rate, choice.fps)
        self._slot: int | None = None

    def takes(self, index: int, time: float) -> bool:
        """Whether frame number ``index`` at ``time`` seconds is taken; to be asked for every frame, in order."""
        choice = self._choice
        if choice.start is not None and time < choice.start:
            return False
        fresh = True
        if choice.fps is not None:
            slot = math.floor((time + self._slack) * choice.fps + 1e-6)
            fresh, self._slot = slot != self._slot, slot
        return fresh and index % choice.every == 0 and (choice.after is None or index > choice.after)

    def over(self, time: float) -> bool:
        """Whether ``time`` lies behind the last frame that can be taken."""
        return self._choice.end is not None and time >= self._choice.end
