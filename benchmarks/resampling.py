"""Single operations on pictures by OpenCV, and by Pillow and NumPy as `mien.resampling` does them.

    python benchmarks/resampling.py

Milliseconds of processor time, one thread, the least of the repeats, each taken in turns. Then how far the levels of a
512×512 portrait shrunk to 240 pixels are from OpenCV's areas; with kornia-rs where it is installed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from mien.geometry import resize, sample

REPEATS = 15
RUNS = {"crop of 64×64 RGB, turned": 100, "512×512 to 256×256, whole factor": 20}
"""Operations that are too short to measure once."""
IMPORT = "import numpy, time; start = time.process_time(); import cv2; print(1000 * (time.process_time() - start))"

Call = Callable[[], object]


def operations() -> dict[str, tuple[Call, Call]]:
    """What is done → by OpenCV, by Mien."""
    portrait = data.astronaut()
    photo = cv2.resize(portrait, (2000, 1500), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((32, 32), 15, 0.9)
    turn[:, 2] += 180, 70
    centres = turn.copy()  # OpenCV counts from the centre of the first pixel
    centres[:, 2] += turn[:, :2].sum(axis=1) / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def pair(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[Call, Call]:
        return lambda: cv2.resize(image, size, interpolation=cv2.INTER_AREA), lambda: resize(image, size)

    return {
        "2000×1500 to 1280×960": pair(photo, (1280, 960)),
        "512×512 to 240×240": pair(portrait, (240, 240)),
        "512×512 to 256×256, whole factor": pair(portrait, (256, 256)),
        "crop of 64×64 RGB, turned": (
            lambda: cv2.warpAffine(portrait, centres, (64, 64), flags=flags, borderMode=cv2.BORDER_REPLICATE),
            lambda: sample(portrait, turn, 64),
        ),
    }


def milliseconds(calls: tuple[Call, Call], runs: int) -> list[float]:
    """The least of each."""
    times: list[list[float]] = [[], []]
    for turn in range(REPEATS + 1):
        for call, each in zip(calls, times, strict=True):
            start = time.process_time()
            for _ in range(runs):
                call()
            if turn:
                each.append(1000 * (time.process_time() - start) / runs)
    return [min(each) for each in times]


def main() -> None:
    cv2.setNumThreads(1)
    print(f"| processor time, one thread, ms | OpenCV {cv2.__version__} | Pillow and NumPy |\n|---|---|---|")
    for name, calls in operations().items():
        theirs, ours = milliseconds(calls, RUNS.get(name, 1))
        print(f"| {name} | {theirs:.2g} | {ours:.2g} |", flush=True)
    run = [sys.executable, "-c", IMPORT]
    imports = [float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(REPEATS)]
    print(f"| import | {min(imports):.2g} | 0 (Pillow is needed anyway) |\n")
    portrait = data.astronaut()
    areas = cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA).astype(int)
    shrunk = {"Pillow": resize(portrait, (240, 240))}
    try:
        import kornia_rs
        from kornia_rs import imgproc
    except ImportError:
        pass
    else:
        for kind in ("bilinear", "bicubic", "lanczos"):
            shrunk[f"kornia-rs {kornia_rs.__version__}, {kind}"] = imgproc.resize(portrait, (240, 240), kind)
    for name, image in shrunk.items():
        difference = np.abs(image.astype(int) - areas)
        print(f"{name}: levels differ by {difference.mean():.2f} in the mean, {difference.max()} at most")


if __name__ == "__main__":
    main()
