"""Counts that the published datasets must give."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.datasets import detect_format
from mien.datasets.audit import audit_dataset
from mien.datasets.cleaning import clean_dataset, sum_counts
from mien.datasets.dataset import SPLITS, Dataset
from mien.datasets.exact_duplicates import count_distinct, leaked_rows
from mien.datasets.fairface import open_fairface
from mien.datasets.fer2013 import read_fer2013
from mien.datasets.ferplus import apply_target_rule, join_votes, read_votes, vote_targets
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.datasets.resplit import resplit
from mien.datasets.subsets import limit_per_emotion, select_emotions
from mien.published.features import FEATURES, compute_features
from mien.published.recipes.svm import SVM_RECIPES
from mien.published.svm.training import train_svm

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def fer(real_data: Path) -> Dataset:
    data = read_fer2013(real_data / "fer2013" / "fer2013.csv.gz")
    return join_votes(data, read_votes(real_data / "fer2013" / "fer2013new.csv"))


def in_splits(data: Dataset, mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(mask[data.split == split].sum()) for split in SPLITS)


def test_fer2013_splits_and_classes(fer: Dataset) -> None:
    assert in_splits(fer, np.ones(len(fer), bool)) == (28_709, 3_589, 3_589)
    counts = {split: np.bincount(fer.select(split).emotion, minlength=7).tolist() for split in SPLITS}
    # angry, disgust, fear, happy, sad, surprise, neutral
    assert counts == {
        "train": [3995, 436, 4097, 7215, 4830, 3171, 4965],
        "validation": [467, 56, 496, 895, 653, 415, 607],
        "test": [491, 55, 528, 879, 594, 416, 626],
    }


@pytest.mark.parametrize(
    ("rule", "classes", "kept"),
    [
        ("majority", 8, (25_060, 3_199, 3_153)),
        ("majority", 7, (24_941, 3_186, 3_137)),
        ("crossentropy", 8, (27_956, 3_505, 3_505)),
        ("distribution", 7, (28_557, 3_579, 3_573)),
    ],
)
def test_ferplus_rules(rule: str, classes: int, kept: tuple[int, ...], fer: Dataset) -> None:
    assert in_splits(fer, vote_targets(fer.votes, rule, classes).keep) == kept


def test_fer2013_leaks(fer: Dataset) -> None:
    assert in_splits(fer, leaked_rows(fer)) == (0, 280, 288)
    assert count_distinct(fer) == 34_036


def test_training_file_is_small_fast_and_exact(fer: Dataset, tmp_path: Path) -> None:
    path = write_prepared(apply_target_rule(fer, "majority"), tmp_path / "ferplus.parquet")
    assert path.stat().st_size < 70e6
    start = time.monotonic()
    data = read_prepared(path)
    assert time.monotonic() - start < 30
    assert len(data) == 31_412
    assert sum(count for _, count in data.info.dropped) == 35_887 - 31_412
    np.testing.assert_array_equal(data.images, fer.images[data.row])


def test_cleaning_leaves_about_what_the_source_had(fer: Dataset) -> None:
    """Published: 4 classes, about 16,500 / 3,500 / 3,000 images."""
    cleaned = clean_dataset(select_emotions(fer, ("angry", "happy", "sad", "neutral")))
    assert sum_counts(cleaned.before) == 26_217
    counts = {one.rule: (sum_counts(one.alone), sum_counts(one.in_sequence)) for one in cleaned.steps}
    assert counts == {
        "constant": (12, 12), "not-a-face": (145, 133), "blur": (284, 259), "ambiguous": (1066, 1051),
        "contradictory": (47, 34), "duplicate": (703, 617),
    }  # fmt: skip
    left = resplit(limit_per_emotion(cleaned.dataset, {"neutral": 4700}), (16_500, 3_500, 3_000))
    assert in_splits(left, np.ones(len(left), bool)) == (16_492, 3_498, 2_999)
    assert np.bincount(left.emotion, minlength=7).tolist() == [4104, 0, 0, 8657, 5528, 0, 4700]
    assert count_distinct(left) == len(left)


def test_features_of_real_faces_separate_emotions(fer: Dataset, tmp_path: Path) -> None:
    some = np.concatenate([np.flatnonzero(fer.split == split)[:n] for split, n in (("train", 1200), ("test", 300))])
    faces = fer[some]
    points = compute_features("landmarks", faces.images[:200]).reshape(-1, 68, 2)
    # FER2013 faces are upright and centred: nearly always the eyes are above the mouth, the left eye left of the right
    eyes, mouth = points[:, 36:48].mean(axis=1), points[:, 48:].mean(axis=1)
    assert (eyes[:, 1] < mouth[:, 1]).mean() > 0.97
    assert (points[:, 36, 0] < points[:, 45, 0]).all()
    vectors = compute_features("hog_sliding", faces.images)
    sums = vectors.reshape(-1, 8).sum(axis=1)
    assert sums.max() < 1.0001
    assert (sums > 0.999).mean() > 0.99
    assert vectors.shape == (1500, FEATURES["hog_sliding"].length)
    path = write_prepared(replace(faces, features={"hog_sliding": vectors}), tmp_path / "some.parquet")
    run = train_svm(SVM_RECIPES["svm-sliding-scaled"], path, tmp_path / "run")
    scores = json.loads((run / "result.json").read_text())["runs"][0]["scores"]["test"]
    assert scores["n"] > 200
    assert scores["accuracy"] > 0.45


def test_fairface(real_data: Path) -> None:
    assert detect_format(real_data / "fairface") == "fairface"
    source = open_fairface(real_data / "fairface")
    assert [int((source.split == split).sum()) for split in SPLITS] == [40_000, 5_000, 0]
    train = np.bincount(source.age[source.split == "train"])
    assert train.tolist() == [841, 4867, 4314, 11677, 8939, 4878, 2830, 1260, 394]
    assert len(set(source.race)) == 7
    assert source.image(0).shape == (112, 112, 3)
    assert source.image(44_999).shape == (112, 112, 3)


def test_audit_of_fer2013(fer: Dataset) -> None:
    report = audit_dataset(fer, ["rows", "exact", "constant", "faceless", "agreement"])
    assert report["exact"].figures == {
        "distinct": 34_036,
        "superfluous": 1_851,
        "groups": 1_514,
        "groups_across_splits": 557,
        "largest_group": 12,
        "also_in_train": {"train": 0, "validation": 280, "test": 288, "total": 568},
    }
    assert {one.check: one.by_split["total"] for one in report.results if one.by_split is not None} == {
        "rows": 1, "exact": 3_365, "constant": 13, "faceless": 176,
    }  # fmt: skip
    agreement = report["agreement"].figures
    assert agreement["majority_images"] == 31_412
    assert (round(agreement["first_choice"], 3), round(agreement["cohen_kappa"], 2)) == (0.623, 0.6)


def test_near_duplicates_of_fer2013(fer: Dataset) -> None:
    """In a sample of validation and train, the pairs that the whole dataset has among them."""
    rows = np.concatenate([np.arange(0, 28_709, 6), np.arange(28_709, 32_298, 3)])
    report = audit_dataset(fer[rows], ["near"])["near"]
    assert report.figures["pairs"] > 50
    rated = [fer.votes[rows][list(one.index[:2])].argmax(axis=1) for one in report.findings]
    # raters, who rated both images, agree; on two images at random they do in one of four cases
    assert np.mean([a == b for a, b in rated]) > 0.7
