"""Functions that a process which decodes is asked to call."""

from __future__ import annotations

from pathlib import Path

from mien.media.probe import frame_sizes


def frame_sizes_as_text(path: str, containers: str) -> str:
    """One that works on a file and may raise."""
    return repr(frame_sizes(Path(path), containers))


def compute_forever() -> None:
    """One that never ends."""
    while True:
        pass
