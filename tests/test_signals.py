"""Signals that arrive while several files are written."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from mien.signals import defer_interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    before = signal.signal(request.param, signal.default_int_handler)
    yield request.param
    signal.signal(request.param, before)


def interrupted_block(number: signal.Signals, done: list[bool]) -> None:
    with defer_interrupts():
        with defer_interrupts():
            for _ in range(2):
                os.kill(os.getpid(), number)
        done.append(True)


def test_a_block_ends_before_a_signal_takes_effect(number: signal.Signals) -> None:
    done: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_block(number, done)
    assert done
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_error_passes(number: signal.Signals) -> None:
    with pytest.raises(ValueError, match="disk"), defer_interrupts():
        raise ValueError("disk")
    assert signal.getsignal(number) is signal.default_int_handler


def test_other_threads_have_none_to_defer() -> None:
    before = signal.getsignal(signal.SIGINT)
    done = []

    def work() -> None:
        with defer_interrupts():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]


def test_a_handler_that_is_not_pythons_stays() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with defer_interrupts():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
