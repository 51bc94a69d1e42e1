from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.datasets import fer2013_csv, fer2013_rows, hf_parquet, made, noise, rafdb, write_image
from mien.datasets import DATASET_FORMATS, ReadOptions, detect_format, read_dataset
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError, MissingFileError

GRAY = noise(2, 48, 48)
AGES = {"age": ["3-9", "0-2"], "gender": ["Male"] * 2, "race": ["White"] * 2}


def fer2013_plain(folder: Path) -> Path:
    return fer2013_csv(folder / "fer2013.csv", fer2013_rows(5))


def fer2013_gz(folder: Path) -> Path:
    return fer2013_csv(folder / "anything.gz", fer2013_rows(5))


def fer2013_zip(folder: Path) -> Path:
    return fer2013_csv(folder / "archive.zip", fer2013_rows(5))


def fer2013_folder(folder: Path) -> Path:
    return fer2013_zip(folder).rename(folder / "fer2013.zip").parent


def image_folders(folder: Path) -> Path:
    for split in ("train", "test"):
        write_image(folder / split / "happy" / "1.png", GRAY[0])
    return folder


def hf_file(folder: Path) -> Path:
    return hf_parquet(folder / "train.parquet", GRAY, {"label": ["happy", "sad"]})


def hf_folder(folder: Path) -> Path:
    return hf_parquet(folder / "default" / "train" / "0000.parquet", GRAY, {"label": ["happy", "sad"]}).parents[2]


def hf_train_folder(folder: Path) -> Path:
    """A folder named as a split that holds tables, not pictures."""
    return hf_parquet(folder / "train" / "0000.parquet", GRAY, {"label": ["happy", "sad"]}).parents[1]


def fairface_parquet(folder: Path) -> Path:
    return hf_parquet(folder / "validation.parquet", GRAY, AGES).parent


def fairface_csv(folder: Path) -> Path:
    write_image(folder / "val" / "1.png", GRAY[0])
    (folder / "fairface_label_val.csv").write_text("file,age,gender,race\nval/1.png,3-9,Male,White\n")
    return folder


def fairface_csv_file(folder: Path) -> Path:
    return fairface_csv(folder) / "fairface_label_val.csv"


def rafdb_folder(folder: Path) -> Path:
    return rafdb(folder, ["train_1.png 1", "test_1.png 2"], noise(2, 20, 20, 3))


def prepared_file(folder: Path) -> Path:
    return write_prepared(made(5), folder / "data.parquet")


LAYOUTS = [
    (fer2013_plain, "fer2013"),
    (fer2013_gz, "fer2013"),
    (fer2013_zip, "fer2013"),
    (fer2013_folder, "fer2013"),
    (image_folders, "folders"),
    (hf_file, "hf"),
    (hf_folder, "hf"),
    (hf_train_folder, "hf"),
    (fairface_parquet, "fairface"),
    (fairface_csv, "fairface"),
    (fairface_csv_file, "fairface"),
    (rafdb_folder, "rafdb"),
    (prepared_file, "prepared"),
]


@pytest.mark.parametrize(("make", "kind"), LAYOUTS)
def test_every_layout_is_recognised_and_survives_the_training_file(make, kind: str, tmp_path: Path) -> None:
    source = make(_folder(tmp_path))
    assert detect_format(source) == kind
    data = read_dataset(source)
    again = read_dataset(write_prepared(data, tmp_path / "out.parquet"), "prepared")
    np.testing.assert_array_equal(again.images, data.images)
    assert again.info == data.info


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def test_every_kind_of_the_table_is_tested() -> None:
    assert {kind for _, kind in LAYOUTS} == set(DATASET_FORMATS)
    assert all(dataset.description and dataset.licence for dataset in DATASET_FORMATS.values())


def test_unknown_layouts_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        detect_format(tmp_path / "absent")
    with pytest.raises(DataError, match=r"not a known dataset; expected one of: fer2013 – .*rafdb – ") as caught:
        detect_format(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a known dataset"):
        detect_format(tmp_path / "notes.csv")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="not a known dataset"):
        detect_format(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        detect_format(tmp_path / "x.parquet")
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b and no more")
    with pytest.raises(DataError, match="the compressed file is damaged"):
        detect_format(tmp_path / "x.gz")


def test_options(tmp_path: Path) -> None:
    path = hf_parquet(tmp_path / "train.parquet", GRAY, {"label": [0, 1]})
    data = read_dataset(path, "hf", ReadOptions(size=24, labels=("happy", "sad")))
    assert data.size == (24, 24)
    assert data.emotion.tolist() == [3, 4]
    with pytest.raises(InputError, match="labels has no meaning for fer2013"):
        read_dataset(fer2013_plain(tmp_path), options=ReadOptions(labels=("happy",)))
    with pytest.raises(InputError, match="size has no meaning for fer2013"):
        read_dataset(tmp_path / "fer2013.csv", options=ReadOptions(size=64))
    with pytest.raises(InputError, match="unknown kind 'ck'"):
        read_dataset(path, "ck")
    faces = fairface_parquet(_folder(tmp_path))
    cropped = read_dataset(faces, options=ReadOptions(size=8, crop=lambda rgb: rgb[:8, :8].copy()))
    assert cropped.found.tolist() == [True, True]
