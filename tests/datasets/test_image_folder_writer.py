from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.datasets import made
from mien.datasets.dataset import Dataset
from mien.datasets.image_folder_writer import write_image_folders
from mien.datasets.image_folders import read_image_folders
from mien.errors import InputError
from mien.published.features import (
    compute_features,
    hog,
)


def with_features(n: int = 20, channels: int = 1) -> Dataset:
    base = made(n, channels, side=48)
    gray = np.ascontiguousarray(base.images[..., 0])
    return replace(
        base, features={"hog": compute_features("hog", gray), "hog_sliding": compute_features("hog_sliding", gray)}
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_written_images_are_read_back(tmp_path: Path, channels: int) -> None:
    data = with_features(20, channels)
    assert write_image_folders(data, tmp_path / "new", classes=[*reversed(data.taxonomy.names)]) == 20
    back = read_image_folders(tmp_path / "new")
    at = rows_in(tmp_path / "new")
    np.testing.assert_array_equal(back.images, data.images[at])
    np.testing.assert_array_equal(back.emotion, data.emotion[at])
    np.testing.assert_array_equal(back.split, data.split[at])
    for split in ("train", "validation", "test"):
        part, folder = data.select(split), tmp_path / "new" / split
        with (folder / "labels.csv").open(newline="") as stream:
            lines = list(csv.reader(stream))
        assert lines[0] == ["file", "row", "emotion", *reversed(data.taxonomy.names)]
        assert [int(line[1]) for line in lines[1:]] == part.row.tolist()
        assert all((folder / line[0]).is_file() and line[0].startswith(line[2]) for line in lines[1:])
        hot = np.load(folder / "labels.npy")
        np.testing.assert_array_equal(hot.argmax(axis=1), 6 - part.emotion)
        np.testing.assert_array_equal(hot, np.array([line[3:] for line in lines[1:]], np.uint8))
        np.testing.assert_array_equal(np.load(folder / "hog.npy"), part.features["hog"])


def rows_in(root: Path) -> NDArray[np.int64]:
    """The numbers in the files' names, in the order in which the folders are read."""
    folders = [folder for split in sorted(root.iterdir()) for folder in sorted(split.iterdir()) if folder.is_dir()]
    return np.array([int(path.stem) for folder in folders for path in sorted(folder.iterdir())])


def test_images_of_hog_as_jpeg(tmp_path: Path) -> None:
    data = made(10, side=48)
    write_image_folders(data, tmp_path / "hog", kind="hog", suffix="jpg")
    back = read_image_folders(tmp_path / "hog")
    drawn = hog.draw_hog(data.images[rows_in(tmp_path / "hog")][..., 0])[..., None]
    assert np.abs(back.images.astype(int) - drawn).mean() < 6


def test_wrong_folders_classes_and_kinds_are_refused(tmp_path: Path) -> None:
    data = made(10, side=48)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not an empty folder"):
        write_image_folders(data, tmp_path)
    with pytest.raises(InputError, match="holds 'angry', which is not among the classes happy"):
        write_image_folders(data, tmp_path / "new", classes=["happy"])
    with pytest.raises(InputError, match="no images 'sift'"):
        write_image_folders(data, tmp_path / "new", kind="sift")
    with pytest.raises(InputError, match="in colour"):
        write_image_folders(made(10, 3, side=48), tmp_path / "new", kind="hog")
    assert not (tmp_path / "new").exists()
