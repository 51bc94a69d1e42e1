"""Ctrl-C and SIGTERM at times when a program can bear them."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Let a block end before Ctrl-C or SIGTERM take effect, so that what it writes to several files fits together.

    Only handlers in Python are deferred, such as that of `KeyboardInterrupt`. Other threads than the main one are not
    interrupted anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    deferred = [number for number, handler in before.items() if callable(handler)]
    try:
        for number in deferred:
            signal.signal(number, remember)
        yield
    finally:
        for number in deferred:
            signal.signal(number, before[number])
        if received:
            signal.raise_signal(received[0])
