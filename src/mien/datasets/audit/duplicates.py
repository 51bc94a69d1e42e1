"""The same picture more than once: exactly, nearly, and with another label."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np

from mien.datasets.audit.types import AuditContext, AuditFinding, AuditTable, CheckReport, count_text
from mien.datasets.dataset import SPLITS
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.near_duplicates import connected_groups
from mien.errors import InputError


def check_exact_duplicates(subject: AuditContext) -> CheckReport:
    """Images whose pixels stand in the dataset more than once, and above all in training and evaluation."""
    prepared = subject.prepared
    several = [rows for rows in subject.copies if len(rows) > 1]
    several.sort(key=lambda rows: (-len(set(prepared.split[rows].tolist())), -len(rows), int(rows[0])))
    flagged = subject.mask(np.concatenate(several) if several else [])
    across = sum(len(set(prepared.split[rows].tolist())) > 1 for rows in several)
    from_train = subject.by_split(leaked_rows(prepared))
    distinct = len(subject.first)
    lines = [f"{count_text(distinct, 'distinct image')} of {len(prepared):,}."]
    if several:
        lines.append(
            f"{count_text(int(flagged.sum()), 'image')} in {count_text(len(several), 'group')} of equal pixels; "
            f"{count_text(across, 'group')} across splits."
        )
    if from_train["total"]:
        lines.append(f"Also in train: {_held_out(from_train)}.")
    findings = tuple(AuditFinding(tuple(rows.tolist()), _places(subject, rows.tolist())) for rows in several)
    figures = {
        "distinct": distinct,
        "superfluous": len(prepared) - distinct,
        "groups": len(several),
        "groups_across_splits": across,
        "largest_group": max(map(len, several), default=0),
        "also_in_train": from_train,
    }
    return CheckReport(tuple(lines), figures, flagged, findings)


def check_near_duplicates(subject: AuditContext) -> CheckReport:
    """Images that show the same photo with other pixels."""
    pairs, split = subject.pairs, subject.prepared.split
    found: list[tuple[tuple[Any, ...], AuditFinding]] = []
    flagged, from_train = subject.mask([]), subject.mask([])
    in_train = np.array([bool((split[rows] == "train").any()) for rows in subject.copies], np.bool_)
    across = 0
    for a, b, bits, similarity, mirrored in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.bits, pairs.similarity, pairs.mirrored, strict=True
    ):
        one, other = subject.copies[a].tolist(), subject.copies[b].tolist()
        rows = [*one, *other]
        flagged[rows] = True
        for mine, its in ((one, b), (other, a)):
            if in_train[its]:
                from_train[mine] = True
        differ = len(set(split[rows].tolist())) > 1
        across += differ
        facts = {
            "images": [subject.prepared.row[one].tolist(), subject.prepared.row[other].tolist()],
            "bits": int(bits),
            "similarity": round(float(similarity), 4),
            "mirrored": bool(mirrored),
        }
        says = f"{_places(subject, one[:1])} ~ {_places(subject, other[:1])}, {similarity:.3f}"
        finding = AuditFinding(tuple(rows), says + (", mirrored" if mirrored else ""), facts)
        found.append(((not differ, -float(similarity), a, b), finding))
    found.sort(key=lambda item: item[0])
    # what stands in train pixel for pixel is the other check's
    new = subject.by_split(from_train & (split != "train") & ~leaked_rows(subject.prepared))
    members = connected_groups(len(subject.first), pairs.first, pairs.second)
    sizes = np.bincount(members, minlength=1)
    figures: dict[str, Any] = {
        "pairs": len(pairs),
        "mirrored_pairs": int(pairs.mirrored.sum()),
        "pairs_across_splits": across,
        "groups": int((sizes > 1).sum()),
        "largest_group": int(sizes.max()) if len(pairs) else 0,
        "near_train": new,
        "bits": subject.settings.bits,
        "similarity": subject.settings.similarity,
    }
    lines = ["No two distinct images are nearly the same."]
    if len(pairs):
        lines = [
            f"{count_text(len(pairs), 'pair')} of distinct images are nearly the same "
            f"({figures['mirrored_pairs']:,} mirrored), in {count_text(figures['groups'], 'group')}; "
            f"{count_text(across, 'pair')} across splits."
        ]
    if new["total"]:
        lines.append(f"Nearly the same as a training image, and not an exact copy of one: {_held_out(new)}.")
    return CheckReport(tuple(lines), figures, flagged, tuple(finding for _, finding in found))


def check_label_conflicts(subject: AuditContext) -> CheckReport:
    """Copies, exact and near, that carry different labels."""
    if subject.labels is None:
        raise InputError("the dataset has neither emotions nor ages that could contradict")
    codes, names = subject.labels[1], subject.labels[2]
    confused: Counter[tuple[int, int]] = Counter()
    findings, near_findings = [], []
    flagged, near_flagged = subject.mask([]), subject.mask([])
    same = all_pairs = rated_alike = 0
    votes = subject.prepared.votes
    multiple = [rows for rows in subject.copies if len(rows) > 1]
    for rows in multiple:
        present = np.unique(codes[rows]).tolist()
        all_pairs += len(rows) * (len(rows) - 1) // 2
        same += _equal_pairs(codes[rows])
        rated_alike += 0 if votes is None else _equal_pairs(np.unique(votes[rows], axis=0, return_inverse=True)[1])
        if len(present) > 1:
            confused.update(combinations(present, 2))
            flagged[rows] = True
            facts = {"kind": "exact"}
            findings.append(AuditFinding(tuple(rows.tolist()), _places(subject, rows.tolist()), facts))
    near_pairs = 0
    if subject.near_wanted:
        for k, (a, b) in enumerate(zip(subject.pairs.first.tolist(), subject.pairs.second.tolist(), strict=True)):
            one, other = subject.copies[a], subject.copies[b]
            labels = set(codes[one].tolist()) ^ set(codes[other].tolist())
            if not labels:
                continue
            near_pairs += 1
            for left in np.unique(codes[one]).tolist():
                confused.update((min(left, right), max(left, right)) for right in set(codes[other].tolist()) - {left})
            rows = np.concatenate([one, other])
            near_flagged[rows] = True
            similarity = float(subject.pairs.similarity[k])
            # of each side one copy a label: it may be another copy than the first that contradicts
            sides = (rows[np.unique(codes[rows], return_index=True)[1]] for rows in (one, other))
            says = " ~ ".join(_places(subject, side.tolist()) for side in sides) + f", {similarity:.3f}"
            near_facts: dict[str, Any] = {"kind": "near", "similarity": round(similarity, 4)}
            near_findings.append((-similarity, AuditFinding(tuple(rows.tolist()), says, near_facts)))
    near_findings.sort(key=lambda item: (item[0], item[1].index))
    findings.sort(key=lambda finding: (-len(finding.index), finding.index))
    figures: dict[str, Any] = {
        "exact_groups": len(findings),
        "exact_images": int(flagged.sum()),
        "exact_copies_with_the_same_label": same / all_pairs if all_pairs else None,
    }
    lines = [
        f"Different labels on {count_text(len(findings), 'group')} of exact copies "
        f"({count_text(figures['exact_images'], 'image')}).",
    ]
    if subject.near_wanted:
        figures |= {"near_pairs": near_pairs, "near_images": int(near_flagged.sum())}
        lines.append(
            f"Different labels on {count_text(near_pairs, 'pair')} of near duplicates "
            f"({count_text(figures['near_images'], 'image')})."
        )
    else:
        lines.append("Near duplicates were not looked at: the check 'near' is left out.")
    if all_pairs:
        lines.append(f"Two exact copies carry the same label in {same / all_pairs:.1%} of {all_pairs:,} cases.")
    if votes is not None and all_pairs:
        figures["exact_copies_with_the_same_votes"] = rated_alike / all_pairs
    if subject.near_wanted:
        told = _near_agreement(subject, codes)
        figures |= told
        if told["near_copies_with_the_same_label"] is not None:
            lines.append(f"Two near duplicates carry the same label in {told['near_copies_with_the_same_label']:.1%}.")
        if told.get("near_copies_with_the_same_first_choice") is not None:
            lines.append(
                "FER+ raters, who saw both, make the same first choice in "
                f"{told['near_copies_with_the_same_first_choice']:.1%}."
            )
    pairs = [(names[a], names[b], count) for (a, b), count in confused.most_common()]
    figures["labels"] = [{"labels": [a, b], "count": count} for a, b, count in pairs]
    grid = AuditTable("labels that meet on one photo", ("one", "other", "count"), tuple(pairs))
    everything = (*findings, *(finding for _, finding in near_findings))
    return CheckReport(tuple(lines), figures, flagged | near_flagged, everything, (grid,) if pairs else ())


def _near_agreement(subject: AuditContext, codes: np.ndarray[Any, Any]) -> dict[str, float | None]:
    """How often both of a pair of near duplicates (the first copy of each) get one label, and one first choice."""
    one, other = subject.first[subject.pairs.first], subject.first[subject.pairs.second]

    def share(values: np.ndarray[Any, Any]) -> float | None:
        return float((values[one] == values[other]).mean()) if len(one) else None

    out = {"near_copies_with_the_same_label": share(codes)}
    votes = subject.prepared.votes
    if votes is not None:
        out["near_copies_with_the_same_first_choice"] = share(votes.argmax(axis=1))
    return out


def _equal_pairs(values: np.ndarray[Any, Any]) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _held_out(counts: dict[str, int]) -> str:
    return " and ".join(f"{counts[split]:,} {split}" for split in SPLITS if split != "train" and counts[split])


def _places(subject: AuditContext, index: list[int], most: int = 6) -> str:
    """``train 12 (happy), test 7 (sad)``: split, row in the source, label."""
    told = []
    for i in index[:most]:
        label = subject.label(i)
        told.append(f"{subject.prepared.split[i]} {subject.prepared.row[i]}" + (f" ({label})" if label else ""))
    return ", ".join(told) + (f" and {len(index) - most} more" if len(index) > most else "")
