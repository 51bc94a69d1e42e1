"""Cameras of this computer, through OpenCV."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mien.media.connection import ConnectionLostError, ReceivedFrame

_SILENT = 0
_MAX_FAILED_READS = 5
"""Failed reads in a row before a camera counts as gone; some fail once while they warm up."""


class Camera:
    """An open camera, a `Connection`.

    Args:
        where: number of the camera from 0, or the path of its device.
        size: (width, height) to request; the camera uses the nearest that it can.

    Raises:
        ConnectionLostError: there is no such camera, it may not be used, or it returns no picture.
    """

    codec: str = "camera"
    rotation: int = 0
    has_audio: bool = False
    seconds: float | None = None
    bursty: bool = False

    def __init__(self, where: int | str, size: tuple[int, int] | None = None) -> None:
        import cv2

        with _silence_opencv():
            self._capture = cv2.VideoCapture(where)
            if not self._capture.isOpened():
                self._capture.release()
                raise _open_error(where)
            if size is not None:
                self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
                self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
            rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate: float | None = rate if 0 < rate <= 1000 else None

    def frames(self) -> Iterator[ReceivedFrame]:
        """Frames as the camera returns them, without timestamps: it has no clock that can be used."""
        import cv2

        failed = 0
        while failed < _MAX_FAILED_READS:
            with _silence_opencv():
                success, bgr = self._capture.read()
            if success and bgr is not None and bgr.size:
                failed = 0
                yield ReceivedFrame(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), None)
            else:
                failed += 1
        raise ConnectionLostError(
            "the camera returns no picture any more", advice="is it unplugged, or did another program take it?"
        )

    def close(self) -> None:
        """Release the camera for other programs."""
        self._capture.release()


@contextlib.contextmanager
def _silence_opencv() -> Iterator[None]:
    import cv2

    # moved in OpenCV 4.11
    log: Any = cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2
    level = log.getLogLevel()
    log.setLogLevel(_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)


def _open_error(where: int | str) -> ConnectionLostError:
    """Why a camera cannot be opened, as far as the system reports it, and what to do."""
    system = platform.system()
    if system == "Linux":
        device = Path(f"/dev/video{where}") if isinstance(where, int) else Path(where)
        if not device.exists():
            others = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
            there = f"there are {', '.join(others)}" if others else "this computer, or container, sees no camera at all"
            return ConnectionLostError(
                f"is not there: {there}", advice="plug it in, or give the number of another one or an address"
            )
        if not os.access(device, os.R_OK | os.W_OK):
            return ConnectionLostError(
                f"{device} may not be used", advice="'sudo usermod -aG video $USER', then log in again"
            )
        return ConnectionLostError(
            f"{device} returns no pictures", advice="close other programs that use it, or try the next number"
        )
    settings = {
        "Darwin": "System Settings → Privacy & Security → Camera",
        "Windows": "Settings → Privacy & security → Camera",
    }.get(system, "the system's settings")
    return ConnectionLostError(
        "cannot be opened",
        advice=f"plug it in, close other programs that use it, and allow this one to use cameras in {settings}",
    )
