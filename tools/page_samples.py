"""Writes src/mien/web/static/sample-*.webp: the pictures that the page offers to who has none at hand.

They come with scikit-image and matplotlib: two portraits that are in the public domain (NASA, US Navy), and a cat (CC0).

python tools/page_samples.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.pictures import astronaut, hopper  # noqa: E402

QUALITY = 80


def main() -> None:
    collins, admiral = Image.fromarray(astronaut()), Image.fromarray(hopper())
    pictures = {
        "collins": collins,
        "hopper": admiral.crop((0, 0, 512, 512)),
        "two": beside(collins.crop((105, 0, 345, 320)), admiral.crop((126, 70, 396, 430)), (330, 440)),
        "cat": Image.fromarray(data.chelsea()),
    }
    for name, picture in pictures.items():
        target = ROOT / "src" / "mien" / "web" / "static" / f"sample-{name}.webp"
        picture.save(target, quality=QUALITY, method=6)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


def beside(left: Image.Image, right: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Two pictures beside one another, each of ``size`` (width, height) pixels."""
    both = [np.asarray(one.resize(size, Image.Resampling.LANCZOS)) for one in (left, right)]
    return Image.fromarray(np.concatenate(both, axis=1))


if __name__ == "__main__":
    main()
