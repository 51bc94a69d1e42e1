"""An open camera or address, from which a live source reads until it is interrupted, and when it connects again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, VideoError


class ReceivedFrame(NamedTuple):
    """A frame as it arrived.

    Attributes:
        rgb: RGB uint8 ``(h, w, 3)``, upright; None where it could not be decoded.
        timestamp: seconds on the sender's own clock, None where it has none that can be used.
    """

    rgb: NDArray[np.uint8] | None
    timestamp: float | None


class ConnectionLostError(VideoError):
    """A connection that cannot be made, or has been lost; has no ``path``."""

    default_code = "source-unreachable"


class Connection(Protocol):
    """An open camera or stream.

    Attributes:
        codec: short name of the codec, "camera" for a camera.
        rate: nominal frames per second, None where it is not known.
        rotation: degrees clockwise by which the frames are turned.
        has_audio: whether there is sound too.
        seconds: length of a recording that is sent over the network, None of anything live.
        bursty: frames arrive several seconds at a time and must be returned at the pace of their timestamps.
    """

    codec: str
    rate: float | None
    rotation: int
    has_audio: bool
    seconds: float | None
    bursty: bool

    def frames(self) -> Iterator[ReceivedFrame]:
        """Frames as they arrive; ends where the sender ends it.

        Raises:
            ConnectionLostError: it stalls, is interrupted or cannot be read any more.
        """
        ...

    def close(self) -> None:
        """Release the camera or the connection."""
        ...


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """When to connect again after a stream ends, stalls or is interrupted.

    Attributes:
        max_attempts: attempts in a row before giving up; 0 never connects again, None never gives up.
        max_seconds: give up when no frame has arrived for this long; None for no such limit.
        first_wait: seconds before the first attempt.
        wait_factor: each wait is this many times the one before.
        max_wait: seconds at most between attempts.

    Raises:
        InputError: a value out of range.
    """

    max_attempts: int | None = 10
    max_seconds: float | None = None
    first_wait: float = 0.5
    wait_factor: float = 2.0
    max_wait: float = 30.0

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.max_attempts < 0:
            raise InputError(f"max_attempts is at least 0, or None, got {self.max_attempts}")
        if self.first_wait < 0:
            raise InputError(f"first_wait is at least 0 seconds, got {self.first_wait}")
        if self.wait_factor < 1:
            raise InputError(f"wait_factor is at least 1, got {self.wait_factor}")
        if self.max_wait < self.first_wait:
            raise InputError(f"max_wait is at least first_wait ({self.first_wait} seconds), got {self.max_wait}")

    def wait_before(self, attempt: int) -> float:
        """Seconds before attempt number ``attempt``, from 0."""
        # the exponent is bounded because a float is
        return min(self.max_wait, self.first_wait * self.wait_factor ** min(attempt, 64))
