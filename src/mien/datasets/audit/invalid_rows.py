"""Rows that are not as they should be, and those that were left out before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditFinding, CheckReport, count_text
from mien.datasets.dataset import SPLITS


def check_invalid_rows(subject: AuditContext) -> CheckReport:
    """Row numbers that occur twice, votes that are not as many as elsewhere, features that are not finite.

    What no dataset may hold (damaged pictures, unknown labels, other sizes) is refused when the file is read.
    """
    prepared = subject.prepared
    problems: list[tuple[str, NDArray[np.bool_]]] = []
    numbers, counts = np.unique(prepared.row, return_counts=True)
    problems.append(("a row number that occurs twice", np.isin(prepared.row, numbers[counts > 1])))
    if prepared.votes is not None:
        totals = prepared.votes.sum(axis=1)
        usual = int(np.bincount(np.maximum(totals, 0)).argmax())
        problems.append((f"not {usual} votes, as most have", np.not_equal(totals, usual)))
        problems.append(("a negative number of votes", np.any(prepared.votes < 0, axis=1)))
    for name, vectors in prepared.features.items():
        problems.append((f"feature {name} is not finite", np.any(~np.isfinite(vectors), axis=1)))
    flagged = np.any([mask for _, mask in problems], axis=0)
    findings = tuple(
        AuditFinding((i,), f"{prepared.split[i]} {prepared.row[i]}: {problem}", {"problem": problem})
        for problem, mask in problems
        for i in np.flatnonzero(mask).tolist()
    )
    absent = [split for split in SPLITS if not (prepared.split == split).any()]
    figures = {
        "problems": {problem: int(mask.sum()) for problem, mask in problems},
        "splits_without_images": absent,
        "left_out_before": [{"reason": reason, "count": count} for reason, count in prepared.info.dropped],
    }
    lines = [f"{count_text(int(flagged.sum()), 'row')} with something invalid."]
    lines += [f"{count_text(int(mask.sum()), 'row')}: {problem}." for problem, mask in problems if mask.any()]
    if absent:
        lines.append(f"No {' and no '.join(absent)} images.")
    lines += [f"{count_text(count, 'row')} left out before: {reason}." for reason, count in prepared.info.dropped]
    return CheckReport(tuple(lines), figures, flagged, findings)
