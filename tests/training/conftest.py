"""A fabricated dataset, and a run of three epochs on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.labelled_pictures import fabricated
from helpers.tiny_recipe import TINY
from mien.datasets.prepared_file import write_prepared
from mien.training.run import train


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "fabricated.parquet"
    write_prepared(fabricated(), path)
    return path


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs without interruption."""
    plain = replace(TINY, augment=replace(TINY.augment, flip=0.0, mixup=0.2))
    return train(
        plain, data, tmp_path_factory.mktemp("runs") / "whole", threads=1, progress=False, command="mien train"
    )
