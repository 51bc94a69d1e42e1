"""Counts what could not be read of a video and reports it in a few lines."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_LISTED = 8
"""Stretches that get a line of their own."""
_STEADY_SHARE, _MIN_STEPS = 0.95, 25
"""Share of equal distances, among at least so many, for a video's frames to count as equally spaced."""
_MAX_GAP = 10.0
_MIN_GAP = 0.1
"""Seconds without a picture that count as missing frames in a video whose frames are otherwise equally spaced."""


@dataclass(slots=True)
class _LossStretch:
    first: int
    last: int
    start: float
    end: float
    key: float | None = None  # seconds of the key frame behind it
    open: bool = True  # no key frame has come yet


class LossReport:
    """Record of the lost frames of a video.

    Args:
        rate: nominal frames per second.
        seconds: length of the video, None where it is not known for sure.

    Attributes:
        lost: frames so far that could not be decoded or are missing in the file.
        in_gaps: of these, frames that left a gap between two others.
    """

    def __init__(self, rate: float | None, seconds: float | None = None) -> None:
        self.lost = 0
        self.in_gaps = 0
        self._rate = rate
        self._seconds = seconds
        self._stretches: list[_LossStretch] = []
        self._unlisted, self._unlisted_in_gaps = 0, 0
        self._gaps: list[str] = []
        self._lines: list[str] = []
        self._previous: float | None = None
        self._damaged = False  # since the last key frame
        self._steps, self._even_steps = 0, 0

    def add_decoded(self, index: int, time: float, key: bool) -> None:
        """Frame ``index`` was decoded whole."""
        self._check_gap(time)
        self._previous = time
        if key:
            self._damaged = False
        if self._stretches and self._stretches[-1].open and key:
            self._stretches[-1].open = False
            if index > self._stretches[-1].last + 1:
                self._stretches[-1].key = time

    def add_undecodable(self, index: int, time: float) -> None:
        """Frame ``index`` could not be decoded, or is damaged."""
        self.lost += 1
        self._damaged = True
        self._check_gap(time)
        self._previous = time
        stretch = self._stretches[-1] if self._stretches else None
        if stretch is not None and stretch.open and stretch.last + 1 == index:
            stretch.last, stretch.end = index, time
        elif len(self._stretches) < _MAX_LISTED:
            if stretch is not None:
                stretch.open = False
            self._stretches.append(_LossStretch(index, index, time, time))
        else:
            self._unlisted += 1

    def add_missing(self, frames: int, line: str) -> None:
        """So many frames are not in the file though they should be; ``line`` reports it."""
        self.lost += frames
        self.add_problem(line)

    def add_problem(self, line: str) -> None:
        """A problem to report once."""
        if line not in self._lines:
            self._lines.append(line)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line each."""
        lines = [_stretch_line(stretch) for stretch in self._stretches]
        if self._unlisted:
            lines.append(f"in other places {self._unlisted:,} more could not be decoded")
        lines += self._gaps
        if self._unlisted_in_gaps:
            lines.append(f"in other places about {self._unlisted_in_gaps:,} more are missing in the file")
        return (*lines, *self._lines)

    def _check_gap(self, time: float) -> None:
        """Count frames that left no trace: a gap in a video whose frames are otherwise equally spaced."""
        if self._previous is None or not self._rate:
            return
        step = (time - self._previous) * self._rate
        even = 0.5 < step < 1.5
        steady = self._steps >= _MIN_STEPS and self._even_steps >= _STEADY_SHARE * self._steps
        missing = round(step) - 1
        # a damaged timestamp may lie anywhere
        likely = missing <= _MAX_GAP * self._rate if self._seconds is None else time <= self._seconds + 1
        likely = likely and self._previous >= -1
        wide = missing >= 2 and missing / self._rate >= _MIN_GAP
        if likely and steady and missing > 0 and (self._damaged or wide):
            self.lost += missing
            self.in_gaps += missing
            if len(self._gaps) < _MAX_LISTED:
                start = self._previous + 1 / self._rate
                self._gaps.append(f"from {start:.2f} to {time:.2f} s about {frames_are(missing)} missing in the file")
            else:
                self._unlisted_in_gaps += missing
        else:
            self._steps += 1
            self._even_steps += even


def _stretch_line(stretch: _LossStretch) -> str:
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
