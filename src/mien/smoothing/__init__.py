"""What the frames of a video show together about each face."""

from mien.smoothing.options import SmoothingOptions
from mien.smoothing.smoother import SmoothedFaces, Smoother

__all__ = ["SmoothedFaces", "Smoother", "SmoothingOptions"]
