"""Optimal assignment of rows to columns: pairs of least total cost. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


def assign(cost: NDArray[np.floating]) -> tuple[Index, Index]:
    """The one-to-one pairs of least total cost; an unassigned row or column costs nothing.

    Args:
        cost: ``(n, m)``, any scale. Only pairs below 0 are assigned, so a constant subtracted from a cost is the price
            of leaving both sides unassigned; ``inf`` forbids a pair.

    Returns:
        Rows, ascending, and their columns: ``(k,)`` each, k ≤ min(n, m). Exact, not greedy.

    Source:
        Shortest augmenting paths: Jonker and Volgenant, Computing 38 (1987), where every row has an additional column
        of its own that costs 0 and stands for no assignment.

    Examples:
        >>> rows, columns = assign(np.array([[-3.0, -1.0], [-2.0, 1.0]]))
        >>> rows.tolist(), columns.tolist()
        ([0], [0])
    """
    allowed = np.asarray(cost, np.float64) < 0
    alone = allowed & (allowed.sum(axis=1, keepdims=True) == 1) & (allowed.sum(axis=0, keepdims=True) == 1)
    rows, columns = np.nonzero(alone)
    # the few rows and columns that compete with others remain
    left, right = np.flatnonzero((allowed & ~alone).any(axis=1)), np.flatnonzero((allowed & ~alone).any(axis=0))
    if len(left):
        part = np.where(allowed, cost, np.inf)[np.ix_(left, right)].astype(np.float64)
        if len(left) <= len(right):
            left_pairs, right_pairs = _solve(part)
        else:
            right_pairs, left_pairs = _solve(np.ascontiguousarray(part.T))
        rows = np.concatenate([rows, left[left_pairs]])
        columns = np.concatenate([columns, right[right_pairs]])
    order = np.argsort(rows)
    return rows[order], columns[order]


def _solve(cost: NDArray[np.float64]) -> tuple[Index, Index]:
    """Optimal pairs of a ``(n, m)`` cost with ``inf`` for forbidden pairs; each row has an entry below 0."""
    n, m = cost.shape
    own = np.full((n, n), np.inf)
    np.fill_diagonal(own, 0.0)
    wide = np.concatenate([cost, own], axis=1)
    # prices of rows and columns: their sum is at most the cost everywhere, and equal to it for assigned pairs
    row_price, column_price = wide.min(axis=1), np.zeros(n + m)
    owner, column_of = np.full(n + m, -1), np.full(n, -1)
    for i, j in enumerate(wide.argmin(axis=1).tolist()):
        if owner[j] < 0:
            owner[j], column_of[i] = i, j
    for start in np.flatnonzero(column_of < 0).tolist():
        _augment(start, wide, row_price, column_price, owner, column_of)
    assigned = np.flatnonzero(column_of < m)
    return assigned, column_of[assigned]


def _augment(
    start: int,
    cost: NDArray[np.float64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
    owner: Index,
    column_of: Index,
) -> None:
    """Assign a column to the row ``start`` by the cheapest chain of changes; the arrays are changed in place."""
    distance = cost[start] - row_price[start] - column_price
    via, reached = np.full(len(distance), start), np.zeros(len(distance), np.bool_)
    while True:
        j = int(np.where(reached, np.inf, distance).argmin())
        low = distance[j]
        reached[j] = True
        if owner[j] < 0:
            break
        other = low + (cost[owner[j]] - row_price[owner[j]] - column_price)
        nearer = ~reached & (other < distance)
        distance[nearer], via[nearer] = other[nearer], owner[j]
    reached[j] = False
    passed = np.flatnonzero(reached)
    row_price[start] += low
    row_price[owner[passed]] += low - distance[passed]
    column_price[passed] -= low - distance[passed]
    while True:
        i = int(via[j])
        owner[j] = i
        j, column_of[i] = int(column_of[i]), j
        if i == start:
            return
