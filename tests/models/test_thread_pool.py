from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mien.models.thread_pool import ThreadPool


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_results_are_in_order(threads, n):
    assert ThreadPool(threads).map(lambda x: x * x, range(n)) == [x * x for x in range(n)]


def test_pieces_run_side_by_side_and_one_of_them_in_the_callers_thread():
    both = threading.Barrier(2)
    seen = ThreadPool(2).map(lambda _: (both.wait(30), threading.current_thread())[1], [0, 1])
    assert len(set(seen)) == 2
    assert threading.current_thread() in seen


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_reaches_the_caller_and_nothing_is_left_behind(threads):
    workers = ThreadPool(threads)
    with pytest.raises(ZeroDivisionError):
        workers.map(lambda x: 1 // x, [1, 2, 0, 3, 4])
    assert workers.map(lambda x: x + 1, [1, 2, 3]) == [2, 3, 4]


def test_an_error_in_a_helper_reaches_the_caller():
    met, here = threading.Barrier(2), threading.current_thread()

    def work(_: int) -> None:
        met.wait(30)
        if threading.current_thread() is not here:
            raise LookupError

    with pytest.raises(LookupError):
        ThreadPool(2).map(work, [0, 1])


def test_callers_share_the_helpers():
    workers = ThreadPool(2)
    with ThreadPoolExecutor(6) as pool:
        sums = list(pool.map(lambda k: sum(workers.map(lambda x: x * k, range(50))), range(30)))
    assert sums == [k * sum(range(50)) for k in range(30)]


def test_the_threads_end_with_their_owner():
    before = set(threading.enumerate())
    workers = ThreadPool(3)
    workers.map(lambda x: x, range(10))
    helpers = set(threading.enumerate()) - before
    assert helpers
    del workers
    gc.collect()
    for one in helpers:
        one.join(30)
    assert not any(one.is_alive() for one in helpers)
