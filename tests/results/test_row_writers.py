"""Rows that are written while a video is analysed: readable after each flush, the same after a kill, honest errors."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.videos import made_frame, made_frames, made_rows, rows_of
from mien.errors import InputError, MienError, MissingExtraError, MissingFileError, OutputError
from mien.results import row_writers as stream
from mien.results.face_columns import FaceTable, face_columns
from mien.results.row_writers import CsvRows, JsonlRows, ParquetRows, RawRows, RowWriter, frame_lines, read_raw_rows
from mien.results.video import VideoFrame

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

WRITERS = {"a.csv": CsvRows, "a.jsonl": JsonlRows, "a.parquet": ParquetRows, "a.rows": RawRows}
FRAMES = list(made_frames(40, size=(64, 48)))
ROWS = rows_of(FRAMES)

each_writer = pytest.mark.parametrize("name", WRITERS)


def batches(frames: Sequence[VideoFrame], step: int = 8, source: str | None = "clip.mp4") -> Iterator[FaceTable]:
    return (rows_of(frames[i : i + step], source) for i in range(0, len(frames), step))


def content(path: Path) -> object:
    """What an uninterrupted run and a resumed one must have in common."""
    if path.suffix == ".parquet":
        return pa.parquet.read_table(path).to_pylist()
    return path.read_bytes()


def whole(folder: Path, name: str) -> object:
    with WRITERS[name](folder / name) as writer:
        for rows in batches(FRAMES):
            writer.write(rows)
    return content(folder / name)


def read_back(path: Path) -> list[dict[str, object]]:
    """The rows as ordinary readers see them."""
    if path.suffix == ".csv":
        return pd.read_csv(path, keep_default_na=False).to_dict("records")
    if path.suffix == ".parquet":
        return pa.parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return read_raw_rows(path).to_pandas().to_dict("records")


# ---------------------------------------------------------------- what is written


def test_csv_holds_the_columns_of_the_rows(tmp_path: Path) -> None:
    whole(tmp_path, "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    columns = ROWS.to_csv_columns()
    assert list(read[0]) == list(columns)
    assert {row["detected"] for row in read} <= {"TRUE", "FALSE"}
    assert {row["age_range"] for row in read} & {"20 to 29", "30 to 39", "40 to 49", "3 to 9", "10 to 19"}
    for name, values in columns.items():
        assert [row[name] for row in read] == ["" if value is None else str(value) for value in values]
    blank = read[[frame.index for frame in FRAMES].index(10) * 2 - 1]
    assert (blank["track"], blank["emotion"], blank["x1"]) == ("", "", "")


def test_json_lines_are_the_frames(tmp_path: Path) -> None:
    whole(tmp_path, "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert lines == [frame.to_json() for frame in FRAMES]
    assert sum(len(json.loads(line)["faces"]) for line in lines) == int(ROWS.is_face.sum())


@pytest.mark.parametrize(
    "options", [{"emotions": False}, {"ages": False}, {"emotions": False, "ages": False}, {"landmarks": False}]
)
def test_json_lines_of_models_that_did_not_run(options: dict[str, bool]) -> None:
    frames = list(made_frames(14, size=(64, 48), **options))
    assert list(frame_lines(rows_of(frames))) == [frame.to_json() for frame in frames]


def test_parquet_holds_what_csv_holds(tmp_path: Path) -> None:
    whole(tmp_path, "a.parquet")
    table = pa.parquet.read_table(tmp_path / "a.parquet")
    assert table.to_pydict() == ROWS.to_columns()
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["frame"], kinds["track"], kinds["detected"], kinds["cut"]) == ("int64", "int32", "bool", "bool")
    texts = {name for name, kind in kinds.items() if kind.startswith("dictionary<values=string")}
    assert texts == {"source", "emotion", "emotion_stable", "emotion_vote", "age_range"}
    assert set(kinds.values()) - {kinds["source"]} == {"int64", "int32", "bool", "double"}
    assert not (tmp_path / "a.parquet.parts").exists()
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert frame["track"].isna().sum() == 3


def test_raw_rows_are_exact(tmp_path: Path) -> None:
    with RawRows(tmp_path / "a.rows") as raw:
        for rows in batches(FRAMES):
            raw.write(rows)
        assert raw.read().records.tobytes() == ROWS.records.tobytes()
    for mapped in (True, False):
        rows = read_raw_rows(tmp_path / "a.rows", mapped=mapped)
        assert rows.records.tobytes() == ROWS.records.tobytes()
        assert {name: head.labels for name, head in rows.heads.items()} == {
            name: head.labels for name, head in ROWS.heads.items()
        }
        assert [head.ordered for head in rows.heads.values()] == [False, True]
        assert rows.source == "clip.mp4"
        assert isinstance(rows.records, np.memmap) == mapped


def test_raw_rows_without_a_row(tmp_path: Path) -> None:
    with RawRows(tmp_path / "a.rows") as raw:
        raw.write(rows_of([]))
        assert len(raw.read()) == 0


@given(st.integers(0, 300))
@settings(max_examples=30, deadline=None)
def test_half_a_record_at_the_end_is_left_out(tmp_path_factory: pytest.TempPathFactory, lost: int) -> None:
    path = tmp_path_factory.mktemp("raw") / "a.rows"
    with RawRows(path) as raw:
        raw.write(ROWS)
    os.truncate(path, path.stat().st_size - lost)
    left = len(ROWS) - -(-lost // ROWS.records.dtype.itemsize)
    assert read_raw_rows(path).records.tobytes() == ROWS.records[:left].tobytes()


def test_a_file_without_raw_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"a\.rows: no such file of rows"):
        read_raw_rows(tmp_path / "a.rows")
    whole(tmp_path, "a.rows")
    good = (tmp_path / "a.rows").read_bytes()
    older, odd = good.replace(b"rows 2", b"rows 1"), good.replace(b"score", b"scorn")
    for bad in (b"", b"{}\n", b"[]\n", b"\xff\xfe", good[:40], older, odd):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(InputError, match="holds no rows written by this version of mien"):
            read_raw_rows(tmp_path / "bad")


@each_writer
def test_a_file_without_rows(tmp_path: Path, name: str) -> None:
    with WRITERS[name](tmp_path / name):
        pass
    if name == "a.csv":
        columns = [column.name for column in face_columns({}, video=True) if column.flat]
        assert {"source", "time", "track", "x1", "score", "yaw", "detected"} <= set(columns)
        assert (tmp_path / name).read_text() == ",".join(columns) + "\n"
    elif name == "a.parquet":
        assert pa.parquet.read_table(tmp_path / name).num_rows == 0
    else:
        assert (tmp_path / name).read_bytes() == b""


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_several_videos_share_a_file(tmp_path: Path, name: str) -> None:
    odd = ["one.mp4", 'cr\rhere, and "quotes"\n.mp4', os.fsdecode(b"caf\xe9.mp4"), None]
    shown = ["one.mp4", odd[1], "caf\\udce9.mp4", None]
    with WRITERS[name](tmp_path / name) as writer:
        for source in odd:
            writer.write(rows_of([replace(f, frame=replace(f.frame, source=source)) for f in FRAMES[:3]], source))
            writer.flush()
    if name == "a.csv":
        with (tmp_path / name).open(encoding="utf-8", newline="") as file:
            sources = [row["source"] or None for row in csv.DictReader(file)]
    elif name == "a.parquet":
        sources = pa.parquet.read_table(tmp_path / name)["source"].to_pylist()
    else:
        lines = [json.loads(line) for line in (tmp_path / name).read_text("utf-8").split("\n") if line]
        # JSON can name such a file exactly
        sources = [line.get("source") for line in lines]
        assert sources == [source for source in odd for _ in range(3)]
        return
    assert sources == [source for source in shown for _ in range(6)]


@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_different_models_do_not_mix(tmp_path: Path, name: str) -> None:
    other = rows_of(list(made_frames(3, ages=False)))
    writer = WRITERS[name](tmp_path / name)
    writer.write(ROWS)
    with pytest.raises(InputError, match=r"write .* to a file of their own"):
        writer.write(other)
    writer.close()
    if name != "a.jsonl":  # its lines name their own columns
        with pytest.raises(InputError, match=r"write .* to a file of their own"):
            WRITERS[name](tmp_path / name, keep=len(ROWS)).write(other)


@each_writer
def test_after_the_end(tmp_path: Path, name: str) -> None:
    writer = WRITERS[name](tmp_path / "new" / name)
    writer.write(ROWS)
    writer.close()
    writer.close()
    with pytest.raises(InputError, match=rf"is closed; open it again with keep={len(ROWS)} to continue"):
        writer.write(ROWS)
    with pytest.raises(InputError, match="is a folder"):
        WRITERS[name](tmp_path)
    with pytest.raises(InputError, match="keep is a number of rows, at least 0, got -1"):
        WRITERS[name](tmp_path / name, keep=-1)


# ---------------------------------------------------------------- kills


@each_writer
def test_what_was_flushed_is_there_for_others(tmp_path: Path, name: str) -> None:
    writer = WRITERS[name](tmp_path / name)
    path = tmp_path / (f"{name}.parts" if name == "a.parquet" else name)
    seen = 0
    for rows in batches(FRAMES):
        writer.write(rows)
        writer.flush()
        seen += len(np.unique(rows.records["frame"])) if name == "a.jsonl" else len(rows)
        assert len(pd.read_parquet(path) if path.is_dir() else read_back(path)) == seen
    writer.stop()
    assert writer.rows == len(ROWS)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_resumed_run_ends_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """At a checkpoint, some rows later, half a row later or with the file already finished."""
    folder = tmp_path_factory.mktemp("resume")
    name = data.draw(st.sampled_from(sorted(WRITERS)))
    done = data.draw(st.integers(0, len(FRAMES)))
    beyond = data.draw(st.integers(0, len(FRAMES) - done))
    junk = data.draw(st.sampled_from([b"", b"\0", b'{"source": "clip', b'clip.mp4,"', b"x" * 300]))
    make = WRITERS[name]
    writer: RowWriter = make(folder / name)
    for rows in batches(FRAMES[:done], data.draw(st.integers(1, 9))):
        writer.write(rows)
        if data.draw(st.booleans()):
            writer.flush()
    writer.flush()
    keep = writer.rows
    for rows in batches(FRAMES[done : done + beyond]):
        writer.write(rows)
    writer.close() if data.draw(st.booleans()) else writer.stop()
    if name != "a.parquet":
        with (folder / name).open("ab") as file:
            file.write(junk)
    with make(folder / name, keep=keep) as writer:
        for rows in batches(FRAMES[done:], data.draw(st.integers(1, 9))):
            writer.write(rows)
        assert writer.rows == len(ROWS)
    reference = tmp_path_factory.mktemp("whole")
    assert content(folder / name) == whole(reference, name)
    assert sorted(path.name for path in folder.iterdir()) == [name]


SCRIPT = """
import sys
from helpers.videos import made_frames, rows_of
from results.test_row_writers import WRITERS
writers = [make(sys.argv[1] + "/" + name) for name, make in WRITERS.items()]
frames = list(made_frames(5, size=(64, 48)))
while True:
    for writer in writers:
        writer.write(rows_of(frames))
        writer.flush()
    print(writers[0].rows, flush=True)
"""


def test_a_real_kill(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    keep = [int(process.stdout.readline()) for _ in range(random.randint(2, 5))][-1]
    process.send_signal(signal.SIGKILL)
    keep = max([keep, *(int(line) for line in process.stdout.read().splitlines())])
    process.wait()
    process.stdout.close()
    frames = {}
    for name, make in WRITERS.items():
        with make(tmp_path / name, keep=keep) as writer:
            writer.write(rows_of(FRAMES[:1]))
        frames[name] = [row["frame"] for row in read_back(tmp_path / name)]
    assert keep % 9 == 0
    assert (
        frames["a.csv"] == frames["a.parquet"] == frames["a.rows"] == [0, 0, 1, 1, 2, 2, 3, 4, 4] * (keep // 9) + [0, 0]
    )
    assert frames["a.jsonl"] == [0, 1, 2, 3, 4] * (keep // 9) + [0]


@each_writer
def test_less_than_the_checkpoint_counts(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"start the run again"):
        WRITERS[name](tmp_path / name, keep=3)
    whole(tmp_path, name)
    with pytest.raises(InputError, match=rf"holds {len(ROWS)} rows, but the run to resume had written 999"):
        WRITERS[name](tmp_path / name, keep=999)
    assert content(tmp_path / name) == whole(tmp_path, name)


def test_lines_do_not_end_inside_a_frame(tmp_path: Path) -> None:
    whole(tmp_path, "a.jsonl")
    with pytest.raises(InputError, match="no frame ends after 1 rows; start the run again"):
        JsonlRows(tmp_path / "a.jsonl", keep=1)


def test_starting_again_forgets_the_old_rows(tmp_path: Path) -> None:
    for name, make in WRITERS.items():
        stopped = make(tmp_path / name)
        stopped.write(ROWS)
        stopped.stop()
        with make(tmp_path / name) as writer:
            writer.write(rows_of(FRAMES[:1]))
        assert len(read_back(tmp_path / name)) == (1 if name == "a.jsonl" else 2)


@each_writer
def test_an_error_stops_but_keeps(tmp_path: Path, name: str) -> None:
    def broken() -> None:
        with WRITERS[name](tmp_path / name) as writer:
            writer.write(ROWS)
            raise MienError("the camera went away")

    with pytest.raises(MienError, match="camera"):
        broken()
    with WRITERS[name](tmp_path / name, keep=len(ROWS)):
        pass
    assert content(tmp_path / name) == whole(tmp_path, name)


def test_parquet_parts_stay_few_and_groups_even(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_PART", 100)
    monkeypatch.setattr(stream, "ROW_GROUP", 250)
    rows = made_rows(990)
    with ParquetRows(tmp_path / "a.parquet") as writer:
        for i in range(0, 990, 15):
            writer.write(rows.rows(i, i + 15))
            writer.flush()
        assert len(list((tmp_path / "a.parquet.parts").glob("*.parquet"))) == 10
    file = pa.parquet.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [250, 250, 250, 240]
    assert pd.read_parquet(tmp_path / "a.parquet")["frame"].tolist() == list(range(990))


def test_a_kill_while_parts_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the file is in place, and after it while the parts are being removed."""
    expected = whole(tmp_path / "whole", "a.parquet")
    for moment in ("before", "after"):
        path = tmp_path / moment / "a.parquet"
        writer = ParquetRows(path)
        for rows in batches(FRAMES):
            writer.write(rows)
        writer.flush()
        if moment == "before":
            (writer.folder / ".a-xyz.parquet").write_bytes(b"half")
            del writer  # the system releases the lock of a process that was killed
        else:
            writer.close()
            doomed = path.parent / ".a.parquet.parts.done"
            doomed.mkdir()
            (doomed / "000001.parquet").write_bytes(b"left")
        with ParquetRows(path, keep=len(ROWS)):
            pass
        assert content(path) == expected
        assert [p.name for p in path.parent.iterdir()] == ["a.parquet"]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[tables\]'"):
        ParquetRows(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- disks


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to let any file grow beyond ``size`` bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@each_writer
def test_a_disk_that_is_full(tmp_path: Path, name: str) -> None:
    writer = WRITERS[name](tmp_path / name)
    first = rows_of(FRAMES[:4])
    writer.write(first)
    writer.flush()

    some = made_rows(700)

    def fill() -> None:
        for _ in range(100):
            writer.write(some)
            writer.flush()

    with files_of_at_most(60_000), pytest.raises(OutputError) as caught:
        fill()
    message = str(caught.value)
    assert message.endswith(": cannot be written: File too large; what was written before is kept")
    assert message.startswith(str(tmp_path / name))
    assert isinstance(caught.value, OSError)
    writer.stop()
    with WRITERS[name](tmp_path / name, keep=writer.rows) as again:
        assert again.rows == writer.rows >= len(first)
    n = len(read_back(tmp_path / name))
    assert n == (writer.rows - len(first) + 4 if name == "a.jsonl" else writer.rows)


def test_no_space_left() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    for make in (CsvRows, JsonlRows, RawRows):
        writer = make("/dev/full")
        with pytest.raises(OutputError, match="/dev/full: cannot be written: No space left on device"):
            writer.write(ROWS)
        writer.stop()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name, make in WRITERS.items():
        with pytest.raises(OutputError, match="cannot be written: "):
            make(tmp_path / "file" / name)


def test_a_pipe(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as lines:
        with JsonlRows(f"/dev/fd/{write}") as writer:
            writer.write(rows_of([made_frame(0, tracks=())]))
            writer.flush()
        os.close(write)
        assert json.loads(lines.read())["faces"] == []
