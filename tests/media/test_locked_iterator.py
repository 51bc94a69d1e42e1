"""Closing a source from one thread while another reads or closes it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from helpers.clips import clip
from mien.media.frame import Frame
from mien.media.locked_iterator import LockedIterator

RACE = """
import sys, threading
from mien.media.video import open_video
for round in range(150):
    video = open_video(sys.argv[1])
    frames = iter(video)
    next(frames)
    start = threading.Barrier(3)
    def close():
        start.wait()
        video.close()
    def read():
        start.wait()
        for frame in frames:
            pass
    threads = [threading.Thread(target=work) for work in (close, close, read)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert next(frames, None) is None
print("done")
"""


def numbers() -> Iterator[Frame]:
    for i in range(10):
        yield Frame(np.zeros((2, 2, 3), np.uint8), index=i)


def test_frames_come_in_turn_and_closing_ends_them() -> None:
    turns = LockedIterator(numbers())  # type: ignore[arg-type]
    assert [next(turns).index for _ in range(3)] == [0, 1, 2]
    assert turns.close()
    assert next(turns, None) is None
    assert turns.close()


def test_a_generator_that_runs_is_left_alone() -> None:
    inside, leave = threading.Event(), threading.Event()

    def slow() -> Iterator[Frame]:
        inside.set()
        leave.wait()
        yield Frame(np.zeros((2, 2, 3), np.uint8))

    turns = LockedIterator(slow())  # type: ignore[arg-type]
    reader = threading.Thread(target=lambda: next(turns))
    reader.start()
    inside.wait()
    assert not turns.close()
    leave.set()
    reader.join()
    assert turns.close()


def test_two_threads_that_close_a_video_at_once(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", frames=30, size=(160, 120))
    run = subprocess.run([sys.executable, "-c", RACE, str(path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done\n"
