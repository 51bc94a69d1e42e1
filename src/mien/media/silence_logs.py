"""Keep warnings and logs of Pillow and FFmpeg about odd but readable files from the caller."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_lock = threading.Lock()
_pillow_users = 0
_ffmpeg_users = 0
_ffmpeg_level: int | None = None
_filters: warnings.catch_warnings[None] | None = None


@contextlib.contextmanager
def silence_pillow() -> Iterator[None]:
    """Ignore warnings that Pillow's own modules raise while any thread is inside.

    The filters belong to the process, so threads that each saved and restored them would undo one another: the first
    thread to enter sets them and the last one to leave restores them. Warnings of other modules are not affected.
    """
    global _pillow_users, _filters
    with _lock:
        _pillow_users += 1
        if _filters is None:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _lock:
            _pillow_users -= 1
            if _pillow_users == 0 and _filters is not None:
                _filters.__exit__(None, None, None)
                _filters = None


@contextlib.contextmanager
def silence_ffmpeg() -> Iterator[None]:
    """Keep FFmpeg's log silent while any thread is inside, also where the program has switched PyAV's logging on.

    The level belongs to the process, so the first thread to enter sets it and the last one to leave restores it.
    """
    import av.logging

    global _ffmpeg_users, _ffmpeg_level
    with _lock:
        _ffmpeg_users += 1
        if _ffmpeg_users == 1:
            _ffmpeg_level = av.logging.get_level()
            if _ffmpeg_level is not None:
                av.logging.set_level(None)
    try:
        yield
    finally:
        with _lock:
            _ffmpeg_users -= 1
            if _ffmpeg_users == 0 and _ffmpeg_level is not None:
                av.logging.set_level(_ffmpeg_level)
