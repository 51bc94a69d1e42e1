"""Times of the frames of a live source: the sender's timestamps where they can be used, else the time of arrival."""

from __future__ import annotations

import math
import time

_MIN_STEP = 1e-3
"""Seconds between frames that arrive at once."""
_MAX_DRIFT, _MAX_BURSTY_DRIFT = 5.0, 50.0
"""Seconds by which the sender's clock may differ from this computer's before it is aligned again; the second where
frames arrive several seconds at a time."""


class LiveClock:
    """Seconds since the first frame, strictly growing.

    Args:
        recording: use the sender's timestamps alone, however fast the frames arrive.

    Attributes:
        last: seconds of the latest frame, −inf before the first.
        arrival: when that frame arrived, on this computer's monotonic clock.
    """

    def __init__(self, *, recording: bool) -> None:
        self._recording = recording
        self._zero = self.arrival = time.monotonic()
        self._offset: float | None = None
        self.last = -math.inf

    def restart(self) -> None:
        """After a new connection: its timestamps are unrelated to those before."""
        self._offset = None

    def stamp_frame(self, timestamp: float | None, *, bursty: bool) -> float:
        """Seconds of a frame that arrives now with this ``timestamp`` of its sender."""
        self.arrival = time.monotonic()
        if self.last == -math.inf:
            self._zero = self.arrival
        arrived = sent = self.arrival - self._zero
        if timestamp is not None:
            if self._offset is None:
                self._offset = arrived - timestamp
            sent = timestamp + self._offset
            if not self._recording and abs(sent - arrived) > (_MAX_BURSTY_DRIFT if bursty else _MAX_DRIFT):
                self._offset, sent = arrived - timestamp, arrived
        self.last = max(sent, self.last + _MIN_STEP)
        return self.last

    def seconds_until(self, seconds: float) -> float:
        """Seconds from now to the time of a frame."""
        return max(0.0, self._zero + seconds - time.monotonic())
