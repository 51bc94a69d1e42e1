"""What the frames of a video say together about each face."""

from mien.smoothing.smoother import Smoothed, Smoother

__all__ = ["Smoothed", "Smoother"]
