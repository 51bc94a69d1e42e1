from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import noise, rafdb, write_image
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


def numbered(root: Path) -> Path:
    """As on Kaggle: folders of numbers, and the label files above them."""
    rows: dict[str, list[str]] = {"train": ["image,label"], "test": ["image,label"]}
    for i, image in enumerate(noise(10, 20, 20, 3)):
        split = "train" if i < 7 else "test"
        name = f"{split}_{i:05}_aligned.png"
        write_image(root / "DATASET" / split / str(i % 7 + 1) / name, image)
        rows[split].append(f"{name},{i % 7 + 1}")
    for split, lines in rows.items():
        (root / f"{split}_labels.csv").write_text("\n".join(lines))
    return root


def test_folders_of_numbers(tmp_path: Path) -> None:
    numbered(tmp_path)
    for root in (tmp_path, tmp_path / "DATASET"):
        data = read_rafdb(root)
        by_split = {
            split: [data.taxonomy.names[i] for i in data.emotion[data.split == split]] for split in ("train", "test")
        }
        assert by_split == {"train": NAMES, "test": NAMES[:3]}
        assert data.info.notes == ()


def test_folders_and_label_files_must_agree(tmp_path: Path) -> None:
    listing = numbered(tmp_path) / "test_labels.csv"
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join(lines[:-1]))
    assert read_rafdb(tmp_path).info.notes == ("1 images are in no label file; their folders are their labels",)
    listing.write_text("\n".join([*lines, "test_99.png,1"]))
    with pytest.raises(MissingFileError, match=r"row 4 \(line 5\): no image 'test_99.png' in the folders of test"):
        read_rafdb(tmp_path)
    listing.write_text("\n".join([*lines[:-1], f"{lines[-1][:-1]}7"]))
    with pytest.raises(DataError, match=r"row 3 \(line 4\): label '7', but .* is in the folder 3"):
        read_rafdb(tmp_path)


def test_a_third_column_of_numbers_in_the_list(tmp_path: Path) -> None:
    rafdb(tmp_path, LINES, IMAGES)
    listing = tmp_path / "EmoLabel" / "list_patition_label.txt"
    listing.write_text("\n".join(f"{line} 1" for line in LINES))
    data = read_rafdb(tmp_path)
    assert [NAMES[i] for i in data.emotion] == [*NAMES, "happy", "neutral"]
    assert data.info.notes == ("further columns of the label list were left out",)
