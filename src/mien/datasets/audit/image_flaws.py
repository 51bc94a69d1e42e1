"""Pictures of one brightness, blurred ones, and those that show no face."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditFinding, CheckReport, count_text
from mien.datasets.cleaning import contrast, not_a_face_votes, sharpness
from mien.errors import InputError

_QUANTILES = (1, 5, 25, 50, 75)


def check_constant_images(subject: AuditContext) -> CheckReport:
    """Pictures of one brightness."""
    numbers, least = contrast(subject.prepared), subject.settings.constant
    lines = (_how_many(numbers < least, "picture", f"of one brightness (standard deviation below {least:g})"),)
    return _below(subject, numbers, least, "standard_deviation", lines)


def check_blurred_images(subject: AuditContext) -> CheckReport:
    """Blurred or faint pictures, all measured at 48×48 pixels, for which the threshold was chosen."""
    small = replace(subject.prepared, images=np.ascontiguousarray(subject.gray[..., None]))
    numbers, least = sharpness(small), subject.settings.blur
    lines = (
        _how_many(numbers < least, "blurred or faint picture", f"(variance of the Laplacian below {least:g} at 48×48)"),
    )
    return _below(subject, numbers, least, "sharpness", lines)


def check_faces(subject: AuditContext) -> CheckReport:
    """Pictures in which raters or a detector saw no face."""
    prepared = subject.prepared
    reasons: dict[str, NDArray[np.bool_]] = {}
    if prepared.votes is not None:
        reasons["raters"] = np.asarray(not_a_face_votes(prepared) >= subject.settings.not_a_face, np.bool_)
    if prepared.found is not None:
        reasons["when_cropped"] = ~prepared.found
    if subject.sees is not None:
        reasons["detector"] = ~_seen(prepared.images, subject.sees)
    if not reasons:
        raise InputError("no FER+ votes, and nothing says in which pictures a face was found: give --detector mtcnn")
    says = {
        "raters": "raters say so",
        "when_cropped": "none was found when the faces were cut out",
        "detector": "a detector finds none",
    }
    flagged = np.any(list(reasons.values()), axis=0)
    lines = [_how_many(flagged, "picture", "without a face")]
    if len(reasons) > 1:
        lines += [f"{count_text(int(mask.sum()), 'picture')}: {says[name]}." for name, mask in reasons.items()]
    figures = {name: int(mask.sum()) for name, mask in reasons.items()}
    findings = []
    for i in np.flatnonzero(flagged).tolist():
        why = [name for name, mask in reasons.items() if mask[i]]
        text = ", ".join(says[name] for name in why)
        findings.append(AuditFinding((i,), f"{prepared.split[i]} {prepared.row[i]}: {text}", {"by": why}))
    findings.sort(key=lambda finding: -len(finding.facts["by"]))
    return CheckReport(tuple(lines), figures, flagged, tuple(findings))


def _seen(images: NDArray[np.uint8], sees: Any) -> NDArray[np.bool_]:
    gray = images.shape[3] == 1
    return np.array([sees(np.repeat(image, 3, axis=2) if gray else image) for image in images], np.bool_)


def _below(
    subject: AuditContext, numbers: NDArray[np.floating], least: float, name: str, lines: tuple[str, ...]
) -> CheckReport:
    flagged = np.asarray(numbers < least, np.bool_)
    order = np.flatnonzero(flagged)[np.argsort(numbers[flagged], kind="stable")]
    prepared = subject.prepared
    findings = tuple(
        AuditFinding(
            (i,), f"{prepared.split[i]} {prepared.row[i]}: {numbers[i]:.1f}", {name: round(float(numbers[i]), 2)}
        )
        for i in order.tolist()
    )
    quantiles = {f"{q} %": round(float(np.percentile(numbers, q)), 1) for q in _QUANTILES}
    return CheckReport(lines, {"threshold": least, "quantiles": quantiles}, flagged, findings)


def _how_many(mask: NDArray[np.bool_], what: str, rest: str) -> str:
    return f"{count_text(int(mask.sum()), what)} {rest}."
