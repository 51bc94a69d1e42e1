"""Threads of the detectors that run inside OpenCV."""

from __future__ import annotations

from mien.cpus import thread_count
from mien.opencv import cv2


def set_opencv_threads(threads: int | None) -> None:
    """Set the number of OpenCV's threads; None leaves it as it is.

    OpenCV has one pool for the whole process, so this holds for every OpenCV call in it.

    Raises:
        InputError: ``threads`` is below 1.
    """
    if threads is not None:
        cv2.setNumThreads(thread_count(threads))
