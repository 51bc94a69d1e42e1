"""Feature vectors of 48×48 gray faces, for networks and classifiers with inputs beside pixels.

Source: A. Horseman (github.com/amineHorseman/facial-expression-recognition-using-cnn); each file names its own.
"""

from __future__ import annotations

from mien.published.features.cache import compute_features_cached
from mien.published.features.catalog import (
    FEATURES,
    SIDE,
    FeatureExtractor,
    compute_features,
    concatenate_features,
    parse_feature_names,
)

__all__ = [
    "FEATURES",
    "SIDE",
    "FeatureExtractor",
    "compute_features",
    "compute_features_cached",
    "concatenate_features",
    "parse_feature_names",
]
