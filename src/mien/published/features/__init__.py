"""Feature vectors of 48×48 gray faces, for networks and classifiers that take more than pixels."""

from __future__ import annotations

from mien.published.features.cache import cached
from mien.published.features.table import FEATURES, SIDE, Feature, chosen, compute, join

__all__ = ["FEATURES", "SIDE", "Feature", "cached", "chosen", "compute", "join"]
