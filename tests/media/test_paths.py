"""Folders and patterns become lists of pictures, and what gives nothing is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import MissingFileError
from mien.media.paths import VIDEO_SUFFIXES, expand_paths, is_video_file, natural_sort_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in (
        "img10.jpg", "img2.jpg", "IMG1.JPG", "notes.txt", ".hidden.jpg", "clip.mp4", "phone.heic", "b/z.png",
        "b/a.webp", "b/.trash/x.png", "a10/x.png", "a9/x.png", "doc.pdf",
    ):  # fmt: skip
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_in_natural_order_without_hidden_files(folder: Path) -> None:
    paths, errors = expand_paths([str(folder)])
    assert names(paths, folder) == [
        "a9/x.png", "a10/x.png", "b/a.webp", "b/z.png", "IMG1.JPG", "img2.jpg", "img10.jpg", "phone.heic",
    ]  # fmt: skip
    assert errors == []


def test_not_recursive(folder: Path) -> None:
    paths, _ = expand_paths([str(folder)], recursive=False)
    assert names(paths, folder) == ["IMG1.JPG", "img2.jpg", "img10.jpg", "phone.heic"]


def test_other_suffixes(folder: Path) -> None:
    paths, _ = expand_paths([str(folder)], suffixes={".mp4", ".jpg"})
    assert names(paths, folder) == ["clip.mp4", "IMG1.JPG", "img2.jpg", "img10.jpg"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jpg", ["img2.jpg", "img10.jpg"]),
        ("**/*.png", ["a9/x.png", "a10/x.png", "b/z.png"]),
        ("img?.jpg", ["img2.jpg"]),
        ("img[0-9]*", ["img2.jpg", "img10.jpg"]),
        ("a*", ["a9/x.png", "a10/x.png"]),
        ("*o*", ["phone.heic"]),
    ],
)
def test_patterns(folder: Path, pattern: str, found: list[str]) -> None:
    paths, errors = expand_paths([str(folder / pattern)])
    assert names(paths, folder) == found
    assert errors == []


def test_named_files_are_taken_as_they_are_and_order_is_kept(folder: Path) -> None:
    given_names = ["notes.txt", "img10.jpg", ".hidden.jpg", "img2.jpg"]
    paths, errors = expand_paths([folder / name for name in given_names])
    assert names(paths, folder) == given_names
    assert errors == []


def test_a_file_given_twice_comes_once(folder: Path) -> None:
    paths, _ = expand_paths([str(folder / "img2.jpg"), str(folder), str(folder / "b" / ".." / "img2.jpg")])
    assert names(paths, folder).count("img2.jpg") == 1
    assert paths[0] == folder / "img2.jpg"
    assert len(paths) == 8


def test_literal_names_with_pattern_characters(tmp_path: Path) -> None:
    odd = tmp_path / "a[1]*?.jpg"
    odd.touch()
    assert expand_paths([str(odd)]) == ([odd], [])


@pytest.mark.parametrize(
    ("given_name", "message"),
    [
        ("missing.jpg", "missing.jpg: no such file or folder; check the path, relative ones start at "),
        ("*.gif", "*.gif: no file matches this pattern; check it, and quote it in a shell"),
        ("*.txt", "*.txt: of 1 matches none is a file ending in .jpg, .png, .webp, .heic or the like"),
        ("empty", "empty: no file ending in .jpg, .png, .webp, .heic or the like in this folder or below it"),
        ("a\0b", "a\\x00b: "),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_inputs_that_give_nothing_do_not_stop_the_others(folder: Path, given_name: str, message: str) -> None:
    (folder / "empty").mkdir()
    paths, errors = expand_paths([f"{folder}/{given_name}", str(folder / "img2.jpg")])
    assert names(paths, folder) == ["img2.jpg"]
    (error,) = errors
    assert isinstance(error, MissingFileError)
    assert message in str(error)
    assert "\n" not in str(error)


def test_an_address_gets_what_opens_it() -> None:
    (error,) = expand_paths(["https://example.org/photo.jpg?size=large"]).errors
    assert isinstance(error, MissingFileError)
    assert "is an address, and only files are read here; download the file first; `mien live` opens streams" in str(
        error
    )


def test_empty_input_and_folder_without_its_subfolders(folder: Path) -> None:
    assert "an input is empty" in str(expand_paths([""]).errors[0])
    (folder / "c" / "d").mkdir(parents=True)
    (folder / "c" / "d" / "x.jpg").touch()
    (error,) = expand_paths([str(folder / "c")], recursive=False).errors
    assert "(those inside it were not read)" in str(error)
    assert expand_paths([]) == ([], [])


def test_links(folder: Path) -> None:
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "linked.jpg").symlink_to(folder / "img2.jpg")
    (folder / "broken.jpg").symlink_to(folder / "gone.jpg")
    paths, errors = expand_paths([str(folder)])
    assert errors == []
    got = names(paths, folder)
    assert len(got) == len(set(got)) == 10
    assert {"linked.jpg", "broken.jpg"} <= set(
        got
    )  # a broken link is a picture that cannot be read, and reported later
    link = folder.parent / "shortcut"
    link.symlink_to(folder)
    assert len(expand_paths([str(link)]).paths) == 10


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may read everything")
def test_unreadable_folder(folder: Path) -> None:
    (folder / "b").chmod(0)
    try:
        paths, errors = expand_paths([str(folder)])
    finally:
        (folder / "b").chmod(0o755)
    assert len(paths) == 6
    assert "cannot be read: Permission denied" in str(errors[0])


@given(st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), max_size=8))
def test_natural_order_is_total(parts: list[str]) -> None:
    forward, backward = [Path(part) for part in parts], [Path(part) for part in reversed(parts)]
    assert sorted(forward, key=natural_sort_key) == sorted(backward, key=natural_sort_key)


def test_natural_order() -> None:
    given_names = ["x10", "x9", "X8", "x²", "x", "1", "01", "x9b", "x09"]
    got = [p.name for p in sorted(map(Path, given_names), key=natural_sort_key)]
    assert got == ["01", "1", "x", "X8", "x09", "x9", "x9b", "x10", "x²"]


def test_videos_by_suffix_and_by_content(tmp_path: Path) -> None:
    for name, content, expected in (
        ("a.MP4", b"", True),
        ("a.mkv", b"text", True),
        ("a.jpg", b"\0\0\0\x20ftypisom" + b"\0" * 20, True),
        ("a", b"\x1a\x45\xdf\xa3", True),
        ("b", b"\x47" + (b"\0" * 187 + b"\x47") * 3, True),
        ("c", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", True),
        ("b.jpg", b"\xff\xd8\xff", False),
        ("a.gif", b"GIF89a", False),
        ("a.heic", b"\0\0\0\x20ftypheic" + b"\0" * 20, False),
        ("a.avif", b"\0\0\0\x20ftypavif" + b"\0" * 20, False),
        ("a.txt", b"hello", False),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert is_video_file(path) is expected, name
    assert not is_video_file(tmp_path / "gone.jpg")
    assert not is_video_file(tmp_path)
    found, _ = expand_paths([str(tmp_path)], suffixes=VIDEO_SUFFIXES)
    assert names(found, tmp_path) == ["a.mkv", "a.MP4"]


def test_folders_that_no_user_filled_are_left_out(tmp_path: Path) -> None:
    for folder in ("@eaDir/a.jpg", "$RECYCLE.BIN", "__MACOSX/photos", "System Volume Information", "holiday"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jpg").touch()
    holiday = [tmp_path / "holiday" / "x.jpg"]
    assert expand_paths([tmp_path]).paths == holiday
    assert expand_paths([f"{tmp_path}/**/*.jpg"]).paths == holiday
    assert expand_paths([tmp_path / "@eaDir"]).paths == [tmp_path / "@eaDir" / "a.jpg" / "x.jpg"]
