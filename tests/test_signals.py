"""Signals that arrive while several files are written, and while modules start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
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


MODULE_IN_C = """
import importlib.machinery, os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe()
        while frame is not None:
            loader = frame.f_locals.get("self")
            starts = frame.f_code.co_name in ("create_module", "exec_module")
            if starts and isinstance(loader, importlib.machinery.ExtensionFileLoader):
                sys.meta_path.remove(self)
                os.kill(os.getpid(), signal.{number})
                return
            frame = frame.f_back

sys.meta_path.insert(0, Finder())
import numpy
"""
CLASS_IN_THE_MAKING = """
import os, signal

class Attribute:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.{number})

class Owner:
    attribute = Attribute()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("code", [MODULE_IN_C, CLASS_IN_THE_MAKING], ids=["module in C", "class"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stays_an_interrupt_where_code_in_c_would_change_it(code: str, name: str) -> None:
    program = f"""
import time
from mien.signals import handle_interrupts
handler = handle_interrupts()
try:
{textwrap.indent(code.format(number=name), "    ")}
    time.sleep(600)
except BaseException as error:
    print(type(error).__name__, handler.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == f"KeyboardInterrupt {128 + signal.Signals[name]}\n"
    assert not done.stderr
