"""RAF-DB basic, aligned (Li, Deng & Du 2017, http://www.whdeng.cn/RAF/model1.html), in its own layout.

``EmoLabel/list_patition_label.txt`` (sic) holds lines such as ``train_00001.jpg 5``, numbered from 1 in the
order of `mien.labels.RAFDB`; the faces are ``Image/aligned/train_00001_aligned.jpg``, 100×100 RGB: 12,271 for training
and 3,068 for testing. For non-commercial research, on application to its authors.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.image_codec import load_images
from mien.datasets.row_location import RowLocation
from mien.errors import DataError, MissingFileError
from mien.files import is_file
from mien.labels import RAFDB

LABEL_FILE = Path("EmoLabel", "list_patition_label.txt")
IMAGES = Path("Image", "aligned")


def read_rafdb(path: str | os.PathLike[str], size: int | None = None) -> Dataset:
    """Read the aligned faces of RAF-DB basic.

    Args:
        path: the folder that holds ``EmoLabel`` and ``Image``, or the one above with ``basic`` in it.
        size: side in pixels to resize to; None keeps the size.

    Returns:
        RGB images ``(n, 100, 100, 3)`` in the order of the list, ``emotion`` in the order of `mien.labels.RAFDB`; the
        splits are train and test, as RAF-DB has no validation set.

    Raises:
        MissingFileError: no label list, or an image of it is absent; ``details`` holds the line.
        DataError: a line that is no name and label, a label outside 1–7, a name that is neither train nor test, or an
            unreadable image; ``details`` holds the line.
    """
    root = find_root(Path(path))
    if root is None:
        raise MissingFileError(
            f"no {LABEL_FILE} in it", path=path, advice="give the folder of RAF-DB that holds EmoLabel and Image"
        )
    listing = root / LABEL_FILE
    files: list[Path] = []
    labels: list[int] = []
    splits: list[str] = []
    for number, line in enumerate(listing.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        where = RowLocation(listing, line=number)
        name, label, split = _parse(line, where)
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
        info=DatasetInfo("rafdb", taxonomy=RAFDB.name, source="RAF-DB basic, aligned"),
    )


def find_root(path: Path) -> Path | None:
    """The folder that holds ``EmoLabel``: ``path`` or ``path/basic``; None for neither."""
    return next((root for root in (path, path / "basic") if (root / LABEL_FILE).is_file()), None)


def _parse(line: str, where: RowLocation) -> tuple[str, int, str]:
    """One line → (file name, label from 0, split)."""
    words = line.split()
    if len(words) != 2:
        raise where.error(f"expected a file name and a label such as 'train_00001.jpg 5', got {line[:60]!r}")
    name, text = words
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= len(RAFDB):
        known = ", ".join(f"{i} {label}" for i, label in enumerate(RAFDB.names, 1))
        raise where.error(f"unknown label {text!r}", advice=f"expected one of {known}")
    split = name.split("_")[0]
    if split not in ("train", "test"):
        raise where.error(f"{name!r} is neither train_….jpg nor test_….jpg")
    return name, int(text) - 1, split
