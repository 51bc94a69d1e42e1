"""Faces with ages in years, as classes of seven ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.datasets import encoded
from mien.datasets.catalog import detect_format, read_dataset
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError

AGES = [1, 2, 3, 9, 10, 20, 21, 27, 28, 45, 46, 65, 66, 116, 30, 31, 32, 33, 34, 35]
RANGES = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 4, 4, 4, 4, 4, 4]


def faces(path: Path, ages: list[int | None] = AGES, **columns: Any) -> Path:  # type: ignore[assignment]
    """A file of gray pictures, each as bright as its row number."""
    n = len(ages)
    table = {
        "image": [{"bytes": encoded(np.full((12, 12, 3), i, np.uint8)), "path": f"{i}.png"} for i in range(n)],
        "age": ages,
        "gender": [""] * n,
        "race": [""] * n,
        "source": ["UTKFace"] * n,
        "duplicate": [False] * n,
    } | columns
    pq.write_table(pa.table({name: values for name, values in table.items() if values is not None}), path)
    return path


def test_ages_become_the_ranges_that_the_source_learned(tmp_path: Path) -> None:
    path = faces(tmp_path / "faces.parquet")
    assert detect_format(path) == "combined-faces"
    data = read_dataset(path)
    assert data.emotion is not None
    assert data.emotion.tolist() == RANGES
    assert data.info.classes == ("1-2", "3-9", "10-20", "21-27", "28-45", "46-65", "66-116")
    assert data.images.shape == (20, 12, 12, 1)
    assert data.images[:, 0, 0, 0].tolist() == list(range(20))
    assert (data.split == "validation").sum() == 6
    assert (data.split == "train").sum() == 14
    again = read_prepared(write_prepared(data, tmp_path / "prepared.parquet"))
    assert again.info.classes == data.info.classes
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "faces.parquet")
    assert read_dataset(tmp_path / "folder").split.tolist() == data.split.tolist()
    faces(tmp_path / "folder" / "second.parquet")
    with pytest.raises(DataError, match="holds 2 Parquet files"):
        read_dataset(tmp_path / "folder", "combined-faces")


@pytest.mark.parametrize("age", [0, 117, None])
def test_an_age_outside_the_ranges_is_named_with_its_row(age: int | None, tmp_path: Path) -> None:
    path = faces(tmp_path / "faces.parquet", [1, 2, age, 4])
    with pytest.raises(DataError, match=f"age is {age}.*whole years from 1 to 116") as caught:
        read_dataset(path, "combined-faces")
    assert "3" in str(caught.value)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = faces(tmp_path / "faces.parquet", duplicate=None)
    with pytest.raises(DataError, match="no column duplicate"):
        read_dataset(path, "combined-faces")
