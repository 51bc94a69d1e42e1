"""`mien.batch.plan`: inputs → shards."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.batch import to_parquet
from helpers.photos import write_photos
from mien.batch.plan import _row_ranges, encode_plan, make_plan
from mien.errors import DataError, InputError, MienError, MissingFileError


def test_a_folder_is_read_to_its_depth_in_order(photos: Path) -> None:
    plan = make_plan(str(photos), size=4)
    names = [Path(file).relative_to(photos).as_posix() for shard in plan.shards for file in shard.files]
    assert names == ["damaged.jpg", *(f"p{i:03}.jpg" for i in range(7)), "sub/empty.png"]
    assert [len(shard.files) for shard in plan.shards] == [4, 4, 1]
    assert [shard.number for shard in plan.shards] == [0, 1, 2]
    assert plan.inputs == 9


def test_the_plan_follows_from_inputs_and_shard_size(photos: Path, tmp_path: Path) -> None:
    first = make_plan(str(photos), size=4)
    assert make_plan(str(photos), size=4) == first
    assert make_plan(str(photos), size=5).digest != first.digest
    assert len(pq.read_table(io.BytesIO(encode_plan(first)))) == 3
    copy = tmp_path / "copy"
    write_photos(copy, 2)
    before = make_plan(str(copy))
    (copy / "p001.jpg").write_bytes(b"another")
    assert make_plan(str(copy)).digest != before.digest


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 30))
def test_ranges_of_row_groups_cover_every_row_once(groups: list[int], size: int) -> None:
    ranges = list(_row_ranges(groups, size))
    rows = [row for start, stop in ranges for row in range(start, stop)]
    assert rows == list(range(sum(groups)))
    assert all(0 < stop - start <= size for start, stop in ranges)


def test_tables_without_pictures_are_skipped_and_reported(photos: Path, tmp_path: Path) -> None:
    to_parquet(photos, tmp_path / "images.parquet")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "labels.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    plan = make_plan(str(tmp_path))
    assert [Path(shard.files[0]).name for shard in plan.shards] == ["images.parquet", "torn.parquet"]
    assert len(plan.skipped) == 1
    assert "labels.parquet" in str(plan.skipped[0])
    assert plan.skipped[0].code == "no-pictures"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("nowhere", MissingFileError, "no such file or folder"),
        ("empty", MissingFileError, "no picture, video"),
        ("*.xyz", MissingFileError, "matches this pattern"),
        ("labels.parquet", DataError, "no column of encoded pictures"),
        ("rows.parquet", MissingFileError, "no rows"),
        ("torn.parquet", DataError, "not a readable Parquet file"),
        ("torn.tar", DataError, "not a readable tar file"),
        ("blank.txt", MissingFileError, "names no file"),
        ("binary.txt", InputError, "not a list of names; write one path"),
        ("foo://bar", InputError, "not known"),
        ("memory://void/", MissingFileError, "no such file or folder"),
        ("", InputError, "empty"),
    ],
)
def test_sources_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: type[MienError], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    pq.write_table(pa.table({"label": [1]}), "labels.parquet")
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), "rows.parquet")
    Path("torn.parquet").write_bytes(b"PAR1 and no more")
    Path("torn.tar").write_bytes(b"no tar" * 200)
    Path("blank.txt").write_text("\n \n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(kind, match=message) as caught:
        make_plan(name)
    assert "\n" not in str(caught.value)
