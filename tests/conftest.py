from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mien.signals import ENDING

# how long an example takes on a machine with other work to do shows nothing about the code
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if not os.access(Path.cwd(), os.W_OK):
    # where failing examples would be kept; that they cannot is a warning, and so an error
    settings.register_profile("any-machine", settings.get_profile("any-machine"), database=None)
settings.load_profile("any-machine")
REAL_DATA = Path(os.environ.get("MIEN_DATA", Path(__file__).parents[2] / "shared" / "data"))
CHROMIUM = Path(os.environ.get("MIEN_CHROMIUM", "/usr/bin/chromium"))


def _has_browser() -> bool:
    return CHROMIUM.is_file() and find_spec("playwright") is not None


def pytest_report_header() -> list[str]:
    data = "found" if REAL_DATA.is_dir() else "absent, tests marked 'data' are left out (set MIEN_DATA)"
    browser = "found" if _has_browser() else "absent, tests marked 'browser' are left out (set MIEN_CHROMIUM)"
    return [f"real datasets: {data}", f"browser: {browser}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = [name for name, there in (("data", REAL_DATA.is_dir()), ("browser", _has_browser())) if not there]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    # modules with slow tests first: one that starts last would be waited for alone (`make test` keeps this order)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Each test finds the handlers that the first one found: a command that is called in this process sets its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Signals as in the foreground, here and in child processes; shells and `nohup` start jobs with some ignored."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real datasets, for tests marked ``data``."""
    return REAL_DATA


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser, for tests marked ``browser``."""
    return CHROMIUM
