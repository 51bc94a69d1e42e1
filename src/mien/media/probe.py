"""What is known of a video file before its frames are read.

It comes from the header and the first packets alone, so that every run over the file, also one that resumes, gets the
same result.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.defaults import FRAME_RATE
from mien.errors import VideoError, display_path
from mien.extras import require_extra
from mien.media.demuxer import VideoDemuxer, VideoPacket, codec_name
from mien.media.filetype import HEADER_BYTES, diagnose_unreadable_video, is_image_header
from mien.media.frame_converter import ROTATIONS, FrameConverter
from mien.media.silence_logs import silence_ffmpeg
from mien.media.source import SourceInfo
from mien.media.unreadable_video import encrypted, encryption_error, no_decodable_frame, not_a_video, read_header

if TYPE_CHECKING:
    import av

_MAX_PACKETS, _MAX_PACKET_BYTES = 64, 64 << 20
"""Packets, and bytes of them, that are read."""
_MAX_SECONDS = 48 * 3600.0
"""Length above which a header is damaged."""
_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_STATES_LENGTH = frozenset({_MOV, "matroska,webm", "avi", "flv", "asf"})
"""Containers that state their length; FFmpeg guesses that of others from what it finds."""


class FrameNumbering(Enum):
    """How frames get their numbers and times."""

    TIMESTAMPS = "every packet is a frame with its own timestamp"
    FIELDS = "two packets may be one frame; the timestamps can be used"
    RATE = "no usable timestamps: frames are timed at the nominal rate"


@dataclass(frozen=True, slots=True)
class VideoProbe:
    """What is known of a video file.

    Attributes:
        path: as it was given.
        info: for the caller; its ``frames`` are those of the whole file.
        stream: index of the video stream.
        numbering: how frames get their numbers and times.
        base: seconds per unit of a timestamp.
        start: seconds on the container's clock that count as 0.
        sar: width to height of a stored pixel.
        transfer: AVColorTransferCharacteristic.
        declared: packets that the container states it has, None where it does not.
        until: seconds on the container's clock at which it states it ends, None where it does not.
        edited: whether an edit list may leave frames out.
    """

    path: str
    info: SourceInfo
    stream: int
    numbering: FrameNumbering
    base: Fraction
    start: Fraction
    sar: Fraction | None
    transfer: int
    declared: int | None
    until: float | None
    edited: bool

    @property
    def rate(self) -> float:
        """Nominal frames per second; `mien.defaults.FRAME_RATE` where the file states none."""
        return self.info.rate or FRAME_RATE

    def converter(self) -> FrameConverter:
        """Frames of this video → RGB."""
        return FrameConverter(self.sar, self.transfer)


def probe_video(path: str | os.PathLike[str]) -> VideoProbe:
    """Read the header and the first packets of a video file and decode its first frame.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, an address, a pipe, or a file that may not be read.
        VideoError: not a video, or one without a frame that can be decoded.
    """
    from av.error import FFmpegError

    given = os.fsdecode(os.fspath(path))
    head = read_header(given)
    try:
        with VideoDemuxer(given) as demuxer:
            return _probe(given, head, demuxer)
    except FFmpegError as error:
        if isinstance(error, OSError) and error.strerror:
            raise VideoError(f"cannot be read: {error.strerror}", path=given) from None
        raise not_a_video(given, head) from None


def frame_sizes(path: Path, containers: str) -> list[tuple[int, int]]:
    """(width, height) of each video track, as its header states them; nothing else is opened by what the file names.

    Args:
        path: the file.
        containers: FFmpeg's names of the containers that are opened, with commas between them.

    Raises:
        VideoError: it is none of these, or damaged; without a path.
    """
    require_extra("video", "reading a video", "av")
    import av
    from av.error import FFmpegError

    only = {"protocol_whitelist": "file", "format_whitelist": containers}
    try:
        with (
            silence_ffmpeg(),
            av.open(f"file:{path}", metadata_errors="replace", container_options=only) as container,
        ):
            contexts = [stream.codec_context for stream in container.streams.video]
            return [(context.width, context.height) for context in contexts if context is not None]
    except FFmpegError:
        with path.open("rb") as file:
            diagnosis = diagnose_unreadable_video(file.read(HEADER_BYTES))
        raise VideoError(diagnosis.reason, advice=diagnosis.advice) from None


def _probe(given: str, head: bytes, demuxer: VideoDemuxer) -> VideoProbe:
    container, stream = demuxer.container, demuxer.stream
    has_audio = len(container.streams.audio) > 0
    # FFmpeg takes single pictures for videos of one frame; HEIC and AVIF share the container of MP4
    if container.format.name.endswith("_pipe") or (container.format.name == _MOV and is_image_header(head)):
        raise not_a_video(given, head)
    if stream is None:
        raise VideoError("holds sound but no video", path=given) if has_audio else not_a_video(given, head)
    if stream.codec_context is None:
        raise encryption_error(given) or VideoError(
            "its codec is not one that FFmpeg decodes", path=given, advice="convert it to H.264"
        )
    first, packets, pictures = _first_frame(demuxer)
    if not packets:
        raise VideoError("holds a video track without a single frame", path=given)
    # noise that is decoded may look like a picture, so encryption comes first
    has_side_data = getattr(packets[0].packet, "has_sidedata", None)
    if has_side_data is not None and has_side_data("encryption_info"):
        raise encrypted(given)
    if first is None:
        raise no_decodable_frame(given, stream.codec_context.width, stream.codec_context.height)
    base = Fraction(stream.time_base)
    start = demuxer.start
    rate = demuxer.rate
    seconds = _seconds(container, stream)
    if seconds and (seconds > _MAX_SECONDS or (rate and seconds * rate < len(packets) - 1)):
        seconds = None  # a wrong guess, or a damaged header
    transfer = stream.codec_context.color_trc
    sar = stream.sample_aspect_ratio
    converter = FrameConverter(sar, transfer)
    try:
        converter.rgb(first)
    except VideoError as error:
        raise error.with_path(given) from None
    width, height = converter.size(first)
    declared = _declared_packets(stream)
    exact = container.format.name in _STATES_LENGTH and seconds is not None
    info = SourceInfo(
        name=display_path(given),
        width=width,
        height=height,
        rate=rate,
        frames=(declared if exact else None) or (round(seconds * rate) if seconds and rate else None),
        seconds=seconds,
        rotation=ROTATIONS[converter.orientation(first)],
        codec=codec_name(stream),
        has_audio=has_audio,
    )
    return VideoProbe(
        path=given,
        info=info,
        stream=stream.index,
        numbering=_numbering(demuxer, first, packets, pictures),
        base=base,
        start=start,
        sar=sar,
        transfer=transfer,
        declared=declared if exact else None,
        until=_until(container, stream, start) if exact else None,
        edited=container.format.name == _MOV,
    )


def _first_frame(demuxer: VideoDemuxer) -> tuple[av.VideoFrame | None, list[VideoPacket], int]:
    """The first frame that is decoded whole, the packets read, and how many pictures they contain.

    Of an interlaced stream, all these packets are decoded, to see whether they are frames or fields.
    """
    from av.error import FFmpegError

    context = demuxer.stream.codec_context
    context.thread_count = 1
    first: av.VideoFrame | None = None
    packets: list[VideoPacket] = []
    pictures, size = 0, 0
    for packet in demuxer.packets():
        size += packet.packet.size
        if len(packets) < _MAX_PACKETS and size < _MAX_PACKET_BYTES:
            packets.append(packet)
        elif first is not None:
            break
        if (first is None or first.interlaced_frame) and not packet.is_costly():
            try:
                frames = context.decode(packet.packet)
            except FFmpegError:
                continue
            pictures += len(frames)
            first = first or next((frame for frame in frames if not frame.is_corrupt), None)
    with contextlib.suppress(FFmpegError):
        frames = context.decode(None)
        pictures += len(frames)
        first = first or next((frame for frame in frames if not frame.is_corrupt), None)
    return first, packets, pictures


def _numbering(
    demuxer: VideoDemuxer, first: av.VideoFrame, packets: list[VideoPacket], pictures: int
) -> FrameNumbering:
    visible = [packet for packet in packets if packet.visible]
    if any(packet.pts is None for packet in visible):
        return FrameNumbering.RATE
    if demuxer.container.format.name == "avi" and demuxer.stream.codec_context.has_b_frames:
        # AVI stores frames in decoding order without their times of presentation
        offsets = {
            packet.pts - packet.packet.dts
            for packet in visible
            if packet.pts is not None and packet.packet.dts is not None
        }
        if len(offsets) <= 1:
            return FrameNumbering.RATE
    if first.interlaced_frame and pictures <= 0.8 * len(visible):
        return FrameNumbering.FIELDS
    return FrameNumbering.TIMESTAMPS


def _declared_packets(stream: Any) -> int | None:
    count = stream.frames
    if not count:
        # what mkvmerge writes
        tag = stream.metadata.get("NUMBER_OF_FRAMES", "")
        count = int(tag) if tag.isdecimal() else 0
    return count or None


def _seconds(container: Any, stream: Any) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return float(container.duration / 1e6)
    return None


def _until(container: Any, stream: Any, start: Fraction) -> float | None:
    if container.format.name == _MOV and stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration and container.duration > 0:
        return float(start) + float(container.duration / 1e6)
    return None
