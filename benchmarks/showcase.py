"""A clip to look at: two people cross, the camera pans and zooms; a cut, one leaves and returns; a face that changes.

    python benchmarks/showcase.py out/showcase.mp4
    mien analyze out/showcase.mp4 --report out/showcase --save out/showcase-annotated.mp4

Made of public-domain portraits; see `benchmarks/sequences.py`. In the last scene one portrait is blended into the other
and back, eyes on eyes, so that something changes. A tone with a beep at the first cut is the sound.
"""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import av
import numpy as np
from sequences import HEIGHT, WIDTH, Moment, Placed, Sequence

from helpers.clips import Pan

CUT, SECOND_CUT, SECONDS, FPS = 9.0, 16.0, 30.0, 25
RATE = 48_000


def moment(t: float) -> Moment:
    """Before the cut two people cross under a camera that pans and zooms; after it they stand elsewhere."""
    if t < CUT:
        first = Placed(0, 120 + 45 * t, 230 + 8 * math.sin(2 * t), 95, 5 * math.sin(t), 1)
        second = Placed(1, 540 - 45 * t, 240 + 8 * math.sin(1.7 * t), 105, 0, 2)
        return Moment((first, second), 0, shift=(30 * math.sin(0.5 * t), 0), zoom=1 + 0.04 * t)
    away = max(0.0, 1 - abs(t - 12.5) / 1.2)
    first = Placed(0, 420, 220, 120, 4 * math.sin(1.3 * t), 3)
    second = Placed(1, 190 - 420 * min(1.0, 1.8 * away), 225, 115, 0, 4)
    return Moment((second, first), 1)


SMILING, SERIOUS = (
    make((WIDTH, HEIGHT), eye_distance=62.0, start=(0.45, 0.42), step=(0.25, 0.0))
    for make in (Pan.astronaut, Pan.hopper)
)


def blended(t: float) -> np.ndarray:
    """The smiling portrait, the serious one and what lies between them, RGB uint8."""
    i = round((t - SECOND_CUT) * FPS)
    weight = 1 / (1 + math.exp(-6 * math.sin(2 * math.pi * (t - SECOND_CUT) / 7 - 0.5 * math.pi)))
    return np.round((1 - weight) * SMILING(i) + weight * SERIOUS(i)).astype(np.uint8)


def tone(start: int, n: int) -> np.ndarray:
    """A 440 Hz tone with a short loud beep at the cut, to hear that sound and picture belong together."""
    t = (start + np.arange(n)) / RATE
    loud = np.where((t >= CUT) & (t < CUT + 0.2), 0.5, 0.03)
    return (loud * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None]


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    scene = Sequence("showcase", moment, SECONDS, FPS, (0, 1), (0, 1))
    with av.open(str(target), "w") as output:
        video = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        at = 0
        for i in range(len(scene)):
            rgb = scene.frame(i)[0] if i / FPS < SECOND_CUT else blended(i / FPS)
            output.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            while at < (i + 1) / FPS * RATE:
                frame = av.AudioFrame.from_ndarray(tone(at, 1024), "fltp", "mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
                output.mux(sound.encode(frame))
                at += 1024
        output.mux(video.encode())
        output.mux(sound.encode(None))
    print(target)


if __name__ == "__main__":
    main()
