"""How often the labels of a model are expected; loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT, PHOTOS, BALANCED = "default", "photos", "balanced"
PRIORS: Mapping[str, str] = {
    DEFAULT: "between the two, best on the mean of accuracy and balanced accuracy; for age ranges that of photos",
    PHOTOS: "labels as frequent as in the photographs that the network learned from",
    BALANCED: "all labels equally frequent, as with posed or acted faces, or people of all ages",
}
"""Name of a prior → what it expects.

Examples:
    >>> list(PRIORS)
    ['default', 'photos', 'balanced']
    >>> mien.Analyzer(models=["emotion"], prior="balanced", threads=1).models
    ModelSet(emotion='emotion ... prior balanced')
"""
