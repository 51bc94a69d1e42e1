"""`mien.batch.containers`: Parquet and tar files of pictures."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.batch import contents, table, to_parquet, to_tar
from mien import Analyzer
from mien.batch.plan import make_plan
from mien.batch.settings import AnalysisSettings
from mien.batch.shard_analysis import analyse_shard, read_items
from mien.batch.types import Shard


@pytest.mark.parametrize("kind", ["struct", "binary", "large"])
def test_rows_of_parquet(photos: Path, analyzer: Analyzer, tmp_path: Path, kind: str) -> None:
    path = to_parquet(photos, tmp_path / "images.parquet", kind)
    plan = make_plan(str(path), size=2)
    assert [(s.start, s.stop) for s in plan.shards] == [(0, 2), (2, 3), (3, 5), (5, 6), (6, 7)]
    read = [item for shard in plan.shards for item in read_items(shard)]
    assert [item.content for item in read] == contents(photos)
    assert [item.member for item in read] == [str(i) for i in range(7)]
    rows = table(analyse_shard(analyzer, AnalysisSettings(), plan.shards[2]).tables["inputs"])
    assert [row["source"] for row in rows] == [f"{path}#3", f"{path}#4"]
    assert [row["faces"] for row in rows] == [1, 1]


def test_a_row_without_a_picture(tmp_path: Path, analyzer: Analyzer) -> None:
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": pa.array([{"bytes": None, "path": "a.jpg"}, None])}), path)
    # a struct of nothing but nulls still has its type
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
    pq.write_table(pa.Table.from_pylist([{"image": {"bytes": None}}, {"image": None}], schema=schema), path)
    (shard,) = make_plan(str(path)).shards
    done = analyse_shard(analyzer, AnalysisSettings(), shard)
    assert ["holds no picture" in row["error"] for row in table(done.tables["inputs"])] == [True, True]


@pytest.mark.parametrize("name", ["shard.tar", "shard.tar.gz"])
def test_members_of_a_tar_file(photos: Path, analyzer: Analyzer, tmp_path: Path, name: str) -> None:
    path = to_tar(photos, tmp_path / name)
    (shard,) = make_plan(str(path)).shards
    assert [item.content for item in read_items(shard)] == contents(photos)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    done = analyse_shard(analyzer, AnalysisSettings(), shard)
    *rows, last = table(done.tables["inputs"])
    assert 2 <= len(rows) <= 5
    assert not any(row["error"] for row in rows)
    assert last["kind"] == "file"
    assert f"after {len(rows)} pictures" in last["error"]


def test_a_container_that_is_gone_is_one_row(analyzer: Analyzer, tmp_path: Path) -> None:
    for kind, name in (("tar", "a.tar"), ("parquet", "a.parquet")):
        shard = Shard(0, kind, (str(tmp_path / name),), stop=3 if kind == "parquet" else None, column="image")
        (row,) = table(analyse_shard(analyzer, AnalysisSettings(), shard).tables["inputs"])
        assert "no such file" in row["error"]
