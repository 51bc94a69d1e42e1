"""Aligned faces with ages in years: UTKFace and Kaggle's facial-age together, as one Parquet file.

Columns: ``image`` (struct of ``bytes`` and ``path``), ``age`` (whole years), ``source`` and ``duplicate``, whether the
picture is in the other source too. Seven ranges of ages, which the course project "Facial Emotion Recognition model"
trained its age networks on, become classes of the dataset's own; thirty per cent are held out with seed 42, as there.
The rows of that project were in an order that is not known, so the images held out are others than its own.

UTKFace is for non-commercial research only; nothing that Mien ships learns from it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.hugging_face import find_tables, read_table
from mien.datasets.image_codec import gray_if_colourless, load_images
from mien.datasets.row_location import RowLocation
from mien.errors import DataError
from mien.labels import OWN, SEVEN_AGE_RANGES, age_bin_names

COLUMNS = frozenset({"image", "age", "source", "duplicate"})
"""Those by which the file is recognised."""
HELD_OUT, SEED = 0.3, 42


def read_combined_faces(path: str | os.PathLike[str], size: int | None = None) -> Dataset:
    """Read the file.

    Args:
        path: the Parquet file, or a folder that holds no other.
        size: side in pixels to resize to; None keeps the size.

    Returns:
        Images ``(n, h, w, 1 or 3)`` with the classes "1-2" to "66-116"; splits "train" and "validation".

    Raises:
        DataError: a column is missing, an age is outside the ranges, or an image cannot be read.
    """
    source = Path(path)
    if source.is_dir():
        files = find_tables(source)
        if len(files) != 1:
            raise DataError(f"holds {len(files)} Parquet files, not one", path=source, advice="give the file")
        source = files[0]
    table = read_table(source)
    if missing := COLUMNS - set(table.column_names):
        raise DataError(f"no column {', '.join(sorted(missing))}", path=source, advice="get the file again")
    locations = [RowLocation(source, i + 1) for i in range(len(table))]
    ages = table.column("age").to_pylist()
    ranges = []
    for age, location in zip(ages, locations, strict=True):
        found = [i for i, (low, high) in enumerate(SEVEN_AGE_RANGES) if age is not None and low <= age <= high]
        if not found:
            low, high = SEVEN_AGE_RANGES[0][0], SEVEN_AGE_RANGES[-1][1]
            raise location.error(f"age is {age}", advice=f"expected whole years from {low} to {high}")
        ranges.append(found[0])
    pictures = table.column("image").to_pylist()
    images = load_images(locations, lambda i: np.frombuffer(pictures[i]["bytes"], np.uint8), size)
    order = np.random.RandomState(SEED).permutation(len(table))
    split = np.full(len(table), "train", "<U10")
    split[order[: int(np.ceil(HELD_OUT * len(table)))]] = "validation"
    return Dataset(
        images=gray_if_colourless(images),
        split=split,
        row=np.arange(len(table), dtype=np.int32),
        emotion=np.array(ranges, np.int8),
        info=DatasetInfo(
            "combined-faces",
            taxonomy=OWN,
            source="UTKFace and facial-age, aligned",
            notes=(f"{HELD_OUT:.0%} held out with seed {SEED}",),
            classes=age_bin_names(SEVEN_AGE_RANGES),
        ),
    )
