"""The pictures that every package gets: public-domain portraits, and crowds made of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PORTRAITS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
CROWD = 4
"""Faces a side of the crowd."""
TILE = 200


def portrait(name: str) -> NDArray[np.uint8]:
    """RGB."""
    module, file = PORTRAITS[name]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the portrait {name!r} comes with a package: pip install scikit-image matplotlib")
    with Image.open(Path(spec.origin).parent / file) as opened:
        return np.asarray(opened.convert("RGB"))


def crowd(side: int = CROWD) -> NDArray[np.uint8]:
    """RGB: ``side`` × ``side`` faces of about 90 pixels, the two people in turn, every other row mirrored."""
    first = portrait("astronaut")[20:220, 120:320]
    second = cv2.resize(portrait("hopper")[40:440, 60:460], (TILE, TILE), interpolation=cv2.INTER_AREA)
    rows = []
    for row in range(side):
        tiles = [(first, second)[(row + column) % 2] for column in range(side)]
        rows.append(np.hstack([tile[:, ::-1] if row % 2 else tile for tile in tiles]))
    return np.ascontiguousarray(np.vstack(rows), dtype=np.uint8)


def write(folder: Path) -> dict[str, Path]:
    """JPEG files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: portrait(name) for name in PORTRAITS} | {"crowd": crowd()}
    paths = {}
    for name, picture in pictures.items():
        paths[name] = folder / f"{name}.jpg"
        Image.fromarray(picture).save(paths[name], quality=92)
    return paths
