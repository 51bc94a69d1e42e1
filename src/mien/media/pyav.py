"""PyAV, which reads and writes videos: an error that says what to install where it is absent."""

from __future__ import annotations

from importlib.util import find_spec

from mien.errors import MissingExtraError


def require_pyav(what: str) -> None:
    """`MissingExtraError` where PyAV is not installed.

    Args:
        what: what needs it, as the subject of the message.
    """
    if find_spec("av") is None:
        raise MissingExtraError("av", "video", what)
