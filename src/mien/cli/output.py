"""What commands share: failures that do not stop the rest, and names of files that are written."""

from __future__ import annotations

import itertools

import click


class Failures:
    """Prints each failure as one line and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: Exception) -> None:
        """One more."""
        self.count += 1
        click.echo(f"mien: {error}", err=True)


def unique_name(stem: str, suffix: str, used: set[str]) -> str:
    """``stem + suffix``, or with a number where that is in ``used``; the name is added to it."""
    names = itertools.chain([stem], (f"{stem}-{i}" for i in itertools.count(2)))
    name = next(name + suffix for name in names if name + suffix not in used)
    used.add(name)
    return name
