"""Inputs, under whatever name, and files that Mien need not have written are never replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mien.errors import InputError
from mien.files import OUTPUT_MARKER
from mien.output_checks import OUTPUT_IS_INPUT, refuse_foreign_files, refuse_inputs, refuse_inside, refuse_originals


def test_an_input_is_recognised_under_every_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_text("a")
    os.link(photos / "a.jpg", "twin.jpg")
    names = ["photos/a.jpg", photos / "a.jpg", "photos/../photos/a.jpg", "twin.jpg"]
    if os.name == "posix":
        Path("link.jpg").symlink_to("photos/a.jpg")
        Path("folder").symlink_to("photos")
        names += ["link.jpg", "folder/a.jpg"]
    for name in names:
        with pytest.raises(InputError, match="is an input: it would be overwritten; choose another name") as caught:
            refuse_inputs(name, ["nowhere.jpg", "photos/a.jpg"])
        assert caught.value.code == OUTPUT_IS_INPUT
        assert caught.value.details == {"input": "photos/a.jpg"}
    for name in ("photos/b.jpg", "photos", "new.jpg"):
        refuse_inputs(name, ["photos/a.jpg", "-", "x" * 5000, "\0"])


def test_a_folder_that_holds_an_input_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_text("a")
    with pytest.raises(InputError, match="holds an input, which must not be overwritten; choose another folder"):
        refuse_inputs(tmp_path, [tmp_path / "a.jpg"], folder=True)
    with pytest.raises(InputError, match="is an input"):
        refuse_inputs(tmp_path, [tmp_path], folder=True)
    refuse_inputs(tmp_path / "annotated", [tmp_path, tmp_path / "a.jpg"], folder=True)


def test_a_place_inside_a_folder_that_is_read_whole_is_refused(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for output in (frames / "report", frames / "a" / "b.csv"):
        with pytest.raises(InputError, match="lies inside an input; choose a place beside it") as caught:
            refuse_inside(output, [frames])
        assert caught.value.code == OUTPUT_IS_INPUT
    refuse_inside(tmp_path / "report", [frames, tmp_path / "clip.mp4"])


def test_files_that_need_not_be_results_are_not_replaced(tmp_path):
    (tmp_path / "a.png").write_text("original")
    with pytest.raises(InputError, match=r"a\.png: exists already, and need not be a result of mien; choose a new"):
        refuse_foreign_files(tmp_path, ["b.png", "a.png"])
    refuse_foreign_files(tmp_path, ["b.png"])
    (tmp_path / OUTPUT_MARKER).touch()
    refuse_foreign_files(tmp_path, ["a.png"])


def test_an_original_in_a_folder_that_is_read_is_not_replaced(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "table.parquet").write_bytes(b"PAR1 an original PAR1")
    (tmp_path / "made.parquet").write_bytes(b"PAR1 mien.dataset PAR1")
    for name in ("config.json", "environment.json", "scores.json", "best.safetensors"):
        (run / name).write_text("{}")
    for original in (tmp_path / "table.parquet", run / "config.json", run / "best.safetensors"):
        with pytest.raises(InputError, match="exists in a folder that is read, and need not be a result of mien") as e:
            refuse_originals(original, [tmp_path])
        assert e.value.code == OUTPUT_IS_INPUT
    for result in (tmp_path / "made.parquet", tmp_path / "new.parquet", run / "scores.json"):
        refuse_originals(result, [tmp_path])
    refuse_originals(tmp_path / "table.parquet", [run])
