"""Where faces lie in the crops that are the input of the shipped networks, as fractions of the crop's side."""

from __future__ import annotations

from dataclasses import replace

from mien.labels import OWN
from mien.models.card import CropFrame

FER2013_FRAME = CropFrame(
    landmarks=((0.316, 0.383), (0.684, 0.383), (0.5, 0.599), (0.344, 0.768), (0.656, 0.768)),
    boxes={
        "mien": (0.111, -0.038, 0.889, 1.001),
        "mtcnn": (0.1, -0.035, 0.9, 1.032),
        "haar": (0.004, 0.0, 0.996, 0.992),
        "res10": (0.113, -0.048, 0.887, 0.996),
        "default": (0.111, -0.038, 0.889, 1.001),
    },
)
"""FER2013's own framing: medians of the detectors' output on its enlarged training images, made symmetric.

The landmarks are those of Mien's own detector. Measured by ``python benchmarks/fer2013_frame.py``, which also prints
the spread.
"""


def zoom_frame(frame: CropFrame, factor: float) -> CropFrame:
    """The frame with the face ``factor`` times as large (below 1: smaller, with more around it), same centre.

    Examples:
        >>> zoom_frame(FER2013_FRAME, 0.5).landmarks[0]
        (0.4065, 0.443)
    """

    def scale(value: float) -> float:
        return round(0.5 + (value - 0.5) * factor, 5)

    boxes = {name: (scale(a), scale(b), scale(c), scale(d)) for name, (a, b, c, d) in frame.boxes.items()}
    return replace(frame, landmarks=tuple((scale(x), scale(y)) for x, y in frame.landmarks), boxes=boxes)


EMOTION_FRAME = replace(zoom_frame(FER2013_FRAME, 1.05), box_weight=0.75, roll_kept=0.3)
"""FER2013's, a little tighter: for a face whose true framing is unknown, losing its rim costs less than being shrunk.

Landmarks and box err independently, so their mean is steadier than either; heads in FER2013 are not quite upright, and
the measured roll of a face that is has an error of its own. The zoom was set by the accuracy on FER2013's validation
faces; weight and roll by how far predictions through the detector diverge from those on the faces' own pixels
(``…_divergence``), on two thirds of them, because their accuracies differ no more than by chance:
``python benchmarks/end_to_end.py --split validation --sizes 96 --angles 0 15 --box-weight … --roll-kept …``.
"""

AGE_FRAME = zoom_frame(FER2013_FRAME, 0.95)
"""A little wider than FER2013's: as much as FairFace's tight pictures (padding 0.25) show around a face."""

FRAMES = {"emotion": EMOTION_FRAME, "age": AGE_FRAME, OWN: EMOTION_FRAME}
"""Task → frame."""
