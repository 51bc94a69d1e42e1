"""The one table of inputs that a network may take beside the pixels; a provider is imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ExtraInput(Protocol):
    """A vector that is computed from a face crop."""

    @property
    def length(self) -> int:
        """Numbers per face."""

    @property
    def side(self) -> int:
        """Side of the square gray crops that it is computed from, pixels."""

    def vectors(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(n, side, side, 1)`` uint8 gray → ``(n, length)`` float32."""


PROVIDERS: Mapping[str, str] = dict.fromkeys(
    ("landmarks", "hog", "hog_sliding"), "mien.published.features.catalog:FEATURES"
)
"""Name of the input in a card → ``module:table`` whose entry of that name is an `ExtraInput`."""


def find_extra_input(name: str) -> ExtraInput | None:
    """The input of this name, None where no provider computes it."""
    provider = PROVIDERS.get(name)
    if provider is None:
        return None
    module, _, table = provider.partition(":")
    feature: ExtraInput = getattr(importlib.import_module(module), table)[name]
    return feature
