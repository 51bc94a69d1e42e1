"""Whether a detector sees a face in a picture of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

    from mien.datasets.cleaning import Sees

DETECTORS = ("mtcnn", "res10", "haar")


def seeing(name: str | None, n: int, progress: Progress) -> Sees | None:
    """Whether a detector finds a face in a picture, enlarged and with something around it."""
    if name is None:
        return None
    import cv2

    from mien.detect import make_detector
    from mien.predict.face_cropper import PADDING

    detector = make_detector(name, min_face=60, threads=1)
    bar = progress.add_task("looking for faces", total=n)

    def sees(rgb: Any) -> bool:
        side = 4 * 48
        large = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_CUBIC)
        pad = round(PADDING * side)
        progress.update(bar, advance=1)
        canvas = cv2.copyMakeBorder(large, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        return bool(len(detector.detect(canvas)))

    return sees
