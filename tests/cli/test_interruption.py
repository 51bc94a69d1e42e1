"""Ctrl-C while a picture is decoded, which no signal can interrupt."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.cli import REPEAT_SECONDS

_PROGRAM = """
import os, signal, sys, threading, time
import mien.media.image

def decode(*_, **__):
    print("decoding", file=sys.stderr, flush=True)
    time.sleep(120)

mien.media.image.load_image = decode
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "mien"
from mien.cli import main
main()
"""


@pytest.mark.parametrize("count", [1, 5])
def test_ctrl_c_does_not_wait_for_the_decoder(photos: Path, count: int) -> None:
    command = [sys.executable, "-c", _PROGRAM, "analyze", str(photos), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while child.stderr.readline() != "decoding\n":
            assert child.poll() is None
        time.sleep(0.2)
        began = time.perf_counter()
        for _ in range(count):
            child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=60)[1]
    assert time.perf_counter() - began < 10
    assert child.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors


_CLEANUP = """
import signal, sys, time
import click
import mien.cli

def command():
    print("working", file=sys.stderr, flush=True)
    try:
        time.sleep(120)
    finally:
        print("cleaning up", file=sys.stderr, flush=True)
        time.sleep(120)

mien.cli.LazyGroup.get_command = lambda *_: click.Command("slow", callback=command)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["mien", "slow"]
mien.cli.main()
"""


def test_a_second_ctrl_c_ends_a_cleanup_that_takes_long() -> None:
    with subprocess.Popen([sys.executable, "-c", _CLEANUP], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "working\n"
        child.send_signal(signal.SIGINT)
        assert child.stderr.readline() == "cleaning up\n"
        time.sleep(REPEAT_SECONDS + 0.2)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 130
