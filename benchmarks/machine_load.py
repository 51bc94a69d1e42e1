"""How busy a machine is before something is timed on it."""

from __future__ import annotations

import os
import time
from pathlib import Path

SECONDS = 1.0


def load() -> float:
    """Processors that other work uses during one second, as the kernel counts them; 0 where nothing else runs.

    The load average also counts processes that ended or were stopped minutes ago.
    """
    before = _idle_seconds()
    time.sleep(SECONDS)
    idle = (_idle_seconds() - before) / SECONDS
    return round(max((os.cpu_count() or 1) - idle, 0.0), 2)


def _idle_seconds() -> float:
    idle, waiting = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[4:6]
    return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")
