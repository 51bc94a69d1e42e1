"""The command line, called in this process."""

from __future__ import annotations

from inspect import signature

from click.testing import CliRunner


def runner() -> CliRunner:
    """Keeps stdout and stderr apart, as click does by itself since 8.2."""
    return CliRunner(mix_stderr=False) if "mix_stderr" in signature(CliRunner).parameters else CliRunner()
