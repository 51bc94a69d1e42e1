"""Commands of ``mien`` as processes that find torch and what belongs to it imported already.

A page of the docs calls `mien` a dozen times, and importing torch and Lightning alone takes five processor seconds. A
server process imports these packages once, none of Mien's own modules, and forks for every call: the fork has the
caller's arguments, environment, working folder, stdin, stdout and stderr, runs `python -m mien` in itself, and its exit
code is that of the call.

    with CommandServer() as server:
        subprocess.run([*server.command, "train", "--list"])

Where there is no fork (Windows, and macOS, whose frameworks do not survive one) `command` is `python -m mien` itself.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

PRELOADED = ("lightning", "kornia", "torch.export", "onnx", "onnxscript", "tensorboard", "sklearn.linear_model")
"""What the server imports, where it is installed."""
FAILED = 70
"""Exit code of a call whose process left none."""


class CommandServer:
    """The server process, from its first call to the end of the block."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mien-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> CommandServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._folder.cleanup()

    @property
    def command(self) -> list[str]:
        """What takes the place of `mien` in front of its arguments."""
        if sys.platform != "linux":
            return [sys.executable, "-m", "mien"]
        address = Path(self._folder.name) / "calls"
        if self._process is None:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(address))
            # calls that come before the imports are done wait in the queue
            listener.listen(32)
            with listener:
                self._process = subprocess.Popen(
                    [sys.executable, __file__, "serve", str(listener.fileno())],
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL,
                    cwd=self._folder.name,
                )
        return [sys.executable, "-I", "-S", __file__, "call", str(address)]


def call(address: str, arguments: list[str]) -> int:
    """Ask the server for a process, and wait for its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"."], [0, 1, 2])
        request = {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(16)
    return int(answer) if answer else FAILED


def serve(number: int) -> None:
    """Import, then fork for every call until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    here = Path(__file__).parent
    # modules of the tests are not those of a caller
    sys.path[:] = [place for place in sys.path if Path(place) != here]
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    listener = socket.socket(fileno=number)
    while True:
        connection, _ = listener.accept()
        with connection:
            if _fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                listener.close()
                os._exit(_answer(connection))
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _fork() -> int:
    with warnings.catch_warnings():
        # from Python 3.12 on, where a package has started threads
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _answer(connection: socket.socket) -> int:
    """Start the command of a call in another fork and report its exit code: it may end without returning to here."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    text = b""
    while part := connection.recv(1 << 16):
        text += part
    process = _fork()
    if process == 0:
        connection.close()
        _run(json.loads(text), streams)
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    connection.sendall(str(code if code >= 0 else 128 - code).encode())
    return 0


def _run(request: dict[str, Any], streams: list[int]) -> None:
    """`python -m mien` in this process, which ends with it."""
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])
    sys.argv = ["mien", *request["arguments"]]
    # those of the server know whether they can seek and whether they are a terminal
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    code: Any = 0
    try:
        runpy.run_module("mien", run_name="__main__", alter_sys=True)
    except SystemExit as stopped:
        code = stopped.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        sys.exit(call(sys.argv[2], sys.argv[3:]))
