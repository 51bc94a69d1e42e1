from __future__ import annotations

import hashlib
import json

import mlcroissant
import numpy as np
import pytest
from click.testing import CliRunner

from mien.cli import cli
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import write_prepared


@pytest.fixture
def prepared(tmp_path):
    n = 6
    random = np.random.default_rng(0)
    dataset = Dataset(
        info=DatasetInfo("fer2013", "fer2013", "made for a test", dropped=(("empty", 2),), notes=("a note",)),
        images=random.integers(0, 256, (n, 8, 8, 1), dtype=np.uint8),
        split=np.array(["train"] * 4 + ["test"] * 2),
        row=np.arange(n, dtype=np.int32),
        emotion=(np.arange(n) % 7).astype(np.int8),
        features={"hog": random.random((n, 4), np.float32)},
    )
    return write_prepared(dataset, tmp_path / "made.parquet")


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_reads_the_description_and_the_rows(prepared):
    result = CliRunner().invoke(cli, ["data", "croissant", str(prepared)], catch_exceptions=False)
    assert result.exit_code == 0
    path = prepared.with_name("croissant.json")
    described = json.loads(path.read_text(encoding="utf-8"))
    [file] = described["distribution"]
    assert file["sha256"] == hashlib.sha256(prepared.read_bytes()).hexdigest()
    assert "left out: empty (2)" in described["description"]
    dataset = mlcroissant.Dataset(jsonld=path)
    assert dataset.metadata.ctx.issues.errors == set()
    rows = list(dataset.records(record_set="images"))
    assert len(rows) == 6
    assert [row["images/emotion"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows[0]["images/split"] in (b"train", "train")


def test_a_file_that_is_not_prepared_is_one_line(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no")
    result = CliRunner().invoke(cli, ["data", "croissant", str(tmp_path / "x.parquet")])
    assert result.exit_code == 1
    assert not (tmp_path / "croissant.json").exists()
