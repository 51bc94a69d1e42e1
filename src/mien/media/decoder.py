"""Packets of a video → its frames in order of presentation, from the beginning or from the middle."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
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

_REORDER_MARGIN = 64
"""Packets that are read beyond a frame before its rank is final; codecs reorder by 16 at most."""
_MIN_STEP = 1e-6
"""Seconds between frames whose timestamps do not grow, so that time always does."""


@dataclass(frozen=True, slots=True)
class SeekPoint:
    """Where decoding starts.

    Attributes:
        packet: number of the first packet to decode.
        rank: index of the earliest frame among it and those behind it.
        target: index of the first selected frame.
    """

    packet: int = 0
    rank: int = 0
    target: int = 0


class FrameTimes:
    """Times of the frames of a video, computed in order."""

    def __init__(self, probe: VideoProbe) -> None:
        self._probe = probe
        self._last = -math.inf

    def time_of(self, frame: OrderedFrame[Any]) -> float:
        """Seconds of this frame; more than those of the one before, whatever the file states."""
        probe = self._probe
        if probe.numbering is FrameNumbering.RATE:
            return frame.index / probe.rate
        if frame.pts is None:
            self._last = max(self._last, 0.0) + 1 / probe.rate
        else:
            self._last = max(float(frame.pts * probe.base - probe.start), self._last + _MIN_STEP)
        return self._last


def find_seek_point(
    probe: VideoProbe,
    selection: FrameSelection,
    after: int | None = None,
    stop: Event | None = None,
    on_packet: Callable[[], None] = lambda: None,
) -> SeekPoint | None:
    """Where to decode from so that the first selected frame is what it would be from the beginning; None at the end.

    The packets before that are read, not decoded: their number determines those of the frames.

    Args:
        probe: what is known of the file.
        selection: which frames to take.
        after: number of the last frame that an earlier run has taken, None for none.
        stop: when it is set, reading ends.
        on_packet: called with each packet that is read.
    """
    target = 0 if after is None else after + 1
    if probe.numbering is not FrameNumbering.TIMESTAMPS or (target == 0 and not selection.start):
        return SeekPoint(target=target)
    first = selection.start or -math.inf

    def seconds(pts: int) -> float:
        return float(pts * probe.base - probe.start)

    timestamps: array[int] = array("q")
    keys: list[tuple[int, int, int]] = []  # number, how many frames were before it, timestamp
    behind = 0
    with VideoDemuxer(probe.path, probe.stream, stop, on_packet) as demuxer:
        for packet in demuxer.packets():
            if packet.pts is None or not packet.visible:
                continue
            if packet.key:
                keys.append((packet.number, len(timestamps), packet.pts))
            timestamps.append(packet.pts)
            behind = behind + 1 if seconds(packet.pts) >= first else 0
            if behind > _REORDER_MARGIN and len(timestamps) > target + _REORDER_MARGIN:
                break
    ordered = sorted(timestamps)
    target = max(target, bisect_left(ordered, first, key=seconds))
    if target >= len(ordered):
        return None
    greatest = list(accumulate(timestamps, max))
    least = list(accumulate(reversed(timestamps), min))[::-1]
    usable = [(number, rank) for number, rank, pts in keys if pts <= ordered[target]]
    # from the second key frame before: decoding cannot really start at every packet that is marked as a key frame
    for number, rank in reversed(usable[:-1]):
        if 0 < rank <= target and greatest[rank - 1] < least[rank]:
            return SeekPoint(number, rank, target)
    return SeekPoint(target=target)


def decode_frames(
    demuxer: VideoDemuxer, probe: VideoProbe, start: SeekPoint, threads: int | None = None
) -> Iterator[OrderedFrame[av.VideoFrame]]:
    """Every frame in order of presentation, also the lost ones.

    Args:
        demuxer: the open file.
        probe: what is known of it.
        start: where decoding starts.
        threads: decoding threads, None for the available processors, at most 4.
    """
    from av.error import FFmpegError

    context = demuxer.stream.codec_context
    context.thread_type = "AUTO"
    context.thread_count = thread_count(threads)
    order: TimestampOrder[av.VideoFrame] | ArrivalOrder[av.VideoFrame]
    if probe.numbering is FrameNumbering.TIMESTAMPS:
        order = TimestampOrder(start.rank)
    else:
        order = ArrivalOrder(fields=probe.numbering is FrameNumbering.FIELDS)
    keys: deque[tuple[int, int]] = deque(maxlen=_REORDER_MARGIN)
    damaged: set[int] = set()
    visible = 0

    def pictures(packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return list(context.decode(packet))
        except FFmpegError:
            return []  # the frames that are missing now are counted by `order`

    for packet in demuxer.packets():
        if packet.key:
            keys.append((packet.number, visible))
        visible += packet.visible
        if packet.number < start.packet:
            continue
        if packet.visible:
            order.add_packet(packet.number, None if probe.numbering is FrameNumbering.RATE else packet.pts)
        if packet.damaged:
            damaged.add(packet.number)
        if packet.is_costly():
            continue  # counted by `order` among the missing
        # decoders copy the timestamp of the packet to the picture: as a number it identifies the packet
        packet.packet.pts = packet.number
        for frame in pictures(packet.packet):
            broken = frame.is_corrupt or frame.pts in damaged
            yield from order.add_picture(frame.pts, None if broken else frame)
    for frame in pictures(None):
        broken = frame.is_corrupt or frame.pts in damaged
        yield from order.add_picture(frame.pts, None if broken else frame)
    if isinstance(order, TimestampOrder) and order.oldest_pending is not None and context.thread_count != 1:
        yield from _decode_end_again(probe, order, keys, demuxer)
    else:
        yield from order.finish()


def _decode_end_again(
    probe: VideoProbe, order: TimestampOrder[av.VideoFrame], keys: Iterable[tuple[int, int]], first: VideoDemuxer
) -> Iterator[OrderedFrame[av.VideoFrame]]:
    """The last frames by a decoder without threads: one with threads loses whole ones beside a damaged one."""
    before = [key for key in keys if key[0] <= (order.oldest_pending or 0)]
    packet, rank = before[-2] if len(before) > 1 else (0, 0)
    with VideoDemuxer(probe.path, probe.stream, first.stop, first.on_packet) as demuxer:
        for frame in decode_frames(demuxer, probe, SeekPoint(packet, rank), threads=1):
            if frame.index >= order.next_index:
                yield frame
