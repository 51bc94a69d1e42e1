"""Rows with invalid values, and rows that were left out when the dataset was prepared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditFinding, CheckReport, count_text
from mien.datasets.dataset import SPLITS


def check_invalid_rows(context: AuditContext) -> CheckReport:
    """Row numbers that occur twice, unusual numbers of votes, features that are not finite.

    What no dataset may hold (damaged images, unknown labels, other sizes) is refused when the file is read.
    """
    dataset = context.dataset
    problems: list[tuple[str, NDArray[np.bool_]]] = []
    numbers, counts = np.unique(dataset.row, return_counts=True)
    problems.append(("a row number that occurs twice", np.isin(dataset.row, numbers[counts > 1])))
    if dataset.votes is not None:
        totals = dataset.votes.sum(axis=1)
        usual = int(np.bincount(np.maximum(totals, 0)).argmax())
        problems.append((f"not {usual} votes, as most have", np.not_equal(totals, usual)))
        problems.append(("a negative number of votes", np.any(dataset.votes < 0, axis=1)))
    for name, vectors in dataset.features.items():
        problems.append((f"feature {name} is not finite", np.any(~np.isfinite(vectors), axis=1)))
    flagged = np.any([mask for _, mask in problems], axis=0)
    findings = tuple(
        AuditFinding((i,), f"{dataset.split[i]} {dataset.row[i]}: {problem}", {"problem": problem})
        for problem, mask in problems
        for i in np.flatnonzero(mask).tolist()
    )
    absent = [split for split in SPLITS if not (dataset.split == split).any()]
    figures = {
        "problems": {problem: int(mask.sum()) for problem, mask in problems},
        "splits_without_images": absent,
        "left_out_before": [{"reason": reason, "count": count} for reason, count in dataset.info.dropped],
    }
    summary = [f"{count_text(int(flagged.sum()), 'invalid row')}."]
    summary += [f"{count_text(int(mask.sum()), 'row')}: {problem}." for problem, mask in problems if mask.any()]
    if absent:
        summary.append(f"No {' and no '.join(absent)} images.")
    summary += [f"{count_text(count, 'row')} left out before: {reason}." for reason, count in dataset.info.dropped]
    return CheckReport(tuple(summary), figures, flagged, findings)
