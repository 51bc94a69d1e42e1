"""The stable labels of a track whose later frames are known: the sequence of labels with the greatest sum.

The sum is that of probability × seconds of the label of each frame, minus a cost for every change; no label stands for
less than a least duration. A change lies where the probabilities change, so nothing is delayed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mien.smoothing.options import TIME_TOLERANCE


@dataclass(frozen=True, slots=True)
class LabelPrice:
    """What a sequence of labels costs.

    Attributes:
        change: probability × seconds that each change costs.
        least: seconds that a label stands at least.
    """

    change: float
    least: float


def best_labels(
    rows: Sequence[Sequence[float] | None],
    lengths: Sequence[float],
    price: LabelPrice,
    *,
    before: int = -1,
    held: float = 0.0,
    credit: Sequence[float] = (),
) -> list[int]:
    """Index of the best label of each frame.

    Args:
        rows: k probabilities of each frame; None where it has no prediction.
        lengths: seconds of each frame.
        price: what a sequence of labels costs.
        before: label of the frame before the first one, −1 where there is none.
        held: seconds for which that one has stood.
        credit: per label, what a change from ``before`` to it costs less, as far as it costs anything.

    Examples:
        >>> rows = [[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 4 + [[1.0, 0.0]] + [[0.0, 1.0]] * 2
        >>> best_labels(rows, [0.1] * 12, LabelPrice(change=0.1, least=0.3))
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    """
    k = len(next((row for row in rows if row is not None), ()))
    if not k:
        return [before] * len(rows)
    if before >= 0 and _most_gain(rows, lengths, before) <= price.change - max(credit, default=0.0):
        return [before] * len(rows)
    return _LabelSearch(rows, lengths, price, before, held, credit or [0.0] * k).labels()


def _most_gain(rows: Sequence[Sequence[float] | None], lengths: Sequence[float], label: int) -> float:
    """The most that other labels than this one could gain."""
    return math.fsum(
        seconds * (max(row) - row[label]) for row, seconds in zip(rows, lengths, strict=True) if row is not None
    )


class _LabelSearch:
    """Dynamic programming over the frames.

    ``whole[i][k]`` is the greatest sum of the first i frames where the last one has label k and that label may change
    behind it; ``how[i][k]`` how it came: None where the frame before has the same label, else the first frame with it
    and the label before that.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[float] | None],
        lengths: Sequence[float],
        price: LabelPrice,
        before: int,
        held: float,
        credit: Sequence[float],
    ) -> None:
        self._k, self._before, self._price, self._credit = len(credit), before, price, credit
        self._least = price.least - TIME_TOLERANCE
        self._times = [0.0]
        self._sums = [[0.0] * self._k]  # of each label alone
        for row, seconds in zip(rows, lengths, strict=True):
            self._times.append(self._times[-1] + seconds)
            last = self._sums[-1]
            self._sums.append(last if row is None else [s + seconds * p for s, p in zip(last, row, strict=True)])
        self._held = held
        self._n = len(rows)

    def labels(self) -> list[int]:
        whole, how = self._solve()
        n, first = self._n, self._first_labels()
        # the first label may also stand to the end, however short that is
        _, label, start = max(
            [(self._sums[n][k], -i, k, True) for i, k in enumerate(first)]
            + [(whole[n][k], -self._k - k, k, False) for k in range(self._k)]
        )[1:]
        return self._trace(how, label, alone=start)

    def _first_labels(self) -> list[int]:
        return list(range(self._k)) if self._before < 0 else [self._before]

    def _solve(self) -> tuple[list[list[float]], list[list[tuple[int, int] | None]]]:
        k, sums, times = self._k, self._sums, self._times
        nothing = -math.inf
        first = self._first_labels()
        whole = [[nothing] * k]
        how: list[list[tuple[int, int] | None]] = [[None] * k]
        if self._before >= 0 and self._held >= self._least:
            whole[0][self._before] = 0.0
        leaders: list[tuple[float, int, float, int]] = [self._leaders(whole[0])]
        start = 0  # the next frame with which a label may begin that is long enough now
        for i in range(1, self._n + 1):
            now = [value + total - last for value, total, last in zip(whole[-1], sums[i], sums[i - 1], strict=True)]
            came: list[tuple[int, int] | None] = [None] * k
            if self._held + times[i] >= self._least:
                for label in first:
                    if sums[i][label] > now[label]:
                        now[label] = sums[i][label]
            while times[i] - times[start] >= self._least and start < i:
                best, leader, second, other = leaders[start]
                for label in range(k):
                    top, source = (second, other) if label == leader else (best, leader)
                    if top == nothing:
                        continue
                    cost = self._price.change
                    if start == 0:
                        cost = max(cost - self._credit[label], 0.0)
                    value = top - cost + sums[i][label] - sums[start][label]
                    if value > now[label]:
                        now[label], came[label] = value, (start, source)
                start += 1
            whole.append(now)
            how.append(came)
            leaders.append(self._leaders(now))
        return whole, how

    def _leaders(self, values: Sequence[float]) -> tuple[float, int, float, int]:
        """The greatest value with its label, and the next one."""
        leader = max(range(self._k), key=values.__getitem__)
        second = max((i for i in range(self._k) if i != leader), key=values.__getitem__, default=leader)
        return values[leader], leader, (values[second] if second != leader else -math.inf), second

    def _trace(self, how: Sequence[Sequence[tuple[int, int] | None]], label: int, *, alone: bool) -> list[int]:
        if alone:
            return [label] * self._n
        labels: list[int] = []
        i = self._n
        while i > 0:
            came = how[i][label]
            if came is None:
                labels.append(label)
                i -= 1
            else:
                start, source = came
                labels += [label] * (i - start)
                i, label = start, source
        return labels[::-1]
