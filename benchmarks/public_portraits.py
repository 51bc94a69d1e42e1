"""Public-domain portraits in packages that the tests need anyway; no package is imported."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PORTRAITS = (
    ("skimage", "data/astronaut.png", "scikit-image"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "matplotlib"),
)
"""Module, file in it, package to install."""


def portrait() -> Path:
    """Eileen Collins by NASA, 512×512, lossless, from scikit-image."""
    module, file, package = PORTRAITS[0]
    spec = find_spec(module)
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(folder) / file
        if path.is_file():
            return path
    sys.exit(f"pip install --no-deps {package}")
