"""Waiting for what other threads and processes do, on a machine of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds after which something that a test waits for counts as never coming."""


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What ``condition`` returns as soon as that is true; calls it again and again, for as long as ``seconds``."""
    stop = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < stop, "it never came true"
        time.sleep(0.02)
    return value
