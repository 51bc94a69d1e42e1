"""Runs the checks of an audit one after the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from mien.datasets.audit.checks import CHECKS
from mien.datasets.audit.report import AuditReport, CheckResult
from mien.datasets.audit.types import AuditContext, AuditOptions, LabelModel
from mien.datasets.dataset import Dataset
from mien.datasets.quality_measures import FaceCheck
from mien.errors import InputError, MienError


def audit_dataset(
    dataset: Dataset,
    checks: Sequence[str] | None = None,
    options: AuditOptions | None = None,
    *,
    label_model: LabelModel | None = None,
    has_face: FaceCheck | None = None,
    progress: Callable[[str], None] = lambda check: None,
) -> AuditReport:
    """Check a dataset; nothing is changed.

    A check that cannot run reports the reason, and the others run.

    Args:
        dataset: the dataset.
        checks: keys of `CHECKS`; None is all of them.
        options: thresholds.
        label_model: predictions for the check "labels"; None trains a simple classifier by cross-validation.
        has_face: detects a face in an image, for the check "faceless".
        progress: called with the name of each check before it runs.

    Raises:
        InputError: an unknown check, thresholds out of range, or a dataset without images.

    Examples:
        >>> audit = audit_dataset(dataset, ["exact", "constant"])
        >>> [(one.title, one.by_split["total"]) for one in audit.results]
        [('exact duplicates', 0), ('one brightness', 0)]
    """
    selected = tuple(CHECKS) if checks is None else tuple(name for name in CHECKS if name in checks)
    unknown = [name for name in checks or () if name not in CHECKS]
    if unknown or not selected:
        raise InputError(f"no check {unknown[0] if unknown else '(none given)'!r}: there are {', '.join(CHECKS)}")
    options = options or AuditOptions()
    if not 0 <= options.bits <= 32 or not 0.5 <= options.similarity <= 1:
        raise InputError("bits must be 0 to 32 and similarity 0.5 to 1")
    if not len(dataset):
        raise InputError(f"{dataset.info.name} holds no images to check")
    context = AuditContext(dataset, options, label_model, has_face)
    context.near_duplicates_wanted = "near" in selected
    results = []
    for name in selected:
        progress(name)
        start, cpu_start = time.perf_counter(), time.process_time()
        report, reason = None, ""
        try:
            report = CHECKS[name].run(context)
        except MienError as error:
            reason = str(error)
            # a search that failed once would only fail again
            context.near_duplicates_wanted &= name != "near"
        flagged = None if report is None else report.flagged
        by_split = None if flagged is None else context.by_split(flagged)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        results.append(CheckResult(name, CHECKS[name].title, report, reason, seconds, cpu_seconds, by_split))
    return AuditReport(dataset, options, tuple(results), _peak_mb())


def _peak_mb() -> float | None:
    """Peak memory of the process so far; None where the system does not report it."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
