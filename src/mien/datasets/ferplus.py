"""FER+ (Barsoum et al. 2016, https://arxiv.org/abs/1608.01041): ten raters' votes for each row of FER2013.

``fer2013new.csv`` belongs to ``fer2013.csv`` by row; its image names are not row numbers. `vote_targets` turns votes
into training targets; which rows a rule keeps is part of the rule.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.row_location import DAMAGED, RowLocation
from mien.datasets.text_tables import GET_AGAIN
from mien.errors import DataError, InputError, MissingFileError
from mien.labels import FER2013, FERPLUS, FERPLUS_7, FERPLUS_COLUMNS, Taxonomy
from mien.text import percent

TargetRule = Literal["majority", "crossentropy", "distribution"]
"""How votes become a target; see `vote_targets`."""
TARGET_RULES: tuple[TargetRule, ...] = get_args(TargetRule)

VOTE_NAMES: tuple[str, ...] = (*FERPLUS.names, *FERPLUS_COLUMNS[len(FERPLUS) :])
"""Names of the vote columns, the emotions in Mien's spelling."""

_EMOTIONS = len(FERPLUS)
_UNKNOWN, NOT_A_FACE_COLUMN = FERPLUS_COLUMNS.index("unknown"), FERPLUS_COLUMNS.index("NF")
_CONTEMPT = FERPLUS_COLUMNS.index("contempt")
_MAX_VOTES = 100
_MIN_ROWS = 500
_MIN_AGREEMENT = 0.4
_SOURCE = "get fer2013new.csv from github.com/microsoft/FERPlus"

NOT_A_FACE = "not a face wins the vote"
UNKNOWN = "unknown wins the vote"
CONTEMPT = "contempt wins the vote"
NO_VOTES = "no votes left"
NO_MAJORITY = "no majority"
SCATTERED = "votes too scattered"
DROP_REASONS = (NOT_A_FACE, UNKNOWN, CONTEMPT, NO_VOTES, NO_MAJORITY, SCATTERED)
"""Why a rule drops a row."""


class VoteTargets(NamedTuple):
    """Training targets from votes.

    Attributes:
        targets: ``(n, classes)`` float32, rows sum to 1; all zeros where the row is dropped.
        keep: ``(n,)`` bool.
        reasons: ``(n,)`` str, one of `DROP_REASONS`; "" where the row is kept.
    """

    targets: NDArray[np.float32]
    keep: NDArray[np.bool_]
    reasons: NDArray[np.str_]

    @property
    def taxonomy(self) -> Taxonomy:
        """Names of the columns of ``targets``."""
        return FERPLUS if self.targets.shape[1] == len(FERPLUS) else FERPLUS_7


def read_votes(path: str | os.PathLike[str]) -> NDArray[np.int8]:
    """Read ``fer2013new.csv``.

    Args:
        path: the file.

    Returns:
        ``(n, 10)`` int8 votes in the order of `mien.labels.FERPLUS_COLUMNS`.

    Raises:
        MissingFileError: no such file.
        DataError: a column is missing, or a vote is no whole number from 0 to 100; ``details`` holds the row.
    """
    source = Path(path)
    if not source.is_file():
        raise MissingFileError("no such file", path=source, advice=_SOURCE)
    with source.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = csv.reader(stream)
        try:
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in FERPLUS_COLUMNS if name not in header]
            if missing:
                raise DataError(
                    f"no column {missing[0]!r}",
                    path=source,
                    advice=f"expected fer2013new.csv with {','.join(FERPLUS_COLUMNS)}",
                )
            columns = [header.index(name) for name in FERPLUS_COLUMNS]
            table = [_parse_votes(RowLocation(source, i, i + 1), row, columns) for i, row in enumerate(rows, 1)]
        except csv.Error as error:
            raise RowLocation(source, line=rows.line_num).error(str(error), advice=GET_AGAIN, code=DAMAGED) from None
    if not table:
        raise DataError("no rows below the header", path=source, advice=_SOURCE)
    return np.array(table, np.int8)


def join_votes(dataset: Dataset, votes: NDArray[np.int8]) -> Dataset:
    """FER2013 with the votes of FER+: row i of ``votes`` belongs to the image whose ``row`` is i.

    Args:
        dataset: FER2013 as its CSV orders it.
        votes: ``(n, 10)`` int8, as `read_votes` returns them.

    Raises:
        DataError: the votes are not of this dataset: another number of rows, or images without a row of the CSV.
    """
    if dataset.info.name != "fer2013":
        raise DataError(
            f"FER+ votes belong to the rows of FER2013's CSV, and this is {dataset.info.name}",
            advice="give fer2013.csv, which alone keeps the original order",
        )
    if len(votes) != len(dataset):
        raise DataError(
            f"{len(votes)} rows of FER+ votes for {len(dataset)} images",
            advice="votes are joined by row, so both files must be complete and in their original order",
        )
    if not np.array_equal(dataset.row, np.arange(len(dataset))):
        raise DataError("FER+ votes are joined by row, and rows are missing or moved", advice="join the votes first")
    _same_order(dataset, votes)
    return replace(
        dataset,
        votes=np.ascontiguousarray(votes, np.int8),
        info=replace(dataset.info, source=f"{dataset.info.source}; FER+ votes"),
    )


def apply_target_rule(dataset: Dataset, rule: TargetRule, classes: int = 8) -> Dataset:
    """The rows that a rule keeps, the others counted by reason in ``info.dropped``; see `vote_targets`.

    Raises:
        InputError: the dataset has no votes, or an unknown rule.
    """
    if dataset.votes is None:
        raise InputError(f"{dataset.info.name} has no FER+ votes", advice="give fer2013new.csv as well")
    kept = dataset.drop(vote_targets(dataset.votes, rule, classes).reasons)
    return kept.with_note(f"rows kept by the FER+ rule {rule} with {classes} classes")


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """One of the ways in which publications turn FER+ votes into the label that a network is scored on.

    Attributes:
        meaning: for people.
        classes: 8 emotions, or 7 without contempt.
        images: how many of FER2013's 3,589 test images it keeps.
    """

    meaning: str
    classes: int
    images: int


MAJORITY = "majority"
SCORING_RULES: Mapping[str, ScoringRule] = {
    MAJORITY: ScoringRule("votes of 1 dropped, the largest count is more than half of what is left", 8, 3153),
    "majority-7": ScoringRule("the same without the images that contempt wins: the published list of 3,137", 7, 3137),
    "argmax": ScoringRule("the largest of the ten columns, the first of equal ones; unknown and NF dropped", 8, 3546),
    "argmax-untied": ScoringRule("the same without images in which two columns are the largest", 8, 3376),
    "emotions": ScoringRule("the largest of the eight emotions, whatever unknown and NF have", 8, 3573),
    "argmax-7": ScoringRule("argmax without the images that contempt wins", 7, 3519),
}
"""Name → rule. The same network scores several points more or less by the rule."""


def scoring_labels(votes: NDArray[np.integer], rule: str) -> NDArray[np.int64]:
    """``(n,)`` index of the label in `mien.labels.FERPLUS`, -1 for images that the rule leaves out.

    Args:
        votes: ``(n, 10)`` integers ≥ 0 in the order of `mien.labels.FERPLUS_COLUMNS`.
        rule: a key of `SCORING_RULES`.

    Raises:
        InputError: no such rule.
    """
    if rule not in SCORING_RULES:
        raise InputError(
            f"no FER+ protocol {rule!r}", advice=f"choose one of {', '.join(SCORING_RULES)}", code="protocol-unknown"
        )
    classes = SCORING_RULES[rule].classes
    if rule.startswith(MAJORITY):
        targets = vote_targets(votes, "majority", classes)
        return np.where(targets.keep, targets.targets.argmax(axis=1), -1).astype(np.int64)
    counts = votes[:, :_EMOTIONS] if rule == "emotions" else votes
    winner, largest = counts.argmax(axis=1), counts.max(axis=1, keepdims=True)
    keep = (largest[:, 0] > 0) & (winner < classes)
    if rule == "argmax-untied":
        keep &= (counts == largest).sum(axis=1) == 1
    return np.where(keep, winner, -1).astype(np.int64)


def vote_targets(votes: NDArray[np.integer], rule: TargetRule, classes: int = 8) -> VoteTargets:
    """Turn votes into targets.

    - "majority", the protocol of Barsoum et al.: counts of 1 become 0; a row is kept when its largest count is more
      than half of what is left and is an emotion; the target is one-hot. On FER2013 8 classes keep 25,060 / 3,199 /
      3,153 (train / validation / test).
    - "crossentropy", the training targets of the same authors: counts of 1 become 0; the largest counts are taken,
      equal ones together, until they cover 75 % of the votes or are three; a row is dropped when half or less is
      covered, when ties bring more than three, or when unknown or "not a face" comes first; the rest is normalised over
      the emotions.
    - "distribution": the votes for the emotions, normalised, with no removal of single votes; a row is dropped when
      nothing is left. With 7 classes on FER2013 it keeps 28,557 / 3,579 / 3,573.

    Args:
        votes: ``(n, 10)`` integers ≥ 0 in the order of `mien.labels.FERPLUS_COLUMNS`.
        rule: one of `TARGET_RULES`.
        classes: 8 emotions, or 7 without contempt: its votes are removed from the target, and a row that contempt
            wins (or, under "distribution", a row with no other votes) is dropped.

    Returns:
        Targets in the order of `mien.labels.FERPLUS` or `mien.labels.FERPLUS_7`, and which rows are kept.

    Raises:
        InputError: an unknown rule, another number of classes, or votes of another shape.
    """
    if votes.ndim != 2 or votes.shape[1] != len(FERPLUS_COLUMNS):
        raise InputError(f"votes must have the shape (n, {len(FERPLUS_COLUMNS)}), got {votes.shape}")
    if classes not in (7, 8):
        raise InputError(f"FER+ has 8 classes, or 7 without contempt, got {classes}")
    counts = votes.astype(np.int32)
    if counts.size and counts.min() < 0:
        raise InputError("votes must not be negative")
    if rule == "majority":
        weights, reasons = _majority(counts)
    elif rule == "crossentropy":
        weights, reasons = _crossentropy(counts)
    elif rule == "distribution":
        weights, reasons = counts[:, :_EMOTIONS], np.full(len(counts), "", _REASON)
        nothing = weights[:, :classes].sum(axis=1) == 0
        reasons[nothing] = _winner(counts)[nothing]
    else:
        raise InputError(f"unknown rule {rule!r}: expected one of {', '.join(TARGET_RULES)}")
    if classes == 7 and rule != "distribution":
        contempt = (weights.argmax(axis=1) == _CONTEMPT) & (reasons == "")
        reasons[contempt] = CONTEMPT
    keep = reasons == ""
    weights = np.where(keep[:, None], weights[:, :classes], 0).astype(np.float32)
    total = weights.sum(axis=1, keepdims=True)
    normalised = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return VoteTargets(normalised, keep, reasons)


_REASON = f"<U{max(len(reason) for reason in DROP_REASONS)}"


def _majority(counts: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
    left = np.where(counts > 1, counts, 0)
    largest, total = left.max(axis=1), left.sum(axis=1)
    reasons = np.where(2 * largest > total, _winner(left), NO_MAJORITY).astype(_REASON)
    reasons[total == 0] = NO_VOTES
    one_hot = (np.arange(_EMOTIONS) == left.argmax(axis=1)[:, None]).astype(np.int32)
    reasons[reasons == CONTEMPT] = ""
    return one_hot, reasons


def _crossentropy(counts: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
    left = np.where(counts > 1, counts, 0)
    total = left.sum(axis=1)
    taken = np.zeros_like(left)
    covered = np.zeros(len(left), np.int32)
    rounds = np.zeros(len(left), np.int32)
    open_ = total > 0
    # each round takes at least one class and the rule stops at three, so three rounds are all there can be
    for _ in range(3):
        open_ &= (4 * covered < 3 * total) & (rounds < 3)
        largest = left.max(axis=1)
        ties = (left == largest[:, None]) & open_[:, None] & (largest > 0)[:, None]
        # the published code leaves the scan at the first of unknown and NF that ties
        ties[:, NOT_A_FACE_COLUMN] &= ~ties[:, _UNKNOWN]
        no_emotion = ties[:, _EMOTIONS:].any(axis=1)
        covered += (ties * left).sum(axis=1)
        taken += ties * left
        rounds += ties.sum(axis=1)
        left = np.where(ties, 0, left)
        behind = no_emotion & (taken[:, :_EMOTIONS].sum(axis=1) > 0)
        taken[behind, _EMOTIONS:] = 0
        rounds -= behind
        open_ &= ~no_emotion
    reasons = _winner(taken)
    reasons[reasons == CONTEMPT] = ""
    half = 2 * taken.sum(axis=1) <= total
    reasons[half | (rounds > 3)] = SCATTERED
    reasons[total == 0] = NO_VOTES
    return taken[:, :_EMOTIONS], reasons


def _winner(counts: NDArray[np.int32]) -> NDArray[np.str_]:
    """Why the largest count rules a row out; "" where an emotion other than contempt has it."""
    first = counts.argmax(axis=1)
    reasons = np.full(len(counts), "", _REASON)
    reasons[first == _CONTEMPT] = CONTEMPT
    reasons[first == _UNKNOWN] = UNKNOWN
    reasons[first == NOT_A_FACE_COLUMN] = NOT_A_FACE
    reasons[counts.sum(axis=1) == 0] = NO_VOTES
    return reasons


def _same_order(dataset: Dataset, votes: NDArray[np.int8]) -> None:
    """Refuse votes of shuffled rows: FER2013's label wins the vote in five rows of eight, by chance in one of six."""
    winner = votes[:, :_EMOTIONS].argmax(axis=1)
    names = np.array(FERPLUS.names)[winner]
    agreeing = int((np.array(FER2013.names)[dataset.emotion] == names).sum())
    if len(votes) >= _MIN_ROWS and agreeing < _MIN_AGREEMENT * len(votes):
        raise DataError(
            f"the FER+ votes agree with the labels in only {percent(agreeing / len(votes), digits=0)} of the rows: "
            "the two files are not in the same order",
            advice="get both again in their original order",
        )


def _parse_votes(where: RowLocation, cells: list[str], columns: list[int]) -> list[int]:
    if len(cells) <= max(columns):
        reason = f"{len(cells)} columns instead of {max(columns) + 1}"
        raise where.error(reason, advice=GET_AGAIN, code=DAMAGED)
    try:
        votes = [int(cells[column]) for column in columns]
    except ValueError as error:
        raise where.error(f"votes must be whole numbers ({error})", advice=GET_AGAIN, code=DAMAGED) from None
    if min(votes) < 0 or max(votes) > _MAX_VOTES:
        raise where.error(f"votes must be in 0–{_MAX_VOTES}, got {votes}", advice=GET_AGAIN, code=DAMAGED)
    return votes
