"""Faces as boxes in a COCO-style JSON file: ``images``, ``annotations``, ``categories`` and, if there, ``licenses``.

Source:
    Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets.detection import DetectionPhotos, PhotoLabels, from_labels
from mien.errors import DataError, InputError, MissingFileError

FACE = "face"
"""Name of the category of faces, unless the file has only one."""


def read_coco(annotations: Path, images: Path, category: str | None = None) -> DetectionPhotos:
    """Read boxes of one category.

    Boxes flagged ``iscrowd`` or ``ignore`` become ignored regions. ``keypoints`` of five points (x, y, visible) become
    landmarks; a face of which a point is not labelled (visible 0) has none. The folder of a photo is its source.

    Args:
        annotations: the JSON file.
        images: folder that ``file_name`` starts from.
        category: name of the category; None takes "face", or the only one.

    Raises:
        MissingFileError: the file or a photo is missing.
        DataError: the file does not follow the layout.
        InputError: no category has that name.
    """
    if not annotations.is_file():
        raise MissingFileError(f"{annotations}: no such file")
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        wanted = _category(content["categories"], category)
        licences = {row["id"]: str(row.get("name") or row.get("url")) for row in content.get("licenses", [])}
        rows: dict[Any, list[dict[str, Any]]] = {row["id"]: [] for row in content["images"]}
        for row in content["annotations"]:
            if row["category_id"] == wanted:
                rows[row["image_id"]].append(row)
        return from_labels(_photo(image, rows[image["id"]], images, licences) for image in content["images"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise DataError(f"{annotations}: not a COCO-style file ({type(error).__name__}: {error})") from None


def _category(rows: list[dict[str, Any]], name: str | None) -> Any:
    names = {str(row["name"]): row["id"] for row in rows}
    if name is None:
        name = next(iter(names)) if len(names) == 1 else FACE
    if name not in names:
        raise InputError(f"no category {name!r}: the file has {', '.join(sorted(names)) or 'none'}")
    return names[name]


def _photo(
    image: dict[str, Any], annotations: list[dict[str, Any]], images: Path, licences: dict[Any, str]
) -> PhotoLabels:
    name = str(image["file_name"])
    path = images / name
    if not path.is_file():
        raise MissingFileError(f"{path}: the photo is missing")
    corners = np.array([row["bbox"] for row in annotations], np.float64).reshape(-1, 4)
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    doubtful = np.array([bool(row.get("iscrowd")) or bool(row.get("ignore")) for row in annotations], np.bool_)
    real = (corners[:, 2:] > 0).all(axis=1)
    points = np.array([_points(row.get("keypoints")) for row in annotations], np.float64).reshape(-1, 5, 2)
    kept = real & ~doubtful
    return PhotoLabels(
        path,
        boxes[kept],
        points[kept],
        ignored=boxes[real & doubtful],
        size=(int(image.get("width", 0)), int(image.get("height", 0))),
        subset="coco",
        source=Path(name).parent.as_posix(),
        file=name,
        licence=licences.get(image.get("license"), "not stated"),
    )


def _points(keypoints: list[float] | None) -> list[list[float]]:
    """Five xy; NaN where they are not five or one is not labelled."""
    if keypoints is None or len(keypoints) != 15:
        return [[np.nan, np.nan]] * 5
    rows = np.array(keypoints, np.float64).reshape(5, 3)
    rows[(rows[:, 2] == 0).any()] = np.nan
    return [[float(x), float(y)] for x, y, _ in rows]
