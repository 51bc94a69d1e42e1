from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers.datasets import fer2013_csv, fer2013_rows, noise
from mien.datasets import fer2013
from mien.datasets.fer2013 import read_fer2013
from mien.errors import DataError, MissingFileError


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013.csv.gz", "fer2013.zip"])
def test_all_three_packings(name: str, tmp_path: Path) -> None:
    data = read_fer2013(fer2013_csv(tmp_path / name, fer2013_rows(10)))
    np.testing.assert_array_equal(data.images.reshape(10, -1), noise(10, 48 * 48))
    assert data.images.shape == (10, 48, 48, 1)
    assert data.emotion.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert data.split.tolist() == ["train", "train", "train", "validation", "test"] * 2
    assert data.row.tolist() == list(range(10))
    assert data.taxonomy.names[3] == "happy"


def test_column_order_spaces_quotes_and_line_ends(tmp_path: Path) -> None:
    want = noise(5, 48 * 48)
    rows = [[f'"{emotion}"', f" {usage} ", f'"{pixels} "'] for emotion, pixels, usage in fer2013_rows(5)]
    for end in ("\n", "\r\n"):
        data = read_fer2013(fer2013_csv(tmp_path / "icml.csv", rows, ("\ufeffemotion", " Usage", " pixels"), end))
        np.testing.assert_array_equal(data.images.reshape(5, -1), want)
        assert data.split[3] == "validation"
    wide = [[emotion, pixels.replace(" ", "  "), usage] for emotion, pixels, usage in fer2013_rows(5)]
    np.testing.assert_array_equal(read_fer2013(fer2013_csv(tmp_path / "wide.csv", wide)).images.reshape(5, -1), want)


def test_no_line_end_at_the_end(tmp_path: Path) -> None:
    path = fer2013_csv(tmp_path / "fer2013.csv", fer2013_rows(4))
    path.write_text(path.read_text().rstrip("\n"))
    assert len(read_fer2013(path)) == 4


def test_rows_over_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer2013, "_BLOCK_BYTES", 30_000)
    rows = fer2013_rows(30)
    data = read_fer2013(fer2013_csv(tmp_path / "fer2013.csv", rows))
    np.testing.assert_array_equal(data.images.reshape(30, -1), noise(30, 48 * 48))
    rows[23][0] = "7"
    with pytest.raises(DataError, match=r"row 24 \(line 25\): unknown emotion '7'"):
        read_fer2013(fer2013_csv(tmp_path / "fer2013.csv", rows))


def changed(pixels: str, position: int, word: str) -> str:
    words = pixels.split(" ")
    words[position] = word
    return " ".join(words)


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        (1, lambda p: p.rsplit(" ", 1)[0], "2303 pixels instead of 2304"),
        (1, lambda p: p + " 7", "2305 pixels instead of 2304"),
        (1, lambda p: "", "0 pixels instead of 2304"),
        (1, lambda p: changed(p, 100, "x7"), "pixel 101 is 'x7', not a whole number"),
        (1, lambda p: changed(p, 0, "-1"), "pixel 1 is '-1', not a whole number"),
        (1, lambda p: changed(p, 2303, "1.5"), "pixel 2304 is '1.5', not a whole number"),
        (1, lambda p: changed(p, 5, "nan"), "pixel 6 is 'nan'"),
        (1, lambda p: changed(p, 100, "256"), "pixel 101 is 256, expected 0–255"),
        (1, lambda p: changed(p, 100, "99999999999999999999999"), "pixel 101 is 99999999999999999999, expected 0–255"),
        (1, lambda p: changed(p, 100, "0007"), "at most three digits"),
        (1, lambda p: changed(p, 100, "é"), "pixel 101 is 'é'"),
        (0, lambda e: "7", "unknown emotion '7'; expected one of 0 angry, 1 disgust"),
        (0, lambda e: "joyful", "unknown emotion 'joyful'"),
        (0, lambda e: "", "unknown emotion ''"),
        (2, lambda u: "Hidden", "unknown Usage 'Hidden'; expected one of Training, PublicTest, PrivateTest"),
    ],
)
def test_an_error_about_a_wrong_cell_has_row_line_and_advice(column, change, message, tmp_path: Path) -> None:
    rows = fer2013_rows(8)
    rows[5][column] = change(rows[5][column])
    path = fer2013_csv(tmp_path / "fer2013.csv", rows)
    with pytest.raises(DataError, match=r"fer2013\.csv: row 6 \(line 7\): .*get it again") as caught:
        read_fer2013(path)
    assert message in str(caught.value)
    error = caught.value
    assert (error.path, error.code, error.details) == (str(path), "data-damaged", {"row": 6, "line": 7})


@pytest.mark.parametrize("row", [["3"], ["3", "1 2", "Training", "more"]])
def test_a_row_with_another_number_of_columns(row: list[str], tmp_path: Path) -> None:
    rows = fer2013_rows(4)
    path = fer2013_csv(tmp_path / "fer2013.csv", [*rows[:2], row, *rows[2:]])
    with pytest.raises(DataError, match=rf"row 3 \(line 4\): {len(row)} columns instead of 3"):
        read_fer2013(path)


def test_an_empty_line(tmp_path: Path) -> None:
    rows = fer2013_rows(4)
    path = fer2013_csv(tmp_path / "fer2013.csv", [*rows[:2], [""], *rows[2:]])
    with pytest.raises(DataError, match=r"row 3 \(line 4\): 0 pixels instead of 2304"):
        read_fer2013(path)


def test_a_short_row_in_a_later_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer2013, "_BLOCK_BYTES", 30_000)
    rows = [*fer2013_rows(20), ["3"]]
    with pytest.raises(DataError, match=r"row 21 \(line 22\): 1 columns instead of 3"):
        read_fer2013(fer2013_csv(tmp_path / "fer2013.csv", rows))


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no such file; give fer2013\.csv"):
        read_fer2013(tmp_path / "fer2013.csv")
    path = fer2013_csv(tmp_path / "test.csv", [["2"]], ("pixels",))
    with pytest.raises(DataError, match=r"no column 'emotion', so nothing can be learnt.*icml_face_data"):
        read_fer2013(path)
    path = fer2013_csv(tmp_path / "other.csv", [["1", "2"]], ("emotion", "Usage"))
    with pytest.raises(DataError, match="no column 'pixels' in the header 'emotion,usage'"):
        read_fer2013(path)
    path = fer2013_csv(tmp_path / "twice.csv", [["1", "2", "1"]], ("emotion", "pixels", "emotion"))
    with pytest.raises(DataError, match="has two columns 'emotion'"):
        read_fer2013(path)
    with pytest.raises(DataError, match="no rows below the header"):
        read_fer2013(fer2013_csv(tmp_path / "empty.csv", []))
    (tmp_path / "nothing.csv").write_text("")
    with pytest.raises(DataError, match="no column 'emotion'"):
        read_fer2013(tmp_path / "nothing.csv")


def test_damaged_packings(tmp_path: Path) -> None:
    path = fer2013_csv(tmp_path / "fer2013.csv.gz", fer2013_rows(20))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="the compressed file is damaged"):
        read_fer2013(path)
    path.write_bytes(b"\x1f\x8b" + b"\x00" * 50)
    with pytest.raises(DataError, match="the compressed file is damaged"):
        read_fer2013(path)
    path = fer2013_csv(tmp_path / "fer2013.zip", fer2013_rows(3))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="the compressed file is damaged"):
        read_fer2013(path)


def test_zip_with_two_tables_or_none(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    with pytest.raises(DataError, match=r"expected one CSV in the archive, found a.csv, b.csv"):
        read_fer2013(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/angry/1.jpg", "x")
    with pytest.raises(DataError, match="found none"):
        read_fer2013(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_csv_saved_by_other_programs(separator: str, encoding: str, tmp_path: Path) -> None:
    rows = [[str(i), *row] for i, row in enumerate(fer2013_rows(10))]
    lines = [["", "Emotion", "pixels", " usage"], *rows]
    text = "\r\n".join(separator.join(line) for line in lines) + "\r\n\r\n" + separator * 3 + "\r\n"
    path = tmp_path / "fer.csv"
    path.write_bytes(text.encode(encoding))
    data = read_fer2013(path)
    np.testing.assert_array_equal(data.images.reshape(10, -1), noise(10, 48 * 48))
    assert data.split.tolist() == ["train", "train", "train", "validation", "test"] * 2


@pytest.mark.parametrize("block", [2_500, 30_000])
def test_empty_lines_at_the_end_of_a_block_are_no_end(block: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fer2013, "_BLOCK_BYTES", block)
    rows = fer2013_rows(30)
    path = fer2013_csv(tmp_path / "fer2013.csv", [*rows, *[[""]] * 3000])
    np.testing.assert_array_equal(read_fer2013(path).images.reshape(30, -1), noise(30, 48 * 48))
    path = fer2013_csv(tmp_path / "fer2013.csv", [*rows[:20], [""], *rows[20:]])
    with pytest.raises(DataError, match=r"row 21 \(line 22\): 0 pixels instead of 2304"):
        read_fer2013(path)


def test_a_csv_without_usage_gets_splits(tmp_path: Path) -> None:
    rows = [row[:2] for row in fer2013_rows(50)]
    data = read_fer2013(fer2013_csv(tmp_path / "train.csv", rows, ("emotion", "pixels")))
    assert {split: int((data.split == split).sum()) for split in ("train", "validation", "test")} == {
        "train": 40, "validation": 5, "test": 5,
    }  # fmt: skip
    assert data.info.notes == ("new splits train:validation:test 80:10:10 with seed 0: the source has none",)


def test_other_labels_are_named_in_their_order(tmp_path: Path) -> None:
    rows = fer2013_rows(8)
    rows[7][0] = "7"
    path = fer2013_csv(tmp_path / "ckextended.csv", rows)
    with pytest.raises(DataError, match=r"unknown emotion '7'.*give the names of other labels in their order"):
        read_fer2013(path)
    names = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
    data = read_fer2013(path, names)
    assert [data.taxonomy.names[i] for i in data.emotion] == [
        "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt",
    ]  # fmt: skip


def test_a_refused_file_leaves_no_reader_behind(tmp_path: Path) -> None:
    """Arrow reads ahead from a file of Python on a thread of its own, and a program that ends meanwhile is aborted."""
    rows = fer2013_rows(5)
    rows[0][0] = "x"
    path = fer2013_csv(tmp_path / "fer2013.csv", rows)
    code = (
        "import sys, mien.datasets.fer2013 as f, pyarrow.csv as pc\n"
        "def refuse(*a, **k): raise SystemExit('streamed')\n"
        "pc.open_csv = refuse\n"
        "try: f.read_fer2013(sys.argv[1])\n"
        "except f.DataError: sys.exit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"Rar!\x1a\x07\x01\x00", "is a RAR archive; unpack it"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive"),
        (b"<!doctype html><html>", "is a web page; download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\xff\xfee", "begins as UTF-16 text, and is none"),
    ],
)
def test_files_of_other_kinds_are_named(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=what):
        read_fer2013(path)


def test_a_workbook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "x")
    with pytest.raises(DataError, match="is an Excel workbook; save it as CSV"):
        read_fer2013(path)


def test_names_in_the_place_of_numbers(tmp_path: Path) -> None:
    names = ["Angry", "disgust", "FEAR", "Happiness", "sad", "Surprise", "neutral"]
    rows = [[names[int(emotion)], pixels, usage] for emotion, pixels, usage in fer2013_rows(10)]
    data = read_fer2013(fer2013_csv(tmp_path / "fer.csv", rows))
    assert data.emotion.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
