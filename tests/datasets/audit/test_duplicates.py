from __future__ import annotations

import numpy as np

from helpers.audits import N, changed, finding_rows
from mien.datasets.audit import audit_dataset
from mien.datasets.dataset import Dataset


def test_exact_copies_inside_and_across_splits(clean: Dataset) -> None:
    # rows 0–2 of every five are train, 3 validation, 4 test
    data = changed(clean, {5: clean.images[0], 8: clean.images[1], 14: clean.images[1], 24: clean.images[19]})
    assert finding_rows(data, "exact") == [[1, 8, 14], [0, 5], [19, 24]]
    report = audit_dataset(data, ["exact"])["exact"]
    assert report.figures["distinct"] == N - 4
    assert report.figures["groups_across_splits"] == 1
    assert report.figures["also_in_train"] == {"train": 0, "validation": 1, "test": 1, "total": 2}


def test_near_copies_mirrored_ones_and_their_labels(clean: Dataset) -> None:
    brighter = np.clip(clean.images[0].astype(int) + 20, 0, 255).astype(np.uint8)
    mirrored = clean.images[2][:, ::-1]
    # 7 carries the label of 0; 13 that of 6, not of 2; 21 is an exact copy of the copy
    data = changed(clean, {7: brighter, 13: mirrored, 21: brighter})
    document = audit_dataset(data, ["near", "conflicts"]).to_dict()["checks"]
    near = document["near"]
    assert [finding["images"] for finding in near["findings"]] == [[[2], [13]], [[0], [7, 21]]]
    assert [finding["mirrored"] for finding in near["findings"]] == [True, False]
    assert (near["pairs"], near["mirrored_pairs"], near["pairs_across_splits"], near["groups"]) == (2, 1, 1, 2)
    assert near["near_train"] == {"train": 0, "validation": 1, "test": 0, "total": 1}
    conflicts = document["conflicts"]
    assert [(finding["kind"], finding["rows"]) for finding in conflicts["findings"]] == [("near", [2, 13])]
    assert conflicts["labels"] == [{"labels": ["fear", "neutral"], "count": 1}]
    assert conflicts["near_copies_with_the_same_label"] == 0.5


def test_exact_copies_with_other_labels(clean: Dataset) -> None:
    data = changed(clean, {7: clean.images[0], 15: clean.images[3]})
    report = audit_dataset(data, ["conflicts"]).to_dict()["checks"]["conflicts"]
    assert [finding["rows"] for finding in report["findings"]] == [[3, 15]]
    assert report["exact_copies_with_the_same_label"] == 0.5
    alike = [np.array_equal(data.votes[a], data.votes[b]) for a, b in ((0, 7), (3, 15))]
    assert report["exact_copies_with_the_same_votes"] == np.mean(alike)
    assert "Near duplicates were not compared" in report["summary"][1]
