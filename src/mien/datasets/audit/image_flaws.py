"""Images of one brightness, blurred ones, and those without a face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditFinding, CheckReport, count_text
from mien.datasets.quality_measures import contrast, detected_faces, not_a_face_votes, sharpness
from mien.errors import InputError

_QUANTILES = (1, 5, 25, 50, 75)


def check_constant_images(context: AuditContext) -> CheckReport:
    """Images of one brightness."""
    numbers, minimum = contrast(context.dataset), context.options.constant
    summary = _summary(numbers < minimum, "image", f"of one brightness (standard deviation below {minimum:g})")
    return _report_below(context, numbers, minimum, "standard_deviation", summary)


def check_blurred_images(context: AuditContext) -> CheckReport:
    """Blurred or faint images, all measured at 48×48 pixels, for which the threshold was chosen."""
    small = replace(context.dataset, images=np.ascontiguousarray(context.gray[..., None]))
    numbers, minimum = sharpness(small), context.options.blur
    what = "blurred or faint image"
    summary = _summary(numbers < minimum, what, f"(variance of the Laplacian below {minimum:g} at 48×48)")
    return _report_below(context, numbers, minimum, "sharpness", summary)


def check_faces(context: AuditContext) -> CheckReport:
    """Images in which raters or a detector found no face."""
    dataset = context.dataset
    masks: dict[str, NDArray[np.bool_]] = {}
    if dataset.votes is not None:
        masks["raters"] = np.asarray(not_a_face_votes(dataset) >= context.options.not_a_face, np.bool_)
    if dataset.found is not None:
        masks["when_cropped"] = ~dataset.found
    if context.has_face is not None:
        masks["detector"] = ~detected_faces(dataset, context.has_face)
    if not masks:
        raise InputError(
            "no FER+ votes, and the dataset does not record in which images a face was detected",
            advice="give --detector mien",
        )
    texts = {
        "raters": "raters found none",
        "when_cropped": "none was detected when the faces were cropped",
        "detector": "the detector found none",
    }
    flagged = np.any(list(masks.values()), axis=0)
    summary = [_summary(flagged, "image", "without a face")]
    if len(masks) > 1:
        summary += [f"{count_text(int(mask.sum()), 'image')}: {texts[name]}." for name, mask in masks.items()]
    figures = {name: int(mask.sum()) for name, mask in masks.items()}
    findings = []
    for i in np.flatnonzero(flagged).tolist():
        sources = [name for name, mask in masks.items() if mask[i]]
        text = ", ".join(texts[name] for name in sources)
        findings.append(AuditFinding((i,), f"{dataset.split[i]} {dataset.row[i]}: {text}", {"by": sources}))
    findings.sort(key=lambda finding: -len(finding.facts["by"]))
    return CheckReport(tuple(summary), figures, flagged, tuple(findings))


def _report_below(
    context: AuditContext, numbers: NDArray[np.floating], minimum: float, name: str, summary: str
) -> CheckReport:
    flagged = np.asarray(numbers < minimum, np.bool_)
    order = np.flatnonzero(flagged)[np.argsort(numbers[flagged], kind="stable")]
    dataset = context.dataset
    findings = tuple(
        AuditFinding(
            (i,), f"{dataset.split[i]} {dataset.row[i]}: {numbers[i]:.1f}", {name: round(float(numbers[i]), 2)}
        )
        for i in order.tolist()
    )
    quantiles = {f"{q} %": round(float(np.percentile(numbers, q)), 1) for q in _QUANTILES}
    return CheckReport((summary,), {"threshold": minimum, "quantiles": quantiles}, flagged, findings)


def _summary(mask: NDArray[np.bool_], what: str, rest: str) -> str:
    return f"{count_text(int(mask.sum()), what)} {rest}."
