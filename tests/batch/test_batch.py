"""`mien.batch` in this process: plans, inputs, shards, stores. test_batch_run.py starts worker processes."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers.clips import Pan, clip
from helpers.photos import write_photos
from helpers.pictures import astronaut
from mien import Analyzer
from mien.batch.inputs import list_inputs
from mien.batch.output_store import OutputStore
from mien.batch.plan import _row_ranges, encode_plan, make_plan
from mien.batch.settings import AnalysisSettings, load_setup
from mien.batch.shard_analysis import RetryPolicy, analyse_shard, read_items
from mien.batch.storage import open_output_folder, read_files
from mien.batch.tables import read_counts
from mien.batch.types import ResultCounts, Shard, ShardResult
from mien.errors import DataError, InputError, MienError, MissingFileError
from mien.results.tables import write_parquet


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return load_setup(AnalysisSettings()).analyzer(threads=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures with a face, one without, one that is damaged, one that is empty."""
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 6, without=1)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xffnothing")
    (folder / "sub").mkdir()
    (folder / "sub" / "empty.png").touch()
    (folder / ".hidden.jpg").touch()
    (folder / "notes.md").write_text("not a picture")
    return folder


def table(part: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(part)).to_pylist()
    return rows


def contents(photos: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(photos.glob("p*.jpg"))]


def to_parquet(photos: Path, path: Path, kind: str = "struct") -> Path:
    found = contents(photos)
    column = pa.array([{"bytes": c, "path": f"{i}.jpg"} for i, c in enumerate(found)])
    if kind != "struct":
        column = pa.array(found, pa.large_binary() if kind == "large" else pa.binary())
    pq.write_table(pa.table({"label": list(range(len(found))), "image": column}), path, row_group_size=3)
    return path


def to_tar(photos: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix != ".tar" else "w") as tar:
        for i, content in enumerate(contents(photos)):
            for name, data in ((f"{i:05}.jpg", content), (f"{i:05}.cls", b"3")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


# ---------------------------------------------------------------- plans


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


def test_patterns_and_lists(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    given = str(photos / "p000.jpg")
    assert len(list_inputs("p00[0-2].jpg")) == 3
    assert len(list_inputs("**/*")) == 9
    names = tmp_path / "names.txt"
    names.write_text(f"{given}\n\np000.jpg\nnowhere.jpg\nmemory://far/away.jpg\n")
    found = list_inputs(str(names))
    assert [entry.path for entry in found] == [str(photos / "nowhere.jpg"), given, "memory://far/away.jpg"]
    assert [entry.size is None for entry in found] == [True, False, True]


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


def test_one_torn_parquet_file_does_not_stop_the_photos_beside_it(tmp_path: Path, analyzer: Analyzer) -> None:
    write_photos(tmp_path, 1)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    done = [analyse_shard(analyzer, AnalysisSettings(), shard) for shard in make_plan(str(tmp_path)).shards]
    rows = [row for one in done for row in table(one.tables["inputs"])]
    assert sorted((row["kind"], row["error"] is None) for row in rows) == [("file", False), ("photo", True)]


def test_a_file_name_that_is_no_text(tmp_path: Path, analyzer: Analyzer) -> None:
    write_photos(tmp_path, 1)
    try:
        (tmp_path / "p000.jpg").rename(tmp_path / os.fsdecode(b"\xff.jpg"))
    except OSError:
        pytest.skip("this disk takes text only")
    plan = make_plan(str(tmp_path))
    assert table(encode_plan(plan))[0]["files"] == [f"{tmp_path}/\\udcff.jpg"]
    done = analyse_shard(analyzer, AnalysisSettings(), plan.shards[0])
    assert [table(done.tables[name])[0]["source"] for name in ("inputs", "faces")] == [f"{tmp_path}/\\udcff.jpg"] * 2


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("nowhere", MissingFileError, "no such file or folder"),
        ("empty", MissingFileError, "no picture, video"),
        ("*.xyz", MissingFileError, "matches this pattern"),
        ("labels.parquet", DataError, "no column of encoded pictures"),
        ("rows.parquet", MissingFileError, "no rows"),
        ("torn.parquet", DataError, "not a readable Parquet file"),
        ("torn.tar", DataError, "not a readable tar file"),
        ("blank.txt", MissingFileError, "names no file"),
        ("binary.txt", InputError, "not UTF-8 text; write one path"),
        ("foo://bar", InputError, "not known"),
        ("memory://void/", MissingFileError, "no such file or folder"),
        ("", InputError, "empty"),
    ],
)
def test_sources_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: type[MienError], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    pq.write_table(pa.table({"label": [1]}), "labels.parquet")
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), "rows.parquet")
    Path("torn.parquet").write_bytes(b"PAR1 and no more")
    Path("torn.tar").write_bytes(b"no tar" * 200)
    Path("blank.txt").write_text("\n \n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(kind, match=said) as caught:
        make_plan(name)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- shards


def test_a_shard_of_files(photos: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    (shard,) = make_plan(str(photos)).shards
    done = analyse_shard(analyzer, AnalysisSettings(), shard)
    rows = table(done.tables["inputs"])
    assert [row["source"] for row in rows] == list(shard.files)
    assert [Path(row["source"]).name for row in rows if row["error"]] == ["damaged.jpg", "empty.png"]
    assert all(row["error"].startswith(row["source"]) for row in rows if row["error"])
    assert {row["error_code"] for row in rows} == {"image-unreadable", None}
    assert all(row["error_reason"] in row["error"] for row in rows if row["error"])
    assert [row["faces"] for row in rows] == [None, *[1] * 6, 0, None]
    assert done.counts == ResultCounts(inputs=9, errors=2, faces=6)
    assert read_counts(done.tables["inputs"], 0, "part") == done.counts
    # the faces are those, and have the columns, of `mien analyze --parquet`
    results = analyzer.analyze_batch(list(shard.files[1:7]))
    write_parquet(results, tmp_path / "faces.parquet")
    assert pq.read_table(io.BytesIO(done.tables["faces"])).equals(pq.read_table(tmp_path / "faces.parquet"))


def test_large_photos_have_boxes_in_their_own_pixels(tmp_path: Path) -> None:
    large = np.asarray(cv2.resize(astronaut(), (1600, 1600), interpolation=cv2.INTER_CUBIC), np.uint8)
    Image.fromarray(large).save(tmp_path / "large.jpg", quality=92)
    rows = {}
    for min_face in (100, 150):
        (shard,) = make_plan(str(tmp_path)).shards
        done = analyse_shard(Analyzer(threads=1, min_face=min_face), AnalysisSettings(), shard)
        (about,) = table(done.tables["inputs"])
        assert (about["width"], about["height"], about["faces"]) == (1600, 1600, 1)
        rows[min_face] = table(done.tables["faces"])[0]
    for name in ("x1", "y1", "x2", "y2"):
        assert rows[150][name] == pytest.approx(rows[100][name], abs=25)


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


def test_a_video(analyzer: Analyzer, tmp_path: Path) -> None:
    path = clip(tmp_path / "100%d.mp4", size=(160, 120), frames=12, draw=Pan.astronaut((160, 120)))
    (tmp_path / "torn.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    plan = make_plan(str(tmp_path))
    good, torn = (analyse_shard(analyzer, AnalysisSettings(fps=12.5, min_face=20), shard) for shard in plan.shards)
    (row,), (failed,) = table(good.tables["inputs"]), table(torn.tables["inputs"])
    frames = table(good.tables["frames"])
    assert (row["kind"], row["frames"], row["width"], row["error"]) == ("video", 6, 160, None)
    assert {frame["source"] for frame in frames} == {str(path)}
    assert [frame["frame"] for frame in frames] == [0, 2, 4, 6, 8, 10]
    assert {"track", "emotion_happy", "smoothed_happy"} <= set(frames[0])
    assert good.counts == ResultCounts(1, 0, 0, 6)
    assert "moov" in failed["error"]
    assert "frames" not in torn.tables


def test_an_input_that_killed_a_worker_is_not_analysed_again(photos: Path, analyzer: Analyzer) -> None:
    (shard,) = make_plan(str(photos / "p*.jpg")).shards
    positions: list[int] = []
    retry = RetryPolicy(one_by_one=True, deaths={2: "the worker process was killed (SIGSEGV)"}, stop=4)
    done = analyse_shard(analyzer, AnalysisSettings(), shard, retry=retry, on_position=positions.append)
    rows = table(done.tables["inputs"])
    assert [row["error"] is None for row in rows] == [True, True, False, True, False, False, False]
    assert rows[2]["error"].endswith("killed (SIGSEGV)")
    assert rows[2]["error_code"] == rows[4]["error_code"] == "worker-killed"
    assert "too many inputs" in rows[4]["error"]
    assert sorted(set(positions)) == list(range(7))


def test_one_by_one_gives_what_a_batch_gives(photos: Path, analyzer: Analyzer) -> None:
    (shard,) = make_plan(str(photos)).shards
    batched = analyse_shard(analyzer, AnalysisSettings(), shard)
    single = analyse_shard(analyzer, AnalysisSettings(), shard, retry=RetryPolicy(one_by_one=True))
    before = analyse_shard(analyzer, AnalysisSettings(), shard, items=list(read_items(shard)))
    assert before == batched
    assert single.tables["inputs"] == batched.tables["inputs"]
    for one, other in zip(table(single.tables["faces"]), table(batched.tables["faces"]), strict=True):
        assert {k: v for k, v in one.items() if not isinstance(v, float)} == {
            k: v for k, v in other.items() if not isinstance(v, float)
        }
        assert [v for v in one.values() if isinstance(v, float)] == pytest.approx(
            [v for v in other.values() if isinstance(v, float)], abs=2e-5
        )


# ---------------------------------------------------------------- addresses


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


# ---------------------------------------------------------------- stores


def finished(shard: int) -> ShardResult:
    from mien.batch.shard_analysis import _shard_result
    from mien.batch.tables import InputRow

    return _shard_result(Shard(shard, "photos", ("a",)), [InputRow("a", "a", None, "photo")], {"faces": b"faces"})


def test_a_shard_is_done_when_its_inputs_are_there(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos), size=4), str(tmp_path / "out")
    store = OutputStore(open_output_folder(where), plan, {"flip": False}, resume=False)
    store.commit(finished(1))
    Path(where, "faces", "part-000002.parquet").write_bytes(b"its other table is missing")
    Path(where, "inputs", ".part-000002-x1.parquet").write_bytes(b"half")
    del store
    again = OutputStore(open_output_folder(where), plan, {"flip": False}, resume=True)
    assert again.finished == {1: ResultCounts(inputs=1)}
    assert not list(Path(where, "inputs").glob(".part*"))


def test_a_run_of_something_else_is_not_resumed(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos), size=4), str(tmp_path / "out")
    settings = load_setup(AnalysisSettings()).describe()
    OutputStore(open_output_folder(where), plan, settings, resume=False)
    other = load_setup(AnalysisSettings(min_face=60)).describe()
    for ours, told, resume, said in (
        (plan, settings, False, "add --resume"),
        (plan, other, True, "min_face: 40, now 60"),
        (make_plan(str(photos), size=3), settings, True, "shard_size: 4, now 3"),
        (replace(plan, digest="0"), settings, True, "sizes or times"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            OutputStore(open_output_folder(where), ours, told, resume=resume)
        assert "\n" not in str(caught.value)
    Path(where, "manifest.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        OutputStore(open_output_folder(where), plan, settings, resume=True)


def test_two_runs_do_not_write_into_one_folder(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos)), str(tmp_path / "out")
    first = OutputStore(open_output_folder(where), plan, {}, resume=False)
    with pytest.raises(InputError, match="another run"):
        OutputStore(open_output_folder(where), plan, {}, resume=True)
    del first
    OutputStore(open_output_folder(where), plan, {}, resume=True)


def test_a_damaged_part_is_reported(photos: Path, tmp_path: Path) -> None:
    plan, where = make_plan(str(photos)), tmp_path / "out"
    OutputStore(open_output_folder(str(where)), plan, {}, resume=False)
    (where / "inputs").mkdir()
    (where / "inputs" / "part-000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is damaged; remove it"):
        OutputStore(open_output_folder(str(where)), plan, {}, resume=True)


def test_the_manifest_names_models_and_plan(photos: Path, tmp_path: Path) -> None:
    plan = make_plan(str(photos))
    OutputStore(
        open_output_folder(str(tmp_path / "out")),
        plan,
        load_setup(AnalysisSettings(models=("emotion",))).describe(),
        resume=False,
    )
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert told["plan"]["sha256"] == plan.digest
    assert set(told["settings"]["sha256"]) == {"emotion"}
    assert told["state"] == "running"
