"""Photos with boxes of faces in whichever layout they have."""

from __future__ import annotations

from pathlib import Path

from mien.datasets.coco import read_coco
from mien.datasets.detection import DetectionPhotos, read_detection
from mien.datasets.widerface import read_widerface
from mien.datasets.yolo import read_yolo


def open_detection(path: Path) -> DetectionPhotos:
    """Photos with boxes, read by what ``path`` is.

    Args:
        path: a Parquet file of the layout in `mien.datasets.detection`; a COCO-style ``.json`` or a ``.txt`` of WIDER
            FACE or RetinaFace, beside the photos or beside a folder ``images`` with them; a folder with ``images`` and
            ``labels`` as for YOLO.

    Raises:
        MissingFileError: no such file or folder, or a photo is missing.
        DataError: a file is not as its layout says.
    """
    if path.is_dir():
        return read_yolo(path)
    folder = path.parent / "images"
    images = folder if folder.is_dir() else path.parent
    if path.suffix.lower() == ".json":
        return read_coco(path, images)
    if path.suffix.lower() == ".txt":
        return read_widerface(path, images)
    return read_detection(path)
