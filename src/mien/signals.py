"""Ctrl-C, SIGTERM and SIGHUP: one exception, not while files are written, not lost in callbacks."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import time

TYPE_CHECKING = False
# loaded before Ctrl-C has its handler, so with few others
if TYPE_CHECKING:
    from collections.abc import Iterator
    from sys import UnraisableHookArgs
    from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a program to end: Ctrl-C, `kill`, and a terminal or a connection that was closed."""
INTERRUPTED_EXIT = 130
"""Exit code after Ctrl-C; after another signal it is 128 + its number."""
DISGUISES = (ImportError, SystemError, RuntimeError)
"""What a `KeyboardInterrupt` can become in code in C that calls Python, such as a module that starts."""
REPEAT_SECONDS = 1.0
"""Interrupts within this time of the first are the same one: terminals and the programs around often send several."""
_RAISE_AGAIN_SECONDS = 0.02
_EXTENSION_LOADER = "ExtensionFileLoader"
"""Class of `importlib.machinery` that starts modules in C; by name, because the module takes long to import."""


class InterruptHandler:
    """Raises `KeyboardInterrupt` once; a second signal, later than `REPEAT_SECONDS`, ends the process at once.

    Python drops an exception that is raised in a finalizer or a callback, such as those that each import runs, and
    prints its traceback. A `KeyboardInterrupt` that is lost in this way is raised again a moment later. A module in C
    that starts may turn one into another exception or drop it, and so does a class that is made (before Python 3.12):
    it is raised when they have ended.

    Attributes:
        exit_code: of the process after the first signal: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._work_is_done = False
        self._thread = _thread.get_ident()  # handlers are set, and run, in the main thread
        self._next_hook = sys.unraisablehook
        self.exit_code = INTERRUPTED_EXIT

    @property
    def received(self) -> bool:
        """Whether an interrupt has arrived."""
        return self._first is not None

    def end_at_once(self) -> None:
        """From now on a signal ends the process without an exception: the program's work is done."""
        self._work_is_done = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle one signal."""
        now = time.monotonic()
        if self._work_is_done:
            os._exit(128 + number)
        if self._first is None:
            self._first, self.exit_code = now, 128 + number
            if _would_be_changed(frame):
                self._raise_later()
                return
            raise KeyboardInterrupt
        if now - self._first > REPEAT_SECONDS:
            os._exit(self.exit_code)

    def on_unraisable(self, dropped: UnraisableHookArgs) -> None:
        """Hook of exceptions that Python drops (`sys.unraisablehook`)."""
        if not (self.received and issubclass(dropped.exc_type, KeyboardInterrupt)):
            self._next_hook(dropped)
            return
        self._raise_later()  # raised here it would be dropped as well

    def _raise_later(self) -> None:
        _thread.start_new_thread(self._raise_again, ())

    def _raise_again(self) -> None:
        time.sleep(_RAISE_AGAIN_SECONDS)
        number, self._first = self.exit_code - 128, None
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(self._thread, number)
        else:
            signal.raise_signal(number)


def _would_be_changed(frame: FrameType | None) -> bool:
    """Whether code in C that a module or a class starts stands between this frame and those that expect the signal."""
    while frame is not None:
        name = frame.f_code.co_name
        if name == "__set_name__":
            return True
        if name in ("create_module", "exec_module") and type(frame.f_locals.get("self")).__name__ == _EXTENSION_LOADER:
            return True
        frame = frame.f_back
    return False


def handle_interrupts() -> InterruptHandler:
    """Let the signals of `ENDING` raise `KeyboardInterrupt`; a signal that the parent process ignored stays ignored.

    A handler of an earlier call is replaced.
    """
    interrupts = InterruptHandler()
    sys.unraisablehook = interrupts.on_unraisable
    for number in ENDING:
        handler = signal.getsignal(number)
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        if handler is default or isinstance(handler, InterruptHandler):
            signal.signal(number, interrupts)
    return interrupts


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Let a block end before a signal of `ENDING` takes effect, so that what it writes to several files fits together.

    Only handlers in Python are deferred, such as that of `KeyboardInterrupt`. Other threads than the main one are not
    interrupted anyway.
    """
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.getsignal(number) for number in ENDING}
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
