"""The one file that training a detector reads: photos, boxes and landmarks as `mien.datasets.detection` describes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets.arrow import import_parquet
from mien.datasets.detection import DetectionPhotos
from mien.errors import DataError
from mien.files import atomic_path

_PHOTOS_AT_ONCE = 64


def write_detection(
    photos: DetectionPhotos, path: Path, *, progress: Callable[[int, int], object] | None = None
) -> Path:
    """Write photos as one Parquet file that `mien.datasets.detection.read_detection` reads; returns its path.

    Args:
        photos: with their files' bytes, or paths.
        path: the file.
        progress: called with (photos written, photos in all).

    Raises:
        DataError: a photo is no readable image, or a box is not finite or has no area.
        MissingExtraError: pyarrow is not installed.
    """
    pa, pq = import_parquet("writing a Parquet file")
    face = pa.struct(
        {"box": pa.list_(pa.float32()), "landmarks": pa.list_(pa.list_(pa.float32())), "trust": pa.float32()}
    )
    text = {name: pa.string() for name in ("set", "licence", "source", "split")}
    schema = pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "width": pa.int32(),
            "height": pa.int32(),
            "faces": pa.list_(face),
            "ignore": pa.list_(pa.list_(pa.float32())),
            **text,
        }
    )
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(photos), _PHOTOS_AT_ONCE):
            end = min(start + _PHOTOS_AT_ONCE, len(photos))
            writer.write_table(pa.Table.from_pylist([_row(photos, i) for i in range(start, end)], schema))
            if progress is not None:
                progress(end, len(photos))
    return path


def _row(photos: DetectionPhotos, i: int) -> dict[str, Any]:
    faces, name = photos.faces(i), f"{photos.sources[i]} {photos.files[i]}"
    boxes, points = photos.boxes[faces], photos.landmarks[faces]
    if not (np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()):
        raise DataError(f"{name}: a box is not finite, or has no area")
    image = photos.images[i]
    content = image if isinstance(image, bytes) else image.read_bytes()
    width, height = _size(content, name)
    return {
        "image": {"bytes": content, "path": photos.files[i]},
        "width": width,
        "height": height,
        "faces": [
            {
                "box": box.tolist(),
                "landmarks": five.tolist() if np.isfinite(five).all() else None,
                "trust": float(trust),
            }
            for box, five, trust in zip(boxes, points, photos.trust[faces], strict=True)
        ],
        "ignore": photos.ignored_boxes(i).tolist(),
        "set": photos.subsets[i],
        "licence": photos.licences[i],
        "source": name,
        "split": photos.splits[i],
    }


def _size(content: bytes, name: str) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: not a readable image ({error})") from None
