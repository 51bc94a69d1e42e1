"""The worker process: ``python -m mien.batch.worker_process`` stdin tasks → stdout results.

It is a process of its own so that a decoder that crashes, or memory that runs out, costs one shard's time and no more.
It ends when its input does, also in the middle of a shard: nothing analyses for a driver that is gone.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mien.batch.settings import Prepared
from mien.batch.shard_analysis import Care, analyse_shard
from mien.batch.types import Finished, Item, Shard
from mien.errors import MienError


@dataclass(frozen=True, slots=True)
class Start:
    """The first message: what to analyse with."""

    prepared: Prepared
    threads: int


@dataclass(frozen=True, slots=True)
class Task:
    """A shard to analyse; ``items`` where its inputs were read before."""

    shard: Shard
    care: Care
    items: Sequence[Item] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class At:
    """An answer: the input at this position comes next."""

    position: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The first answer: the models are loaded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer: this cannot be done at all, and why."""

    error: MienError


Answer = Finished | At | Ready | Refused


def main() -> None:
    """Serve until the input ends."""
    # Ctrl-C reaches the whole group of processes; the driver decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, tasks), daemon=True).start()
    try:
        _serve(tasks, out)
    except BrokenPipeError:
        os._exit(1)


def _serve(tasks: queue.SimpleQueue[Any], out: BinaryIO) -> None:
    import cv2

    start: Start = tasks.get()
    # OpenCV's own pool would take every core in every process
    cv2.setNumThreads(start.threads)
    try:
        analyzer = start.prepared.analyzer(start.threads)
    except MienError as error:
        _answer(out, Refused(error))
        return
    _answer(out, Ready())
    while True:
        task: Task = tasks.get()
        try:
            done: Answer = analyse_shard(
                analyzer,
                start.prepared.settings,
                task.shard,
                items=task.items,
                care=task.care,
                at=lambda position: _answer(out, At(position)),
            )
        except MienError as error:
            done = Refused(error)
        _answer(out, done)


def _receive(source: BinaryIO, tasks: queue.SimpleQueue[Any]) -> None:
    while True:
        try:
            tasks.put(pickle.load(source))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


def _answer(out: BinaryIO, answer: Answer) -> None:
    pickle.dump(answer, out, pickle.HIGHEST_PROTOCOL)
    out.flush()


if __name__ == "__main__":
    # pickles name the module that both sides import, not __main__
    from mien.batch.worker_process import main as serve

    serve()
