from __future__ import annotations

import json

from helpers.audits import changed
from mien.datasets.audit import audit_dataset
from mien.datasets.dataset import Dataset


def test_a_report_without_findings_is_small_and_has_the_same_figures(clean: Dataset) -> None:
    data = changed(clean, {5: clean.images[0]})
    report = audit_dataset(data, ["exact", "balance"])
    whole, short = report.to_dict(), report.to_dict(findings=False)
    assert whole["checks"]["exact"].pop("findings") == [
        {"rows": [0, 5], "splits": ["train", "train"], "labels": ["angry", "surprise"]}
    ]
    whole["checks"]["balance"].pop("findings")
    assert json.loads(json.dumps(whole)) == json.loads(json.dumps(short))
    assert short["sha256"] == data.sha256()
