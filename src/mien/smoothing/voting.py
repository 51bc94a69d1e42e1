"""Majority votes of frames, with an interval that accounts for the correlation of neighbouring frames.

Each frame votes for one label. If frames were independent, the share s of the winner among n votes would have the
Wilson score interval (E. B. Wilson, JASA 22, 1927). They are not: a turned head or a blink affects many frames in a
row. So the interval is computed for a smaller effective number of votes, as in cluster sampling (L. Kish, Survey
Sampling, 1965). The clusters are blocks of time. In each frame the winner's vote deviates from its share; with d_b the
sum of the deviations in block b, the estimate from B blocks is that one independent vote takes

    D = (B/(B − 1) · Σ d_b² + 2 max(0, Σ d_b d_{b+1} + Σ d_b² / (B − 1))) / (n s (1 − s))  frames,

where the second term is the covariance of neighbouring blocks (W. K. Newey and K. D. West, Econometrica 55, 1987).
Few blocks are little evidence about D, and unanimous ones are none. So a prior D is mixed in, and the estimate from the
blocks is widened by Student's t of B − 1 degrees of freedom (E. L. Korn and B. I. Graubard, Survey Methodology 24,
1998).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from mien.results.track import NO_VOTE, Vote
from mien.smoothing.options import TIME_TOLERANCE

Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
           2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
           2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423)  # fmt: skip
"""Two-sided 95 % quantiles of Student's t of 1, 2, … degrees of freedom."""
BLOCK = 0.5
"""Length of a block, seconds."""
MAX_BLOCKS = 32
"""A vote without a window merges its blocks in pairs when it has this many, so its memory is bounded."""
PRIOR = 0.1
"""Weight of the prior D: seconds of frames, each of them times the variance s (1 − s) of a vote."""


def wilson(share: float, n: float, z: float = Z) -> tuple[float, float]:
    """Ends of the Wilson score interval of a ``share`` (0–1) of ``n`` votes; n need not be whole, (0, 1) for none.

    Examples:
        >>> low, high = wilson(0.5, 10)
        >>> round(low, 3), round(high, 3)
        (0.237, 0.763)
    """
    if n <= 0.0:
        return 0.0, 1.0
    zz = z * z / n
    centre, half = share + zz / 2, z * math.sqrt((share * (1.0 - share) + zz / 4) / n)
    # rounding may not push an end past the share or out of 0–1
    return max(0.0, min(share, (centre - half) / (1.0 + zz))), min(1.0, max(share, (centre + half) / (1.0 + zz)))


class MajorityVote:
    """The votes of one track over a sliding window, or over its whole life.

    A vote costs constant time on average, and memory grows with the window only.

    Args:
        names: the labels.
        window: seconds for which a vote counts; None for all time.
        vote_seconds: seconds of frames that count as one independent vote, as long as the votes do not show it.
    """

    __slots__ = ("_block", "_blocks", "_counts", "_n", "_names", "_vote_seconds", "_votes", "_window")

    def __init__(self, names: Sequence[str], *, window: float | None, vote_seconds: float) -> None:
        self._names = names
        self._window = window
        self._block = BLOCK
        self._vote_seconds = vote_seconds
        self._n = 0
        self._counts = [0] * len(names)
        self._votes: deque[tuple[float, int, float]] = deque()  # time, label, seconds; of a window only
        self._blocks: deque[list[Any]] = deque()  # number, votes, seconds, votes of each label

    def cast(self, label: int, time: float, seconds: float) -> None:
        """Add the vote of one frame.

        Args:
            label: index of the label.
            time: of the frame, seconds.
            seconds: since the previous frame.
        """
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
        elif len(self._blocks) >= MAX_BLOCKS:
            self._merge_blocks()

    def forget(self, now: float) -> None:
        """Remove the votes that have left the window at this time."""
        if self._window is None:
            return
        oldest, votes = now - self._window + TIME_TOLERANCE, self._votes
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
            return NO_VOTE
        most = max(self._counts)
        winner = self._counts.index(most)
        share = most / n
        effective = self._effective_votes(winner, share)
        low, high = wilson(share, effective)
        return Vote(self._names[winner], share, low, high, n, effective)

    def _effective_votes(self, winner: int, share: float) -> float:
        """Number of independent votes with the same information as these."""
        n, seconds, sizes = self._n, 0.0, 0
        squares = joint = deviation = 0.0
        before = -2
        for block, votes, length, counts in self._blocks:
            last, deviation = deviation, counts[winner] - share * votes
            squares += deviation * deviation
            if block == before + 1:
                joint += last * deviation
            before = block
            seconds += length
            sizes += votes * votes
        number = n * n / sizes  # the equivalent number of blocks of equal size
        vote_seconds, trust = self._vote_seconds, 0.0
        if number > 1.5:
            # deviations sum to zero, which biases the covariance of neighbours by - squares / (number - 1)
            joint = max(joint + squares / (number - 1.0), 0.0)
            estimate = (squares * number / (number - 1.0) + 2.0 * joint) * (seconds / n) ** 2
            variance = share * (1.0 - share) * seconds
            vote_seconds = (estimate + PRIOR * self._vote_seconds) / (variance + PRIOR)
            trust = variance / (variance + PRIOR)
        student = STUDENT[min(max(round(number - 1.0), 1), len(STUDENT)) - 1]
        effective: float = seconds / vote_seconds * (1.0 - trust + trust * (Z / student) ** 2)
        return min(max(effective, 1.0), float(n))

    def _merge_blocks(self) -> None:
        self._block *= 2.0
        merged: deque[list[Any]] = deque()
        for number, votes, seconds, counts in self._blocks:
            if merged and merged[-1][0] == number // 2:
                block = merged[-1]
                block[1] += votes
                block[2] += seconds
                block[3] = [a + b for a, b in zip(block[3], counts, strict=True)]
            else:
                merged.append([number // 2, votes, seconds, list(counts)])
        self._blocks = merged

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "block": self._block,
            "blocks": [[number, votes, seconds, list(counts)] for number, votes, seconds, counts in self._blocks],
            "votes": [list(vote) for vote in self._votes],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        self._block = state["block"]
        self._blocks = deque([number, votes, s, list(counts)] for number, votes, s, counts in state["blocks"])
        self._votes = deque((time, label, seconds) for time, label, seconds in state["votes"])
        self._counts = [sum(block[3][i] for block in self._blocks) for i in range(len(self._names))]
        self._n = sum(self._counts)
