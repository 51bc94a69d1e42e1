"""A clip to look at: two people cross, the camera pans and zooms, a cut, one leaves and returns; with a tone as sound.

    python benchmarks/showcase.py out/showcase.mp4
    mien analyze out/showcase.mp4 --report out/showcase --save out/showcase-annotated.mp4

Made of public-domain portraits; see `benchmarks/sequences.py`.
"""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import av
import numpy as np
from sequences import HEIGHT, WIDTH, Moment, Placed, Sequence

CUT, SECONDS, FPS = 9.0, 16.0, 25
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
            output.mux(video.encode(av.VideoFrame.from_ndarray(scene.frame(i)[0], format="rgb24")))
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
