"""The report of an audit: the result of every check, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mien.datasets.audit.types import AuditContext, AuditFinding, AuditOptions, CheckReport
from mien.datasets.dataset import SPLITS, Dataset
from mien.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class CheckResult:
    """The outcome of one check.

    Attributes:
        check: a key of `mien.datasets.audit.CHECKS`.
        title: of the check, for people.
        report: what it found; None where it could not run.
        reason: why it could not run; "" where it did.
        seconds: wall-clock time.
        cpu_seconds: processor time, on all cores together.
        by_split: images concerned in each split and in all; None for a check about the whole dataset.

    Examples:
        >>> from mien.datasets.audit import audit_dataset
        >>> check = audit_dataset(dataset, ["constant"]).results[0]
        >>> check.check, check.reason, check.by_split["total"]
        ('constant', '', 0)
    """

    check: str
    title: str
    report: CheckReport | None
    reason: str
    seconds: float
    cpu_seconds: float
    by_split: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """The report on one dataset.

    Attributes:
        dataset: the dataset.
        options: thresholds that were used.
        results: one per check, in the order in which they ran.
        peak_mb: peak memory of the process; None where the system does not report it.

    Examples:
        >>> from mien.datasets.audit import audit_dataset
        >>> audit = audit_dataset(dataset, ["exact"])
        >>> audit["exact"].findings, sorted(audit.to_dict(findings=False))[:3]
        ((), ['channels', 'checks', 'cpu_seconds'])
    """

    dataset: Dataset
    options: AuditOptions
    results: tuple[CheckResult, ...]
    peak_mb: float | None

    def __getitem__(self, check: str) -> CheckReport:
        """The report of one check; raises `InputError` where it did not run."""
        for result in self.results:
            if result.check == check and result.report is not None:
                return result.report
        reason = next((result.reason for result in self.results if result.check == check), "it was not selected")
        raise InputError(f"the check {check!r} did not run: {reason}")

    def to_dict(self, *, findings: bool = True) -> dict[str, Any]:
        """JSON-ready; without ``findings`` the counts alone, which stay small however large the dataset."""
        dataset = self.dataset
        context = AuditContext(dataset)
        return {
            "dataset": dataset.info.name,
            "source": dataset.info.source,
            "notes": list(dataset.info.notes),
            "sha256": dataset.sha256(),
            "images": {**{s: int((dataset.split == s).sum()) for s in SPLITS}, "total": len(dataset)},
            "size": list(dataset.size),
            "channels": dataset.channels,
            "options": asdict(self.options),
            "seconds": round(sum(result.seconds for result in self.results), 2),
            "cpu_seconds": round(sum(result.cpu_seconds for result in self.results), 2),
            "peak_mb": self.peak_mb,
            "checks": {result.check: _result_to_dict(result, context, findings) for result in self.results},
        }


def _result_to_dict(result: CheckResult, context: AuditContext, findings: bool) -> dict[str, Any]:
    about = {"title": result.title, "cpu_seconds": round(result.cpu_seconds, 2)}
    report = result.report
    if report is None:
        return {**about, "ran": False, "reason": result.reason}
    out = {
        **about,
        "ran": True,
        "images": result.by_split,
        "summary": list(report.summary),
        **_rounded(report.figures),
    }
    return {**out, "findings": [_finding_to_dict(one, context) for one in report.findings]} if findings else out


def _finding_to_dict(finding: AuditFinding, context: AuditContext) -> dict[str, Any]:
    dataset, index = context.dataset, list(finding.index)
    out: dict[str, Any] = {"rows": dataset.row[index].tolist(), "splits": dataset.split[index].tolist()}
    if context.labels is not None:
        out["labels"] = [context.label_name(i) for i in index]
    return {**out, **_rounded(finding.facts)}


def _rounded(value: Any) -> Any:
    """Floats with six decimals: more would only look exact."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
