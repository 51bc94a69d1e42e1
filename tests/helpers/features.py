"""Faces that feature vectors are computed from."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.datasets import noise
from helpers.pictures import astronaut

FACES = noise(40, 48, 48)
needs_dlib = pytest.mark.skipif(find_spec("dlib") is None, reason="needs mien[landmarks]")


def astronaut_face() -> NDArray[np.uint8]:
    """(48, 48) gray, the face close about."""
    gray = cv2.cvtColor(astronaut()[55:180, 165:290], cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
