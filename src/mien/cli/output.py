"""What commands share: failures that do not stop the rest, files that are written, consoles and progress bars."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.error_output import error_output
from mien.errors import MienError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


class FailureReport:
    """Prints each failure as one line, or as JSON, and counts them."""

    def __init__(self) -> None:
        self.count = 0
        self._output = error_output()

    def add(self, error: MienError) -> None:
        """One more."""
        self.count += 1
        self._output.print(error)


def one_file(target: Path, *, single: bool) -> bool:
    """Whether the result of a ``single`` input goes to this very path; otherwise it is a folder for the results."""
    from mien.files import is_special

    is_folder = os.path.isdir(target)  # noqa: PTH112 - Path.is_dir raises for names that are too long
    return single and not is_folder and (target.suffix != "" or is_special(target))


def table_console(width: int, *, highlight: bool = True, markup: bool = True) -> Console:
    """A console on stdout for tables: as wide as the terminal, and ``width`` columns where there is none.

    A pipe has no width; folded cells would only be harder to read there.
    """
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width, highlight=highlight, markup=markup)


def progress_bar(*columns: str | ProgressColumn, transient: bool = False, terminal_only: bool = False) -> Progress:
    """A progress bar on stderr, so that stdout holds data alone.

    Args:
        columns: its parts; by default those of rich.
        transient: remove it at the end.
        terminal_only: show nothing where stderr is no terminal.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    hidden = terminal_only and not console.is_terminal
    return Progress(*columns, console=console, transient=transient, disable=hidden)
