"""Writing files: links, devices, pipes, names, full disks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from helpers.waiting import PATIENCE
from mien.errors import InputError, OutputError
from mien.files import (
    OUTPUT_MARKER,
    AppendFile,
    PartsFolder,
    atomic_path,
    marked_folder,
    output_file,
    output_folder,
    temporary_folder,
    write_text,
)

posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices of POSIX")


def read_pipe(path: Path, received: list[bytes]) -> threading.Thread:
    thread = threading.Thread(target=lambda: received.append(path.read_bytes()), daemon=True)
    thread.start()
    return thread


def test_a_text_is_written_whole_and_its_folder_is_made(tmp_path):
    path = write_text(tmp_path / "new" / "figures.json", "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    assert [p.name for p in path.parent.iterdir()] == ["figures.json"]


def test_what_the_system_reports_is_one_error_with_fields(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        OutputError, match=r"figures\.json: cannot be written: .* is not a folder; what was written"
    ) as caught:
        write_text(tmp_path / "file" / "figures.json", "")
    assert caught.value.details == {"errno": "ENOTDIR"}
    with pytest.raises(InputError, match="is a folder; give the name of a file in it"):
        write_text(tmp_path, "")


def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fill() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"a\.csv: cannot be written: No space left on device") as caught:
        fill()
    assert caught.value.details == {"errno": "ENOSPC"}
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@posix
def test_links_are_followed_also_where_nothing_is_behind_them_yet(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    for link, target in (("latest.csv", "real.csv"), ("second.csv", "latest.csv"), ("new.csv", "later/new.csv")):
        (tmp_path / link).symlink_to(target)
        write_text(tmp_path / link, link)
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / target).read_text() == link
    assert (tmp_path / "real.csv").read_text() == "second.csv"


@posix
def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    received: list[bytes] = []
    thread = read_pipe(pipe, received)
    write_text(pipe, "rows")
    thread.join(PATIENCE)
    thread = read_pipe(pipe, received)
    rows = AppendFile(pipe)
    rows.append(b"more ")
    rows.append(b"rows")
    rows.sync()
    rows.close()
    thread.join(PATIENCE)
    assert received == [b"rows", b"more rows"]
    assert pipe.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe.csv"]


@posix
def test_devices_are_written_through(tmp_path):
    write_text("/dev/null", "x")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link").symlink_to("/dev/null")
    write_text(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    with pytest.raises(OutputError, match="/dev/full: cannot be written: No space left on device"):
        write_text("/dev/full", "x")


@posix
def test_an_open_file_is_written_at_its_place(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before ")
        log.flush()
        write_text(f"/dev/fd/{log.fileno()}", "table ")
        rows = AppendFile(Path(f"/dev/fd/{log.fileno()}"))
        rows.append(b"rows ")
        rows.close()
        log.write(b"after")
    assert (tmp_path / "log").read_bytes() == b"before table rows after"


def test_a_file_opened_for_rows_keeps_its_content_until_the_first_of_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old content")
    AppendFile(path).close()
    assert path.read_text() == "old content"
    rows = AppendFile(path)
    rows.append(b"new")
    rows.close()
    assert path.read_text() == "new"


@posix
@pytest.mark.parametrize("name", ["a" * 251 + ".csv", "é" * 125 + ".csv", "a." + "x" * 253, "a.csv"])
def test_temporary_names_fit_where_the_final_ones_do(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        assert len(os.fsencode(temporary.name)) <= max(len(os.fsencode(name)), 32)
        assert temporary.suffix in (Path(name).suffix, "")
        temporary.write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    PartsFolder(tmp_path / name, keep=False).stop()
    PartsFolder(tmp_path / name, keep=True).remove()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_folder_of_parts_that_is_not_ours_is_never_touched(tmp_path):
    own = tmp_path / "clip.mp4.parts"
    own.mkdir()
    (own / "000001_0.mp4").write_text("mine")
    with pytest.raises(InputError, match=r"clip\.mp4\.parts: holds files that Mien did not write; move them"):
        PartsFolder(tmp_path / "clip.mp4", keep=False)
    assert [path.name for path in own.iterdir()] == ["000001_0.mp4"]


def test_parts_of_an_earlier_run_are_removed_or_kept(tmp_path):
    first = PartsFolder(tmp_path / "a.parquet", keep=False)
    (first.path / "000000.parquet").write_text("rows")
    first.stop()
    kept = PartsFolder(tmp_path / "a.parquet", keep=True)
    assert (kept.path / "000000.parquet").read_text() == "rows"
    kept.stop()
    fresh = PartsFolder(tmp_path / "a.parquet", keep=False)
    assert [path.name for path in fresh.path.iterdir()] == [OUTPUT_MARKER]
    fresh.remove()
    assert not list(tmp_path.iterdir())


def test_a_second_run_into_one_output_is_refused_by_name(tmp_path):
    rows = AppendFile(tmp_path / "a.csv")
    rows.append(b"first")
    parts = PartsFolder(tmp_path / "a.parquet", keep=False)
    with marked_folder(tmp_path / "annotated"):
        for second in (
            lambda: AppendFile(tmp_path / "a.csv"),
            lambda: PartsFolder(tmp_path / "a.parquet", keep=False),
            lambda: marked_folder(tmp_path / "annotated").__enter__(),
        ):
            with pytest.raises(InputError, match="another run is writing to it; wait until that run ends") as caught:
                second()
            assert caught.value.code == "output-locked"
            assert Path(caught.value.path).name in ("a.csv", "a.parquet.parts", "annotated")
    rows.close()
    parts.remove()
    assert (tmp_path / "a.csv").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    AppendFile(tmp_path / "a.csv").close()


def test_a_new_file_without_content_is_not_left(tmp_path):
    AppendFile(tmp_path / "a.csv").close()
    assert not (tmp_path / "a.csv").exists()
    empty = AppendFile(tmp_path / "a.csv")
    empty.sync()
    empty.close()
    assert (tmp_path / "a.csv").read_bytes() == b""


def test_what_cannot_be_written_is_known_before_the_work(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file is not a folder"):
        output_file(tmp_path / "file" / "a.csv")
    with pytest.raises(InputError, match="is a folder"):
        output_file(tmp_path)
    with pytest.raises(InputError, match="is a file; give a folder to write to"):
        output_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="file is not a folder"):
        output_folder(tmp_path / "file" / "below")
    assert output_folder(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert output_file(tmp_path / "new" / "a.csv") == tmp_path / "new" / "a.csv"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@posix
def test_a_place_without_permission_is_refused_before_the_work(tmp_path, monkeypatch):
    # root may write anywhere, so what the system would report is replaced
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    for make in (output_file, output_folder):
        with pytest.raises(OutputError, match="cannot be written: Permission denied"):
            make(tmp_path / "new" / "a")


def test_a_temporary_folder_that_cannot_be_written_is_one_error(tmp_path, monkeypatch):
    with temporary_folder() as folder:
        (folder / "draft").write_text("x")
    assert not folder.exists()

    def none():
        raise FileNotFoundError(2, "No usable temporary directory found in []")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(OutputError, match="no temporary folder can be written to; make room, or set TMPDIR"):
        temporary_folder().__enter__()
