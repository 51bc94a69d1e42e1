"""What the detectors that run inside OpenCV share."""

from __future__ import annotations

import cv2

from mien.cpus import thread_count


def use_threads(threads: int | None) -> None:
    """Give OpenCV this many threads; None leaves them as they are.

    OpenCV has one pool for the whole process, so this holds for every OpenCV call in it.

    Raises:
        InputError: ``threads`` is below 1.
    """
    if threads is not None:
        cv2.setNumThreads(thread_count(threads))
