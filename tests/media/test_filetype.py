"""What a file is, by its first bytes; what the readers report of real ones is in test_image.py and test_probe.py."""

from __future__ import annotations

import pytest

from mien.media.filetype import (
    FileDiagnosis,
    diagnose_unreadable_image,
    diagnose_unreadable_video,
    is_heif_header,
    is_image_header,
    is_video_header,
)

MP4, HEIC, AVIF = (b"\0\0\0\x20ftyp" + brand + b"\0" * 20 for brand in (b"isom", b"heic", b"avif"))
WEBP, ANIMATED_WEBP = (b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 4 + bytes([flags]) + b"\0" * 20 for flags in (0, 2))


@pytest.mark.parametrize(
    ("head", "image", "video", "heif"),
    [
        (MP4, False, True, False),
        (HEIC, True, False, True),
        (AVIF, True, False, False),
        (WEBP, True, False, False),
        (ANIMATED_WEBP, False, False, False),
        (b"\xff\xd8\xff\xe0", True, False, False),
        (b"GIF89a", True, False, False),
        (b"\x1a\x45\xdf\xa3", False, True, False),
        (b"hello", False, False, False),
        (b"", False, False, False),
    ],
)
def test_headers(head: bytes, image: bool, video: bool, heif: bool) -> None:
    assert (is_image_header(head), is_video_header(head), is_heif_header(head)) == (image, video, heif)


@pytest.mark.parametrize(
    ("head", "image", "video"),
    [
        (b"%PDF-1.7", "save the page as PNG or JPEG", None),
        (b"%!PS-Adobe", "save it as PNG or JPEG", None),
        (b"PK\x03\x04", "unpack it first", "unpack it first"),
        (b"version https://git-lfs", "fetch the picture with 'git lfs pull'", "fetch the video with 'git lfs pull'"),
        (b"<html>", "fetch the picture again", "fetch the video again"),
        (b"<svg>", "save it as PNG", None),
    ],
)  # fmt: skip
def test_the_advice_is_for_what_was_wanted(head: bytes, image: str, video: str | None) -> None:
    assert diagnose_unreadable_image(head).advice == image
    assert diagnose_unreadable_video(head).advice == video
    assert diagnose_unreadable_image(head).reason == diagnose_unreadable_video(head).reason


def test_text_is_not_what_was_wanted() -> None:
    advice = "check what was saved under this name"
    assert diagnose_unreadable_image(b"hello") == FileDiagnosis("holds text, not a picture", advice)
    assert diagnose_unreadable_video(b"hello") == FileDiagnosis("holds text, not a video", advice)
