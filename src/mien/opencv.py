"""OpenCV, for the modules that cannot do without it: an import error that names what to install where it is absent.

Inference imports none of them but the detectors ``haar``, ``res10`` and ``yunet``, and optical flow.
"""

from __future__ import annotations

from mien.errors import MissingExtraError

try:
    import cv2
except ImportError as error:
    raise MissingExtraError("opencv-python-headless", "opencv", "this part of Mien") from error

__all__ = ["cv2"]
