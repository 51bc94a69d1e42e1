"""Photos with boxes of faces in whichever layout they have: the table of layouts, and their detection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from mien.datasets.arrow import read_schema
from mien.datasets.coco import read_coco
from mien.datasets.detection import HELD_OUT, TRAIN, DetectionPhotos, join_photos, read_detection
from mien.datasets.widerface import read_widerface
from mien.datasets.yolo import read_yolo
from mien.errors import DataError, MissingFileError, unknown_name

_WIDER_LABELS = "wider_face_split"
_WIDER_SPLITS = {"train": TRAIN, "val": HELD_OUT}
"""Name of a split in WIDER FACE's files → what it is here."""


@dataclass(frozen=True, slots=True)
class DetectionLayout:
    """One layout on disk, with its reader."""

    description: str
    read: Callable[[Path], DetectionPhotos]


def _images(labels: Path) -> Path:
    folder = labels.parent / "images"
    return folder if folder.is_dir() else labels.parent


def _read_wider(path: Path) -> DetectionPhotos:
    """One file of labels, or both splits of the dataset's own folder."""
    if not path.is_dir():
        return read_widerface(path, _images(path))
    parts = []
    for name, split in _WIDER_SPLITS.items():
        labels = path / _WIDER_LABELS / f"wider_face_{name}_bbx_gt.txt"
        if labels.is_file():
            part = read_widerface(labels, path / f"WIDER_{name}" / "images")
            parts.append(replace(part, splits=(split,) * len(part), subsets=(name,) * len(part)))
    if not parts:
        raise MissingFileError(
            "no labels of WIDER FACE", path=path / _WIDER_LABELS, advice="expected wider_face_train_bbx_gt.txt"
        )
    return join_photos(parts)


DETECTION_LAYOUTS: Mapping[str, DetectionLayout] = MappingProxyType(
    {
        "photos": DetectionLayout(
            "Parquet with the columns image, faces and source, as `mien data prepare` writes it", read_detection
        ),
        "widerface": DetectionLayout(
            "WIDER FACE: the folder with wider_face_split/ and WIDER_train/images/, or one .txt of it or of RetinaFace "
            "beside images/",
            _read_wider,
        ),
        "coco": DetectionLayout(
            "COCO-style .json, beside the photos or beside images/", lambda path: read_coco(path, _images(path))
        ),
        "yolo": DetectionLayout("a folder with images/ and labels/, as for YOLO", read_yolo),
    }
)
"""Name of the layout → its description and reader."""


def open_detection(path: Path, kind: str = "auto") -> DetectionPhotos:
    """Photos with boxes.

    Args:
        path: file or folder.
        kind: a key of `DETECTION_LAYOUTS`, or "auto" to detect it.

    Raises:
        MissingFileError: no such file or folder, or a photo is missing.
        InputError: an unknown kind.
        DataError: none of the layouts, or a file does not follow its layout.
    """
    if kind not in ("auto", *DETECTION_LAYOUTS):
        raise unknown_name("kind", kind, ("auto", *DETECTION_LAYOUTS))
    if not path.exists():
        raise MissingFileError("no such file or folder", path=path)
    name = detect_layout(path) if kind == "auto" else kind
    if name is None:
        known = "; ".join(f"{key} – {one.description}" for key, one in DETECTION_LAYOUTS.items())
        raise DataError("holds no photos with boxes of faces", path=path, advice=f"expected one of: {known}")
    return DETECTION_LAYOUTS[name].read(path)


def detect_layout(path: Path) -> str | None:
    """The key of `DETECTION_LAYOUTS` that a file or folder has the layout of; None for another."""
    if path.is_dir():
        if (path / _WIDER_LABELS).is_dir():
            return "widerface"
        return "yolo" if (path / "images").is_dir() and (path / "labels").is_dir() else None
    suffix = path.suffix.lower()
    if suffix in (".json", ".txt"):
        return "coco" if suffix == ".json" else "widerface"
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            return None
    return "photos" if {"image", "faces", "source"} <= set(read_schema(path).names) else None
