"""What is wrong with a dataset: checks that report and change nothing. Cleaning removes; see `mien.datasets.cleaning`.

A check that cannot run says why, and the others go on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mien.datasets.audit.class_balance import check_class_balance
from mien.datasets.audit.duplicates import check_exact_duplicates, check_label_conflicts, check_near_duplicates
from mien.datasets.audit.image_flaws import check_blurred_images, check_constant_images, check_faces
from mien.datasets.audit.invalid_rows import check_invalid_rows
from mien.datasets.audit.label_errors import check_labels
from mien.datasets.audit.rater_agreement import check_rater_agreement
from mien.datasets.audit.types import (
    AuditContext,
    AuditFinding,
    AuditOptions,
    AuditTable,
    CheckReport,
    LabelModel,
    Sees,
)
from mien.datasets.dataset import SPLITS, Dataset
from mien.errors import InputError, MienError

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


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """One check: what it looks for, and how."""

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
"""Name → check, in the order in which they run."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckResult:
    """What came of one check.

    Attributes:
        check: a key of `CHECKS`.
        section: what it says; None where it could not run.
        why: it could not run; "" where it did.
        seconds: it took, by the clock.
        cpu_seconds: of processor time it took, on all cores together.
        by_split: images concerned in each split and in all; None for a check about the whole dataset.
    """

    check: str
    section: CheckReport | None
    why: str
    seconds: float
    cpu_seconds: float
    by_split: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """The report on one dataset."""

    prepared: Dataset
    settings: AuditOptions
    outcomes: tuple[CheckResult, ...]
    peak_mb: float | None

    def __getitem__(self, check: str) -> CheckReport:
        """What one check says; raises `InputError` where it did not run."""
        for outcome in self.outcomes:
            if outcome.check == check and outcome.section is not None:
                return outcome.section
        why = next((outcome.why for outcome in self.outcomes if outcome.check == check), "it was not asked for")
        raise InputError(f"the check {check!r} did not run: {why}")

    def to_dict(self, *, findings: bool = True) -> dict[str, Any]:
        """JSON-ready; without ``findings`` the counts alone, which stay small however large the dataset."""
        prepared = self.prepared
        subject = AuditContext.of(prepared)
        return {
            "dataset": prepared.info.name,
            "source": prepared.info.source,
            "notes": list(prepared.info.notes),
            "sha256": prepared.sha256(),
            "images": {**{s: int((prepared.split == s).sum()) for s in SPLITS}, "total": len(prepared)},
            "size": list(prepared.size),
            "channels": prepared.channels,
            "settings": asdict(self.settings),
            "seconds": round(sum(outcome.seconds for outcome in self.outcomes), 2),
            "cpu_seconds": round(sum(outcome.cpu_seconds for outcome in self.outcomes), 2),
            "peak_mb": self.peak_mb,
            "checks": {one.check: _outcome(one, subject, findings) for one in self.outcomes},
        }


def audit_dataset(
    prepared: Dataset,
    checks: Sequence[str] | None = None,
    settings: AuditOptions | None = None,
    *,
    judge: LabelModel | None = None,
    sees: Sees | None = None,
    said: Callable[[str], None] = lambda check: None,
) -> AuditReport:
    """Look a dataset over.

    Args:
        prepared: the dataset.
        checks: keys of `CHECKS`; None is all of them.
        settings: thresholds.
        judge: whose probabilities the check "labels" uses; None trains a simple classifier by cross-validation.
        sees: tells whether a picture shows a face, for the check "faceless".
        said: called with the name of each check before it runs.

    Raises:
        InputError: an unknown check, thresholds that make no sense, or a dataset without images.
    """
    chosen = tuple(CHECKS) if checks is None else tuple(name for name in CHECKS if name in checks)
    unknown = [name for name in checks or () if name not in CHECKS]
    if unknown or not chosen:
        raise InputError(f"no check {unknown[0] if unknown else '(none given)'!r}: there are {', '.join(CHECKS)}")
    numbers = settings or AuditOptions()
    if not 0 <= numbers.bits <= 32 or not 0.5 <= numbers.similarity <= 1:
        raise InputError("hashes of one photo may differ in 0 to 32 bits, and its similarity is 0.5 to 1")
    if not len(prepared):
        raise InputError(f"{prepared.info.name} holds no images: there is nothing to look over")
    subject = AuditContext(prepared, numbers, judge, sees)
    subject.near_wanted = "near" in chosen
    outcomes = []
    for name in chosen:
        said(name)
        start, cpu = time.perf_counter(), time.process_time()
        section, why = None, ""
        try:
            section = CHECKS[name].run(subject)
        except MienError as error:
            why = str(error)
            # a search that failed once would only fail again
            subject.near_wanted &= name != "near"
        flagged = None if section is None else section.flagged
        by_split = None if flagged is None else subject.by_split(flagged)
        spent = time.perf_counter() - start, time.process_time() - cpu
        outcomes.append(CheckResult(name, section, why, *spent, by_split))
    return AuditReport(prepared, numbers, tuple(outcomes), _peak_mb())


def _peak_mb() -> float | None:
    """Most memory that the process held so far, where the system tells."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1e6 if sys.platform == "darwin" else 1e3), 1)


def _plain(value: Any) -> Any:
    """Floats at six digits: more would only look exact."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _outcome(outcome: CheckResult, subject: AuditContext, findings: bool) -> dict[str, Any]:
    about = {"title": CHECKS[outcome.check].title, "cpu_seconds": round(outcome.cpu_seconds, 2)}
    if outcome.section is None:
        return {**about, "ran": False, "why": outcome.why}
    section = outcome.section
    out = {**about, "ran": True, "images": outcome.by_split, "says": list(section.lines), **_plain(section.figures)}
    return {**out, "findings": [_finding(one, subject) for one in section.findings]} if findings else out


def _finding(finding: AuditFinding, subject: AuditContext) -> dict[str, Any]:
    prepared, index = subject.prepared, list(finding.index)
    out: dict[str, Any] = {"rows": prepared.row[index].tolist(), "splits": prepared.split[index].tolist()}
    if subject.labels is not None:
        out["labels"] = [subject.label(i) for i in index]
    return {**out, **_plain(finding.facts)}
