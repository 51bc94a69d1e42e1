"""A small dataset for searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.searches import pictures
from mien.datasets.prepared_file import write_prepared


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(pictures(), tmp_path_factory.mktemp("data") / "data.parquet")
