"""What could not be read of a video, counted and told in a few lines."""

from __future__ import annotations

from dataclasses import dataclass

_TOLD = 8
"""Stretches that get a line of their own."""
_STEADY, _SEEN_ENOUGH = 0.95, 25
_GREATEST_GAP = 10.0
_LEAST_GAP = 0.1
"""Seconds without a picture that count as missing ones in a video whose frames otherwise come at equal distances."""


@dataclass(slots=True)
class _Stretch:
    first: int
    last: int
    start: float
    end: float
    key: float | None = None  # seconds of the key frame behind it
    open: bool = True  # no key frame has come yet


class LossReport:
    """Account of lost frames.

    Args:
        rate: nominal frames a second.
        seconds: length of the video, None where it is not known for sure.
    """

    def __init__(self, rate: float | None, seconds: float | None = None) -> None:
        self.lost = 0
        self.absent = 0  # of these, frames that left a hole in the file
        self._rate = rate
        self._seconds = seconds
        self._stretches: list[_Stretch] = []
        self._more, self._more_absent = 0, 0
        self._holes: list[str] = []
        self._lines: list[str] = []
        self._before: float | None = None
        self._damage = False  # since the last key frame
        self._steps, self._even = 0, 0

    def decoded(self, index: int, time: float, key: bool) -> None:
        """Frame ``index`` came out whole."""
        self._gap(time)
        self._before = time
        if key:
            self._damage = False
        if self._stretches and self._stretches[-1].open and key:
            self._stretches[-1].open = False
            if index > self._stretches[-1].last + 1:
                self._stretches[-1].key = time

    def undecodable(self, index: int, time: float) -> None:
        """Frame ``index`` did not come out, or damaged."""
        self.lost += 1
        self._damage = True
        self._gap(time)
        self._before = time
        stretch = self._stretches[-1] if self._stretches else None
        if stretch is not None and stretch.open and stretch.last + 1 == index:
            stretch.last, stretch.end = index, time
        elif len(self._stretches) < _TOLD:
            if stretch is not None:
                stretch.open = False
            self._stretches.append(_Stretch(index, index, time, time))
        else:
            self._more += 1

    def missing(self, frames: int, line: str) -> None:
        """So many frames are not in the file though they should be; ``line`` says so."""
        self.lost += frames
        self.note(line)

    def note(self, line: str) -> None:
        """A problem to be told once."""
        if line not in self._lines:
            self._lines.append(line)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each."""
        lines = [_told(stretch) for stretch in self._stretches]
        if self._more:
            lines.append(f"in other places {self._more:,} more could not be decoded")
        lines += self._holes
        if self._more_absent:
            lines.append(f"in other places about {self._more_absent:,} more are missing in the file")
        return (*lines, *self._lines)

    def _gap(self, time: float) -> None:
        """Frames that left no trace: a hole in a video whose frames otherwise come at equal distances."""
        if self._before is None or not self._rate:
            return
        step = (time - self._before) * self._rate
        even = 0.5 < step < 1.5
        steady = self._steps >= _SEEN_ENOUGH and self._even >= _STEADY * self._steps
        absent = round(step) - 1
        # a damaged time stamp may lie anywhere
        likely = absent <= _GREATEST_GAP * self._rate if self._seconds is None else time <= self._seconds + 1
        likely = likely and self._before >= -1
        if likely and steady and absent > 0 and (self._damage or (absent >= 2 and absent / self._rate >= _LEAST_GAP)):
            self.lost += absent
            self.absent += absent
            if len(self._holes) < _TOLD:
                start = self._before + 1 / self._rate
                self._holes.append(f"from {start:.2f} to {time:.2f} s about {frames_are(absent)} missing in the file")
            else:
                self._more_absent += absent
        else:
            self._steps += 1
            self._even += even


def _told(stretch: _Stretch) -> str:
    if stretch.first == stretch.last:
        line = f"frame {stretch.first} ({stretch.start:.2f} s) could not be decoded"
    else:
        span = f"{stretch.start:.2f}–{stretch.end:.2f} s"
        line = f"frames {stretch.first}–{stretch.last} ({span}) could not be decoded"
    if stretch.key is not None:
        return f"{line}; those behind, up to the key frame at {stretch.key:.2f} s, may show traces of the damage"
    return line


def frames_are(count: int) -> str:
    """The subject and verb of a sentence about so many frames."""
    return "1 frame is" if count == 1 else f"{count:,} frames are"
