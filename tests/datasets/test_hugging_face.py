from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.datasets import encoded, hf_parquet, noise
from mien.datasets.hugging_face import read_hugging_face, split_from_name
from mien.errors import DataError, MissingFileError
from mien.labels import FOLDERS

IMAGES = noise(7, 48, 48)


def test_class_label_names_decide(tmp_path: Path) -> None:
    for name in ("train-00000-of-00001-ab12.parquet", "test-00000-of-00001.parquet", "valid.parquet"):
        hf_parquet(tmp_path / "data" / name, IMAGES, {"label": list(range(7))}, {"label": FOLDERS.names})
    data = read_hugging_face(tmp_path)
    assert data.images.shape == (21, 48, 48, 1)
    np.testing.assert_array_equal(data.images[:7, ..., 0], IMAGES)
    assert [data.taxonomy.names[i] for i in data.emotion[:7]] == list(FOLDERS.names)
    assert data.split.tolist() == ["test"] * 7 + ["train"] * 7 + ["validation"] * 7
    assert data.row.tolist() == list(range(21))


def test_text_labels_plain_binary_and_several_files(tmp_path: Path) -> None:
    def plain(blobs: list[bytes]) -> pa.Array:
        return pa.array(blobs, pa.large_binary())

    words = ["happiness", "sadness", "anger", "fear", "disgust", "Neutral", "contempt"]
    a = hf_parquet(tmp_path / "train.parquet", IMAGES, {"emotion": words}, image_column=plain)
    b = hf_parquet(tmp_path / "test.parquet", IMAGES[:2], {"emotion": words[:2]}, image_column=plain)
    data = read_hugging_face([a, b])
    assert data.info.taxonomy == "ferplus"
    assert [data.taxonomy.names[i] for i in data.emotion[5:]] == ["neutral", "contempt", "happy", "sad"]
    assert data.split.tolist() == ["train"] * 7 + ["test"] * 2


def test_label_order_given_by_hand(tmp_path: Path) -> None:
    path = hf_parquet(tmp_path / "train.parquet", IMAGES, {"label": list(range(7))})
    with pytest.raises(DataError, match="holds numbers and the file does not name them; give the names in their order"):
        read_hugging_face(path)
    data = read_hugging_face(path, labels=FOLDERS.names)
    assert [data.taxonomy.names[i] for i in data.emotion] == list(FOLDERS.names)
    with pytest.raises(DataError, match=r"row 4: label is 3, expected one of 0 angry, 1 happy, 2 sad"):
        read_hugging_face(path, labels=("angry", "happy", "sad"))
    named = hf_parquet(tmp_path / "test.parquet", IMAGES, {"label": list(range(7))}, {"label": list("0123456")})
    with pytest.raises(DataError, match=r"row 1: unknown emotion label '0'.*give the names in their order"):
        read_hugging_face(named)
    assert len(read_hugging_face(named, labels=FOLDERS.names)) == 7


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00001-ab.parquet", "train"),
        ("default/train/0000.parquet", "train"),
        ("default/partial-train/0000.parquet", "train"),
        ("validation.parquet", "validation"),
        ("fer_valid_01.parquet", "validation"),
        ("VAL.parquet", "validation"),
        ("test/0000.parquet", "test"),
    ],
)
def test_splits_from_names(name: str, split: str) -> None:
    assert split_from_name(Path(name)) == split


def test_names_without_a_split_or_with_two() -> None:
    assert split_from_name(Path("0000.parquet")) is split_from_name(Path("trainer.parquet")) is None
    with pytest.raises(DataError, match=r"contains several splits; rename the file"):
        split_from_name(Path("train-test.parquet"))


def test_colour_and_size(tmp_path: Path) -> None:
    images = noise(3, 10, 10, 3)
    path = hf_parquet(tmp_path / "train.parquet", images, {"label": ["happy"] * 3})
    np.testing.assert_array_equal(read_hugging_face(path).images, images)
    assert read_hugging_face(path, size=16).images.shape == (3, 16, 16, 3)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        read_hugging_face(tmp_path / "absent")
    with pytest.raises(MissingFileError, match=r"no \.parquet file in it"):
        read_hugging_face(tmp_path)
    path = tmp_path / "train.parquet"
    path.write_text("nothing")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_hugging_face(path)
    hf_parquet(path, IMAGES, {"target": [0] * 7})
    with pytest.raises(
        DataError,
        match="no label column: expected one of label, labels, emotion, emotions, expression, found image, target",
    ):
        read_hugging_face(path)
    pq.write_table(pa.table({"label": ["happy"]}), path)
    with pytest.raises(DataError, match="no image column: expected one of image"):
        read_hugging_face(path)
    hf_parquet(path, IMAGES[:2], {"label": ["happy", None]})
    with pytest.raises(DataError, match="row 2: no label"):
        read_hugging_face(path)
    pq.write_table(pa.table({"label": ["happy"], "image": [[1, 2, 3]]}), path)
    with pytest.raises(DataError, match="images must be binary"):
        read_hugging_face(path)
    pq.write_table(pa.table({"label": ["happy"], "image": [{"path": "a.png"}]}), path)
    with pytest.raises(DataError, match="holds no bytes"):
        read_hugging_face(path)
    blob = encoded(IMAGES[0])
    pq.write_table(pa.table({"label": ["happy"] * 2, "image": [{"bytes": blob}, {"bytes": None}]}), path)
    with pytest.raises(DataError, match="row 2: no image bytes"):
        read_hugging_face(path)
    pq.write_table(pa.table({"label": ["happy"] * 2, "image": [{"bytes": blob}, {"bytes": b"xx"}]}), path)
    with pytest.raises(DataError, match=r"train\.parquet: row 2: not a readable image"):
        read_hugging_face(path)
    pq.write_table(pa.table({"label": pa.array([], pa.string()), "image": pa.array([], pa.binary())}), path)
    with pytest.raises(DataError, match="the files hold no rows"):
        read_hugging_face(path)


def test_splits_of_a_column_or_made_where_there_are_none(tmp_path: Path) -> None:
    columns = {"label": ["happy", "sad"] * 3 + ["sad"], "split": ["train", "validation", "test"] * 2 + ["Training"]}
    path = hf_parquet(tmp_path / "faces.parquet", IMAGES, columns)
    assert read_hugging_face(path).split.tolist() == ["train", "validation", "test"] * 2 + ["train"]
    hf_parquet(path, IMAGES, columns | {"split": ["some"] * 7})
    with pytest.raises(DataError, match="row 1: unknown split 'some'"):
        read_hugging_face(path)
    hf_parquet(path, noise(20, 8, 8, seed=3), {"label": ["happy", "sad"] * 10})
    data = read_hugging_face(path)
    assert np.unique(data.split, return_counts=True)[1].tolist() == [2, 16, 2]
    assert data.info.notes == ("new splits train:validation:test 80:10:10 with seed 0: the source has none",)
    hf_parquet(tmp_path / "test.parquet", noise(7, 8, 8), {"label": ["happy"] * 7})
    with pytest.raises(DataError, match="no split in the name of its file, while others have one"):
        read_hugging_face(tmp_path)


def test_classes_of_ones_own(tmp_path: Path) -> None:
    path = hf_parquet(
        tmp_path / "train.parquet", IMAGES, {"label": [0, 1, 1, 0, 0, 0, 0]}, {"label": ("hat", "no hat")}
    )
    with pytest.raises(DataError, match=r"row 1: unknown emotion label 'hat'.*--labels own"):
        read_hugging_face(path)
    data = read_hugging_face(path, own=True)
    assert (data.info.classes, data.emotion.tolist()) == (("hat", "no hat"), [0, 1, 1, 0, 0, 0, 0])


def test_a_damaged_arrow_file(tmp_path: Path) -> None:
    path = tmp_path / "train" / "data-00000-of-00001.arrow"
    path.parent.mkdir()
    path.write_bytes(b"ARROW1 and no more")
    with pytest.raises(DataError, match="not a readable Arrow file"):
        read_hugging_face(tmp_path)
