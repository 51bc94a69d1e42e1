from __future__ import annotations

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
        (0, lambda e: "happy", "unknown emotion 'happy'"),
        (0, lambda e: "", "unknown emotion ''"),
        (2, lambda u: "Test", "unknown Usage 'Test'; expected one of Training, PublicTest, PrivateTest"),
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
    path = fer2013_csv(tmp_path / "train.csv", [["1", "2"]], ("emotion", "pixels"))
    with pytest.raises(DataError, match="no column 'Usage' in the header 'emotion,pixels'"):
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
    with pytest.raises(DataError, match=r"expected one CSV in the zip, found a.csv, b.csv"):
        read_fer2013(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/angry/1.jpg", "x")
    with pytest.raises(DataError, match="found none"):
        read_fer2013(path)
