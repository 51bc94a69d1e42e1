"""`mien.batch.inputs`: what a source names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mien.batch.inputs import list_inputs
from mien.errors import InputError


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


NAMES = ["a.jpg", "b c.jpg", "ü #1;x.jpg", "line\u2028.jpg"]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(NAMES).encode(),
        "\r\n".join(NAMES).encode(),
        b"\xef\xbb\xbf" + "\r\n".join(NAMES).encode(),
        "\r\n".join(NAMES).encode("utf-16"),
        b"\xfe\xff" + "\n".join(NAMES).encode("utf-16-be"),
        "\n".join(f'"{name}"' for name in NAMES).encode(),
        "\n".join(f" '{name}'\t" for name in NAMES).encode(),
    ],
    ids=["plain", "crlf", "bom", "utf-16", "utf-16-be", "quoted", "single quotes and blanks"],
)
def test_a_list_in_any_encoding_names_the_same_files(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_bytes(content)
    assert {entry.path for entry in list_inputs("list.txt")} == {str(tmp_path / name) for name in NAMES}


def test_a_list_of_names_that_are_not_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_bytes(b"caf\xe9.jpg\n")
    assert os.fsencode(list_inputs("list.txt")[0].path).endswith(b"/caf\xe9.jpg")


def test_quotes_and_blanks_that_belong_to_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ('"a".jpg', "'b'", " c.jpg "):
        Path(name).touch()
    Path("list.txt").write_text("\"a\".jpg\n'b'\n c.jpg \n")
    assert {Path(entry.path).name for entry in list_inputs("list.txt")} == {'"a".jpg', "'b'", " c.jpg "}


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.jpg\n\0\1\2")
    with pytest.raises(InputError, match="is not a list of names; write one path or address per line, as UTF-8"):
        list_inputs(str(tmp_path / "list.txt"))


def test_folders_that_no_user_filled_are_left_out(tmp_path: Path) -> None:
    for folder in ("@eaDir/a.jpg", "$RECYCLE.BIN", "__MACOSX", "lost+found", "#recycle", ".Trash-1000", "holiday"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jpg").touch()
    holiday = [str(tmp_path / "holiday" / "x.jpg")]
    assert [entry.path for entry in list_inputs(str(tmp_path))] == holiday
    assert [entry.path for entry in list_inputs(f"{tmp_path}/**/*.jpg")] == holiday
    assert [entry.path for entry in list_inputs(f"file://{tmp_path}")] == [f"file://{holiday[0]}"]
    named = list_inputs(f"{tmp_path}/@eaDir/**/*.jpg")
    assert [Path(entry.path).name for entry in named] == ["x.jpg"]
