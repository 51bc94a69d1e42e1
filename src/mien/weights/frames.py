"""Where faces lie in the crops that the shipped networks see. Numbers are fractions of the crop's side."""

from __future__ import annotations

from mien.weights.card import CropFrame

EMOTION_FRAME = CropFrame(
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


def zoomed_out(frame: CropFrame, factor: float) -> CropFrame:
    """The frame with the face ``factor`` times as large (below 1: smaller, with more around it), same centre."""

    def shrink(value: float) -> float:
        return round(0.5 + (value - 0.5) * factor, 5)

    boxes = {name: (shrink(a), shrink(b), shrink(c), shrink(d)) for name, (a, b, c, d) in frame.boxes.items()}
    return CropFrame(tuple((shrink(x), shrink(y)) for x, y in frame.landmarks), boxes)


AGE_FRAME = zoomed_out(EMOTION_FRAME, 0.95)
"""A little wider than the emotion frame: as much as FairFace's tight pictures (padding 0.25) hold around a face."""

FRAMES = {"emotion": EMOTION_FRAME, "age": AGE_FRAME}
"""Task → frame."""
