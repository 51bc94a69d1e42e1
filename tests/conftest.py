from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("MIEN_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_report_header() -> str:
    state = "found" if REAL_DATA.is_dir() else "absent, tests marked 'data' are left out (set MIEN_DATA)"
    return f"real datasets: {state}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if REAL_DATA.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("data")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real datasets, for tests marked ``data``."""
    return REAL_DATA
