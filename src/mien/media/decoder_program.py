"""The program of a process that decodes pictures and videos for another one, which can end it at any time.

It reads requests from its standard input and answers on its standard output; when the input ends, so does it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.errors import ImageError, MienError, VideoError
from mien.media.decoding_cost import COMPLEX, VIDEO_COMPLEX
from mien.media.messages import PipeChannel, error_to_dict
from mien.signals import ENDING

_ORPHAN_SECONDS = 5.0
"""Seconds behind its wall clock after which a process ends that the other one should have ended."""
_POLL_SECONDS = 1.0
_EXPENDABLE = 500
"""Thousandths that Linux adds to the score of this process when memory is short: it ends before the one it serves."""
_PROGRESS_SECONDS = 0.2
"""Seconds between two messages that a video is still being read."""


def main(memory_bytes: int) -> None:
    """Answer requests until the input ends.

    Args:
        memory_bytes: bytes of memory that decoding may take, where the system can bound it (Linux).
    """
    # Ctrl-C in a terminal and `timeout` reach all processes; the other one decides what becomes of this one
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    for name in ("SIGPROF", "SIGALRM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    channel = PipeChannel(os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0))
    # nothing that a library prints may come between the messages
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    _end_with(os.getppid())
    from PIL import AvifImagePlugin  # now, so that it takes no time of the first picture

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a process is one thread of those that decode
    _limit_memory(memory_bytes)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_EXPENDABLE), encoding="ascii")
    channel.send({"ready": True})
    with contextlib.suppress(EOFError, OSError):
        while True:
            head, size = channel.receive_head()
            payload = bytearray(size)
            channel.receive_into(payload)
            clocks = RequestClocks(head["seconds"], head["wall_seconds"])
            clocks.start()
            _answer(channel, head, payload, memory_bytes, clocks)
            clocks.stop()


class RequestClocks:
    """The clocks of a request, kept by the system: they end this process also where the other one no longer can.

    Args:
        seconds: processor time that a request, or the next answer to it, may take.
        wall_seconds: what it may take in all.
    """

    def __init__(self, seconds: float, wall_seconds: float) -> None:
        self._seconds, self._wall_seconds = seconds, wall_seconds

    def start(self) -> None:
        """Start them, or start them again."""
        if hasattr(signal, "setitimer"):
            # its signal ends the process, and the other one knows by it why that ended
            signal.setitimer(signal.ITIMER_PROF, self._seconds)
            signal.setitimer(signal.ITIMER_REAL, self._wall_seconds + _ORPHAN_SECONDS)

    def stop(self) -> None:
        """Stop them."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            signal.setitimer(signal.ITIMER_REAL, 0.0)


def _answer(
    channel: PipeChannel, head: Mapping[str, Any], payload: bytearray, memory_bytes: int, clocks: RequestClocks
) -> None:
    operation = head["operation"]
    try:
        _OPERATIONS[operation](channel, head["arguments"], payload, clocks)
        return
    except MienError as error:
        answer = error
    except MemoryError:
        kind, code = (ImageError, COMPLEX) if operation == "image" else (VideoError, VIDEO_COMPLEX)
        answer = kind(
            f"needs more than {memory_bytes:,} bytes of memory to decode",
            advice="make it smaller",
            code=code,
            details={"bytes": memory_bytes, "limit": memory_bytes},
        )
    channel.send({"error": error_to_dict(answer)})


def _image(channel: PipeChannel, arguments: Mapping[str, Any], payload: bytearray, _: RequestClocks) -> None:
    from mien.media.image import load_image

    path, options = arguments["path"], {name: arguments[name] for name in ("max_pixels", "reduce")}
    frame = load_image(payload if path is None else path, **options)
    channel.send({"shape": frame.rgb.shape, "full_size": frame.full_size}, frame.rgb)


def _video(channel: PipeChannel, arguments: Mapping[str, Any], payload: bytearray, clocks: RequestClocks) -> None:
    from mien.media.selection import FrameSelection
    from mien.media.video import open_video

    selection, last = FrameSelection(**arguments["selection"]), time.monotonic()

    def show_progress() -> None:
        # the clocks are for each packet: many of them may come before a frame that is selected
        nonlocal last
        if time.monotonic() - last > _PROGRESS_SECONDS:
            channel.send({"progress": True})
            last = time.monotonic()
            clocks.start()

    with open_video(arguments["path"], selection, after=arguments["after"], on_packet=show_progress) as video:
        channel.send({"info": asdict(video.info)})
        for frame in video:
            # waiting until the other process takes it does not count
            clocks.stop()
            losses = {"lost": video.lost, "problems": video.problems}
            channel.send({"shape": frame.rgb.shape, "index": frame.index, "time": frame.time, **losses}, frame.rgb)
            clocks.start()
            last = time.monotonic()
        channel.send({"end": True, "lost": video.lost, "problems": video.problems})


def _frame_sizes(channel: PipeChannel, arguments: Mapping[str, Any], payload: bytearray, _: RequestClocks) -> None:
    from mien.media.probe import frame_sizes

    channel.send({"sizes": frame_sizes(Path(arguments["path"]), arguments["containers"])})


def _call(channel: PipeChannel, arguments: Mapping[str, Any], payload: bytearray, _: RequestClocks) -> None:
    function = getattr(importlib.import_module(arguments["module"]), arguments["function"])
    channel.send({"result": function(*arguments["arguments"])})


_OPERATIONS: Mapping[str, Callable[[PipeChannel, Mapping[str, Any], bytearray, RequestClocks], None]] = {
    "image": _image,
    "video": _video,
    "frame_sizes": _frame_sizes,
    "call": _call,
}


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, also while it decodes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    if sys.platform != "win32":
        threading.Thread(target=watch, daemon=True).start()


def _limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has now; beyond them allocation fails."""
    if sys.platform != "linux":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        found = re.search(r"VmData:\s+(\d+) kB", status)
        now = 1024 * int(found[1]) if found else 0
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        wanted = now + more
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
