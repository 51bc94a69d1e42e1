"""`mien.batch.storage`: local folders and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from helpers.batch import contents, to_parquet, to_tar
from helpers.clips import Pan, clip
from mien import Analyzer
from mien.batch.plan import make_plan
from mien.batch.settings import AnalysisSettings
from mien.batch.shard_analysis import analyse_shard, read_items
from mien.batch.storage import open_output_folder, read_files
from mien.batch.types import ResultCounts
from mien.errors import MienError


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_inputs_behind_an_address(photos: Path, analyzer: Analyzer, memory: Any, tmp_path: Path) -> None:
    for i, content in enumerate(contents(photos)):
        memory.pipe_file(f"/bucket/in/p{i:03}.jpg", content)
    memory.pipe_file("/bucket/in/a.tar", to_tar(photos, tmp_path / "a.tar").read_bytes())
    memory.pipe_file("/bucket/in/b.parquet", to_parquet(photos, tmp_path / "b.parquet").read_bytes())
    video = clip(tmp_path / "c.mp4", size=(160, 120), frames=5, draw=Pan.astronaut((160, 120)))
    memory.pipe_file("/bucket/in/c.mp4", video.read_bytes())
    memory.pipe_file("/bucket/in/.hidden.jpg", b"")
    memory.pipe_file("/bucket/in/notes.md", b"")
    memory.pipe_file("/bucket/list.txt", b"memory://bucket/in/p000.jpg\nmemory://bucket/in/nowhere.jpg\n")
    plan = make_plan("memory://bucket/in", size=5)
    assert [shard.kind for shard in plan.shards] == ["tar", "parquet", "parquet", "video", "photos", "photos"]
    done = [analyse_shard(analyzer, AnalysisSettings(), shard) for shard in plan.shards]
    assert sum((one.counts for one in done), ResultCounts()) == ResultCounts(22, 0, 18, 5)
    assert len(make_plan("memory://bucket/in/p00[0-3].jpg").shards[0].files) == 4
    rows = [item for shard in make_plan("memory://bucket/list.txt").shards for item in read_items(shard)]
    assert "no such file" in str(rows[0].error)
    assert rows[1].content == contents(photos)[0]


def test_local_and_remote_files_in_one_list(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"A")
    memory.pipe_file("/b", b"B")
    paths = [str(tmp_path / "a"), "memory://b", "memory://c", str(tmp_path / "d"), str(tmp_path)]
    found = list(read_files(paths))
    assert found[:2] == [b"A", b"B"]
    assert [isinstance(one, MienError) for one in found[2:]] == [True, True, True]


@pytest.mark.parametrize("where", ["memory://results", "file", "local"])
def test_results_are_written_whole(where: str, memory: Any, tmp_path: Path) -> None:
    place = open_output_folder({"file": f"file://{tmp_path}/r", "local": str(tmp_path / "r")}.get(where, where))
    assert place.names() == []
    place.write("inputs/part-000001.parquet", b"1")
    place.write("inputs/part-000001.parquet", b"2")
    place.write("manifest.json", b"{}")
    assert place.names("inputs") == ["part-000001.parquet"]
    assert place.names() == ["inputs", "manifest.json"]
    assert place.read("inputs/part-000001.parquet") == b"2"
