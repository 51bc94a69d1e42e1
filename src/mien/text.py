"""Figures as text: the one way in which tables, pages and generated documents write a share, a number and its interval.

A share is a number 0–1 and is written in per cent; an interval stands in brackets after its figure, in the same unit.
"""

from __future__ import annotations

from collections.abc import Sequence

NONE = "–"
"""Placeholder of a figure that does not exist."""


def percent(share: float | None, interval: Sequence[float] | None = None, *, digits: int = 1) -> str:
    """A share 0–1 in per cent.

    Examples:
        >>> percent(0.5288), percent(0.5288, (0.5, 0.56)), percent(0.5288, digits=0), percent(None)
        ('52.9 %', '52.9 % (50.0–56.0)', '53 %', '–')
    """
    if share is None:
        return NONE
    return f"{100 * share:.{digits}f} %" + ("" if interval is None else f" ({span(interval, 100, digits)})")


def number(value: float | None, interval: Sequence[float] | None = None, *, digits: int = 3) -> str:
    """A number with so many decimals.

    Examples:
        >>> number(0.61249), number(0.61249, (0.6, 0.625)), number(None)
        ('0.612', '0.612 (0.600–0.625)', '–')
    """
    if value is None:
        return NONE
    return f"{value:.{digits}f}" + ("" if interval is None else f" ({span(interval, 1, digits)})")


def span(interval: Sequence[float], factor: float = 1, digits: int = 3) -> str:
    """An interval times a factor, such as "50.0–56.0"; as `signed_span` where an end is negative."""
    low, high = (factor * end for end in interval)
    return f"{low:.{digits}f}–{high:.{digits}f}" if low >= 0 else signed_span(interval, factor, digits)


def signed_span(interval: Sequence[float], factor: float = 1, digits: int = 3) -> str:
    """The interval of a difference, such as "-0.3 to +2.1"."""
    low, high = (factor * end for end in interval)
    return f"{low:+.{digits}f} to {high:+.{digits}f}"


def count(n: int, what: str, plural: str = "s") -> str:
    """A number with its noun.

    Examples:
        >>> count(1, "face"), count(2000, "face")
        ('1 face', '2,000 faces')
    """
    return f"{n:,} {what}" + ("" if n == 1 else plural)


def listing(parts: Sequence[str], most: int = 5) -> str:
    """The first parts of a list, for a line such as that of ``repr``.

    Examples:
        >>> listing(["a", "b"]), listing(list("abcdefg"))
        ('a, b', 'a, b, c, d, e, 2 more')
    """
    left = len(parts) - most
    return ", ".join([*parts[:most], *([f"{left:,} more"] if left > 0 else [])])


def quoted_end(text: str, most: int = 60) -> str:
    """A path or name in quotes as ASCII, without its beginning where it is long.

    Examples:
        >>> quoted_end("photo.jpg"), quoted_end("a" * 80 + ".jpg", 10)
        ("'photo.jpg'", "'...aaaaaa.jpg'")
    """
    shown = ascii(text)[1:-1]
    return f"'{shown}'" if len(shown) <= most else f"'...{shown[-most:]}'"


def rough_duration(seconds: float) -> str:
    """A duration with the two units that matter.

    Examples:
        >>> rough_duration(8), rough_duration(83), rough_duration(5220), rough_duration(200_000)
        ('8 s', '1 min 23 s', '1 h 27 min', '55 h 33 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def short_percent(share: float) -> str:
    """A share 0–1 in per cent with two significant digits: one decimal below 10 %.

    Examples:
        >>> short_percent(0.934), short_percent(0.034), short_percent(0)
        ('93 %', '3.4 %', '0 %')
    """
    return percent(share, digits=0 if share >= 0.1 or share == 0 else 1)
