"""Whether a detector finds a face in a picture of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

    from mien.datasets.quality_measures import FaceCheck
    from mien.detect.options import DetectionOptions


def make_face_check(detection: DetectionOptions | None, total: int, progress: Progress) -> FaceCheck | None:
    """A function that detects a face in an RGB picture, which is enlarged and padded first.

    Args:
        detection: which detector and how; None for no check.
        total: pictures to check, for the bar.
        progress: gets a bar.
    """
    if detection is None:
        return None
    import numpy as np

    from mien.detect import make_detector
    from mien.geometry import resize
    from mien.predict.face_cropper import PADDING

    finder = make_detector(detection, threads=1)
    bar = progress.add_task("detecting faces", total=total)

    def has_face(rgb: Any) -> bool:
        side = 4 * 48
        large = resize(rgb, (side, side))
        pad = round(PADDING * side)
        progress.update(bar, advance=1)
        canvas = np.pad(large, ((pad, pad), (pad, pad), (0, 0)), constant_values=127)
        return bool(len(finder.detect(canvas)))

    return has_face
