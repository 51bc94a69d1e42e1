from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import encoded, hf_parquet, noise, write_image
from mien.datasets.fairface import AGES, open_fairface, read_fairface
from mien.errors import DataError, InputError, MissingFileError
from mien.geometry import resize
from mien.labels import AGE_BINS

IMAGES = noise(9, 16, 16, 3)
AGE = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
GENDER = ["Male", "Female", "Female"] * 3
RACE = ["East Asian", "Latino_Hispanic", "White"] * 3
TEXT = {"age": AGE, "gender": GENDER, "race": RACE, "service_test": [True, False, True] * 3}


def parquet(folder: Path, columns=TEXT, names=None) -> Path:
    hf_parquet(folder / "train.parquet", IMAGES, columns, names)
    hf_parquet(folder / "validation.parquet", IMAGES[:3], {name: values[:3] for name, values in columns.items()}, names)
    return folder


def published(folder: Path, nested: str = "") -> Path:
    """The authors' CSV files beside train/ and val/."""
    for split, n in (("train", 9), ("val", 3)):
        with (folder / f"fairface_label_{split}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["file", "age", "gender", "race", "service_test"])
            for i in range(n):
                writer.writerow([f"{split}/{i + 1}.png", AGE[i], GENDER[i], RACE[i], "True"])
                write_image(folder / nested / split / f"{i + 1}.png", IMAGES[i])
    return folder


def check(data) -> None:
    np.testing.assert_array_equal(data.images, np.concatenate([IMAGES, IMAGES[:3]]))
    assert data.age.tolist() == [*range(9), 0, 1, 2]
    assert data.gender.tolist() == GENDER + GENDER[:3]
    assert data.race.tolist() == RACE + RACE[:3]
    assert data.split.tolist() == ["train"] * 9 + ["validation"] * 3
    assert data.row.tolist() == list(range(12))
    assert data.emotion is None
    assert data.found is None


def test_every_age_range_has_its_bin() -> None:
    assert [AGE_BINS[AGES[name]] for name in AGE] == list(AGE_BINS)


def test_parquet_with_text(tmp_path: Path) -> None:
    check(read_fairface(parquet(tmp_path)))
    check(read_fairface([tmp_path / "train.parquet", tmp_path / "validation.parquet"]))
    assert set(read_fairface(tmp_path / "validation.parquet").split) == {"validation"}


def test_parquet_with_class_labels(tmp_path: Path) -> None:
    names = {"age": AGE, "gender": ["Male", "Female"], "race": sorted(set(RACE))}
    numbers = {name: [list(values).index(text) for text in TEXT[name]] for name, values in names.items()}
    check(read_fairface(parquet(tmp_path, numbers, names)))


@pytest.mark.parametrize("nested", ["", "fairface-img-margin025-trainval"])
def test_csv_beside_folders(nested: str, tmp_path: Path) -> None:
    check(read_fairface(published(tmp_path, nested)))
    assert len(read_fairface(tmp_path / "fairface_label_val.csv")) == 3


def test_resized(tmp_path: Path) -> None:
    assert read_fairface(parquet(tmp_path), size=8).images.shape == (12, 8, 8, 3)


def test_crop_hook(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def crop(rgb: np.ndarray) -> np.ndarray | None:
        assert rgb.shape == (16, 16, 3)
        return None if rgb.tobytes() == IMAGES[1].tobytes() else rgb[4:8, 4:8].copy()

    data = read_fairface(parquet(tmp_path), size=4, crop=crop, progress=lambda done, total: seen.append((done, total)))
    assert data.found.tolist() == [True, False, *[True] * 8, False, True]
    np.testing.assert_array_equal(data.images[0], IMAGES[0][4:8, 4:8])
    np.testing.assert_array_equal(data.images[1], resize(IMAGES[1], (4, 4)))
    assert seen[0] == (1, 12)
    assert seen[-1] == (12, 12)
    with pytest.raises(InputError, match="crop needs size"):
        read_fairface(tmp_path, crop=crop)
    with pytest.raises(InputError, match=r"a crop must be uint8 \(5, 5, 3\)"):
        read_fairface(tmp_path, size=5, crop=crop)


def test_originals_are_there_one_by_one(tmp_path: Path) -> None:
    source = open_fairface(parquet(tmp_path))
    assert len(source) == 12
    np.testing.assert_array_equal(np.stack(list(source.images())), np.concatenate([IMAGES, IMAGES[:3]]))


def test_parquet_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        read_fairface(tmp_path / "absent")
    parquet(tmp_path, {**TEXT, "age": ["0-2", "old", *AGE[2:]]})
    with pytest.raises(DataError, match=r"train\.parquet: row 2: unknown age range 'old'; expected one of 0-2"):
        read_fairface(tmp_path)
    parquet(tmp_path, {name: values for name, values in TEXT.items() if name != "race"})
    with pytest.raises(DataError, match="no race column"):
        read_fairface(tmp_path)


def test_unreadable_image(tmp_path: Path) -> None:
    def one_broken(blobs: list[bytes]) -> list[dict[str, bytes]]:
        return [{"bytes": b"no image" if i == 1 else encoded(IMAGES[0])} for i in range(len(blobs))]

    path = hf_parquet(tmp_path / "train.parquet", IMAGES, TEXT, image_column=one_broken)
    with pytest.raises(DataError, match="row 2: not a readable image"):
        read_fairface(path)
    with pytest.raises(DataError, match="row 2: not a readable image"):
        read_fairface(path, size=4, crop=lambda rgb: None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train/2.png,3-9", "train/2.png,old", r"train\.csv: row 2 \(line 3\): unknown age range 'old'"),
        ("train/2.png", "elsewhere/2.png", r"row 2 \(line 3\): no image"),
        ("train/2.png,3-9,Female", "train/2.png,3-9,", "an empty or missing cell"),
        ("train/3.png", "train/2.png", "train/2.png is named a second time"),
        ("file,age", "name,age", "no column 'file'"),
        ("train/2.png,3-9,Female,Latino_Hispanic,True", "train/2.png,3-9", r"row 2 \(line 3\): 2 columns instead of 5"),
    ],
)
def test_csv_errors(old: str, new: str, message: str, tmp_path: Path) -> None:
    listing = published(tmp_path) / "fairface_label_train.csv"
    listing.write_text(listing.read_text().replace(old, new))
    with pytest.raises((DataError, MissingFileError), match=message):
        read_fairface(tmp_path)


def test_csv_split_and_missing_image(tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "val" / "2.png").unlink()
    with pytest.raises(
        MissingFileError, match=r"fairface_label_val\.csv: row 2 \(line 3\): no image .*unpack FairFace's images"
    ):
        read_fairface(tmp_path)
    write_image(tmp_path / "other" / "1.png", IMAGES[0])
    (tmp_path / "labels.csv").write_text("file,age,gender,race\nother/1.png,3-9,Male,White\n")
    with pytest.raises(DataError, match=r"the split of 'other/1\.png' is unknown"):
        read_fairface(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("file,age,gender,race\n")
    with pytest.raises(DataError, match="no rows below the header"):
        read_fairface(tmp_path / "labels.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_that_went_through_a_spreadsheet(separator: str, encoding: str, tmp_path: Path) -> None:
    """It takes "3-9" and "10-19" for dates, and leaves rows of empty cells."""
    published(tmp_path)
    for split in ("train", "val"):
        listing = tmp_path / f"fairface_label_{split}.csv"
        text = listing.read_text().replace(",3-9,", ",09-Mar,").replace(",10-19,", ",Oct-19,").replace("/", "\\")
        lines = [*text.splitlines(), ",,,,", ""]
        listing.write_bytes("\r\n".join(lines).replace(",", separator).encode(encoding))
    check(read_fairface(tmp_path))


def test_csv_of_other_names_and_without_a_column_that_is_not_needed(tmp_path: Path) -> None:
    published(tmp_path)
    for split, name in (("train", "train_labels.csv"), ("val", "val_labels.csv")):
        listing = tmp_path / f"fairface_label_{split}.csv"
        rows = [line.rpartition(",")[0] for line in listing.read_text().splitlines()]
        listing.unlink()
        (tmp_path / name).write_text("\n".join(rows))
    check(read_fairface(tmp_path))
