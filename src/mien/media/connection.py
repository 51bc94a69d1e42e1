"""What a live source reads from until it breaks: a camera or an address, once opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import VideoError


class ReceivedFrame(NamedTuple):
    """A picture as it came in.

    Attributes:
        rgb: RGB uint8 ``(h, w, 3)``, upright; None where it could not be decoded.
        stamp: seconds by the sender's own clock, None where it has none worth following.
    """

    rgb: NDArray[np.uint8] | None
    stamp: float | None


class ConnectionLostError(VideoError):
    """A link that cannot be made, or has ended; the message says why."""


class Connection(Protocol):
    """An open camera or stream.

    Attributes:
        codec: short name of the codec, "camera" for a camera.
        rate: nominal frames a second, None where it is not known.
        rotation: degrees clockwise by which the pictures are turned.
        has_audio: whether there is sound too.
        seconds: length of a recording that is sent over the network, None of anything live.
        paced: pictures come in lumps and are to be handed out by their stamps.
    """

    codec: str
    rate: float | None
    rotation: int
    has_audio: bool
    seconds: float | None
    paced: bool

    def pictures(self) -> Iterator[ReceivedFrame]:
        """Pictures as they come; ends where the sender ends it.

        Raises:
            BrokenError: it stalls, breaks or cannot be read any more.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
