"""Files that are small and legal, yet would take minutes to decode."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.costly_files import jpeg_of_scans, motion_jpeg
from helpers.encoded_images import encoded
from helpers.pictures import noise
from mien.datasets.image_codec import decode_image
from mien.errors import DataError, ImageError, VideoError
from mien.media.decoding_cost import (
    COMPLEX,
    MAX_SCAN_PIXELS,
    check_jpeg_scans,
    is_costly_jpeg_packet,
)
from mien.media.image import load_image
from mien.media.video import open_video


@pytest.mark.parametrize("source", ["bytes", "path"])
@pytest.mark.parametrize("reduce", [1, 8])
def test_a_jpeg_of_many_scans_is_refused_unread(source: str, reduce: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_of_scans(5000, 5000, 12_000))
    began = time.process_time()
    with pytest.raises(ImageError, match="scans or more of 25,000,000 pixels") as caught:
        load_image(path if source == "path" else path.read_bytes(), reduce=reduce)  # type: ignore[arg-type]
    assert time.process_time() - began < 10
    assert caught.value.code == COMPLEX
    assert caught.value.details == {"scans": 201, "pixels": 25_000_000, "limit": MAX_SCAN_PIXELS}


@pytest.mark.parametrize(
    "between",
    [b"\xff\xff\xff", b"\xff\x01", b"\xff\xd3", b"\0\0\0", b"\xff\xfe\0\x08\xff\xd9\xff\xd9\xff\xd9", b"\xff\xd8"],
    ids=["fill", "TEM", "restart", "zeros", "comment with EOI", "SOI"],
)
def test_nothing_between_the_scans_hides_them(between: bytes) -> None:
    with pytest.raises(ImageError, match="scans or more"):
        check_jpeg_scans(io.BytesIO(jpeg_of_scans(5000, 5000, 250, between)))


def test_scans_across_the_pieces_that_are_read_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg_of_scans(5000, 5000, 210)
    for size in (1, 2, 3, 7, 100):
        monkeypatch.setattr("mien.media.decoding_cost._CHUNK_BYTES", size)
        with pytest.raises(ImageError, match="has 201 scans"):
            check_jpeg_scans(io.BytesIO(data))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_ordinary_jpegs_pass_at_every_size(mode: str, progressive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(noise(64, 80)).convert(mode)
    data = encoded(image, "JPEG", progressive=progressive, quality=95)
    assert load_image(data).size == (80, 64)
    # as if it were the largest that is read at all
    monkeypatch.setattr("mien.media.decoding_cost.MAX_SCAN_PIXELS", MAX_SCAN_PIXELS * 64 * 80 // 178_000_000)
    monkeypatch.setattr("mien.media.decoding_cost._MIN_PIXELS", 1)
    check_jpeg_scans(io.BytesIO(data))
    assert not is_costly_jpeg_packet(data)


def test_a_preview_inside_a_jpeg_does_not_count() -> None:
    preview = jpeg_of_scans(5000, 5000, 250)[:60_000]
    data = encoded(noise(64, 80), "JPEG", exif=b"Exif\0\0" + preview)
    check_jpeg_scans(io.BytesIO(data))


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xc0\0\x01", b"\xff\xd8" * 1000])
def test_damaged_files_end_the_count(data: bytes) -> None:
    check_jpeg_scans(io.BytesIO(data))
    assert not is_costly_jpeg_packet(data)


def test_datasets_refuse_the_same() -> None:
    data = np.frombuffer(jpeg_of_scans(5000, 5000, 12_000), np.uint8)
    began = time.process_time()
    with pytest.raises(DataError, match="scans or more"):
        decode_image(data, 3)
    assert time.process_time() - began < 10


def test_such_a_picture_in_a_motion_jpeg_is_a_lost_frame(tmp_path: Path) -> None:
    good, bad = encoded(noise(480, 640), "JPEG"), jpeg_of_scans(4000, 4000, 5_000)
    path = tmp_path / "a.avi"
    motion_jpeg(path, [good, bad, good, good], (640, 480))
    began = time.process_time()
    with open_video(path) as video:
        assert [frame.index for frame in video] == [0, 2, 3]
        assert video.lost == 1
    assert time.process_time() - began < 10


def test_a_motion_jpeg_of_nothing_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    motion_jpeg(path, [jpeg_of_scans(4000, 4000, 5_000)] * 5, (4000, 4000))
    began = time.process_time()
    with pytest.raises(VideoError):
        open_video(path)
    assert time.process_time() - began < 10
