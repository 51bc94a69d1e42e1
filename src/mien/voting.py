"""Majority votes of frames, with an interval that knows that neighbouring frames repeat each other.

Each frame votes for one label. If frames were independent, the share s of the winner among n votes would have the
Wilson score interval (E. B. Wilson, JASA 22, 1927). They are not: a turned head or a blink spoils many frames in a row.
So the interval is taken at a smaller effective number of votes, as for a survey whose answers come in clusters
(L. Kish, Survey Sampling, 1965; E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998). The clusters are blocks of
time. If n_b frames of block b hold c_b votes for the winner, then

    D = Σ (c_b − s n_b)² · B/(B − 1) / (n s (1 − s))

is the number of frames that count as one. Few blocks tell little and a unanimous window nothing about D, so a prior of
so many seconds a vote is mixed in, and the quantile of Student's t of B − 1 degrees widens what the blocks said.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from mien.tracks import Vote

Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
           2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
           2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423)  # fmt: skip
"""Two-sided 95 % quantiles of Student's t of 1, 2, … degrees of freedom."""
MOST_BLOCKS = 32
"""A vote without a window joins its blocks in pairs when it has this many, so its memory is bounded."""
PRIOR_WEIGHT = 0.1
"""Seconds times variance that the prior of the seconds a vote counts for."""
_FUZZ = 1e-9
_NOBODY = Vote(None, 0.0, 0.0, 1.0, 0)


def wilson(share: float, n: float, z: float = Z) -> tuple[float, float]:
    """Ends of the Wilson score interval of a ``share`` (0–1) of ``n`` votes; n need not be whole, (0, 1) for none."""
    if n <= 0.0:
        return 0.0, 1.0
    zz = z * z / n
    centre, half = share + zz / 2, z * math.sqrt((share * (1.0 - share) + zz / 4) / n)
    return max(0.0, (centre - half) / (1.0 + zz)), min(1.0, (centre + half) / (1.0 + zz))


class Ballot:
    """The votes of one track over a sliding window, or over its whole life.

    A vote costs constant time on average, and memory grows with the window only.

    Args:
        names: the labels that are voted for.
        window: seconds that a vote counts; None for ever.
        block: seconds a block; neighbouring blocks are taken as independent.
        vote_seconds: seconds of frames that are worth one independent vote, as long as the votes do not tell.
    """

    __slots__ = ("_block", "_blocks", "_counts", "_n", "_names", "_vote_seconds", "_votes", "_window")

    def __init__(self, names: Sequence[str], *, window: float | None, block: float, vote_seconds: float) -> None:
        self._names = names
        self._window = window
        self._block = block
        self._vote_seconds = vote_seconds
        self._n = 0
        self._counts = [0] * len(names)
        self._votes: deque[tuple[float, int, float]] = deque()  # time, label, seconds; of a window only
        self._blocks: deque[list[Any]] = deque()  # number, votes, seconds, votes of each label

    def cast(self, label: int, time: float, seconds: float) -> None:
        """One frame votes: index of its label, its time, the seconds since the frame before it."""
        number = math.floor(time / self._block)
        if not self._blocks or self._blocks[-1][0] != number:
            self._blocks.append([number, 0, 0.0, [0] * len(self._counts)])
        block = self._blocks[-1]
        block[1] += 1
        block[2] += seconds
        block[3][label] += 1
        self._n += 1
        self._counts[label] += 1
        if self._window is not None:
            self._votes.append((time, label, seconds))
        elif len(self._blocks) >= MOST_BLOCKS:
            self._join()

    def forget(self, now: float) -> None:
        """Votes that have left the window at this time no longer count."""
        if self._window is None:
            return
        oldest, votes = now - self._window + _FUZZ, self._votes
        while votes and votes[0][0] <= oldest:
            _, label, seconds = votes.popleft()
            self._n -= 1
            self._counts[label] -= 1
            block = self._blocks[0]
            block[1] -= 1
            block[2] -= seconds
            block[3][label] -= 1
            if not block[1]:
                self._blocks.popleft()

    def result(self) -> Vote:
        """The label with most votes (the first of equals), its share and the 95 % interval of the share."""
        n = self._n
        if not n:
            return _NOBODY
        most = max(self._counts)
        winner = self._counts.index(most)
        share = most / n
        effective = self._effective(winner, share)
        low, high = wilson(share, effective)
        return Vote(self._names[winner], share, low, high, n, effective)

    def _effective(self, winner: int, share: float) -> float:
        """Independent votes that would know as much as these."""
        n, squares, sizes, seconds = self._n, 0.0, 0, 0.0
        for _, votes, length, counts in self._blocks:
            squares += (counts[winner] - share * votes) ** 2
            sizes += votes * votes
            seconds += length
        blocks = n * n / sizes  # as many blocks of equal size
        variance = share * (1.0 - share) * seconds
        freedom = blocks - 1.0
        found = squares * (blocks / freedom) * (seconds / n) ** 2 if freedom > 0.5 else 0.0
        prior = PRIOR_WEIGHT if freedom > 0.5 else math.inf
        worth = (found + prior * self._vote_seconds) / (variance + prior) if prior < math.inf else self._vote_seconds
        effective = seconds / worth if worth > 0.0 else float(n)
        trust = variance / (variance + prior)
        student = STUDENT[min(max(round(freedom), 1), len(STUDENT)) - 1]
        effective *= 1.0 - trust + trust * (Z / student) ** 2
        return min(max(effective, 1.0), float(n))

    def _join(self) -> None:
        self._block *= 2.0
        joined: deque[list[Any]] = deque()
        for number, votes, seconds, counts in self._blocks:
            if joined and joined[-1][0] == number // 2:
                block = joined[-1]
                block[1] += votes
                block[2] += seconds
                block[3] = [a + b for a, b in zip(block[3], counts, strict=True)]
            else:
                joined.append([number // 2, votes, seconds, list(counts)])
        self._blocks = joined

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "block": self._block,
            "blocks": [[number, votes, seconds, list(counts)] for number, votes, seconds, counts in self._blocks],
            "votes": [list(vote) for vote in self._votes],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._block = state["block"]
        self._blocks = deque([number, votes, s, list(counts)] for number, votes, s, counts in state["blocks"])
        self._votes = deque((time, label, seconds) for time, label, seconds in state["votes"])
        self._counts = [sum(block[3][i] for block in self._blocks) for i in range(len(self._names))]
        self._n = sum(self._counts)
