from __future__ import annotations

from pathlib import Path

import pytest

from helpers.svm_data import clusters
from mien.datasets.prepared_file import write_prepared


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(clusters(), tmp_path_factory.mktemp("svm") / "hog.parquet")
