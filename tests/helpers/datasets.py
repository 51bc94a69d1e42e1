"""Small datasets with the true layouts of the real ones, made of seeded noise."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset, DatasetInfo
from mien.labels import FER2013, FERPLUS, FERPLUS_COLUMNS

USAGES = ("Training", "Training", "Training", "PublicTest", "PrivateTest")
SPLITS = ("train", "train", "train", "validation", "test")


def noise(n: int, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """``(n, *shape)`` uint8; every tenth is flat, so that one-digit and three-digit values come in runs."""
    images = np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)
    images[::10] = np.arange(len(images[::10]), dtype=np.uint8).reshape(-1, *[1] * len(shape))
    return images


def made(n: int = 20, channels: int = 1, side: int = 12, **columns: Any) -> Dataset:
    """A dataset with emotions, every fifth row validation and every fifth test."""
    return Dataset(
        images=noise(n, side, side, channels),
        split=np.array([SPLITS[i % 5] for i in range(n)]),
        row=np.arange(n, dtype=np.int32),
        emotion=(np.arange(n) % 7).astype(np.int8),
        info=DatasetInfo("fer2013", taxonomy="fer2013", source="made up"),
        **columns,
    )


def fer2013_rows(n: int = 10) -> list[list[str]]:
    """Rows of ``emotion,pixels,Usage``."""
    images = noise(n, 48 * 48)
    return [[str(i % 7), " ".join(map(str, images[i])), USAGES[i % 5]] for i in range(n)]


def fer2013_csv(
    path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("emotion", "pixels", "Usage"), end: str = "\n"
) -> Path:
    """Write the CSV; ``.gz`` and ``.zip`` are compressed."""
    text = end.join([",".join(header), *(",".join(row) for row in rows)]) + end
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("fer2013/README", "not this")
            archive.writestr("fer2013/fer2013.csv", text)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")
    return path


def votes_for(emotion: NDArray[np.integer], seed: int = 0) -> NDArray[np.int8]:
    """Ten votes a row, of which seven are for the row's FER2013 emotion."""
    rng = np.random.default_rng(seed)
    votes = np.zeros((len(emotion), 10), np.int8)
    for row, label in zip(votes, emotion, strict=True):
        row[FERPLUS.index[FER2013.names[label]]] = 7
        for other in rng.integers(0, 10, 3):
            row[other] += 1
    return votes


def ferplus_csv(path: Path, votes: NDArray[np.integer]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Usage", "Image name", *FERPLUS_COLUMNS])
        for i, row in enumerate(votes):
            writer.writerow(["Training", "" if row[9] > 5 else f"fer{i * 3:07}.png", *row.tolist()])
    return path


def write_image(path: Path, image: NDArray[np.uint8]) -> Path:
    """RGB or gray to a file; PNG keeps the pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image, path.suffix))
    return path


def encoded(image: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    bgr = image if image.ndim == 2 else image[..., ::-1]
    return cv2.imencode(suffix, np.ascontiguousarray(bgr))[1].tobytes()


def hf_parquet(
    path: Path,
    images: NDArray[np.uint8],
    columns: dict[str, Any],
    names: dict[str, Sequence[str]] | None = None,
    image_column: Callable[[list[bytes]], Any] | None = None,
) -> Path:
    """Images and labels as Hugging Face writes them; ``names`` makes a column a ClassLabel."""
    blobs = [encoded(image) for image in images]
    structs = [{"bytes": blob, "path": f"{i}.png"} for i, blob in enumerate(blobs)]
    image = pa.array(structs, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = pa.table({"image": image_column(blobs) if image_column else image, **columns})
    if names is not None:
        features = {column: {"names": list(values), "_type": "ClassLabel"} for column, values in names.items()}
        features["image"] = {"_type": "Image"}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def rafdb(root: Path, lines: Sequence[str], images: NDArray[np.uint8]) -> Path:
    """RAF-DB's layout; a face for every line that names one."""
    listing = root / "EmoLabel" / "list_patition_label.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("\n".join(lines) + "\n")
    for line, image in zip(lines, images, strict=True):
        name = Path(line.split()[0])
        write_image(root / "Image" / "aligned" / f"{name.stem}_aligned{name.suffix}", image)
    return root


def textured(n: int = 40, channels: int = 1, seed: int = 0) -> Dataset:
    """Every image noise of its own, which no cleaning rule removes."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 48, 48, channels), np.uint8)
    return replace(made(n), images=images)


def with_votes(data: Dataset) -> Dataset:
    """Seven of ten raters vote for the label; no one votes for "not a face"."""
    votes = np.zeros((len(data), 10), np.int8)
    votes[:, :8] = votes_for(data.emotion)[:, :8]
    return replace(data, votes=votes)


def with_images(data: Dataset, **images: np.ndarray) -> Dataset:
    """The dataset with other images at some rows, such as ``r3=…``."""
    pixels = data.images.copy()
    for row, image in images.items():
        pixels[int(row[1:])] = image
    return replace(data, images=pixels)
