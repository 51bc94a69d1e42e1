"""The table of checks. To add one, write a function that returns a `CheckReport`, and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mien.datasets.audit.class_balance import check_class_balance
from mien.datasets.audit.duplicates import check_exact_duplicates, check_label_conflicts, check_near_duplicates
from mien.datasets.audit.image_flaws import check_blurred_images, check_constant_images, check_faces
from mien.datasets.audit.invalid_rows import check_invalid_rows
from mien.datasets.audit.label_errors import check_labels
from mien.datasets.audit.rater_agreement import check_rater_agreement
from mien.datasets.audit.types import AuditContext, CheckReport


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """One check: its title for people, and the function that runs it.

    Attributes:
        title: for people.
        run: dataset with what checks share → what was found.

    Examples:
        >>> CHECKS["exact"].title
        'exact duplicates'
    """

    title: str
    run: Callable[[AuditContext], CheckReport]


CHECKS: Mapping[str, AuditCheck] = {
    "rows": AuditCheck("invalid rows", check_invalid_rows),
    "balance": AuditCheck("class balance", check_class_balance),
    "exact": AuditCheck("exact duplicates", check_exact_duplicates),
    "near": AuditCheck("near duplicates", check_near_duplicates),
    "conflicts": AuditCheck("copies with other labels", check_label_conflicts),
    "labels": AuditCheck("suspected labels", check_labels),
    "constant": AuditCheck("one brightness", check_constant_images),
    "blurred": AuditCheck("blurred", check_blurred_images),
    "faceless": AuditCheck("no face", check_faces),
    "agreement": AuditCheck("FER2013 and FER+", check_rater_agreement),
}
"""Name → check, in the order in which they run.

Examples:
    >>> list(CHECKS)
    ['rows', 'balance', 'exact', 'near', 'conflicts', 'labels', 'constant', 'blurred', 'faceless', 'agreement']
"""
