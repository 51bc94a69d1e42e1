"""The same image more than once: exactly, nearly, and with another label."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.audit.types import AuditContext, AuditFinding, AuditTable, CheckReport, count_text
from mien.datasets.dataset import SPLITS
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.near_duplicates import connected_groups
from mien.errors import InputError
from mien.text import percent


def check_exact_duplicates(context: AuditContext) -> CheckReport:
    """Images with equal pixels, and above all those in both training and evaluation."""
    dataset = context.dataset
    groups = [rows for rows in context.copies if len(rows) > 1]
    groups.sort(key=lambda rows: (-len(set(dataset.split[rows].tolist())), -len(rows), int(rows[0])))
    flagged = context.mask(np.concatenate(groups) if groups else [])
    across = sum(len(set(dataset.split[rows].tolist())) > 1 for rows in groups)
    in_train = context.by_split(leaked_rows(dataset))
    distinct = len(context.first_copies)
    summary = [f"{count_text(distinct, 'distinct image')} of {len(dataset):,}."]
    if groups:
        summary.append(
            f"{count_text(int(flagged.sum()), 'image')} in {count_text(len(groups), 'group')} of equal pixels; "
            f"{count_text(across, 'group')} across splits."
        )
    if in_train["total"]:
        summary.append(f"Also in train: {_held_out_text(in_train)}.")
    findings = tuple(AuditFinding(tuple(rows.tolist()), _describe(context, rows.tolist())) for rows in groups)
    figures = {
        "distinct": distinct,
        "superfluous": len(dataset) - distinct,
        "groups": len(groups),
        "groups_across_splits": across,
        "largest_group": max(map(len, groups), default=0),
        "also_in_train": in_train,
    }
    return CheckReport(tuple(summary), figures, flagged, findings)


def check_near_duplicates(context: AuditContext) -> CheckReport:
    """Images of the same photo with other pixels."""
    pairs, split = context.near_pairs, context.dataset.split
    ranked: list[tuple[tuple[Any, ...], AuditFinding]] = []
    flagged, near_train = context.mask([]), context.mask([])
    train_holds = np.array([bool((split[rows] == "train").any()) for rows in context.copies], np.bool_)
    across = 0
    for a, b, bits, similarity, mirrored in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.bits, pairs.similarity, pairs.mirrored, strict=True
    ):
        first, second = context.copies[a].tolist(), context.copies[b].tolist()
        rows = [*first, *second]
        flagged[rows] = True
        for copies, other in ((first, b), (second, a)):
            if train_holds[other]:
                near_train[copies] = True
        splits_differ = len(set(split[rows].tolist())) > 1
        across += splits_differ
        facts = {
            "images": [context.dataset.row[first].tolist(), context.dataset.row[second].tolist()],
            "bits": int(bits),
            "similarity": round(float(similarity), 4),
            "mirrored": bool(mirrored),
        }
        text = f"{_describe(context, first[:1])} ~ {_describe(context, second[:1])}, {similarity:.3f}"
        finding = AuditFinding(tuple(rows), text + (", mirrored" if mirrored else ""), facts)
        ranked.append(((not splits_differ, -float(similarity), a, b), finding))
    ranked.sort(key=lambda item: item[0])
    # exact copies of training images belong to the other check
    new = context.by_split(near_train & (split != "train") & ~leaked_rows(context.dataset))
    sizes = np.bincount(connected_groups(len(context.first_copies), pairs.first, pairs.second), minlength=1)
    figures: dict[str, Any] = {
        "pairs": len(pairs),
        "mirrored_pairs": int(pairs.mirrored.sum()),
        "pairs_across_splits": across,
        "groups": int((sizes > 1).sum()),
        "largest_group": int(sizes.max()) if len(pairs) else 0,
        "near_train": new,
        "bits": context.options.bits,
        "similarity": context.options.similarity,
    }
    summary = ["No two distinct images are nearly the same."]
    if len(pairs):
        summary = [
            f"{count_text(len(pairs), 'pair')} of distinct images are nearly the same "
            f"({figures['mirrored_pairs']:,} mirrored), in {count_text(figures['groups'], 'group')}; "
            f"{count_text(across, 'pair')} across splits."
        ]
    if new["total"]:
        summary.append(f"Nearly the same as a training image, and not an exact copy of one: {_held_out_text(new)}.")
    return CheckReport(tuple(summary), figures, flagged, tuple(finding for _, finding in ranked))


def check_label_conflicts(context: AuditContext) -> CheckReport:
    """Copies, exact and near, with different labels."""
    if context.labels is None:
        raise InputError("the dataset has neither emotions nor ages that could contradict")
    _, codes, names = context.labels
    votes = context.dataset.votes
    confused: Counter[tuple[int, int]] = Counter()
    findings = []
    flagged = context.mask([])
    same_label = all_pairs = same_votes = 0
    for rows in (rows for rows in context.copies if len(rows) > 1):
        present = np.unique(codes[rows]).tolist()
        all_pairs += len(rows) * (len(rows) - 1) // 2
        same_label += _count_equal_pairs(codes[rows])
        if votes is not None:
            same_votes += _count_equal_pairs(np.unique(votes[rows], axis=0, return_inverse=True)[1])
        if len(present) > 1:
            confused.update(combinations(present, 2))
            flagged[rows] = True
            text = _describe(context, rows.tolist())
            findings.append(AuditFinding(tuple(rows.tolist()), text, {"kind": "exact"}))
    near_findings = _near_conflicts(context, codes, confused) if context.near_duplicates_wanted else []
    near_flagged = context.mask([i for finding in near_findings for i in finding.index])
    findings.sort(key=lambda finding: (-len(finding.index), finding.index))
    figures: dict[str, Any] = {
        "exact_groups": len(findings),
        "exact_images": int(flagged.sum()),
        "exact_copies_with_the_same_label": same_label / all_pairs if all_pairs else None,
    }
    summary = [
        f"Different labels on {count_text(len(findings), 'group')} of exact copies "
        f"({count_text(figures['exact_images'], 'image')}).",
    ]
    if context.near_duplicates_wanted:
        figures |= {"near_pairs": len(near_findings), "near_images": int(near_flagged.sum())}
        summary.append(
            f"Different labels on {count_text(len(near_findings), 'pair')} of near duplicates "
            f"({count_text(figures['near_images'], 'image')})."
        )
    else:
        summary.append("Near duplicates were not compared: the check 'near' is left out.")
    if all_pairs:
        summary.append(
            f"Two exact copies have the same label in {percent(same_label / all_pairs)} of {all_pairs:,} cases."
        )
    if votes is not None and all_pairs:
        figures["exact_copies_with_the_same_votes"] = same_votes / all_pairs
    if context.near_duplicates_wanted:
        agreement = _near_agreement(context, codes)
        figures |= agreement
        if agreement["near_copies_with_the_same_label"] is not None:
            summary.append(
                f"Two near duplicates have the same label in {percent(agreement['near_copies_with_the_same_label'])}."
            )
        if agreement.get("near_copies_with_the_same_first_choice") is not None:
            summary.append(
                "FER+ raters, who rated both, make the same first choice in "
                f"{percent(agreement['near_copies_with_the_same_first_choice'])}."
            )
    pairs = [(names[a], names[b], count) for (a, b), count in confused.most_common()]
    figures["labels"] = [{"labels": [a, b], "count": count} for a, b, count in pairs]
    table = AuditTable("labels that meet on one photo", ("one", "other", "count"), tuple(pairs))
    everything = (*findings, *near_findings)
    return CheckReport(tuple(summary), figures, flagged | near_flagged, everything, (table,) if pairs else ())


def _near_conflicts(
    context: AuditContext, codes: NDArray[np.int64], confused: Counter[tuple[int, int]]
) -> list[AuditFinding]:
    """Pairs of near duplicates with different labels, the most similar first; counts their labels in ``confused``."""
    found = []
    pairs = context.near_pairs
    for k, (a, b) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        first, second = context.copies[a], context.copies[b]
        if not set(codes[first].tolist()) ^ set(codes[second].tolist()):
            continue
        for left in np.unique(codes[first]).tolist():
            confused.update((min(left, right), max(left, right)) for right in set(codes[second].tolist()) - {left})
        rows = np.concatenate([first, second])
        similarity = float(pairs.similarity[k])
        # one copy per label of each side: it may be another copy than the first that contradicts
        sides = (rows[np.unique(codes[rows], return_index=True)[1]] for rows in (first, second))
        text = " ~ ".join(_describe(context, side.tolist()) for side in sides) + f", {similarity:.3f}"
        facts: dict[str, Any] = {"kind": "near", "similarity": round(similarity, 4)}
        found.append((-similarity, AuditFinding(tuple(rows.tolist()), text, facts)))
    found.sort(key=lambda item: (item[0], item[1].index))
    return [finding for _, finding in found]


def _near_agreement(context: AuditContext, codes: NDArray[np.int64]) -> dict[str, float | None]:
    """How often both of a pair of near duplicates (the first copy of each) have one label, and one first choice."""
    first = context.first_copies[context.near_pairs.first]
    second = context.first_copies[context.near_pairs.second]

    def share(values: NDArray[Any]) -> float | None:
        return float((values[first] == values[second]).mean()) if len(first) else None

    out = {"near_copies_with_the_same_label": share(codes)}
    votes = context.dataset.votes
    if votes is not None:
        out["near_copies_with_the_same_first_choice"] = share(votes.argmax(axis=1))
    return out


def _count_equal_pairs(values: NDArray[Any]) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _held_out_text(counts: dict[str, int]) -> str:
    return " and ".join(f"{counts[split]:,} {split}" for split in SPLITS if split != "train" and counts[split])


def _describe(context: AuditContext, index: list[int], limit: int = 6) -> str:
    """``train 12 (happy), test 7 (sad)``: split, row in the source, label."""
    parts = []
    for i in index[:limit]:
        label = context.label_name(i)
        parts.append(f"{context.dataset.split[i]} {context.dataset.row[i]}" + (f" ({label})" if label else ""))
    return ", ".join(parts) + (f" and {len(index) - limit} more" if len(index) > limit else "")
