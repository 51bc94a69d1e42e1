"""What cannot be searched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.searches import QUICK, pictures, search
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError
from mien.training.search_space import SearchSpace, Uniform
from mien.tuning import run as tuning


def test_what_cannot_be_searched_is_reported(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no search space"):
        search(data, tmp_path, recipe=replace(QUICK, space=None))
    wrong = {"optimizer.beta": "optimizer has name", "epochs": "cannot vary", "dropout": "no dropout"}
    for field, match in wrong.items():
        with pytest.raises(InputError, match=match):
            search(data, tmp_path, recipe=replace(QUICK, space=SearchSpace((Uniform(field, 0.1, 0.2),))))
    part = pictures()
    lacking = write_prepared(part[part.split != "validation"], tmp_path / "lacking.parquet")
    with pytest.raises(DataError, match="validation"):
        tuning.tune(search(lacking, tmp_path / "out"))
    assert not (tmp_path / "out" / "study.db").exists()
