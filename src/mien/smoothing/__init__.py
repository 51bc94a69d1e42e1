"""Smoothing over time: filtered predictions, stable labels, votes, episodes and pooled predictions of each track."""

from mien.smoothing.options import SmoothingOptions
from mien.smoothing.smoother import SmoothedFaces, Smoother

__all__ = ["SmoothedFaces", "Smoother", "SmoothingOptions"]
