"""Ctrl-C and SIGTERM, also while a picture is decoded, which no signal can interrupt."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import mien
from helpers.costly_files import jpeg_of_scans, motion_jpeg
from helpers.waiting import wait_until
from mien.signals import ENDING, REPEAT_SECONDS

_PROGRAM = """
import os, sys, time
import mien.media.image
import mien.signals

mien.signals.REPEAT_SECONDS = 60.0  # several signals are one, however late a busy machine sends the last

def decode(*_, **__):
    os.write(2, b"decoding\\n")  # in one piece: several threads do so at once
    time.sleep(600)

mien.media.image.load_image = decode
sys.argv[0] = "mien"
from mien.cli import main
main()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("count", [1, 5])
def test_a_signal_does_not_wait_for_the_decoder(photos: Path, count: int, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", _PROGRAM, "analyze", str(photos), "--json", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while child.stderr.readline() != "decoding\n":
            assert child.poll() is None
        time.sleep(0.2)
        for _ in range(count):
            child.send_signal(number)
        errors = child.communicate(timeout=240)[1]  # uninterrupted it takes 600
    assert child.returncode == code
    assert "interrupted" in errors
    assert "Traceback" not in errors


_CLEANUP = """
import sys, time
import click
import mien.cli

def command():
    try:
        print("working", file=sys.stderr, flush=True)
        time.sleep(600)
    finally:
        print("cleaning up", file=sys.stderr, flush=True)
        time.sleep(600)

mien.cli.LazyGroup.get_command = lambda *_: click.Command("models", callback=command)
sys.argv = ["mien", "models"]
mien.cli.main()
"""


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_ends_a_cleanup_that_takes_long() -> None:
    with subprocess.Popen([sys.executable, "-c", _CLEANUP], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "working\n"
        child.send_signal(signal.SIGINT)
        assert child.stderr.readline() == "cleaning up\n"
        time.sleep(REPEAT_SECONDS + 0.2)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=240) == 130


_IMPORT = """
import os, signal, sys
import click
import mien.cli

def command():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        raise {error}("initialization failed") from None

mien.cli.LazyGroup.get_command = lambda *_: click.Command("models", callback=command)
sys.argv = ["mien", "models"]
mien.cli.main()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("error", ["ImportError", "RuntimeError"])
def test_an_interrupt_that_an_import_turns_into_its_own_error(error: str) -> None:
    """As ONNX Runtime's module does, and as Python before 3.12 does where a class with a descriptor is made."""
    program = _IMPORT.replace("{error}", error)
    child = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=240)
    assert child.returncode == 130
    assert "interrupted" in child.stderr
    assert "Traceback" not in child.stderr


_AT_AN_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Interrupt())
sys.argv = ["mien", *{arguments!r}]
from mien.__main__ import main
main()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("module", ["click", "mien.errors", "mien.cli", "mien.cli.analyze", "numpy", "onnxruntime"])
def test_a_signal_at_an_import_ends_in_one_line(module: str, number: signal.Signals, code: int, photos: Path) -> None:
    """Those of the command line itself, of its commands, and of libraries that a command loads."""
    arguments = ["analyze", str(photos), "--json"]
    program = _AT_AN_IMPORT.format(module=module, number=int(number), arguments=arguments)
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert child.stderr.strip() == "mien: interrupted"
    assert child.returncode == code
    program = _AT_AN_IMPORT.format(module=module, number=int(number), arguments=[*arguments, "--json-errors"])
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert json.loads(child.stderr)["code"] == "interrupted"
    assert child.returncode == code


_BEFORE_THE_COMMAND = """
import os, signal, sys
import mien.cli
from mien.__main__ import main

mien.cli.limit_libraries = lambda environment: os.kill(os.getpid(), signal.SIGINT)
sys.argv = ["mien", "models"]
main()
"""


@pytest.mark.usefixtures("interruptible")
def test_a_signal_before_the_command_ends_in_one_line() -> None:
    child = subprocess.run([sys.executable, "-c", _BEFORE_THE_COMMAND], capture_output=True, text=True, timeout=240)
    assert child.stderr.strip() == "mien: interrupted"
    assert child.returncode == 130


def test_little_is_imported_before_signals_are_handled() -> None:
    """A Ctrl-C before that ends in a traceback of Python; `logging` and `typing` alone took 10 ms."""
    program = "import sys; before = set(sys.modules); import mien.__main__; print(*set(sys.modules) - before)"
    command = [sys.executable, "-S", "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(Path(mien.__file__).parents[1])}  # -S sees no installation
    loaded = set(subprocess.check_output(command, env=environment, text=True).split())
    assert {name for name in loaded if name.startswith("mien")} == {"mien", "mien.__main__", "mien.signals"}
    assert not {"logging", "typing", "threading", "pathlib", "importlib"} & loaded


_DROPPED = """
import os, signal, sys, time
import click
import mien.cli

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), {number})
        time.sleep(1)  # interrupted

def command():
    Finalized()
    time.sleep(600)
    print("went on", file=sys.stderr)

mien.cli.LazyGroup.get_command = lambda *_: click.Command("models", callback=command)
sys.argv = ["mien", "models"]
mien.cli.main()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_that_python_drops_is_raised_again(number: signal.Signals, code: int) -> None:
    """In a finalizer or a callback, such as those of module locks, of which each import runs some."""
    program = _DROPPED.format(number=int(number))
    child = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=240)
    assert child.stderr.strip() == "mien: interrupted"
    assert child.returncode == code


_AT_THE_END = """
import atexit, os, signal, sys
from mien.__main__ import main
atexit.register(os.kill, os.getpid(), {number})
sys.argv = ["mien", "schema"]
main()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_after_the_work_ends_without_a_traceback(number: signal.Signals) -> None:
    program = _AT_THE_END.format(number=int(number))
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert json.loads(child.stdout)
    assert not child.stderr
    assert child.returncode == 128 + number


def _decoders_of(process: int) -> list[Path]:
    """Folders in /proc of the processes that decode for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"decoder_program" in (folder / "cmdline").read_bytes():
                found.append(folder)
    return found


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", ["a.jpg", "a.avi"])
def test_ctrl_c_ends_a_decoder_that_takes_long(name: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.jpg":
        path.write_bytes(jpeg_of_scans(11_000, 11_000, 40))
    else:
        motion_jpeg(path, [jpeg_of_scans(7000, 7000, 100)] * 5, (7000, 7000))
    # several signals are one, however late a busy machine sends the last
    program = "import mien.signals; mien.signals.REPEAT_SECONDS = 60.0; from mien.__main__ import main; main()"
    command = [sys.executable, "-c", program, "analyze", str(path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        decoders = wait_until(lambda: child.poll() is not None or _decoders_of(child.pid))
        assert child.poll() is None
        time.sleep(1.0)
        for folder in decoders:
            os.kill(int(folder.name), signal.SIGSTOP)  # the rest takes for ever, however fast the machine is
        for _ in range(count):
            child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=240)[1]
    assert child.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    wait_until(lambda: not any(folder.exists() for folder in decoders))


_SLOW = """
import sys, time
import mien.media.decoder_pool

decode = mien.media.decoder_pool.load_image

def slow(*arguments, **options):
    time.sleep(0.1)
    return decode(*arguments, **options)

mien.media.decoder_pool.load_image = slow
from mien.cli import main
main()
"""


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_to_the_group_keeps_the_rows_and_the_run_resumes(number: signal.Signals, tmp_path: Path) -> None:
    """As `timeout` and Ctrl-C send it: to the processes that decode as well."""
    folder, table = tmp_path / "photos", tmp_path / "rows.csv"
    folder.mkdir()
    for index in range(70):
        Image.new("RGB", (64, 48), (index, 0, 0)).save(folder / f"{index:02}.png")
    arguments = ["analyze", str(folder), "--csv", str(table), "--models", "none", "--threads", "1"]
    command = [sys.executable, "-c", _SLOW, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        while not table.exists() or table.read_bytes().count(b"\n") < 2:
            assert child.poll() is None
            time.sleep(0.02)
        os.killpg(child.pid, number)
        errors = child.communicate(timeout=240)[1]
    assert child.returncode == 128 + number, errors
    rows = len(table.read_text().splitlines()) - 1
    assert f"mien: interrupted: {rows} of 70 photos are analysed; their rows are in {table}" in errors
    assert "the same call with --resume continues the run" in errors
    assert "could not" not in errors
    assert 0 < rows < 70
    resumed = [sys.executable, "-m", "mien", *arguments, "--resume"]
    again = subprocess.run(resumed, capture_output=True, text=True, timeout=240, check=True)
    assert f"mien: {rows} of 70 photos were analysed before" in again.stderr
    assert len(table.read_text().splitlines()) == 71


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
def test_a_terminal_that_is_closed_ends_the_run_and_keeps_its_rows(tmp_path: Path) -> None:
    """Progress can no longer be shown there, nor that it was interrupted."""
    folder, table = tmp_path / "photos", tmp_path / "rows.csv"
    folder.mkdir()
    for index in range(70):
        Image.new("RGB", (64, 48), (index, 0, 0)).save(folder / f"{index:02}.png")
    arguments = ["analyze", str(folder), "--csv", str(table), "--models", "none", "--threads", "1"]
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as child:
        os.close(theirs)
        while not table.exists() or table.read_bytes().count(b"\n") < 2:
            assert child.poll() is None
            time.sleep(0.02)
        os.close(ours)
        os.kill(child.pid, signal.SIGHUP)  # as the system does for the terminal that controls a process
        assert child.wait(timeout=240) == 128 + signal.SIGHUP
    assert 1 < len(table.read_text().splitlines()) < 71
    assert (tmp_path / "rows.csv.progress").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_job_in_the_background_does_not_hear_ctrl_c(photos: Path) -> None:
    """A shell starts it with SIGINT ignored, and sends that to the whole group."""
    command = [
        sys.executable,
        "-c",
        _PROGRAM.replace("time.sleep(600)", "time.sleep(1); raise SystemExit(7)"),
        "analyze",
    ]
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen([*command, str(photos), "--threads", "1"], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ignored)
    with child:
        assert child.stderr is not None
        while child.stderr.readline() != "decoding\n":
            assert child.poll() is None
        for _ in range(3):
            child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=240)[1]
    assert child.returncode == 7
    assert "interrupted" not in errors
