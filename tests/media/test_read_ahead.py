"""The bounded queue between a source and its reader."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.clips import clip, number_of
from helpers.network_camera import Sender
from helpers.waiting import PATIENCE, wait_until
from mien.errors import InputError, VideoError
from mien.media.frame import Frame
from mien.media.live import open_live
from mien.media.read_ahead import ReadAhead
from mien.media.source import FrameSource, SourceInfo
from mien.media.video import open_video


class Numbers:
    """A source that counts, as far as ``gate`` lets it; a `FrameSource`."""

    def __init__(
        self, frames: int, *, live: bool = False, size: tuple[int, int] = (64, 48), fails: BaseException | None = None,
        gate: threading.Semaphore | None = None,
    ) -> None:  # fmt: skip
        self.info = SourceInfo("numbers", *size, live=live)
        self.lost, self.dropped, self.problems = 1, 2, ("a problem",)
        self.made, self.closed = 0, 0
        self._frames, self._size, self._fails, self._gate = frames, size, fails, gate
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self._frames):
            if self._gate is not None:
                self._gate.acquire()
            if self._stop.is_set():
                return
            self.made += 1
            yield Frame(np.full((self._size[1], self._size[0], 3), i % 256, np.uint8), index=i, time=i / 25)
        if self._fails is not None:
            raise self._fails

    def close(self) -> None:
        self.closed += 1
        self._stop.set()

    def __enter__(self) -> FrameSource:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def test_a_file_loses_nothing_and_is_read_ahead_only_so_far() -> None:
    source = Numbers(100)
    with ReadAhead(source, max_frames=4) as frames:
        seen = []
        for frame in frames:
            seen.append(frame.index)
            if len(seen) == 1:
                wait_until(lambda: source.made >= 4 + 2)
                time.sleep(0.1)
                assert source.made == 4 + 2  # the queue, the one that waits before it, the one in hand
    assert seen == list(range(100))
    assert (frames.lost, frames.dropped, frames.problems, frames.info) == (1, 2, ("a problem",), source.info)
    assert source.closed


def test_large_frames_count_by_their_bytes() -> None:
    source = Numbers(20, size=(1000, 500))
    with ReadAhead(source, max_frames=16, max_bytes=5_000_000) as frames:
        next(iter(frames))
        wait_until(lambda: source.made >= 1 + 3 + 1)  # 1.5 megabytes each
        time.sleep(0.1)
        assert source.made == 1 + 3 + 1
    source = Numbers(20, size=(1000, 500))
    with ReadAhead(source, max_bytes=1000) as frames:
        next(iter(frames))
        wait_until(lambda: source.made >= 1 + 2 + 1)
        time.sleep(0.1)
        assert source.made == 1 + 2 + 1


def test_a_live_source_drops_the_oldest_and_counts_it() -> None:
    gate = threading.Semaphore(0)
    source = Numbers(60, live=True, gate=gate)
    seen: list[int] = []

    def arrived(count: int) -> bool:
        return len(seen) + frames.dropped - source.dropped + len(frames._queue) == count

    with ReadAhead(source) as frames:
        frames.wait(0)
        count = 0
        for more in (1, 2, 7, 50):
            gate.release(more)
            count += more
            wait_until(functools.partial(arrived, count))
            for index in range(max(count - 2, len(seen)), count):  # never older than the queue is long
                assert next(iter(frames)).index == index
                seen.append(index)
        assert list(frames) == []
    assert seen == [0, 1, 2, 8, 9, 58, 59]
    assert len(seen) + frames.dropped - source.dropped == 60


def test_dropped_frames_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mien")
    with ReadAhead(Numbers(50), drop_oldest=True, max_frames=1) as frames:
        frames.wait(0)
        wait_until(lambda: frames.dropped > 2)
    dropped = frames.dropped - 2  # two by the source itself
    assert dropped > 0
    frames.close()
    (record,) = caplog.records
    assert record.getMessage() == f"numbers: {dropped} frames were not fetched in time and dropped"


def test_newest_can_be_asked_for_or_not() -> None:
    with ReadAhead(Numbers(50), drop_oldest=True, max_frames=1) as frames:
        frames.wait(50)  # of which the queue holds one: until there are no more
        assert [frame.index for frame in frames] == [49]
    with ReadAhead(Numbers(30, live=True), drop_oldest=False) as frames:
        assert [frame.index for frame in frames] == list(range(30))


def test_errors_come_after_the_frames_before_them() -> None:
    for error in (VideoError("broken"), OSError("disk"), MemoryError()):
        seen = []
        frames = ReadAhead(Numbers(5, fails=error))
        raised = None
        try:
            for frame in frames:
                seen.append(frame.index)
                time.sleep(0.01)
        except type(error) as caught:
            raised = caught
        assert raised is error
        assert seen == list(range(5))
        assert list(frames) == []
        frames.close()


def test_closing_while_the_thread_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.read_ahead._CLOSE_TIMEOUT", PATIENCE)  # as long as it takes unless it is woken
    source = Numbers(1000)
    with ReadAhead(source, max_frames=2) as frames:
        assert next(iter(frames)).index == 0
        assert next(iter(frames)).index == 1
        wait_until(lambda: frames._full)
        begun = time.monotonic()
    assert time.monotonic() - begun < PATIENCE / 2
    assert source.closed
    assert list(frames) == []
    assert not any(thread.name == "mien numbers" for thread in threading.enumerate())


def test_closing_while_a_read_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.read_ahead._CLOSE_TIMEOUT", 0.2)
    stuck, free = threading.Event(), threading.Event()

    class Stuck(Numbers):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            stuck.set()
            free.wait(PATIENCE)

    source = Stuck(1)
    with ReadAhead(source) as frames:
        assert next(iter(frames)).index == 0
        assert stuck.wait(PATIENCE)
        begun = time.monotonic()
    assert time.monotonic() - begun < PATIENCE / 2
    free.set()


def test_closing_a_stalled_network_stream(sender: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.read_ahead._CLOSE_TIMEOUT", 0.2)
    made = sender([("frames", 3), ("pause", PATIENCE)])
    with ReadAhead(open_live(made.address, stall=10.0)) as frames:
        assert [next(iter(frames)).index for _ in range(3)] == [0, 1, 2]
        begun = time.monotonic()
    assert time.monotonic() - begun < 8.0  # the read that stalls ends after ten


def test_an_interrupt_in_the_middle_ends_everything() -> None:
    source = Numbers(1000)
    with contextlib.suppress(KeyboardInterrupt), ReadAhead(source) as frames:
        for frame in frames:
            if frame.index == 3:
                raise KeyboardInterrupt
    assert source.closed
    assert not any(thread.name == "mien numbers" for thread in threading.enumerate())


def test_closing_from_another_thread_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.read_ahead._CLOSE_TIMEOUT", 0.2)
    hang = threading.Event()

    class Waiting(Numbers):
        def __iter__(self) -> Iterator[Frame]:
            hang.wait(PATIENCE)
            return iter(())

    frames = ReadAhead(Waiting(0))
    closing = threading.Timer(0.1, frames.close)
    begun = time.monotonic()
    closing.start()
    assert list(frames) == []
    assert time.monotonic() - begun < PATIENCE / 2
    hang.set()
    closing.join()


def test_a_buffer_that_was_never_read() -> None:
    source = Numbers(5)
    frames = ReadAhead(source)
    frames.close()
    frames.close()
    assert source.closed
    assert source.made == 0
    assert list(frames) == []
    with pytest.raises(InputError, match="max_frames is at least 1, got 0"):
        ReadAhead(source, max_frames=0)


def test_a_video_through_the_queue(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=80, bframes=2)
    with ReadAhead(open_video(path), max_frames=3) as frames:
        assert [number_of(frame.rgb) for frame in frames] == list(range(80))
    for stop in range(0, 80, 9):
        with ReadAhead(open_video(path), max_frames=3) as frames:
            for frame in frames:
                if frame.index == stop:
                    break
    with ReadAhead(open_video(path, after=50), max_frames=3) as frames:
        assert next(iter(frames)).index == 51


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", ["forgotten", "interrupted"])
def test_a_program_that_ends_does_not_hang(how: str, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=300)
    script = """
import os, signal, sys, threading
from mien.media.read_ahead import ReadAhead
from mien.media.video import open_video
frames = ReadAhead(open_video(sys.argv[1]), max_frames=2)
for frame in frames:
    if frame.index == 5:
        if sys.argv[2] == "forgotten":
            break
        os.kill(os.getpid(), signal.SIGINT)
print("end")
"""
    done = subprocess.run([sys.executable, "-c", script, str(path), how], capture_output=True, text=True, timeout=120)
    assert done.returncode == (0 if how == "forgotten" else -2 if done.returncode < 0 else 1)
    assert ("KeyboardInterrupt" in done.stderr) == (how == "interrupted")


@pytest.mark.parametrize(
    ("frames", "max_bytes", "ready"), [(20, 1 << 30, 8), (3, 1 << 30, 3), (20, 5 * 64 * 48 * 3, 5)]
)
def test_wait_returns_when_frames_are_there_or_no_more_come(frames: int, max_bytes: int, ready: int) -> None:
    with ReadAhead(Numbers(frames), max_bytes=max_bytes) as ahead:
        ahead.wait(8)
        assert len(ahead._queue) >= ready
        assert len(list(ahead)) == frames


def test_wait_after_all_that_was_there_is_taken() -> None:
    with ReadAhead(Numbers(40)) as ahead:
        frames = iter(ahead)
        ahead.wait(0)
        for _ in range(2):
            wait_until(lambda: ahead._full)
            assert len([next(frames) for _ in range(16)]) == 16
            ahead.wait(8)
            assert len(ahead._queue) >= 8
