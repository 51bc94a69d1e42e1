"""A process that decodes for this one, and that can be ended whatever its decoder does."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.media.messages import PipeChannel, error_from_dict

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mien.media.decoder_program import main; main(int(sys.argv[2]))"
)
_PIPE_BYTES = 1 << 20
_START_SECONDS, _END_SECONDS = 60.0, 5.0
_WALL_FACTOR, _WALL_MARGIN = 8.0, 10.0
"""What a request may take in all: so many times its processor time, and so many seconds more. A busy machine gives it a
small share, and not at once."""
_CPU_ALARM: int | None = getattr(signal, "SIGPROF", None)
"""The signal that ends a process whose processor time is over; None where the system has no such clock (Windows)."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Threads that no decoder uses, and that would take memory."""


class DecodingTimeoutError(Exception):
    """The process was ended because it passed a clock.

    Args:
        seconds: of that clock.
        processor: whether it counts the processor time of the process.
    """

    def __init__(self, seconds: float, *, processor: bool) -> None:
        super().__init__(f"{seconds:g} s{' of processor time' if processor else ''} are over")
        self.seconds, self.processor = seconds, processor


class DecoderEndedError(Exception):
    """The process has ended on its own, or by `DecoderProcess.kill`.

    Args:
        returncode: of the process, None where it is not known.
    """

    def __init__(self, returncode: int | None) -> None:
        super().__init__(f"the process ended with code {returncode}")
        self.returncode = returncode


class DecoderProcess:
    """One process; for one thread at a time, but for `kill`.

    Args:
        memory_bytes: bytes of memory that decoding may take, where the system can bound it (Linux).

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, memory_bytes: int) -> None:
        if not sys.executable or getattr(sys, "frozen", False):
            raise OSError("this program is not run by a Python interpreter that could run another one")
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-c", _PROGRAM, json.dumps([*map(str, sys.path)]), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=os.environ | _ONE_THREAD,
        )
        _enlarge_pipe(self._popen.stdout)
        self._channel = PipeChannel(self._popen.stdout, self._popen.stdin)
        self._timed_out = self._killed = False
        self._lock = threading.Lock()
        try:
            with self._clock(_START_SECONDS):
                self._receive(0)
        except (DecodingTimeoutError, DecoderEndedError) as error:
            self.close()
            raise OSError(f"a process for decoding did not start: {error}") from None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended, and nothing has ended it."""
        return not self._killed and self._popen.poll() is None

    def request(
        self, operation: str, arguments: Mapping[str, Any], payload: Any = b"", *, seconds: float, max_bytes: int
    ) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """Send a request and wait for its first answer.

        Args:
            operation: a name in `mien.media.decoder_program`.
            arguments: of the operation, JSON-ready.
            payload: bytes that the operation works on.
            seconds: processor time that it may take (`wall_seconds`: in all).
            max_bytes: bytes of pixels that an answer may have.

        Returns:
            The answer, and its pixels, ``(0,)`` where it has none.

        Raises:
            MienError: what the operation raises.
            DecodingTimeoutError: it took longer, or `wall_seconds` in all; the process was ended.
            DecoderEndedError: the process has ended.
        """
        wall = wall_seconds(seconds)
        head = {"operation": operation, "arguments": arguments, "seconds": seconds, "wall_seconds": wall}
        with self._clock(wall, seconds):
            self._channel.send(head, payload)
            return self._receive(max_bytes)

    def next_answer(self, *, seconds: float, max_bytes: int) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """A further answer to the last request; arguments and errors as of `request`."""
        with self._clock(wall_seconds(seconds), seconds):
            return self._receive(max_bytes)

    def kill(self) -> None:
        """End it at once; from any thread."""
        with self._lock:
            self._killed = True
            if self._popen.poll() is None:
                self._popen.kill()

    def close(self) -> None:
        """End it and release its pipes."""
        self.kill()
        self._popen.wait(_END_SECONDS)
        self._channel.close()

    @contextlib.contextmanager
    def _clock(self, wall: float, processor: float | None = None) -> Iterator[None]:
        timer = threading.Timer(wall, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        except MienError:
            raise
        except (EOFError, OSError):
            self.kill()
            code = self._popen.wait(_END_SECONDS)
            if self._timed_out:
                raise DecodingTimeoutError(wall, processor=False) from None
            if processor is not None and _CPU_ALARM is not None and code == -_CPU_ALARM:
                raise DecodingTimeoutError(processor, processor=True) from None
            raise DecoderEndedError(code) from None
        except BaseException:
            # such as Ctrl-C: its answer would be taken for that of the next request
            self.kill()
            raise
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._timed_out = True
        self.kill()

    def _receive(self, max_bytes: int) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        head, size = self._channel.receive_head()
        if "error" in head:
            raise error_from_dict(head["error"])
        shape = tuple(head.get("shape", (0,)))
        if size > max_bytes or math.prod(shape) != size:
            raise EOFError
        pixels = np.empty(shape, np.uint8)
        self._channel.receive_into(pixels)
        return head, pixels


def wall_seconds(seconds: float) -> float:
    """The time that a request may take in all which may take so many seconds of processor time."""
    return seconds if _CPU_ALARM is None else _WALL_FACTOR * seconds + _WALL_MARGIN


def describe_end(error: DecodingTimeoutError | DecoderEndedError) -> tuple[str, dict[str, float]]:
    """Why a process ended that did not answer: the reason and the details of an error about the file.

    Args:
        error: what `DecoderProcess.request` raised.
    """
    if isinstance(error, DecodingTimeoutError):
        kind = " of processor time" if error.processor else ""
        reason = f"took longer than {error.seconds:g} s{kind} to decode and was stopped"
        return reason, {"seconds": error.seconds, "limit": error.seconds}
    code = error.returncode
    if code is not None and code < 0:
        return f"ended the process that decoded it (signal {-code})", {"signal": -code}
    return "ended the process that decoded it", {}


def _enlarge_pipe(stream: Any) -> None:
    """Let a frame pass with few switches between the two processes; Linux gives a pipe 64 KiB."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
