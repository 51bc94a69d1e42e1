"""The threads that compute: as many as the machine has cores for, whatever is requested at once.

Everything that takes time runs in one pool: decoding photos, detecting and classifying faces, live frames, the steps of
a video. Every network in it runs on one thread, so that no more threads compute than the pool has.

No kind of work starves another. Each kind has a share of the computing time: where several wait, the one that had the
least for its share is next, so that the longer a kind waits, the sooner it is next. Within a kind clients take turns,
and the work of one client is done in its order. While photos come, one thread of several is kept for them.
"""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class WorkKind(enum.Enum):
    """Kinds of work; the names are those of metrics."""

    PHOTO = "photo"
    LIVE = "live"
    VIDEO = "video"


SHARES: Mapping[WorkKind, float] = {WorkKind.PHOTO: 0.5, WorkKind.LIVE: 0.3, WorkKind.VIDEO: 0.2}
"""Shares of the computing time, where all kinds wait."""
RESERVE_SECONDS = 1.0
"""Time after a photo during which one thread is kept for the next one."""
_SMOOTHING = 0.2
"""Weight of the newest task in the mean time of a kind's tasks."""


@dataclass(frozen=True, slots=True)
class TaskOrigin:
    """What a piece of work belongs to.

    Attributes:
        kind: what its time is counted as.
        client: takes turns with others of this kind.
        first: whether it finishes something in progress, and so goes before everything that does not.
    """

    kind: WorkKind
    client: str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class _WaitingCall:
    call: Callable[[], None]
    kind: WorkKind
    client: str
    since: float


@dataclass
class _KindQueue:
    """What waits of one kind.

    Attributes:
        share: of the computing time.
        clock: computing time had so far, divided by the share.
        mean_seconds: mean time of a task; charged when one starts, and corrected when it ends.
        running: number of its tasks that run.
        clients: what waits by client; the client whose turn it is comes first.
        busy: number of tasks that run, by client.
    """

    share: float
    clock: float = 0.0
    mean_seconds: float = 0.0
    running: int = 0
    clients: OrderedDict[str, deque[_WaitingCall]] = field(default_factory=OrderedDict)
    busy: Counter[str] = field(default_factory=Counter)

    def add(self, waiting: _WaitingCall) -> None:
        self.clients.setdefault(waiting.client, deque()).append(waiting)

    def next_client(self, most: int | None) -> str | None:
        """The client whose turn it is, of those of whose tasks fewer than ``most`` run."""
        return next((one for one in self.clients if most is None or self.busy[one] < most), None)

    def take(self, client: str) -> _WaitingCall:
        line = self.clients[client]
        waiting = line.popleft()
        if line:
            self.clients.move_to_end(client)
        else:
            del self.clients[client]
        return waiting


class WorkerPool:
    """Threads that take work by the shares of its kinds, then by turns of clients, then by its age.

    Args:
        threads: how many.
        shares: shares of the computing time.
        client_tasks: tasks of a kind that run at once for one client at most, None for no limit.

    Attributes:
        on_start: called when a thread starts a task, with its kind and the seconds that it waited.
    """

    def __init__(
        self, threads: int, shares: Mapping[WorkKind, float] = SHARES, *, client_tasks: int | None = None
    ) -> None:
        self.threads, self._client_tasks = threads, client_tasks
        self.on_start: Callable[[WorkKind, float], None] = lambda _, __: None
        self._lines = {kind: _KindQueue(share) for kind, share in shares.items()}
        self._first: deque[_WaitingCall] = deque()
        self._change = threading.Condition()
        self._now = 0.0
        self._photo_until = 0.0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"mien-serve-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def waiting(self, kind: WorkKind) -> int:
        """Number of tasks of a kind that no thread has started."""
        with self._change:
            first = sum(one.kind is kind for one in self._first)
            return first + sum(len(line) for line in self._lines[kind].clients.values())

    def is_contended(self, kind: WorkKind) -> bool:
        """Whether work of other kinds waits, or a photo came a moment ago: then long tasks are best divided."""
        with self._change:
            others = any(line.clients for other, line in self._lines.items() if other is not kind)
            return others or (kind is not WorkKind.PHOTO and time.monotonic() < self._photo_until)

    async def run(self, task: TaskOrigin, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``work`` returns or raises. Cancelled before a thread starts it, it is skipped."""
        return await asyncio.wrap_future(self.submit(task, work, *args, **kwargs))

    def submit(self, task: TaskOrigin, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `run`, for callers without an event loop."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # whatever it is, the caller must get it
                future.set_exception(error)

        now = time.monotonic()
        waiting = _WaitingCall(call, task.kind, task.client, now)
        with self._change:
            if task.kind is WorkKind.PHOTO:
                self._photo_until = now + RESERVE_SECONDS
            if task.first:
                self._first.append(waiting)
            else:
                line = self._lines[task.kind]
                if not line.clients and not line.running:
                    # time in which it had nothing to do is not made up for
                    line.clock = max(line.clock, self._now)
                line.add(waiting)
            self._change.notify_all()
        return future

    def close(self, seconds: float) -> None:
        """Stop the threads after the work that waits, or after the given time."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join(seconds)

    def _work(self) -> None:
        while (started := self._next()) is not None:
            waiting, charged = started
            began = time.monotonic()
            self.on_start(waiting.kind, began - waiting.since)
            waiting.call()
            self._end(waiting, charged, time.monotonic() - began)
            del started, waiting  # or they would keep their picture until the next one comes

    def _next(self) -> tuple[_WaitingCall, float] | None:
        """Wait for the task that is next, and what it is charged; None when the pool is closed and nothing waits."""
        with self._change:
            while True:
                if self._first:
                    return self._start(self._first.popleft())
                lines = {kind: line for kind, line in self._lines.items() if line.clients}
                if self._closing and not lines:
                    return None
                turns = {kind: line.next_client(self._client_tasks) for kind, line in lines.items()}
                ready = {kind: client for kind, client in turns.items() if client is not None}
                allowed = [kind for kind in ready if kind is WorkKind.PHOTO or not self._is_reserved()]
                if allowed:
                    kind = min(allowed, key=lambda one: self._lines[one].clock)
                    self._now = max(self._now, self._lines[kind].clock)
                    return self._start(self._lines[kind].take(ready[kind]))
                # what waits for the end of another task is woken up by it
                self._change.wait(max(0.001, self._photo_until - time.monotonic()) if ready else None)

    def _is_reserved(self) -> bool:
        """Whether the thread that is free is kept for photos."""
        others = sum(line.running for kind, line in self._lines.items() if kind is not WorkKind.PHOTO)
        return others >= self.threads - 1 > 0 and not self._closing and time.monotonic() < self._photo_until

    def _start(self, waiting: _WaitingCall) -> tuple[_WaitingCall, float]:
        line = self._lines[waiting.kind]
        charged = line.mean_seconds
        line.running += 1
        line.busy[waiting.client] += 1
        line.clock += charged / line.share
        return waiting, charged

    def _end(self, waiting: _WaitingCall, charged: float, seconds: float) -> None:
        with self._change:
            line = self._lines[waiting.kind]
            line.running -= 1
            line.busy[waiting.client] -= 1
            if not line.busy[waiting.client]:
                del line.busy[waiting.client]
            line.clock += (seconds - charged) / line.share
            line.mean_seconds += _SMOOTHING * (seconds - line.mean_seconds)
            self._change.notify_all()
