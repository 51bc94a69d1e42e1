"""Pictures are decoded by processes that can be ended, and cheap ones are not."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.encoded_images import encoded, exif, quadrants, stored_for
from helpers.hostile import KINDS, png, saved
from helpers.pictures import noise
from helpers.waiting import PATIENCE, wait_until
from mien.errors import ImageError, ImageTooLargeError, MissingFileError
from mien.media import decoder_process
from mien.media.decoder_pool import DecoderPool, DecodingStop
from mien.media.decoding_cost import COMPLEX
from mien.media.image import load_image

WAVELETS = encoded(noise(600, 800), "JPEG2000")
"""Takes a second."""
ANIMATION = encoded(
    Image.new("RGB", (64, 48)), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")]
)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(2, seconds=PATIENCE, memory_bytes=1 << 30) as made:
        yield made


def running(pool: DecoderPool) -> list[int]:
    return [process.pid for process in [*pool._idle, *pool._busy]]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_those_of_load_image(pool: DecoderPool, kind: str, tmp_path: Path) -> None:
    data = saved(noise(48, 64), kind)
    (tmp_path / "a").write_bytes(data)
    frame = pool.load_image(tmp_path / "a")
    assert np.array_equal(frame.rgb, load_image(data).rgb)
    assert frame.source == str(tmp_path / "a")
    assert np.array_equal(pool.load_image(data).rgb, frame.rgb)


def test_a_heic_photo_above_the_limit_is_shrunk_and_others_are_not(pool: DecoderPool) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = encoded(stored_for(6, quadrants(96, 64)), "HEIF", quality=95, exif=exif(6).tobytes())
    whole, frame = pool.load_image(data), pool.load_image(data, max_pixels=2000)
    assert (whole.size, frame.size, frame.full_size) == ((96, 64), (48, 32), (96, 64))
    assert np.abs(frame.rgb[::8, ::8].astype(int) - whole.rgb[::16, ::16]).max() < 40
    with pytest.raises(ImageTooLargeError):
        pool.load_image(data, max_pixels=90)  # an eighth of its sides has 96


def test_options_and_sizes_are_kept(pool: DecoderPool) -> None:
    data = encoded(stored_for(6, quadrants(96, 64)), "TIFF", exif=exif(6))
    assert not pool.is_cheap(data)
    frame = pool.load_image(data, reduce=2)
    assert (frame.size, frame.full_size) == ((48, 32), (96, 64))
    with pytest.raises(ImageTooLargeError) as caught:
        pool.load_image(data, max_pixels=100)
    assert (caught.value.path, caught.value.details) == ("<bytes>", {"pixels": 6144, "limit": 100})


def test_errors_name_the_path_as_it_was_given(
    pool: DecoderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.gif").write_bytes(saved(noise(48, 64), "GIF")[:200])
    with pytest.raises(ImageError) as caught:
        pool.load_image("cut.gif")
    assert caught.value.path == "cut.gif"
    with pytest.raises(MissingFileError) as missing:
        pool.load_image("absent.gif")
    assert missing.value.path == "absent.gif"


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_a_name_that_is_not_utf8(pool: DecoderPool, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.gif"
    try:
        Path(os.fsdecode(path)).write_bytes(saved(noise(48, 64), "GIF"))
    except OSError:
        pytest.skip("this file system has no such names")
    assert pool.load_image(os.fsdecode(path)).size == (64, 48)


def test_one_process_decodes_picture_after_picture(pool: DecoderPool) -> None:
    data = saved(noise(48, 64), "GIF")
    pool.load_image(data)
    before = running(pool)
    for _ in range(5):
        pool.load_image(data)
    assert running(pool) == before


@pytest.mark.parametrize(
    ("data", "cheap"),
    [
        (encoded(noise(480, 640), "JPEG"), True),
        (encoded(noise(480, 640), "PNG"), True),
        (encoded(noise(480, 640), "WEBP"), True),
        (encoded(noise(480, 640), "WEBP", lossless=True), True),
        (encoded(Image.new("RGB", (4000, 3000)), "JPEG"), True),
        (encoded(noise(48, 64), "AVIF"), False),
        (encoded(noise(48, 64), "TIFF"), False),
        (ANIMATION, False),
        (png(8000, 6000, b""), False),
        (encoded(Image.new("RGB", (8000, 6000)), "JPEG"), False),
        (b"", False),
        (b"\xff\xd8\xff", True),
    ],
    ids=["JPEG", "PNG", "WebP", "lossless WebP", "12 megapixels", "AVIF", "TIFF", "animation", "large PNG",
         "large JPEG", "nothing", "cut"],
)  # fmt: skip
def test_headers_show_which_pictures_are_cheap(pool: DecoderPool, data: bytes, cheap: bool) -> None:
    assert pool.is_cheap(data) is cheap


def test_one_that_takes_too_long_is_stopped_and_the_next_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_process, "_WALL_MARGIN", PATIENCE)
    with DecoderPool(1, seconds=0.1, memory_bytes=1 << 30) as pool:
        message = r"took longer than 0\.1 s of processor time to decode and was stopped"
        with pytest.raises(ImageError, match=message) as caught:
            pool.load_image(WAVELETS)
        assert (caught.value.code, caught.value.path) == (COMPLEX, "<bytes>")
        assert caught.value.details == {"seconds": 0.1, "limit": 0.1}
        assert running(pool) == []
        pool._seconds = PATIENCE
        assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_time_without_the_processor_does_not_count() -> None:
    with DecoderPool(1, seconds=3.0, memory_bytes=1 << 30) as pool:
        pool.load_image(saved(noise(48, 64), "GIF"))
        (pid,) = running(pool)
        os.kill(pid, signal.SIGSTOP)  # as on a machine that is busy with other work
        resume = threading.Timer(4.0, os.kill, (pid, signal.SIGCONT))
        resume.start()
        assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)
        assert running(pool) == [pid]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_one_that_gets_no_processor_time_at_all_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_process, "_WALL_MARGIN", 0.0)
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as pool:
        pool.load_image(saved(noise(48, 64), "GIF"))
        os.kill(running(pool)[0], signal.SIGSTOP)
        pool._seconds = 0.25
        with pytest.raises(ImageError, match=r"took longer than 2 s to decode and was stopped") as caught:
            pool.load_image(saved(noise(48, 64), "GIF"))
        assert caught.value.details == {"seconds": 2.0, "limit": 2.0}
        pool._seconds = PATIENCE
        assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)


def test_stopping_ends_that_picture_and_no_later_one() -> None:
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as pool:
        early, late = DecodingStop(), DecodingStop()
        early.stop()
        with pytest.raises(ImageError, match="ended the process that decoded it"):
            pool.load_image(saved(noise(48, 64), "GIF"), stop=early)
        pool.load_image(saved(noise(48, 64), "GIF"), stop=late)
        before = running(pool)
        late.stop()
        assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)
        assert running(pool) == before


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
def test_one_that_takes_too_much_memory_is_refused_and_the_next_is_decoded() -> None:
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=50 << 20) as pool:
        with pytest.raises(ImageError, match="needs more than 52,428,800 bytes of memory") as caught:
            pool.load_image(encoded(Image.new("RGB", (6000, 5000)), "TIFF", compression="tiff_lzw"))
        assert caught.value.code == COMPLEX
        assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").is_file(), reason="Linux ends processes where memory is short")
def test_where_memory_is_short_the_process_goes_before_the_one_that_it_serves(pool: DecoderPool) -> None:
    pool.load_image(saved(noise(48, 64), "GIF"))
    (pid, *_) = running(pool)
    assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) > int(Path("/proc/self/oom_score_adj").read_text())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_one_whose_decoder_crashes_is_an_error_and_the_next_is_decoded() -> None:
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as pool:
        pool.load_image(saved(noise(48, 64), "GIF"))
        (pid,) = running(pool)
        os.kill(pid, signal.SIGSTOP)  # so that it has not decoded the picture before it crashes

        def crash() -> None:
            wait_until(lambda: pool._busy)
            os.kill(pid, signal.SIGSEGV)
            os.kill(pid, signal.SIGCONT)

        thread = threading.Thread(target=crash)
        thread.start()
        with pytest.raises(ImageError, match=r"ended the process that decoded it \(signal 11\)"):
            pool.load_image(WAVELETS)
        thread.join()
        assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)


def test_closing_ends_what_is_being_decoded() -> None:
    pool = DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30)
    pool.load_image(saved(noise(48, 64), "GIF"))
    if sys.platform != "win32":
        os.kill(running(pool)[0], signal.SIGSTOP)  # its decoding takes for ever, however fast the machine is
    errors: list[Exception] = []

    def decode() -> None:
        try:
            pool.load_image(encoded(noise(1200, 1600), "JPEG2000"))
        except ImageError as error:
            errors.append(error)

    thread = threading.Thread(target=decode)
    thread.start()
    wait_until(lambda: pool._busy)
    pool.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(errors) == 1
    with pytest.raises(ImageError, match="its decoder is closed"):
        pool.load_image(saved(noise(48, 64), "GIF"))


def test_where_no_process_starts_the_thread_decodes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as pool:
        for _ in range(2):
            assert pool.load_image(saved(noise(48, 64), "GIF")).size == (64, 48)
    assert caplog.text.count("no process can be started") == 1


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_a_process_ends_with_the_one_that_uses_it(tmp_path: Path) -> None:
    import subprocess

    program = (
        "import os, sys\n"
        "from mien.media.decoder_pool import DecoderPool\n"
        "pool = DecoderPool(1, seconds=100, memory_bytes=1 << 30)\n"
        "pool.load_image(sys.argv[1])\n"
        "print(pool._idle[0].pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "a.gif").write_bytes(saved(noise(48, 64), "GIF"))
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.gif")], capture_output=True, text=True)
    wait_until(lambda: not Path(f"/proc/{done.stdout.strip()}").exists())
