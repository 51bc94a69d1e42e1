"""Ctrl-C while a picture is decoded, which no signal can interrupt."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = """
import os, signal, sys, threading, time
import mien.media.image

def decode(*_, **__):
    print("decoding", file=sys.stderr, flush=True)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    time.sleep(120)

mien.media.image.load_image = decode
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "mien"
from mien.cli import main
main()
"""


def test_ctrl_c_does_not_wait_for_the_decoder(photos: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, "analyze", str(photos), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while child.stderr.readline() != "decoding\n":
            assert child.poll() is None
        began = time.perf_counter()
        errors = child.communicate(timeout=60)[1]
    assert time.perf_counter() - began < 10
    assert child.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
