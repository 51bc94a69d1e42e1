"""RAF-DB basic, aligned (Li, Deng & Du 2017, http://www.whdeng.cn/RAF/model1.html), in two layouts.

Its own: ``EmoLabel/list_patition_label.txt`` (sic) holds lines such as ``train_00001.jpg 5``, numbered from 1 in the
order of `mien.labels.RAFDB`; the faces are ``Image/aligned/train_00001_aligned.jpg``, 100×100 RGB: 12,271 for training
and 3,068 for testing. As on Kaggle: folders ``train/1`` … ``train/7`` and ``test/…`` of the same numbers, with
``train_labels.csv`` and ``test_labels.csv`` (image,label) beside them or above. For non-commercial research, on
application to its authors.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from mien.datasets import image_folders
from mien.datasets.dataset import Dataset, DatasetInfo, split_of
from mien.datasets.image_codec import load_images
from mien.datasets.row_location import RowLocation
from mien.datasets.text_tables import read_rows
from mien.errors import DataError, MissingFileError
from mien.files import is_file
from mien.labels import RAFDB

LABEL_FILE = Path("EmoLabel", "list_patition_label.txt")
IMAGES = Path("Image", "aligned")
NUMBERED = tuple(f"{i}={name}" for i, name in enumerate(RAFDB.names, 1))
"""Its labels with their numbers."""
LABEL_TABLES = ("train_labels.csv", "test_labels.csv")
_NAME = re.compile(r"(train|test)_\d+(_aligned)?\.")


def read_rafdb(path: str | os.PathLike[str], size: int | None = None) -> Dataset:
    """Read the aligned faces of RAF-DB basic.

    Args:
        path: the folder that holds ``EmoLabel`` and ``Image``, or the one above with ``basic`` in it; or the folders of
            the numbers 1 to 7, or one above.
        size: side in pixels to resize to; None keeps the size.

    Returns:
        RGB images ``(n, 100, 100, 3)`` in the order of the list, ``emotion`` in the order of `mien.labels.RAFDB`; the
        splits are train and test, as RAF-DB has no validation set.

    Raises:
        MissingFileError: neither layout, or an image of the list is absent; ``details`` holds the line.
        DataError: a line that is no name and label, a label outside 1–7, a name that is neither train nor test, or an
            unreadable image; ``details`` holds the line.
    """
    root = find_root(Path(path))
    if root is None:
        base = _numbered_root(Path(path))
        if base is not None:
            return _read_numbered(Path(path), base, size)
        raise MissingFileError(
            f"no {LABEL_FILE} in it, and no folders train/1 to train/7",
            path=path,
            advice="give the folder of RAF-DB that holds EmoLabel and Image, or train and test "
            f"({', '.join(f'{i} {name}' for i, name in enumerate(RAFDB.names, 1))})",
        )
    listing = root / LABEL_FILE
    files: list[Path] = []
    labels: list[int] = []
    splits: list[str] = []
    further = False
    for number, line in enumerate(listing.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        where = RowLocation(listing, line=number)
        name, label, split = _parse(line, where)
        further |= len(line.split()) > 2
        file = root / IMAGES / f"{Path(name).stem}_aligned{Path(name).suffix}"
        if not is_file(file):
            raise where.error(
                f"no image {file}", advice=f"unpack the aligned faces into {root / IMAGES}", kind=MissingFileError
            )
        files.append(file)
        labels.append(label)
        splits.append(split)
    if not files:
        raise DataError("no lines", path=listing, advice="get the file again")
    images = load_images(
        [RowLocation(file) for file in files], lambda i: np.frombuffer(files[i].read_bytes(), np.uint8), size
    )
    return Dataset(
        images=images,
        split=np.array(splits),
        row=np.arange(len(files), dtype=np.int32),
        emotion=np.array(labels, np.int8),
        info=DatasetInfo(
            "rafdb",
            taxonomy=RAFDB.name,
            source="RAF-DB basic, aligned",
            notes=("further columns of the label list were left out",) if further else (),
        ),
    )


def find_root(path: Path) -> Path | None:
    """The folder that holds ``EmoLabel``: ``path`` or ``path/basic``; None for neither."""
    return next((root for root in (path, path / "basic") if (root / LABEL_FILE).is_file()), None)


def is_aligned_name(name: str) -> bool:
    """Whether an image has a name as RAF-DB's have, such as ``train_00001_aligned.jpg``."""
    return _NAME.match(name) is not None


def is_numbered(path: Path) -> bool:
    """Whether a folder holds RAF-DB as folders of numbers: with its CSV files, or its names of images."""
    base = _numbered_root(path)
    if base is None:
        return False
    return bool(_label_tables(path, base)) or all(
        is_aligned_name(file.name) for file in image_folders.collect_classes(base).files
    )


def _numbered_root(path: Path) -> Path | None:
    """The folder that holds splits of folders named by RAF-DB's numbers; None for none."""
    base = image_folders.find_root(path) if path.is_dir() else None
    if base is None:
        return None
    found = image_folders.collect_classes(base)
    numbers = {str(i) for i in range(1, len(RAFDB) + 1)}
    return base if found.files and all(found.splits) and set(found.names) <= numbers else None


def _label_tables(path: Path, base: Path) -> list[Path]:
    """The CSV files from the given folder down to that of the images."""
    folders = [path, *(folder for folder in base.parents if path in folder.parents), base]
    tables = {folder / name for folder in folders for name in LABEL_TABLES}
    return sorted(table for table in tables if table.is_file())


def _read_numbered(path: Path, base: Path, size: int | None) -> Dataset:
    found = image_folders.collect_classes(base)
    tables = _label_tables(path, base)
    by_name = {
        (split, file.name): name for file, split, name in zip(found.files, found.splits, found.names, strict=True)
    }
    listed = set()
    for table in tables:
        split = split_of(table.stem)
        for where, row in read_rows(table, ("image", "label")):
            key = split, row["image"]
            if key not in by_name:
                reason = f"no image {row['image']!r} in the folders of {split}"
                raise where.error(reason, advice="unpack all images", kind=MissingFileError)
            if by_name[key] != row["label"]:
                reason = f"label {row['label']!r}, but {row['image']!r} is in the folder {by_name[key]}"
                raise where.error(reason, advice="get the dataset again")
            listed.add(key)
    notes = image_folders.left_out_notes(base, [file for file in found.left_out if file not in tables])
    unlisted = len(by_name) - len(listed)
    if tables and unlisted:
        notes = (*notes, f"{unlisted:,} images are in no label file; their folders are their labels")
    images = load_images(
        [RowLocation(file) for file in found.files],
        lambda i: np.frombuffer(found.files[i].read_bytes(), np.uint8),
        size,
    )
    return Dataset(
        images=images,
        split=np.array(found.splits, np.str_),
        row=np.arange(len(found.files), dtype=np.int32),
        emotion=np.array([int(name) - 1 for name in found.names], np.int8),
        info=DatasetInfo("rafdb", taxonomy=RAFDB.name, source="RAF-DB basic, folders of numbers", notes=notes),
    )


def _parse(line: str, where: RowLocation) -> tuple[str, int, str]:
    """One line → (file name, label from 0, split)."""
    words = line.split()
    if len(words) < 2 or any(not word.isdecimal() for word in words[2:]):
        raise where.error(f"expected a file name and a label such as 'train_00001.jpg 5', got {line[:60]!r}")
    name, text = words[:2]
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= len(RAFDB):
        known = ", ".join(f"{i} {label}" for i, label in enumerate(RAFDB.names, 1))
        raise where.error(f"unknown label {text!r}", advice=f"expected one of {known}")
    split = name.split("_")[0]
    if split not in ("train", "test"):
        raise where.error(f"{name!r} is neither train_….jpg nor test_….jpg")
    return name, int(text) - 1, split
