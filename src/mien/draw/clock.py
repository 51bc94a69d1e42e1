"""Times and durations as text for people."""

from __future__ import annotations

import math


def clock(seconds: float, *, tenths: bool = False) -> str:
    """``75.6`` → ``1:16``, with ``tenths`` ``1:15.6``; from an hour on ``1:00:00``."""
    if not math.isfinite(seconds):
        return "?"
    unit = 10 if tenths else 1
    whole = round(abs(seconds) * unit)
    minutes, rest = divmod(whole, 60 * unit)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 10:04.1f}" if tenths else f"{rest:02d}"
    sign = "-" if seconds < 0 and whole else ""
    return f"{sign}{hours}:{minutes:02d}:{text}" if hours else f"{sign}{minutes}:{text}"


def duration(seconds: float) -> str:
    """``0.84`` → ``0.8 s``, ``75.6`` → ``1:16 min``, ``3600`` → ``1:00:00 h``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{clock(seconds)} {'h' if seconds >= 3599.5 else 'min'}"
