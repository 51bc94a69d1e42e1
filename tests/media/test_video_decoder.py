"""Videos are decoded by a process of their own, which can be ended at any time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.clips import clip, shortened
from helpers.decoder_calls import compute_forever, frame_sizes_as_text
from helpers.encoded_images import encoded
from helpers.pictures import noise
from helpers.video_files import FRAMES, KINDS, drawn
from helpers.waiting import PATIENCE, wait_until
from mien.errors import MienError, VideoError
from mien.media import decoder_process
from mien.media.decoder_pool import DecoderPool
from mien.media.decoding_cost import VIDEO_COMPLEX
from mien.media.read_ahead import ReadAhead
from mien.media.selection import FrameSelection
from mien.media.video import open_video


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as made:
        yield made


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("film") / "h264.mp4", draw=drawn, frames=FRAMES, **KINDS["h264.mp4"])  # type: ignore[arg-type]


def stop_for_ever(pool: DecoderPool) -> None:
    """What the process of the pool is decoding takes for ever, however fast the machine is."""
    (process,) = pool._busy
    if sys.platform != "win32":
        os.kill(process.pid, signal.SIGSTOP)


@pytest.mark.parametrize(
    ("selection", "after"),
    [(FrameSelection(), None), (FrameSelection(2, None, 0.4, 1.2), None), (FrameSelection(), 20)],
)
def test_frames_are_those_of_open_video(
    pool: DecoderPool, film: Path, selection: FrameSelection, after: int | None
) -> None:
    with open_video(film, selection, after=after) as here, pool.video() as decoder:
        there = decoder.open(film, selection, after=after)
        assert there.info == here.info
        for one, other in zip(here, there, strict=True):
            assert (one.index, one.time, one.source) == (other.index, other.time, other.source)
            assert np.array_equal(one.rgb, other.rgb)
        assert (there.lost, there.dropped, there.problems) == (here.lost, here.dropped, here.problems)


def test_losses_and_problems_arrive(pool: DecoderPool, tmp_path: Path) -> None:
    path = shortened(clip(tmp_path / "a.avi", draw=drawn, frames=FRAMES, codec="mpeg4"))
    with open_video(path) as here, pool.video() as decoder, decoder.open(path) as there:
        assert len(list(here)) == len(list(there)) > 0
        assert there.lost == here.lost > 0
        assert there.problems == here.problems


def test_one_process_decodes_video_after_video_and_pictures(pool: DecoderPool, film: Path) -> None:
    for _ in range(2):
        with pool.video() as decoder:
            list(decoder.open(film))
    before = [process.pid for process in pool._idle]
    with pool.video() as decoder:
        assert decoder.frame_sizes(film, "mov,mp4") == [(160, 120)]
        assert len(list(decoder.open(film))) == FRAMES
    pool.load_image(encoded(noise(48, 64), "GIF"))
    assert [process.pid for process in pool._idle] == before


def test_a_video_that_is_closed_in_the_middle_leaves_no_process(pool: DecoderPool, film: Path) -> None:
    with pool.video() as decoder, decoder.open(film) as video:
        next(iter(video))
    assert not pool._busy
    with pool.video() as decoder:
        assert len(list(decoder.open(film))) == FRAMES


@pytest.mark.parametrize("name", ["absent.mp4", "text.mp4"])
def test_errors_are_those_of_open_video(
    pool: DecoderPool, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("dear diary\n" * 9)
    with pytest.raises(MienError) as here:
        open_video(name)
    with pool.video() as decoder, pytest.raises(MienError) as there:
        decoder.open(Path(name))
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_other_containers_are_refused_unopened(pool: DecoderPool, film: Path, tmp_path: Path) -> None:
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {film}\n")
    with pool.video() as decoder, pytest.raises(VideoError, match="holds text"):
        decoder.frame_sizes(tmp_path / "list.mp4", "mov,mp4")


def test_opening_that_takes_too_long_is_stopped(film: Path) -> None:
    with DecoderPool(1, seconds=0.001, memory_bytes=1 << 30) as pool, pool.video() as decoder:
        with pytest.raises(
            VideoError, match=r"took longer than [\d.]+ s (of processor time )?to decode and was stopped"
        ) as caught:
            decoder.open(film)
        assert (caught.value.code, caught.value.path) == (VIDEO_COMPLEX, str(film))


def test_a_frame_that_takes_too_long_ends_the_video(
    pool: DecoderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip(
        tmp_path / "a.avi", draw=lambda i: noise(1080, 1920, seed=i), frames=20, size=(1920, 1080), codec="ffv1"
    )
    with pool.video() as decoder:
        video = decoder.open(path)
        frames = iter(video)
        next(frames)
        stop_for_ever(pool)
        monkeypatch.setattr(decoder_process, "wall_seconds", lambda seconds: 0.0)
        with pytest.raises(VideoError, match="took longer than 0 s") as caught:
            list(frames)
        assert (caught.value.code, caught.value.path) == (VIDEO_COMPLEX, str(path))


def test_kill_ends_the_frames_that_another_thread_waits_for(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", draw=lambda i: noise(480, 640, seed=i), frames=100, size=(640, 480), codec="ffv1")
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as pool, pool.video() as decoder:
        source = ReadAhead(decoder.open(path))
        seen: list[int] = []

        def read() -> None:
            for frame in source:
                seen.append(frame.index)

        thread = threading.Thread(target=read)
        thread.start()
        wait_until(lambda: seen)
        stop_for_ever(pool)
        decoder.kill()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        source.close()


def test_a_function_is_called_by_the_process_and_its_errors_are_raised(pool: DecoderPool, film: Path) -> None:
    with pool.video() as decoder:
        assert decoder.call(frame_sizes_as_text, str(film), "mov,mp4", seconds=PATIENCE) == "[(160, 120)]"
        with pytest.raises(VideoError, match="holds text"):
            decoder.call(frame_sizes_as_text, __file__, "mov,mp4", seconds=PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="no clock of processor time")
def test_a_function_that_takes_too_long_is_stopped_and_the_next_is_called(
    pool: DecoderPool, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_process, "_WALL_MARGIN", PATIENCE)
    with pool.video() as decoder:
        with pytest.raises(VideoError, match=r"took longer than 0\.2 s of processor time") as caught:
            decoder.call(compute_forever, seconds=0.2)
        assert caught.value.code == VIDEO_COMPLEX
        assert decoder.call(frame_sizes_as_text, str(film), "mov,mp4", seconds=PATIENCE) == "[(160, 120)]"


def test_killing_ends_a_function(pool: DecoderPool) -> None:
    with pool.video() as decoder:
        timer = threading.Timer(0.5, decoder.kill)
        timer.start()
        with pytest.raises(VideoError, match="that was ended"):
            decoder.call(compute_forever, seconds=PATIENCE)
        timer.join()


def test_a_killed_decoder_opens_nothing(pool: DecoderPool, film: Path) -> None:
    with pool.video() as decoder:
        decoder.kill()
        with pytest.raises(VideoError, match="that was ended"):
            decoder.open(film)


def test_where_no_process_starts_this_one_decodes(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with DecoderPool(1, seconds=PATIENCE, memory_bytes=1 << 30) as pool, pool.video() as decoder:
        assert decoder.frame_sizes(film, "mov,mp4") == [(160, 120)]
        with decoder.open(film) as video:
            assert len(list(video)) == FRAMES


def test_many_packets_before_a_frame_that_is_selected_do_not_count_as_one(
    pool: DecoderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip(tmp_path / "a.avi", draw=lambda i: noise(480, 640, seed=i), frames=150, size=(640, 480), codec="ffv1")
    began = time.process_time()
    with open_video(path, FrameSelection(149)) as video:
        assert [frame.index for frame in video] == [0, 149]
    whole = time.process_time() - began
    with pool.video() as decoder:
        decoder.frame_sizes(path, "avi")  # the process has loaded what it needs
    # more than one packet takes, and less than all of them
    monkeypatch.setattr(pool, "_seconds", max(0.5 * whole, 0.5))
    with pool.video() as decoder:
        there = decoder.open(path, FrameSelection(149))
        assert [frame.index for frame in there] == [0, 149]
