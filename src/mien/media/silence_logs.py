"""Keep what Pillow and FFmpeg say about odd but readable files from reaching the caller."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0
_av_inside = 0
_av_level: int | None = None
_filters: warnings.catch_warnings[None] | None = None


@contextlib.contextmanager
def silence_pillow() -> Iterator[None]:
    """Ignore warnings that Pillow's own modules raise while any thread is inside.

    The filters are the process's own, so that threads which each saved and restored them would undo one another: the
    first one in sets them and the last one out puts them back. Warnings of other modules pass as ever.
    """
    global _inside, _filters
    with _lock:
        _inside += 1
        if _filters is None:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _filters is not None:
                _filters.__exit__(None, None, None)
                _filters = None


@contextlib.contextmanager
def silence_ffmpeg() -> Iterator[None]:
    """Keep FFmpeg's log silent while any thread is inside, also where the program has switched PyAV's logging on.

    The level is the process's own, so the first one in sets it and the last one out puts it back.
    """
    import av.logging

    global _av_inside, _av_level
    with _lock:
        _av_inside += 1
        if _av_inside == 1:
            _av_level = av.logging.get_level()
            if _av_level is not None:
                av.logging.set_level(None)
    try:
        yield
    finally:
        with _lock:
            _av_inside -= 1
            if _av_inside == 0 and _av_level is not None:
                av.logging.set_level(_av_level)
