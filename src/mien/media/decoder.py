"""Packets of a video → its frames in order of presentation, from the beginning or from the middle."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from threading import Event
from typing import TYPE_CHECKING, Any

from mien.cpus import thread_count
from mien.media.demuxer import VideoDemuxer
from mien.media.frame_order import ArrivalOrder, OrderedFrame, TimestampOrder
from mien.media.probe import FrameNumbering, VideoProbe
from mien.media.selection import FrameSelection

if TYPE_CHECKING:
    import av

_MARGIN = 64
"""Packets that are read beyond a frame before its rank is final; codecs reorder by 16 at most."""
_TICK = 1e-6
"""Seconds between frames whose time stamps do not grow, so that time never stands still."""


@dataclass(frozen=True, slots=True)
class SeekPoint:
    """Where decoding starts.

    Attributes:
        packet: number of the first packet that is decoded.
        rank: index of the earliest frame among it and those behind it.
        target: index of the first frame that is wanted.
    """

    packet: int = 0
    rank: int = 0
    target: int = 0


class FrameTimes:
    """Times of the frames, in order."""

    def __init__(self, facts: VideoProbe) -> None:
        self._facts = facts
        self._last = -math.inf

    def of(self, placed: OrderedFrame[Any]) -> float:
        """Seconds of this frame; more than those of the one before, whatever the file says."""
        facts = self._facts
        if facts.numbering is FrameNumbering.RATE:
            return placed.index / facts.rate
        if placed.pts is None:
            self._last = max(self._last, 0.0) + 1 / facts.rate
        else:
            self._last = max(float(placed.pts * facts.base - facts.start), self._last + _TICK)
        return self._last


def find_seek_point(facts: VideoProbe, choice: FrameSelection, stop: Event | None = None) -> SeekPoint | None:
    """Where to decode from so that the first frame wanted comes out as it would from the beginning; None at the end.

    The packets before that are read, not decoded: their number is what gives the frames theirs.
    """
    target = 0 if choice.after is None else choice.after + 1
    if facts.numbering is not FrameNumbering.STAMPS or (target == 0 and not choice.start):
        return SeekPoint(target=target)
    first = choice.start or -math.inf

    def seconds(pts: int) -> float:
        return float(pts * facts.base - facts.start)

    stamps: array[int] = array("q")
    keys: list[tuple[int, int, int]] = []  # number, how many frames were before it, time stamp
    behind = 0
    with VideoDemuxer(facts.path, facts.stream, stop) as opened:
        for sent in opened.packets():
            if sent.pts is None or not sent.shown:
                continue
            if sent.key:
                keys.append((sent.number, len(stamps), sent.pts))
            stamps.append(sent.pts)
            behind = behind + 1 if seconds(sent.pts) >= first else 0
            if behind > _MARGIN and len(stamps) > target + _MARGIN:
                break
    ordered = sorted(stamps)
    target = max(target, bisect_left(ordered, first, key=seconds))
    if target >= len(ordered):
        return None
    greatest = list(accumulate(stamps, max))
    least = list(accumulate(reversed(stamps), min))[::-1]
    usable = [(number, rank) for number, rank, pts in keys if pts <= ordered[target]]
    # from the second key frame before: those in the stream need not be where decoding can really start afresh
    for number, rank in reversed(usable[:-1]):
        if 0 < rank <= target and greatest[rank - 1] < least[rank]:
            return SeekPoint(number, rank, target)
    return SeekPoint(target=target)


def decode_frames(
    opened: VideoDemuxer, facts: VideoProbe, begin: SeekPoint, threads: int | None = None
) -> Iterator[OrderedFrame[av.VideoFrame]]:
    """Every frame in order of presentation, also the lost ones."""
    from av.error import FFmpegError

    context = opened.stream.codec_context
    context.thread_type = "AUTO"
    context.thread_count = thread_count(threads)
    order: TimestampOrder[av.VideoFrame] | ArrivalOrder[av.VideoFrame]
    if facts.numbering is FrameNumbering.STAMPS:
        order = TimestampOrder(begin.rank)
    else:
        order = ArrivalOrder(fields=facts.numbering is FrameNumbering.FIELDS)
    keys: deque[tuple[int, int]] = deque(maxlen=_MARGIN)
    damaged: set[int] = set()
    shown = 0

    def pictures(packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return list(context.decode(packet))
        except FFmpegError:
            return []  # the frames that are missing now are counted by `order`

    for sent in opened.packets():
        if sent.key:
            keys.append((sent.number, shown))
        shown += sent.shown
        if sent.number < begin.packet:
            continue
        if sent.shown:
            order.sent(sent.number, None if facts.numbering is FrameNumbering.RATE else sent.pts)
        if sent.damaged:
            damaged.add(sent.number)
        # decoders hand the time stamp through to the picture: as a number it tells which packet was which
        sent.packet.pts = sent.number
        for frame in pictures(sent.packet):
            broken = frame.is_corrupt or frame.pts in damaged
            yield from order.got(frame.pts, None if broken else frame)
    for frame in pictures(None):
        broken = frame.is_corrupt or frame.pts in damaged
        yield from order.got(frame.pts, None if broken else frame)
    if isinstance(order, TimestampOrder) and order.oldest is not None and context.thread_count != 1:
        yield from _end_again(facts, order, keys, opened.stop)
    else:
        yield from order.end()


def _end_again(
    facts: VideoProbe, order: TimestampOrder[av.VideoFrame], keys: Iterable[tuple[int, int]], stop: Event
) -> Iterator[OrderedFrame[av.VideoFrame]]:
    """The last frames by a decoder without threads: one with threads loses whole ones beside a damaged one."""
    before = [key for key in keys if key[0] <= (order.oldest or 0)]
    packet, rank = before[-2] if len(before) > 1 else (0, 0)
    with VideoDemuxer(facts.path, facts.stream, stop) as opened:
        for placed in decode_frames(opened, facts, SeekPoint(packet, rank), threads=1):
            if placed.index >= order.next:
                yield placed
