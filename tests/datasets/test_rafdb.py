from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import noise, rafdb
from mien.datasets.rafdb import read_rafdb
from mien.errors import DataError, MissingFileError

LINES = [*(f"train_{i:05}.png {i}" for i in range(1, 8)), "test_0001.png 4", "test_0002.png 7"]
IMAGES = noise(9, 100, 100, 3)
NAMES = ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]


@pytest.mark.parametrize("below", ["", "basic"])
def test_its_own_layout(below: str, tmp_path: Path) -> None:
    rafdb(tmp_path / below, LINES, IMAGES)
    data = read_rafdb(tmp_path)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert [data.taxonomy.names[i] for i in data.emotion] == [*NAMES, "happy", "neutral"]
    assert data.split.tolist() == ["train"] * 7 + ["test"] * 2
    assert read_rafdb(tmp_path, size=32).images.shape == (9, 32, 32, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train_00002.png 8", r"line 2: unknown label '8'; expected one of 1 surprise, 2 fear"),
        ("train_00002.png 0", "line 2: unknown label '0'"),
        ("train_00002.png happy", "line 2: unknown label 'happy'"),
        ("train_00002.png", "line 2: expected a file name and a label"),
        ("valid_00002.png 2", "line 2: 'valid_00002.png' is neither train_….jpg nor test_….jpg"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    rafdb(tmp_path, LINES, IMAGES)
    listing = tmp_path / "EmoLabel" / "list_patition_label.txt"
    listing.write_text("\n".join([LINES[0], line, *LINES[2:]]))
    with pytest.raises(DataError, match=message):
        read_rafdb(tmp_path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="give the folder of RAF-DB that holds EmoLabel and Image"):
        read_rafdb(tmp_path)
    rafdb(tmp_path, LINES, IMAGES)
    face = tmp_path / "Image" / "aligned" / "train_00003_aligned.png"
    face.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train_00003_aligned\.png: not a readable image"):
        read_rafdb(tmp_path)
    face.unlink()
    with pytest.raises(
        MissingFileError, match=r"line 3: no image .*train_00003_aligned\.png; unpack the aligned faces"
    ):
        read_rafdb(tmp_path)
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text("\n\n")
    with pytest.raises(DataError, match="no lines"):
        read_rafdb(tmp_path)
