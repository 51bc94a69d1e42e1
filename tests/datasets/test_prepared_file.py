from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.datasets import encoded, made, votes_for
from helpers.labelled_pictures import pictures
from mien.datasets.dataset import Dataset
from mien.datasets.image_codec import decode_images, encode_images
from mien.datasets.prepared_file import METADATA_KEY, read_prepared, read_prepared_info, write_prepared
from mien.errors import DataError, MissingExtraError, MissingFileError
from mien.published.features import (
    compute_features,
)


def full() -> Dataset:
    base = made(20)
    return replace(
        base,
        votes=votes_for(base.emotion),
        age=(np.arange(20) % 9).astype(np.int8),
        gender=np.array(["Male", "Female"] * 10),
        race=np.array(["White", "Black", "Indian", "Latino_Hispanic"] * 5),
        found=np.arange(20) % 3 == 0,
        info=replace(base.info, dropped=(("blurred", 3),), notes=("made – up",)),
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_codec_is_lossless(channels: int) -> None:
    images = np.random.default_rng(3).integers(0, 256, (700, 9, 13, channels), np.uint8)
    files = [np.frombuffer(data, np.uint8) for data in encode_images(images)]
    np.testing.assert_array_equal(decode_images(files, (9, 13, channels)), images)


@pytest.mark.parametrize("data", [made(20), made(7, channels=3), full(), made(20)[np.zeros(20, bool)]])
def test_a_written_file_is_read_back(data: Dataset, tmp_path: Path) -> None:
    path = write_prepared(data, tmp_path / "new folder" / "data.parquet")
    back = read_prepared(path)
    assert back.info == data.info
    np.testing.assert_array_equal(back.images, data.images)
    np.testing.assert_array_equal(back.split, data.split)
    np.testing.assert_array_equal(back.row, data.row)
    assert back.labels().keys() == data.labels().keys()
    for name, column in data.labels().items():
        np.testing.assert_array_equal(back.labels()[name], column)
        assert back.labels()[name].dtype.kind == column.dtype.kind
    assert back.images.flags.c_contiguous
    assert back.images.flags.writeable


def test_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    a, b = write_prepared(full(), tmp_path / "a.parquet"), write_prepared(full(), tmp_path / "b.parquet")
    assert a.read_bytes() == b.read_bytes()


def test_columns_and_description(tmp_path: Path) -> None:
    path = write_prepared(full(), tmp_path / "a.parquet")
    schema = pq.read_schema(path)
    assert schema.field("image").type == pa.binary()
    assert schema.field("emotion").type == pa.int8()
    assert schema.field("votes").type == pa.list_(pa.int8(), 10)
    assert schema.field("gender").type == pa.dictionary(pa.int32(), pa.string())
    info = read_prepared_info(path)
    assert info["name"] == "fer2013"
    assert info["taxonomy"] == "fer2013"
    assert info["size"] == [12, 12]
    assert info["channels"] == 1
    assert info["dropped"] == [{"reason": "blurred", "count": 3}]
    assert info["sha256"] == full().sha256()


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_prepared(made(5), tmp_path / "a.parquet")
    before = path.read_bytes()

    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_prepared(made(6), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def rewritten(path: Path, **columns: object) -> Path:
    """The same file and description with other columns; None takes one out."""
    table = pq.read_table(path)
    for name, values in columns.items():
        i = table.column_names.index(name)
        table = table.remove_column(i) if values is None else table.set_column(i, name, values)
    pq.write_table(table, path)
    return path


def described(path: Path, **changes: object) -> Path:
    table = pq.read_table(path)
    document = {**json.loads(table.schema.metadata[METADATA_KEY]), **changes}
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(document)}), path)
    return path


def test_changed_labels_and_pixels_are_noticed(tmp_path: Path) -> None:
    path = write_prepared(made(20), tmp_path / "a.parquet")
    rewritten(path, emotion=pa.array([0] * 20, pa.int8()))
    with pytest.raises(DataError, match=r"a\.parquet: pixels or labels differ .* prepare it again"):
        read_prepared(path)
    path = write_prepared(made(20), tmp_path / "a.parquet")
    images = pq.read_table(path)["image"].to_pylist()
    rewritten(path, image=pa.array([*images[1:], images[0]], pa.binary()))
    with pytest.raises(DataError, match="SHA-256 mismatch"):
        read_prepared(path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    def fresh() -> Path:
        return write_prepared(made(20), tmp_path / "a.parquet")

    images = pq.read_table(fresh())["image"].to_pylist()
    broken = [*images[:4], b"no image", *images[5:]]
    with pytest.raises(
        DataError, match=r"damaged prepared dataset \(image 5: not a readable image.*\).*prepare it again"
    ):
        read_prepared(rewritten(fresh(), image=pa.array(broken, pa.binary())))
    small = [*images[:4], encoded(np.zeros((3, 3), np.uint8)), *images[5:]]
    with pytest.raises(DataError, match="image 5: shape"):
        read_prepared(rewritten(fresh(), image=pa.array(small, pa.binary())))
    with pytest.raises(DataError, match="split"):
        read_prepared(rewritten(fresh(), split=None))
    with pytest.raises(DataError, match="emotion must be in 0–6"):
        read_prepared(rewritten(fresh(), emotion=pa.array([9] * 20, pa.int8())))
    with pytest.raises(DataError, match="unknown taxonomy"):
        read_prepared(described(fresh(), taxonomy="feelings"))
    with pytest.raises(DataError, match="damaged prepared dataset"):
        read_prepared(described(fresh(), size=3))
    with pytest.raises(DataError, match="not of layout version 1"):
        read_prepared(described(fresh(), version=99))

    cut = fresh()
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a readable prepared dataset"):
        read_prepared(cut)
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(DataError, match="not a readable prepared dataset"):
        read_prepared(tmp_path / "text.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="Parquet, but not a prepared dataset"):
        read_prepared_info(tmp_path / "other.parquet")
    with pytest.raises(MissingFileError, match="make it with `mien data prepare"):
        read_prepared(tmp_path / "absent.parquet")


def test_without_pyarrow_one_line_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[data\]'"):
        write_prepared(made(2), tmp_path / "a.parquet")


def with_features(n: int = 20, channels: int = 1) -> Dataset:
    base = made(n, channels, side=48)
    gray = np.ascontiguousarray(base.images[..., 0])
    return replace(
        base, features={"hog": compute_features("hog", gray), "hog_sliding": compute_features("hog_sliding", gray)}
    )


def test_features_are_written_read_and_selected(tmp_path: Path) -> None:
    data = with_features()
    path = write_prepared(data, tmp_path / "a.parquet")
    assert str(pq.read_schema(path).field("feature_hog").type) == "fixed_size_list<element: float>[72]"
    back = read_prepared(path)
    assert set(back.features) == {"hog", "hog_sliding"}
    rows = np.array([4, 0, 17])
    for name, vectors in data.features.items():
        np.testing.assert_array_equal(back.features[name], vectors)
        np.testing.assert_array_equal(back[rows].features[name], vectors[rows])
        np.testing.assert_array_equal(back.select("test").features[name], vectors[data.split == "test"])
    old = read_prepared(write_prepared(made(5), tmp_path / "old.parquet"))
    assert not old.features


def test_feature_columns_survive_the_file(tmp_path: Path) -> None:
    wanted = pictures(60, features=True)
    data = read_prepared(write_prepared(wanted, tmp_path / "features.parquet"))
    assert data.features.keys() == wanted.features.keys()
    for name, vectors in wanted.features.items():
        np.testing.assert_array_equal(data.features[name], vectors)
    np.testing.assert_array_equal(data[data.split == "test"].features["hog"], vectors_of(wanted, "hog", "test"))
    assert data.sha256() != pictures(60).sha256()


def vectors_of(data: Dataset, name: str, split: str) -> np.ndarray:
    return np.asarray(data.features[name])[data.split == split]
