"""Which frame of the file a decoded picture is, and which frames never came out of the decoder."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_HOLD = 3
"""Pictures that wait for an earlier one before that one counts as lost; decoders hand them out in order but for one or
two at the start of a stream whose reordering they had to guess."""
_LAG = 64
"""Packets within which a decoder answers: at most 16 frames of reordering and as many threads, twice over."""


@dataclass(frozen=True, slots=True)
class OrderedFrame(Generic[T]):
    """A frame of the file.

    Attributes:
        index: its number in presentation order, from 0.
        pts: its time stamp, None where the file has none that can be used.
        picture: None for a frame that could not be decoded.
    """

    index: int
    pts: int | None
    picture: T | None


class TimestampOrder(Generic[T]):
    """Frames are numbered by the rank of their time stamp among all packets, so that a lost one leaves a gap.

    Args:
        first: the rank of the earliest frame among the packets to come.
    """

    def __init__(self, first: int = 0) -> None:
        self._next = first
        self._pending: list[tuple[int, int]] = []  # heap of (pts, number)
        self._stamps: dict[int, int] = {}  # of the packets that have not been answered
        self._ready: list[tuple[int, int, T | None]] = []  # heap; numbers differ, so pictures are never compared

    def sent(self, number: int, pts: int | None) -> None:
        """Packet ``number``, counted in decoding order, is with the decoder and should give a picture."""
        if pts is not None:
            heapq.heappush(self._pending, (pts, number))
            self._stamps[number] = pts

    def got(self, number: int | None, picture: T | None) -> Iterator[OrderedFrame[T]]:
        """The decoder gave this picture of packet ``number``, or None for one that is damaged.

        A picture of a packet that was given up, or that had given one already, has no place and is left out.
        """
        if number is None and self._pending:
            number = self._pending[0][1]
        if number in self._stamps:
            heapq.heappush(self._ready, (self._stamps.pop(number), number, picture))
            yield from self._drain(_HOLD)

    def end(self) -> Iterator[OrderedFrame[T]]:
        """The decoder has given everything."""
        yield from self._drain(-1)
        while self._pending:
            yield self._lost()

    @property
    def next(self) -> int:
        """Index of the frame that comes next."""
        return self._next

    @property
    def oldest(self) -> int | None:
        """The smallest number of a packet that has not been answered."""
        return min(self._stamps, default=None)

    def _drain(self, hold: int) -> Iterator[OrderedFrame[T]]:
        while self._ready:
            pts, number, picture = self._ready[0]
            if self._pending[0] == (pts, number):
                heapq.heappop(self._ready)
                heapq.heappop(self._pending)
                yield self._placed(pts, picture)
            elif len(self._ready) > hold:
                yield self._lost()
            else:
                return

    def _lost(self) -> OrderedFrame[T]:
        pts, number = heapq.heappop(self._pending)
        self._stamps.pop(number, None)
        return self._placed(pts, None)

    def _placed(self, pts: int, picture: T | None) -> OrderedFrame[T]:
        self._next += 1
        return OrderedFrame(self._next - 1, pts, picture)


class ArrivalOrder(Generic[T]):
    """Frames are numbered as they come out, for files whose time stamps are missing or wrong.

    A lost frame is noticed late, so that the numbers of the few frames between are too small by one.

    Args:
        fields: two packets may hold the two fields of one frame, so that a packet without a picture is no loss.
    """

    def __init__(self, *, fields: bool = False) -> None:
        self._fields = fields
        self._next = 0
        self._stamps: dict[int, int | None] = {}  # of the packets that have not been answered, oldest first

    def sent(self, number: int, pts: int | None) -> None:
        """Packet ``number``, counted in decoding order, is with the decoder and should give a picture."""
        self._stamps[number] = pts

    def got(self, number: int | None, picture: T | None) -> Iterator[OrderedFrame[T]]:
        """The decoder gave this picture of packet ``number``, or None for one that is damaged."""
        if number is None:
            number = next(iter(self._stamps), None)
        pts = None
        if number is not None:
            pts = self._stamps.pop(number, None)
            while (oldest := next(iter(self._stamps), number)) < number - _LAG:
                del self._stamps[oldest]
                yield from self._given_up()
        yield self._placed(pts, picture)

    def end(self) -> Iterator[OrderedFrame[T]]:
        """The decoder has given everything."""
        for _ in self._stamps:
            yield from self._given_up()

    def _given_up(self) -> Iterator[OrderedFrame[T]]:
        if not self._fields:
            yield self._placed(None, None)

    def _placed(self, pts: int | None, picture: T | None) -> OrderedFrame[T]:
        self._next += 1
        return OrderedFrame(self._next - 1, pts, picture)
