"""The command line, called in this process."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature

from click.testing import CliRunner


def runner() -> CliRunner:
    """Keeps stdout and stderr apart, as click alone does since 8.2."""
    return CliRunner(mix_stderr=False) if "mix_stderr" in signature(CliRunner).parameters else CliRunner()


@dataclass(frozen=True)
class CommandRun:
    """What a call of ``mien`` did: its exit code and what it printed."""

    code: int
    out: str
    err: str
