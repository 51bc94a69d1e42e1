from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers.audits import label_model
from helpers.datasets import made
from mien.datasets.audit import CHECKS, AuditOptions, audit_dataset
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.errors import InputError


def test_nothing_is_found_in_clean_data(clean: Dataset) -> None:
    report = audit_dataset(clean, label_model=label_model(clean))
    assert [one.check for one in report.results] == list(CHECKS)
    assert [one.reason for one in report.results] == [""] * len(CHECKS)
    found = {one.check: one.by_split["total"] for one in report.results if one.by_split is not None}
    assert found == dict.fromkeys(
        ("rows", "exact", "near", "conflicts", "labels", "constant", "blurred", "faceless"), 0
    )


def test_a_check_that_cannot_run_reports_the_reason_and_the_others_run() -> None:
    data = replace(made(6, channels=3), emotion=None, info=DatasetInfo("faces"))
    report = audit_dataset(data)
    reasons = {one.check: one.reason for one in report.results if one.reason}
    assert set(reasons) == {"balance", "conflicts", "labels", "faceless", "agreement"}
    assert "--detector" in reasons["faceless"]
    assert "--ferplus" in reasons["agreement"]
    assert all("\n" not in text for text in reasons.values())
    document = report.to_dict()
    assert document["checks"]["agreement"] == {
        "title": "FER2013 and FER+", "cpu_seconds": 0.0, "ran": False, "reason": reasons["agreement"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checks": ["nearly"]}, "no check 'nearly': there are rows"),
        ({"checks": []}, "none given"),
        ({"options": AuditOptions(bits=40)}, "bits must be 0 to 32"),
        ({"options": AuditOptions(similarity=0.2)}, "0.5 to 1"),
    ],
)
def test_wrong_calls(arguments: dict[str, Any], message: str, clean: Dataset) -> None:
    with pytest.raises(InputError, match=message):
        audit_dataset(clean, **arguments)
    with pytest.raises(InputError, match="holds no images"):
        audit_dataset(clean[:0])
