"""Which frame of the file a decoded picture is, and which frames the decoder never returned."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_MAX_WAITING = 3
"""Pictures that wait for an earlier one before that one counts as lost; decoders return them in order but for one or
two at the start of a stream whose reordering they had to guess."""
_MAX_LAG = 64
"""Packets within which a decoder returns a picture: at most 16 frames of reordering and as many threads, twice over."""


@dataclass(frozen=True, slots=True)
class OrderedFrame(Generic[T]):
    """A frame of the file with its number.

    Attributes:
        index: its number in presentation order, from 0.
        pts: its timestamp, None where the file has none that can be used.
        picture: None for a frame that could not be decoded.
    """

    index: int
    pts: int | None
    picture: T | None


class TimestampOrder(Generic[T]):
    """Numbers frames by the rank of their timestamp among all packets, so that a lost one leaves a gap.

    Args:
        first: the rank of the earliest frame among the packets to come.
    """

    def __init__(self, first: int = 0) -> None:
        self._next = first
        self._pending: list[tuple[int, int]] = []  # heap of (pts, number)
        self._timestamps: dict[int, int] = {}  # of the packets without a picture so far
        self._ready: list[tuple[int, int, T | None]] = []  # heap; numbers differ, so pictures are never compared

    def add_packet(self, number: int, pts: int | None) -> None:
        """Packet ``number``, counted in decoding order, was sent to the decoder and should become a picture."""
        if pts is not None:
            heapq.heappush(self._pending, (pts, number))
            self._timestamps[number] = pts

    def add_picture(self, number: int | None, picture: T | None) -> Iterator[OrderedFrame[T]]:
        """The decoder returned this picture of packet ``number``, or None for one that is damaged.

        A picture of a packet that counts as lost, or that has one already, has no place and is left out.
        """
        if number is None and self._pending:
            number = self._pending[0][1]
        if number in self._timestamps:
            heapq.heappush(self._ready, (self._timestamps.pop(number), number, picture))
            yield from self._drain(_MAX_WAITING)

    def finish(self) -> Iterator[OrderedFrame[T]]:
        """The decoder has returned everything."""
        yield from self._drain(-1)
        while self._pending:
            yield self._lost_frame()

    @property
    def next_index(self) -> int:
        """Index of the frame that comes next."""
        return self._next

    @property
    def oldest_pending(self) -> int | None:
        """The smallest number of a packet without a picture so far."""
        return min(self._timestamps, default=None)

    def _drain(self, max_waiting: int) -> Iterator[OrderedFrame[T]]:
        while self._ready:
            pts, number, picture = self._ready[0]
            if self._pending[0] == (pts, number):
                heapq.heappop(self._ready)
                heapq.heappop(self._pending)
                yield self._next_frame(pts, picture)
            elif len(self._ready) > max_waiting:
                yield self._lost_frame()
            else:
                return

    def _lost_frame(self) -> OrderedFrame[T]:
        pts, number = heapq.heappop(self._pending)
        self._timestamps.pop(number, None)
        return self._next_frame(pts, None)

    def _next_frame(self, pts: int, picture: T | None) -> OrderedFrame[T]:
        self._next += 1
        return OrderedFrame(self._next - 1, pts, picture)


class ArrivalOrder(Generic[T]):
    """Numbers frames as the decoder returns them, for files whose timestamps are missing or wrong.

    A lost frame is detected late, so that the numbers of the few frames between are too small by one.

    Args:
        fields: two packets may hold the two fields of one frame, so that a packet without a picture is no loss.
    """

    def __init__(self, *, fields: bool = False) -> None:
        self._fields = fields
        self._next = 0
        self._timestamps: dict[int, int | None] = {}  # of the packets without a picture so far, oldest first

    def add_packet(self, number: int, pts: int | None) -> None:
        """Packet ``number``, counted in decoding order, was sent to the decoder and should become a picture."""
        self._timestamps[number] = pts

    def add_picture(self, number: int | None, picture: T | None) -> Iterator[OrderedFrame[T]]:
        """The decoder returned this picture of packet ``number``, or None for one that is damaged."""
        if number is None:
            number = next(iter(self._timestamps), None)
        pts = None
        if number is not None:
            pts = self._timestamps.pop(number, None)
            while (oldest := next(iter(self._timestamps), number)) < number - _MAX_LAG:
                del self._timestamps[oldest]
                yield from self._lost_frame()
        yield self._next_frame(pts, picture)

    def finish(self) -> Iterator[OrderedFrame[T]]:
        """The decoder has returned everything."""
        for _ in self._timestamps:
            yield from self._lost_frame()

    def _lost_frame(self) -> Iterator[OrderedFrame[T]]:
        if not self._fields:
            yield self._next_frame(None, None)

    def _next_frame(self, pts: int | None, picture: T | None) -> OrderedFrame[T]:
        self._next += 1
        return OrderedFrame(self._next - 1, pts, picture)
