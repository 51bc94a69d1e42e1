"""Stored predictions of a teacher as a share of the targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_recipe import TINY
from mien.datasets.prepared_file import read_prepared
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import FER2013
from mien.training.config import NO_AUGMENTATION, Distillation
from mien.training.run import train
from mien.training.run_folder import read_json
from mien.training.stored_predictions import StoredPredictions, blend, read_stored_predictions
from mien.training.targets import HeadTargets

TEACHER = np.array([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]], np.float16)


def _save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_rows_are_sorted_and_rounding_is_undone(tmp_path: Path) -> None:
    path = _save(tmp_path / "t.npz", row=np.array([7, 3, 5]), mood=TEACHER)
    stored = read_stored_predictions(path, {"mood": 2})
    assert stored.row.tolist() == [3, 5, 7]
    np.testing.assert_allclose(stored.heads["mood"].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(stored.heads["mood"][:, 0], [0.2, 0.9, 0.5], atol=1e-3)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_stored_predictions(tmp_path / "absent.npz", {"mood": 2})
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="not a file of stored predictions"):
        read_stored_predictions(tmp_path / "text.npz", {"mood": 2})
    rows = np.arange(3)
    with pytest.raises(DataError, match="lacks an array"):
        read_stored_predictions(_save(tmp_path / "a.npz", row=rows, other=TEACHER), {"mood": 2})
    with pytest.raises(DataError, match="shape"):
        read_stored_predictions(_save(tmp_path / "b.npz", row=rows, mood=TEACHER), {"mood": 3})
    with pytest.raises(DataError, match="sum to 1"):
        read_stored_predictions(_save(tmp_path / "c.npz", row=rows, mood=TEACHER * 2), {"mood": 2})


def test_labelled_images_learn_a_share_and_unlabelled_ones_all() -> None:
    own = HeadTargets(
        np.array([[1, 0], [1, 0], [0, 0]], np.float32), np.array([1, 1, 0], np.float32), np.array([0, 0, -1])
    )
    teacher = StoredPredictions(np.array([10, 12]), {"mood": np.array([[0.5, 0.5], [0.2, 0.8]], np.float32)})
    mixed = blend({"mood": own}, np.array([10, 11, 12]), teacher, 0.8)["mood"]
    np.testing.assert_allclose(mixed.soft, [[0.6, 0.4], [1, 0], [0.2, 0.8]], atol=1e-6)
    assert mixed.weight.tolist() == [1, 1, 1]
    assert mixed.label.tolist() == [0, 0, -1]
    with pytest.raises(DataError, match="other images"):
        blend({"mood": own}, np.array([1, 2, 3]), teacher, 0.8)


def test_a_run_learns_what_the_teacher_predicts(data: Path, tmp_path: Path) -> None:
    """The teacher takes happy for neutral and neutral for happy, and that is what is learned."""
    prepared = read_prepared(data)
    recipe = replace(
        TINY,
        distill=Distillation("made-up", weight=1.0, stored=True),
        epochs=12,
        ema=None,
        augment=NO_AUGMENTATION,
    )
    with pytest.raises(InputError, match="learns from a teacher"):
        train(recipe, data, tmp_path / "none", threads=1, progress=False)
    assert prepared.emotion is not None
    happy = prepared.emotion == FER2013.index["happy"]
    heads = {}
    for head in recipe.heads:
        swapped = np.where(happy, head.labels.index("neutral"), head.labels.index("happy"))
        heads[head.name] = np.eye(len(head.labels), dtype=np.float32)[swapped]
    path = _save(tmp_path / "t.npz", row=prepared.row, **heads)
    folder = train(recipe, data, tmp_path / "run", teacher=path, threads=1, progress=False)
    assert read_json(folder / "environment.json")["teacher"]["file"] == "t.npz"
    honest = train(replace(recipe, distill=None), data, tmp_path / "honest", threads=1, progress=False)
    name = f"val_{recipe.heads[0].name}_accuracy"
    assert _last(folder, name) < _last(honest, name) - 0.2


def _last(folder: Path, name: str) -> float:
    lines = (folder / "metrics.csv").read_text().splitlines()
    return float(dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))[name])
