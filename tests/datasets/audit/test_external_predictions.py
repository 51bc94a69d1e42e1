from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.audits import N, finding_rows, label_model
from mien.datasets.audit.external_predictions import read_external_predictions
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import DataError, InputError, MissingFileError


def test_probabilities_from_files(clean: Dataset, tmp_path: Path) -> None:
    model = label_model(clean, {11: 0})
    np.save(tmp_path / "p.npy", model.probabilities)
    assert finding_rows(clean, "labels", label_model=read_external_predictions(tmp_path / "p.npy", clean)) == [[11]]
    lines = ["row,happiness,angry,disgust,fear,sad,surprise,neutral"]
    for i in reversed(range(N - 1)):
        values = model.probabilities[i][[3, 0, 1, 2, 4, 5, 6]]
        lines.append(",".join([str(i), *map(str, values)]))
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    read = read_external_predictions(tmp_path / "p.csv", clean)
    assert int(read.predicted.sum()) == N - 1
    assert finding_rows(clean, "labels", label_model=read) == [[11]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "", "not .npy or .csv"),
        ("p.npy", "no array", "not a readable .npy"),
        ("p.csv", "", "expected a column 'row'"),
        ("p.csv", "angry,sad\n1,2\n", "expected a column 'row'"),
        ("p.csv", "row,sad,sadness\n1,1,2\n", "two columns"),
        ("p.csv", "row,angry,sad\n1,0.5\n", "line 2: 2 cells instead of 3"),
        ("p.csv", "row,angry,sad\n1,0.5,much\n", "line 2: not a number"),
        ("p.csv", "row,angry,sad\n999,0.5,0.5\n", "has no row 999"),
        ("p.csv", "row,angry,sad\n1,0.5,0.5\n1,0.5,0.5\n", "row 1 occurs twice"),
    ],
)
def test_probabilities_that_cannot_be_used(name: str, text: str, message: str, clean: Dataset, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((DataError, InputError), match=message):
        read_external_predictions(path, clean)


def test_arrays_that_do_not_fit(clean: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.ones((N, 8)))
    with pytest.raises(DataError, match=r"\(140, 8\), expected numbers \(140, 7\).*angry"):
        read_external_predictions(tmp_path / "p.npy", clean)
    with pytest.raises(MissingFileError, match="no such file"):
        read_external_predictions(tmp_path / "q.npy", clean)
    bare = replace(clean, emotion=None, info=DatasetInfo("faces"))
    with pytest.raises(InputError, match="neither emotions nor ages"):
        read_external_predictions(tmp_path / "p.npy", bare)
