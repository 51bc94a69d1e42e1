"""Smoothing over time: filtered predictions, stable labels, votes, episodes and pooled predictions of each track.

Photos need the options at most, so the smoother is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.smoothing.options import SmoothingOptions

if TYPE_CHECKING:
    from mien.smoothing.smoother import SmoothedFaces, Smoother

__all__ = ["SmoothedFaces", "Smoother", "SmoothingOptions"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mien.smoothing import smoother

    return getattr(smoother, name)
