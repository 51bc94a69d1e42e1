from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.reproduction import tiny_fer2013
from mien.published.reproduction import published_results
from mien.recipes.catalog import RECIPES
from mien.training.config import Recipe


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes of two short epochs."""

    def short(name: str) -> Recipe:
        return replace(RECIPES[name], epochs=2, batch_size=8, early_stopping=None, precision="float32")

    monkeypatch.setattr(published_results, "get_recipe", short)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_fer2013(tmp_path / "fer2013.parquet")
