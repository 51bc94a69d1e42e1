"""Where faces lie in the crops that the shipped networks see. Numbers are fractions of the crop's side."""

from __future__ import annotations

from mien.weights.card import CropFrame

FER2013_FRAME = CropFrame(
    landmarks=((0.313, 0.386), (0.687, 0.386), (0.5, 0.602), (0.344, 0.783), (0.656, 0.783)),
    boxes={
        "mtcnn": (0.1, -0.03, 0.9, 1.032),
        "haar": (0.012, 0.008, 0.988, 0.985),
        "default": (0.1, -0.03, 0.9, 1.032),
    },
)
"""FER2013's own framing: medians of MTCNN's output on its enlarged training images, made symmetric about the vertical.

Measured by ``python benchmarks/fer2013_frame.py --data fer2013.parquet``, which prints the spread as well.
"""


def zoomed(frame: CropFrame, factor: float) -> CropFrame:
    """The frame with the face ``factor`` times as large (below 1: smaller, with more around it), same centre."""

    def scaled(value: float) -> float:
        return round(0.5 + (value - 0.5) * factor, 5)

    boxes = {name: (scaled(a), scaled(b), scaled(c), scaled(d)) for name, (a, b, c, d) in frame.boxes.items()}
    return CropFrame(tuple((scaled(x), scaled(y)) for x, y in frame.landmarks), boxes)


EMOTION_FRAME = zoomed(FER2013_FRAME, 1.07)
"""A little tighter than the median: a face whose true framing is unknown loses less by being cut than by being shrunk.

Chosen on FER2013's validation faces by ``python benchmarks/end_to_end.py --split validation --zoom …``.
"""

AGE_FRAME = zoomed(FER2013_FRAME, 0.95)
"""A little wider than FER2013's: as much as FairFace's tight pictures (padding 0.25) hold around a face."""

FRAMES = {"emotion": EMOTION_FRAME, "age": AGE_FRAME}
"""Task → frame."""
