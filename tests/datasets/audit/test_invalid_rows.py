from __future__ import annotations

from dataclasses import replace

import numpy as np

from helpers.audits import N, changed, finding_rows
from mien.datasets.audit import audit_dataset
from mien.datasets.dataset import Dataset


def test_rows_with_something_invalid(clean: Dataset) -> None:
    data = changed(clean, votes={2: clean.votes[2] + 1}, row={9: 8})
    data = replace(data, features={"made": np.where(np.arange(N)[:, None] == 5, np.nan, 1).astype(np.float32)})
    assert finding_rows(data, "rows") == [[8], [8], [2], [5]]
    lines = " ".join(audit_dataset(replace(data, split=np.full(N, "test")), ["rows"])["rows"].summary)
    assert "No train and no validation images." in lines
    assert "feature made is not finite" in lines
