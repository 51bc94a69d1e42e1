"""What is wrong with a dataset: checks that report and change nothing.

Cleaning removes images; see `mien.datasets.cleaning`.
"""

from __future__ import annotations

from mien.datasets.audit.checks import CHECKS, AuditCheck
from mien.datasets.audit.report import AuditReport, CheckResult
from mien.datasets.audit.run import audit_dataset
from mien.datasets.audit.types import AuditFinding, AuditOptions, AuditTable, CheckReport, LabelModel

__all__ = [
    "CHECKS",
    "AuditCheck",
    "AuditFinding",
    "AuditOptions",
    "AuditReport",
    "AuditTable",
    "CheckReport",
    "CheckResult",
    "LabelModel",
    "audit_dataset",
]
