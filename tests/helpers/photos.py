"""Small photos made from the public-domain portrait, and what stands in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from helpers.pictures import astronaut, noise


def write_photos(folder: Path, count: int, *, without: int = 0, seed: int = 0, side: int = 160) -> None:
    """``p000.jpg``, …: ``count`` crops and turns of the portrait, each with its face, then ``without`` blurs."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    portrait = Image.fromarray(astronaut())
    for i in range(count):
        left, top = rng.integers(110, 130), rng.integers(10, 30)
        picture = portrait.rotate(float(rng.uniform(-8, 8)), center=(225, 110)).crop((left, top, left + 210, top + 210))
        picture.resize((side, side)).save(folder / f"p{i:03}.jpg", quality=90)
    for i in range(count, count + without):
        Image.fromarray(noise(side, side, blur=12, seed=i)).save(folder / f"p{i:03}.jpg")
