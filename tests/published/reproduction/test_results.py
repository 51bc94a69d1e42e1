from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import DataError
from mien.published.reproduction.results import (
    read_result,
)


def test_an_error_about_damaged_results_has_advice(tmp_path: Path) -> None:
    (tmp_path / "stack-final.json").write_text("{")
    with pytest.raises(DataError, match="delete it"):
        read_result(tmp_path, "stack-final")
