"""How far two codings agree: Cohen's kappa over time, weighted kappa, agreement per label, events within a tolerance.

Time is not cut into steps. The time axis is divided where either coding changes, and each piece counts with its length,
so that a matrix of confusion holds seconds. Intervals come from a bootstrap over blocks of time: neighbouring moments
are not independent, blocks of some seconds nearly are. A resample is a row of counts of blocks, and one matrix product
gives the matrices of all resamples.

Source:
    Cohen, J. (1960), A coefficient of agreement for nominal scales; Cohen, J. (1968), Weighted kappa. Künsch, H. R.
    (1989), The jackknife and the bootstrap for general stationary observations.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.errors import InputError, choose_one
from mien.exchange.coding import Coding, Interval, Tier
from mien.text import NONE

Float = NDArray[np.float64]
FEW_BLOCKS = 20
"""Blocks below which the intervals of a bootstrap are too narrow to rely on."""
_MOST_BLOCKS, _MOST_COUNTS = 200_000, 10_000_000
"""Blocks of all tiers, and counts in memory at once."""
_SHORT = 0.002
"""Seconds: differences of at most two milliseconds are those of rounded times."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; NaN where it is not defined.

    Attributes:
        value: of all the data.
        low: lower end.
        high: upper end.

    Examples:
        >>> Estimate(0.75, 0.6, 0.9).to_dict()
        {'value': 0.75, 'low': 0.6, 'high': 0.9}
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready values, None where nothing is defined."""
        return {
            name: None if math.isnan(one) else round(one, 6)
            for name, one in (("value", self.value), ("low", self.low), ("high", self.high))
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """A stretch of time in which the two codings have different labels.

    Attributes:
        pair: name of the pair of tiers.
        start: seconds.
        end: seconds.
        first: label of the first coding, `NONE` for none.
        second: label of the second.

    Examples:
        >>> Difference("face 1 emotion", 1.0, 1.5, "happy", "neutral").end
        1.5
    """

    pair: str
    start: float
    end: float
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """One label in both codings.

    Attributes:
        label: its name.
        agreement: twice the shared time over the sum of both times (Dice), 0–1.
        kappa: of this label against all others.
        seconds: time with this label in the first and in the second coding.
        events: number of events in the first and in the second coding, and matched ones.

    Examples:
        >>> from mien.exchange.coding import report_coding
        >>> coding = report_coding(report)
        >>> agreement = measure_agreement(pair_tiers(coding, coding, head="emotion"))
        >>> [(one.label, one.events) for one in agreement.per_label]
        [('happy', (1, 1, 1)), ('neutral', (1, 1, 1))]
    """

    label: str
    agreement: Estimate
    kappa: Estimate
    seconds: tuple[float, float]
    events: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """The agreement of two codings.

    Attributes:
        labels: in the order of rows and columns of ``confusion``.
        confusion: ``(k, k)`` seconds; rows are labels of the first coding, columns of the second.
        observed: share of the time with equal labels.
        kappa: Cohen's.
        weighted: "linear" and "quadratic" weighted kappa; empty for labels without an order.
        per_label: of each label that occurs.
        events: F1 of events that match within the tolerance: twice the matches over the number of events of both.
        onset_difference: median of the second onset minus the first of matched events, seconds; NaN without any.
        tolerance: seconds between two onsets of the same event.
        compared: seconds that were compared.
        only_first: seconds with a label in the first coding alone.
        only_second: seconds with a label in the second coding alone.
        differences: the longest first.
        pairs: names of the tiers that were compared.
        blocks: number of blocks that were resampled; intervals from less than `FEW_BLOCKS` are too narrow.

    Examples:
        >>> from mien.exchange.coding import report_coding
        >>> coding = report_coding(report)
        >>> agreement = measure_agreement(pair_tiers(coding, coding, head="emotion"))
        >>> agreement.observed.value, agreement.differences, round(agreement.compared, 2)
        (1.0, (), 2.0)
        >>> sorted(agreement.to_dict())[:4]
        ['blocks', 'confusion_seconds', 'differences', 'events']
    """

    labels: tuple[str, ...]
    confusion: Float
    observed: Estimate
    kappa: Estimate
    weighted: Mapping[str, Estimate]
    per_label: tuple[LabelAgreement, ...]
    events: Estimate
    onset_difference: float
    tolerance: float
    compared: float
    only_first: float
    only_second: float
    differences: tuple[Difference, ...]
    pairs: tuple[tuple[str, str], ...]
    blocks: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        onset = None if math.isnan(self.onset_difference) else round(self.onset_difference, 6)
        return {
            "labels": list(self.labels),
            "confusion_seconds": self.confusion.round(6).tolist(),
            "observed": self.observed.to_dict(),
            "kappa": self.kappa.to_dict(),
            "weighted_kappa": {name: one.to_dict() for name, one in self.weighted.items()},
            "per_label": {
                one.label: {
                    "agreement": one.agreement.to_dict(),
                    "kappa": one.kappa.to_dict(),
                    "seconds": [round(s, 6) for s in one.seconds],
                    "events": dict(zip(("first", "second", "matched"), one.events, strict=True)),
                }
                for one in self.per_label
            },
            "events": {"f1": self.events.to_dict(), "tolerance": self.tolerance, "onset_difference": onset},
            "seconds": {
                "compared": round(self.compared, 6),
                "only_first": round(self.only_first, 6),
                "only_second": round(self.only_second, 6),
            },
            "differences": [
                {"pair": d.pair, "start": d.start, "end": d.end, "first": d.first, "second": d.second}
                for d in self.differences
            ],
            "pairs": [list(pair) for pair in self.pairs],
            "blocks": self.blocks,
        }


def pair_tiers(
    first: Coding, second: Coding, *, head: str | None = None, pairs: Mapping[str, str] | None = None
) -> list[tuple[Tier, Tier]]:
    """The tiers that belong together.

    Args:
        first: a coding.
        second: another one of the same recording.
        head: compare this head alone; tiers without a head belong to any.
        pairs: name of a tier or subject of the first coding → that of the second. None pairs equal names, then tiers
            of one subject of which either has no head; where each coding has one tier, these.

    Raises:
        InputError: a head or a name that does not exist; no pair; a tier that belongs to two of one head.

    Examples:
        >>> mine = Coding("clip.mp4", (Tier("face 1", "emotion", (Interval(0.0, 1.0, "happy"),)),), 0.0, 1.0)
        >>> theirs = Coding("clip.mp4", (Tier("child", "", (Interval(0.0, 0.8, "happy"),)),), 0.0, 1.0)
        >>> [(one.name, other.name) for one, other in pair_tiers(mine, theirs)]
        [('face 1 emotion', 'child')]
    """
    mine, theirs = _of_head(first, head, "first"), _of_head(second, head, "second")
    if pairs:
        found = []
        for name, other in pairs.items():
            for one in _named(mine, name, "first"):
                matches = _named(theirs, other, "second")
                same = [match for match in matches if match.head == one.head] or matches
                found += [(one, match) for match in same]
        _refuse_doubles(found)
        return found
    equal = [(one, other) for one in mine for other in theirs if one.name.casefold() == other.name.casefold()]
    done = [tier for pair in equal for tier in pair]
    matched = equal + [
        (one, other)
        for one in mine
        for other in theirs
        if not any(tier is one or tier is other for tier in done) and _same(one, other)
    ]
    matched.sort(key=lambda pair: next(i for i, tier in enumerate(mine) if tier is pair[0]))
    _refuse_doubles(matched)
    if not matched and len(mine) == len(theirs) == 1:
        matched = [(mine[0], theirs[0])]
    if not matched:
        example = f" (--pair '{mine[0].name}={theirs[0].name}')" if mine and theirs else ""
        raise InputError(
            "the two codings have no tier in common",
            advice=f"pair them{example}: the first has {_listed(mine)}; the second has {_listed(theirs)}",
        )
    return matched


def left_unpaired(coding: Coding, tiers: Sequence[tuple[Tier, Tier]], *, head: str | None = None) -> list[Tier]:
    """The tiers with labels that are in no pair, and so are not compared.

    Args:
        coding: the first or the second one.
        tiers: from `pair_tiers`.
        head: as there; tiers of other heads are not meant.

    Examples:
        >>> mine = Coding(None, (Tier("face 1", "", (Interval(0, 1, "happy"),)), Tier("child", "", ())), 0, 1)
        >>> left_unpaired(mine, [])
        [Tier(subject='face 1', head='', intervals=(Interval(start=0, end=1, label='happy'),))]
    """
    paired = [tier for pair in tiers for tier in pair]
    heads = {tier.head for tier in paired if tier.head} | ({head} if head else set())
    return [
        tier
        for tier in coding.tiers
        if tier.intervals and not any(tier is one for one in paired) and (not heads or tier.head in (*heads, ""))
    ]


def overlapping(tier: Tier) -> bool:
    """Whether labels of a tier overlap by more than rounded times do, so that time has two of them.

    Examples:
        >>> overlapping(Tier("", "", (Interval(0, 2, "happy"), Interval(1, 3, "sad"))))
        True
    """
    ends = itertools.accumulate((one.end for one in tier.intervals), max)
    return any(
        one.start < end - _SHORT and one.end > one.start for end, one in zip(ends, tier.intervals[1:], strict=False)
    )


def _refuse_doubles(pairs: Sequence[tuple[Tier, Tier]]) -> None:
    """Raise where a tier is compared twice with tiers of one head, so that its time would count twice."""
    for (one, other), (third, fourth) in itertools.combinations(pairs, 2):
        if one is not third and other is not fourth:
            continue
        twice, left, right = (one, other, fourth) if one is third else (other, one, third)
        if left.head == right.head:
            raise InputError(
                f"tier {twice.name!r} belongs to both {left.name!r} and {right.name!r}",
                advice="rename one of them in its file, or pair two with --pair 'A=B'",
            )


def _of_head(coding: Coding, head: str | None, which: str) -> list[Tier]:
    found = [tier for tier in coding.tiers if head is None or tier.head in (head, "")]
    if not found and head is not None:
        heads = list(dict.fromkeys(tier.head for tier in coding.tiers))
        if head in coding.ordered:
            advice = "a summary has no episodes of it: compare with the file of --export eaf, boris or textgrid"
        else:
            advice = choose_one(head, heads) if heads else "it has no tiers"
        raise InputError(f"no head {head!r} in the {which} coding", advice=advice)
    return found


def _listed(tiers: Sequence[Tier]) -> str:
    return ", ".join(repr(tier.name) for tier in tiers) or "none"


def _named(tiers: Sequence[Tier], name: str, which: str) -> list[Tier]:
    found = [tier for tier in tiers if name.casefold() in (tier.name.casefold(), tier.subject.casefold())]
    if not found:
        names = [tier.name for tier in tiers]
        raise InputError(f"no tier {name!r} in the {which} coding", advice=choose_one(name, names))
    return found


def _same(one: Tier, other: Tier) -> bool:
    if one.name.casefold() == other.name.casefold():
        return True
    heads = one.head == other.head or not one.head or not other.head
    return bool(one.subject) and heads and one.subject.casefold() == other.subject.casefold()


def measure_agreement(
    tiers: Sequence[tuple[Tier, Tier]],
    *,
    labels: Sequence[str] = (),
    ordered: bool = False,
    rename: Mapping[str, str] | None = None,
    absent: bool = False,
    span: tuple[float, float] | None = None,
    tolerance: float = defaults.ONSET_TOLERANCE,
    block: float = defaults.AGREEMENT_BLOCK,
    resamples: int = defaults.AGREEMENT_RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """The agreement of paired tiers, over all pairs together.

    Args:
        tiers: from `pair_tiers`.
        labels: in the order of the matrix, for ordered labels from least to most; others that occur follow.
        ordered: whether the labels have an order, so that weighted kappa means something.
        rename: label of either coding → the name that it is compared by, such as {"joy": "happy"}. Labels that differ
            in capitals alone are the same, unless one coding has both.
        absent: time without a label in one coding counts as a label `NONE`; otherwise only time with a label in both
            is compared.
        span: with ``absent``, the time to compare, seconds; None from the first to the last label.
        tolerance: seconds between the onsets of two events that are the same.
        block: seconds of the bootstrap's blocks.
        resamples: number of resamples.
        seed: of the resamples.

    Raises:
        InputError: no time to compare; a tolerance, a block or a number of resamples that is none.

    Examples:
        >>> first = Tier("", "", (Interval(0.0, 6.0, "happy"), Interval(6.0, 10.0, "sad")))
        >>> second = Tier("", "", (Interval(0.0, 5.0, "happy"), Interval(5.0, 10.0, "sad")))
        >>> agreement = measure_agreement([(first, second)], span=(0.0, 10.0))
        >>> round(agreement.observed.value, 2), round(agreement.kappa.value, 2)
        (0.9, 0.8)
        >>> [(one.start, one.end, one.first, one.second) for one in agreement.differences]
        [(5.0, 6.0, 'happy', 'sad')]
    """
    if not (tolerance >= 0 and block > 0 and resamples > 0):
        raise InputError("tolerance is at least 0 seconds; block and resamples are above 0")
    rename = _with_one_spelling(tiers, labels, rename or {})
    renamed = [(_renamed(one, rename), _renamed(other, rename)) for one, other in tiers]
    names = _all_labels(renamed, labels, rename, absent=absent)
    pieces = [_pieces(one, other, span, absent=absent) for one, other in renamed]
    if sum(end - start for found in pieces for start, end, _, _ in found) > _MOST_BLOCKS * block:
        raise InputError(f"more than {_MOST_BLOCKS:,} blocks of {block:g} s to resample", advice="choose longer blocks")
    index = {name: i for i, name in enumerate(names)}
    k = len(names)
    blocks: list[Float] = []
    all_events = [_match(one, other, tolerance, index) for one, other in renamed]
    for events, found in zip(all_events, pieces, strict=True):
        matrices: dict[int, Float] = {}
        for start, end, a, b in found:
            if a is None or b is None:
                continue
            at = start
            while at < end:
                number = math.floor(at / block + 1e-9)
                stop = min(end, (number + 1) * block)
                matrices.setdefault(number, np.zeros((k, k)))[index[a], index[b]] += stop - at
                at = stop
        for number in {math.floor(event[0] / block + 1e-9) for event in events}:
            matrices.setdefault(number, np.zeros((k, k)))
        counted = _events_by_block(events, block, k)
        blocks += [
            np.concatenate([matrix.ravel(), counted.get(number, np.zeros(3 * k))])
            for number, matrix in sorted(matrices.items())
        ]
    stacked = np.array(blocks).reshape(len(blocks), k * k + 3 * k)
    total = stacked.sum(axis=0)
    confusion = total[: k * k].reshape(k, k)
    points = any(
        intervals and all(i.start == i.end for i in intervals)
        for intervals in ([i for pair in renamed for i in pair[side].intervals] for side in (0, 1))
    )
    # points in time are compared as events alone
    if not confusion.sum() > 0 and not (points and stacked.any()):
        raise InputError("there is no time with a label in both codings", advice="check that their times overlap")
    sums = _resampled(stacked, resamples, seed)
    matrices_all = np.concatenate([total[None], sums])[:, : k * k].reshape(-1, k, k)
    event_sums = np.concatenate([total[None], sums])[:, k * k :].reshape(-1, 3, k)
    weighted = {
        name: _estimate(weighted_kappa(matrices_all, power)) for name, power in (("linear", 1), ("quadratic", 2))
    }
    offsets = [offset for events in all_events for _, _, kind, offset in events if kind == 2]
    every = [piece for found in pieces for piece in found]
    return Agreement(
        labels=names,
        confusion=confusion,
        observed=_estimate(_divide(np.trace(matrices_all, axis1=1, axis2=2), matrices_all.sum(axis=(1, 2)))),
        kappa=_estimate(weighted_kappa(matrices_all, 0)),
        weighted=weighted if ordered else {},
        per_label=tuple(_per_label(matrices_all, event_sums, i, name) for i, name in enumerate(names)),
        events=_estimate(_f1(event_sums.sum(axis=2))),
        onset_difference=float(np.median(offsets)) if offsets else math.nan,
        tolerance=tolerance,
        compared=float(confusion.sum()),
        only_first=sum(end - start for start, end, a, b in every if a not in (None, NONE) and b in (None, NONE)),
        only_second=sum(end - start for start, end, a, b in every if b not in (None, NONE) and a in (None, NONE)),
        differences=_differences(renamed, pieces),
        pairs=tuple((one.name, other.name) for one, other in tiers),
        blocks=len(stacked),
    )


def _resampled(blocks: Float, resamples: int, seed: int) -> Float:
    """``(resamples, columns)`` sums of as many blocks, drawn with replacement."""
    generator, shares = np.random.default_rng(seed), np.full(len(blocks), 1 / len(blocks))
    at_once = max(1, _MOST_COUNTS // len(blocks))
    parts = [
        generator.multinomial(len(blocks), shares, min(at_once, resamples - done)).astype(np.float64) @ blocks
        for done in range(0, resamples, at_once)
    ]
    return np.concatenate(parts)


def _renamed(tier: Tier, rename: Mapping[str, str]) -> Tier:
    intervals = (Interval(one.start, one.end, rename.get(one.label, one.label)) for one in tier.intervals)
    return Tier(tier.subject, tier.head, tuple(sorted(intervals)))


def _with_one_spelling(
    tiers: Sequence[tuple[Tier, Tier]], labels: Sequence[str], rename: Mapping[str, str]
) -> dict[str, str]:
    """``rename`` for all labels, with one spelling of those that differ in capitals alone: the first."""
    codings = [[one.label for pair in tiers for one in pair[side].intervals] for side in (0, 1)]
    named = [{rename.get(label, label) for label in coding} for coding in codings]
    both = {
        name.casefold() for names in named for name in names if sum(name.casefold() == n.casefold() for n in names) > 1
    }
    spelling: dict[str, str] = {}
    merged: dict[str, str] = {}
    for label in dict.fromkeys([*labels, *codings[0], *codings[1]]):
        name = rename.get(label, label)
        merged[label] = name if name.casefold() in both else spelling.setdefault(name.casefold(), name)
    return merged


def _all_labels(
    tiers: Sequence[tuple[Tier, Tier]], labels: Sequence[str], rename: Mapping[str, str], *, absent: bool
) -> tuple[str, ...]:
    used = [one.label for pair in tiers for tier in pair for one in tier.intervals]
    known = [rename.get(label, label) for label in labels]
    # labels that neither coding uses would only be empty rows
    names = [name for name in dict.fromkeys([*known, *sorted(used)]) if name in set(used)]
    return (*(name for name in names if name != NONE), NONE) if absent else tuple(names)


Piece = tuple[float, float, "str | None", "str | None"]


def _pieces(one: Tier, other: Tier, span: tuple[float, float] | None, *, absent: bool) -> list[Piece]:
    """Stretches of time in which neither label changes: start, end, and the two labels."""
    intervals = [*one.intervals, *other.intervals]
    cuts = sorted({t for i in intervals for t in (i.start, i.end)} | set(span or ()))
    if span is not None:
        cuts = [t for t in cuts if span[0] <= t <= span[1]]
    first, second = _LabelAt(one), _LabelAt(other)
    nothing = NONE if absent else None
    found: list[Piece] = []
    for start, end in itertools.pairwise(cuts):
        middle = (start + end) / 2
        a, b = first(middle) or nothing, second(middle) or nothing
        if a is not None or b is not None:
            found.append((start, end, a, b))
    return found


class _LabelAt:
    """The label of a tier at a time; of several that overlap, the one that began last."""

    def __init__(self, tier: Tier) -> None:
        self._intervals = [one for one in tier.intervals if one.end > one.start]
        self._starts = [one.start for one in self._intervals]
        self._longest = max((one.end - one.start for one in self._intervals), default=0.0)

    def __call__(self, time: float) -> str | None:
        at = bisect.bisect_right(self._starts, time) - 1
        while at >= 0 and self._starts[at] >= time - self._longest:
            if self._intervals[at].end > time:
                return self._intervals[at].label
            at -= 1
        return None


Event = tuple[float, int, int, float]
"""Onset, index of the label, 0 for the first coding alone, 1 for the second alone, 2 for both; difference of onsets."""


def _match(one: Tier, other: Tier, tolerance: float, index: Mapping[str, int]) -> list[Event]:
    """Events of the same label whose onsets lie within the tolerance, each at most once, as many as possible."""
    found: list[Event] = []
    for label, number in index.items():
        mine = [i.start for i in one.intervals if i.label == label]
        theirs = [i.start for i in other.intervals if i.label == label]
        a = b = 0
        # in order of time, pairing the earliest two that are close enough leaves most room for the others
        while a < len(mine) or b < len(theirs):
            if a < len(mine) and b < len(theirs) and abs(mine[a] - theirs[b]) <= tolerance + 1e-9:
                found.append((mine[a], number, 2, theirs[b] - mine[a]))
                a, b = a + 1, b + 1
            elif b >= len(theirs) or (a < len(mine) and mine[a] < theirs[b]):
                found.append((mine[a], number, 0, 0.0))
                a += 1
            else:
                found.append((theirs[b], number, 1, 0.0))
                b += 1
    return found


def _events_by_block(events: Sequence[Event], block: float, k: int) -> dict[int, Float]:
    """Number of a block → per label the events of the first coding, of the second, and the matches."""
    counted: dict[int, Float] = {}
    for onset, label, kind, _ in events:
        sums = counted.setdefault(math.floor(onset / block + 1e-9), np.zeros(3 * k)).reshape(3, k)
        sums[0, label] += kind in (0, 2)
        sums[1, label] += kind in (1, 2)
        sums[2, label] += kind == 2
    return counted


def weighted_kappa(matrices: Float, power: int) -> Float:
    """Cohen's kappa of ``(n, k, k)`` matrices; NaN where it is not defined.

    Args:
        matrices: of confusion.
        power: of the distance between labels that a disagreement weighs: 0 for Cohen's kappa, 1 for linear weights, 2
            for quadratic ones.
    """
    k = matrices.shape[-1]
    distance = np.abs(np.arange(k)[:, None] - np.arange(k)[None]).astype(np.float64)
    weights = (distance > 0).astype(np.float64) if power == 0 else distance**power
    rows, columns, total = matrices.sum(axis=2), matrices.sum(axis=1), matrices.sum(axis=(1, 2))
    expected = _divide(np.einsum("ni,nj,ij->n", rows, columns, weights), total)
    return 1 - _divide((matrices * weights).sum(axis=(1, 2)), expected)


def _divide(numerator: Float, denominator: Float) -> Float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _f1(sums: Float) -> Float:
    """``(n, 3)`` events of the first coding, of the second, and matches → F1."""
    return _divide(2 * sums[:, 2], sums[:, 0] + sums[:, 1])


def _per_label(matrices: Float, events: Float, i: int, name: str) -> LabelAgreement:
    both, rows, columns = matrices[:, i, i], matrices[:, i].sum(axis=1), matrices[:, :, i].sum(axis=1)
    rest = matrices.sum(axis=(1, 2)) - rows - columns + both
    binary = np.stack([np.stack([both, rows - both], 1), np.stack([columns - both, rest], 1)], 1)
    first, second, matched = (int(n) for n in events[0, :, i])
    return LabelAgreement(
        name,
        _estimate(_divide(2 * both, rows + columns)),
        _estimate(weighted_kappa(binary, 0)),
        (float(rows[0]), float(columns[0])),
        (first, second, matched),
    )


def _estimate(values: Float) -> Estimate:
    """The first value, and the interval of the others."""
    known = values[1:][~np.isnan(values[1:])]
    if math.isnan(values[0]) or not len(known):
        return Estimate(float(values[0]), math.nan, math.nan)
    low, high = np.quantile(known, [(1 - defaults.INTERVAL_LEVEL) / 2, (1 + defaults.INTERVAL_LEVEL) / 2])
    return Estimate(float(values[0]), float(low), float(high))


def _differences(tiers: Sequence[tuple[Tier, Tier]], pieces: Sequence[Sequence[Piece]]) -> tuple[Difference, ...]:
    found: list[Difference] = []
    for (one, _), mine in zip(tiers, pieces, strict=True):
        runs: list[Difference] = []
        for start, end, a, b in mine:
            if a is None or b is None or a == b:
                continue
            labels = a, b
            last = runs[-1] if runs else None
            if last is not None and (last.first, last.second) == labels and start <= last.end + 1e-9:
                runs[-1] = Difference(one.name, last.start, end, *labels)
            else:
                runs.append(Difference(one.name, start, end, *labels))
        found += [run for run in runs if run.end - run.start > _SHORT]
    return tuple(sorted(found, key=lambda d: (-(round(d.end - d.start, 6)), d.start, d.pair)))


def difference_coding(agreement: Agreement, tiers: Sequence[tuple[Tier, Tier]], source: str | None) -> Coding:
    """Both codings and their differences as tiers below each other, to be looked at in ELAN, BORIS or Praat.

    Args:
        agreement: of these tiers.
        tiers: pairs, as from `pair_tiers`.
        source: path of the video, None for none.

    Examples:
        >>> first = Tier("", "", (Interval(0.0, 6.0, "happy"), Interval(6.0, 10.0, "sad")))
        >>> second = Tier("", "", (Interval(0.0, 5.0, "happy"), Interval(5.0, 10.0, "sad")))
        >>> tiers = [(first, second)]
        >>> [tier.name for tier in difference_coding(measure_agreement(tiers), tiers, "clip.mp4").tiers]
        ['coding (first)', 'coding (second)', 'coding (differences)']
    """
    found: list[Tier] = []
    for one, other in tiers:
        differences = tuple(
            Interval(d.start, d.end, f"{d.first} / {d.second}")
            for d in sorted(agreement.differences, key=lambda d: d.start)
            if d.pair == one.name
        )
        found += [
            Tier(f"{one.name} (first)", "", one.intervals),
            Tier(f"{one.name} (second)", "", other.intervals),
            Tier(f"{one.name} (differences)", "", differences),
        ]
    end = max((i.end for tier in found for i in tier.intervals), default=0.0)
    return Coding(source, tuple(found), 0.0, end)
