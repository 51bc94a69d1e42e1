"""The threads that compute: shares of kinds, turns of clients, the thread kept for photos."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

import pytest

from helpers.waiting import PATIENCE
from mien.server import worker_pool
from mien.server.worker_pool import TaskOrigin, WorkerPool, WorkKind


def blocked(pool: WorkerPool, task: TaskOrigin) -> threading.Event:
    """Occupy a thread until the event that is returned is set."""
    started, end = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        assert end.wait(PATIENCE)

    pool.submit(task, work)
    assert started.wait(PATIENCE)
    return end


class Clock:
    """A time that passes only where work takes it, so that the load of the machine counts for nothing."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of pools, for pools of one thread."""
    made = Clock()
    monkeypatch.setattr(worker_pool, "time", made)
    return made


def order_of(tasks: list[tuple[TaskOrigin, str]], clock: Clock | None = None, seconds: float = 0.0) -> list[str]:
    """The names of tasks in the order in which one thread takes them, where all wait at once."""
    pool, done = WorkerPool(1), []
    end = blocked(pool, TaskOrigin(WorkKind.PHOTO, "before"))

    def work(name: str) -> None:
        if clock is not None:
            clock.sleep(seconds)
        done.append(name)

    futures = [pool.submit(task, work, name) for task, name in tasks]
    end.set()
    for future in futures:
        future.result(PATIENCE)
    pool.close(PATIENCE)
    return done


def test_clients_take_turns_and_the_work_of_one_stays_in_order() -> None:
    tasks = [(TaskOrigin(WorkKind.PHOTO, "a"), f"a{i}") for i in range(4)] + [
        (TaskOrigin(WorkKind.PHOTO, "b"), f"b{i}") for i in range(2)
    ]
    assert order_of(tasks) == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_no_client_has_all_threads_where_that_is_bounded() -> None:
    pool, done = WorkerPool(3, client_tasks=2), []
    ends = [blocked(pool, TaskOrigin(WorkKind.PHOTO, "a")) for _ in range(2)]
    waiting = pool.submit(TaskOrigin(WorkKind.PHOTO, "a"), done.append, "a")
    pool.submit(TaskOrigin(WorkKind.PHOTO, "b"), done.append, "b").result(PATIENCE)
    assert done == ["b"]
    assert pool.waiting(WorkKind.PHOTO) == 1
    for end in ends:
        end.set()
    waiting.result(PATIENCE)
    pool.close(PATIENCE)
    assert done == ["b", "a"]


def test_work_is_contended_while_other_kinds_wait_or_photos_come(clock: Clock) -> None:
    pool = WorkerPool(1)
    end = blocked(pool, TaskOrigin(WorkKind.VIDEO))
    pool.submit(TaskOrigin(WorkKind.VIDEO), int)
    assert not pool.is_contended(WorkKind.VIDEO)
    frame = pool.submit(TaskOrigin(WorkKind.LIVE), int)
    assert pool.is_contended(WorkKind.VIDEO)
    end.set()
    frame.result(PATIENCE)
    assert not pool.is_contended(WorkKind.VIDEO)
    pool.submit(TaskOrigin(WorkKind.PHOTO), int).result(PATIENCE)
    assert pool.is_contended(WorkKind.VIDEO)
    assert not pool.is_contended(WorkKind.PHOTO)
    clock.sleep(worker_pool.RESERVE_SECONDS)
    assert not pool.is_contended(WorkKind.VIDEO)
    pool.close(PATIENCE)


def test_what_finishes_work_in_progress_goes_first() -> None:
    tasks = [
        (TaskOrigin(WorkKind.LIVE), "live"),
        (TaskOrigin(WorkKind.VIDEO), "video"),
        (TaskOrigin(WorkKind.PHOTO, first=True), "batch"),
    ]
    assert order_of(tasks)[0] == "batch"


def test_where_all_wait_each_kind_has_its_share_of_the_time(clock: Clock) -> None:
    tasks = [(TaskOrigin(kind, kind.value), kind.value) for kind in WorkKind for _ in range(60)]
    first = Counter(order_of(tasks, clock, 0.003)[:60])
    # of equal tasks as many as the shares say: 30, 18 and 12
    assert first["photo"] == pytest.approx(30, abs=5)
    assert first["live"] == pytest.approx(18, abs=5)
    assert first["video"] == pytest.approx(12, abs=5)


def test_long_tasks_count_by_their_time(clock: Clock) -> None:
    pool, done = WorkerPool(1), []
    end = blocked(pool, TaskOrigin(WorkKind.PHOTO))

    def work(name: str, seconds: float) -> None:
        clock.sleep(seconds)
        done.append(name)

    futures = [pool.submit(TaskOrigin(WorkKind.VIDEO), work, "video", 0.04) for _ in range(20)]
    futures += [pool.submit(TaskOrigin(WorkKind.PHOTO), work, "photo", 0.004) for _ in range(60)]
    end.set()
    for future in futures:
        future.result(PATIENCE)
    pool.close(PATIENCE)
    # a video step is ten times as long, and photos have 2.5 times its share
    assert done[:40].count("video") <= 5


def test_time_without_work_is_not_made_up_for(clock: Clock) -> None:
    pool, done = WorkerPool(1), []
    for _ in range(20):
        pool.submit(TaskOrigin(WorkKind.LIVE), clock.sleep, 0.005).result(PATIENCE)
    end = blocked(pool, TaskOrigin(WorkKind.LIVE))

    def work(name: str) -> None:
        clock.sleep(0.005)
        done.append(name)

    for _ in range(20):
        pool.submit(TaskOrigin(WorkKind.LIVE, "camera"), work, "live")
        pool.submit(TaskOrigin(WorkKind.VIDEO, "clip"), work, "video")
    end.set()
    pool.close(PATIENCE)
    # live frames had all the time before, and videos none: now each has some of the first tasks
    assert set(done[:10]) == {"live", "video"}


def test_a_thread_is_kept_for_photos_while_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "RESERVE_SECONDS", 60.0)
    pool = WorkerPool(2)
    pool.submit(TaskOrigin(WorkKind.PHOTO), int).result(PATIENCE)
    end = blocked(pool, TaskOrigin(WorkKind.LIVE, "1"))
    waiting = [pool.submit(TaskOrigin(kind, "2"), int) for kind in (WorkKind.LIVE, WorkKind.VIDEO)]
    assert pool.submit(TaskOrigin(WorkKind.PHOTO), int).result(PATIENCE) == 0
    assert not any(one.done() for one in waiting)
    assert [pool.waiting(kind) for kind in WorkKind] == [0, 1, 1]
    end.set()
    assert [one.result(PATIENCE) for one in waiting] == [0, 0]
    pool.close(PATIENCE)


def test_without_photos_all_threads_take_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "RESERVE_SECONDS", 0.2)
    pool = WorkerPool(2)
    ends = [blocked(pool, TaskOrigin(WorkKind.LIVE, "1")), blocked(pool, TaskOrigin(WorkKind.VIDEO, "2"))]
    for end in ends:
        end.set()
    pool.submit(TaskOrigin(WorkKind.PHOTO), int).result(PATIENCE)
    # the reserve lapses, and the thread that was kept wakes up on its own
    ends = [blocked(pool, TaskOrigin(WorkKind.LIVE, "1")), blocked(pool, TaskOrigin(WorkKind.VIDEO, "2"))]
    for end in ends:
        end.set()
    pool.close(PATIENCE)


def test_a_pool_of_one_thread_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "RESERVE_SECONDS", 2 * PATIENCE)
    pool = WorkerPool(1)
    pool.submit(TaskOrigin(WorkKind.PHOTO), int).result(PATIENCE)
    assert pool.submit(TaskOrigin(WorkKind.VIDEO), int).result(PATIENCE) == 0
    pool.close(PATIENCE)


def test_errors_reach_the_caller_and_cancelled_work_is_skipped() -> None:
    pool = WorkerPool(1)

    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await pool.run(TaskOrigin(WorkKind.PHOTO), divmod, 1, 0)
        assert await pool.run(TaskOrigin(WorkKind.PHOTO), divmod, 7, 2) == (3, 1)

    asyncio.run(run())
    end, done = blocked(pool, TaskOrigin(WorkKind.PHOTO)), []
    skipped = pool.submit(TaskOrigin(WorkKind.PHOTO), done.append, "skipped")
    pool.submit(TaskOrigin(WorkKind.PHOTO), done.append, "done")
    assert skipped.cancel()
    end.set()
    pool.close(PATIENCE)
    assert done == ["done"]


def test_waits_are_reported_by_kind() -> None:
    pool, waits = WorkerPool(1), []
    pool.on_start = lambda kind, seconds: waits.append((kind, seconds))
    end = blocked(pool, TaskOrigin(WorkKind.PHOTO))
    pool.submit(TaskOrigin(WorkKind.VIDEO), int)
    time.sleep(0.05)
    end.set()
    pool.close(PATIENCE)
    assert [kind for kind, _ in waits] == [WorkKind.PHOTO, WorkKind.VIDEO]
    assert waits[1][1] >= 0.05
