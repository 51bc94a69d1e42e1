"""What is known of a video file before its frames are read.

It is found from the header and the first packets alone, so that every run over the file, also one that resumes, finds
the same.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputError, MissingFileError, VideoError, display_path
from mien.media.demuxer import MAX_FRAME_PIXELS, VideoDemuxer, VideoPacket, codec_name
from mien.media.filetype import HEADER_BYTES, is_image_header, kind_not_video
from mien.media.frame_converter import FrameConverter
from mien.media.source import SourceInfo

if TYPE_CHECKING:
    import av

_PEEK, _PEEK_BYTES = 64, 64 << 20
_LONGEST = 48 * 3600.0
"""Seconds that a header may claim and be believed."""
_ENCRYPTED = "is encrypted (DRM): only the player it was made for can read it"
_TURNED = {1: 0, 2: 0, 3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_TRUE_LENGTH = frozenset({_MOV, "matroska,webm", "avi", "flv", "asf"})
"""Containers that state their length; FFmpeg guesses that of others from what it finds."""


class FrameNumbering(Enum):
    """How frames get their numbers and times."""

    STAMPS = "every packet is a frame with its own time stamp"
    FIELDS = "two packets may be one frame; the time stamps can be used"
    RATE = "no usable time stamps: frames come at the nominal rate"


@dataclass(frozen=True, slots=True)
class VideoProbe:
    """A video file.

    Attributes:
        path: as it was given.
        info: for the caller; its ``frames`` are those of the whole file.
        stream: index of the video stream.
        numbering: how frames get their numbers and times.
        base: seconds a unit of a time stamp.
        start: seconds on the container's clock that count as 0.
        sar: width to height of a stored pixel.
        transfer: AVColorTransferCharacteristic.
        declared: packets that the container says it has, None where it does not.
        until: seconds on the container's clock at which it says it ends, None where it does not.
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
        """Nominal frames a second; 25 where the file names none."""
        return self.info.rate or 25.0

    def converter(self) -> FrameConverter:
        """Frames of this video → RGB."""
        return FrameConverter(self.sar, self.transfer)


def probe_video(path: str | os.PathLike[str]) -> VideoProbe:
    """Look into a video file and decode its first frame.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, an address, a pipe, or a file that may not be read.
        VideoError: not a video, or one without a frame that can be decoded.
    """
    from av.error import FFmpegError

    given = os.fsdecode(os.fspath(path))
    name = display_path(given)
    head = _head(given, name)
    try:
        with VideoDemuxer(given) as opened:
            return _facts(given, name, head, opened)
    except FFmpegError as error:
        if isinstance(error, OSError) and error.strerror:
            raise VideoError(f"{name}: cannot be read: {error.strerror}") from None
        raise VideoError(f"{name}: {kind_not_video(head)}") from None


def _facts(given: str, name: str, head: bytes, opened: VideoDemuxer) -> VideoProbe:
    container, stream = opened.container, opened.stream
    sound = len(container.streams.audio) > 0
    # FFmpeg takes single pictures for videos of one frame; HEIC and AVIF share the container of MP4
    if container.format.name.endswith("_pipe") or (container.format.name == _MOV and is_image_header(head)):
        raise VideoError(f"{name}: {kind_not_video(head)}")
    if stream is None:
        raise VideoError(f"{name}: " + ("holds sound but no video" if sound else kind_not_video(head)))
    if stream.codec_context is None:
        raise VideoError(f"{name}: {_locked(given) or 'its codec is not one that FFmpeg decodes: convert it to H.264'}")
    first, packets, pictures = _first_frame(opened)
    if not packets:
        raise VideoError(f"{name}: holds a video track without a single frame")
    # noise that is decoded may look like a picture, so encryption comes first
    told = getattr(packets[0].packet, "has_sidedata", None)
    if told is not None and told("encryption_info"):
        raise VideoError(f"{name}: {_ENCRYPTED}")
    if first is None:
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MAX_FRAME_PIXELS:
            size = f"{width:,} × {height:,} pixels, above the limit of {MAX_FRAME_PIXELS:,}"
            raise VideoError(f"{name}: declares frames of {size}: make it smaller, for example with ffmpeg -vf scale")
        reason = _locked(given) or "not one of its frames can be decoded: copy or download it again"
        raise VideoError(f"{name}: {reason}")
    base = Fraction(stream.time_base)
    start = opened.start
    rate = opened.rate
    seconds = _seconds(container, stream)
    if seconds and (seconds > _LONGEST or (rate and seconds * rate < len(packets) - 1)):
        seconds = None  # a wrong guess, or a damaged header
    transfer = stream.codec_context.color_trc
    sar = stream.sample_aspect_ratio
    converter = FrameConverter(sar, transfer)
    try:
        converter.rgb(first)
    except VideoError as error:
        raise VideoError(f"{name}: {error}") from None
    width, height = converter.size(first)
    declared = _declared(stream)
    exact = container.format.name in _TRUE_LENGTH and seconds is not None
    info = SourceInfo(
        name=name,
        width=width,
        height=height,
        rate=rate,
        frames=(declared if exact else None) or (round(seconds * rate) if seconds and rate else None),
        seconds=seconds,
        rotation=_TURNED[converter.orientation(first)],
        codec=codec_name(stream),
        has_audio=sound,
    )
    return VideoProbe(
        path=given,
        info=info,
        stream=stream.index,
        numbering=_numbering(opened, first, packets, pictures),
        base=base,
        start=start,
        sar=sar,
        transfer=transfer,
        declared=declared if exact else None,
        until=_until(container, stream, start) if exact else None,
        edited=container.format.name == _MOV,
    )


def _head(given: str, name: str) -> bytes:
    if not given:
        raise InputError("the path is empty: give the path of a video")
    if "://" in given[:20]:
        raise InputError(f"{name}: is an address, not a file: 'mien live' or open_live reads it")
    path = Path(given)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name}: is a folder: give the videos in it one at a time, or open_numbered for pictures")
        if not stat.S_ISREG(mode):
            raise InputError(f"{name}: is a pipe or a device, which cannot be read twice: save the video as a file")
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except FileNotFoundError:
        raise MissingFileError(f"{name}: no such file: check the path, relative ones start at {Path.cwd()}") from None
    except NotADirectoryError:
        raise MissingFileError(f"{name}: no such file: a part of the path is a file, not a folder") from None
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{name}: cannot be opened: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{name}: is not a path: {error}") from None
    if not head:
        raise VideoError(f"{name}: is empty (0 bytes): copy or download it again")
    return head


def _first_frame(opened: VideoDemuxer) -> tuple[av.VideoFrame | None, list[VideoPacket], int]:
    """The first frame that is decoded whole, the packets looked at, and how many pictures came of them.

    An interlaced stream is decoded to the end of the look, to see whether its packets are frames or fields.
    """
    from av.error import FFmpegError

    context = opened.stream.codec_context
    context.thread_count = 1
    first: av.VideoFrame | None = None
    packets: list[VideoPacket] = []
    pictures, held = 0, 0
    for sent in opened.packets():
        held += sent.packet.size
        if len(packets) < _PEEK and held < _PEEK_BYTES:
            packets.append(sent)
        elif first is not None:
            break
        if first is None or first.interlaced_frame:
            try:
                frames = context.decode(sent.packet)
            except FFmpegError:
                continue
            pictures += len(frames)
            first = first or next((frame for frame in frames if not frame.is_corrupt), None)
    with contextlib.suppress(FFmpegError):
        frames = context.decode(None)
        pictures += len(frames)
        first = first or next((frame for frame in frames if not frame.is_corrupt), None)
    return first, packets, pictures


def _numbering(opened: VideoDemuxer, first: av.VideoFrame, packets: list[VideoPacket], pictures: int) -> FrameNumbering:
    expected = [sent for sent in packets if sent.shown]
    if any(sent.pts is None for sent in expected):
        return FrameNumbering.RATE
    if opened.container.format.name == "avi" and opened.stream.codec_context.has_b_frames:
        # AVI stores frames in decoding order without their times of presentation
        offsets = {
            sent.pts - sent.packet.dts for sent in expected if sent.pts is not None and sent.packet.dts is not None
        }
        if len(offsets) <= 1:
            return FrameNumbering.RATE
    if first.interlaced_frame and pictures <= 0.8 * len(expected):
        return FrameNumbering.FIELDS
    return FrameNumbering.STAMPS


def _declared(stream: Any) -> int | None:
    count = stream.frames
    if not count:
        # what mkvmerge writes
        tag = stream.metadata.get("NUMBER_OF_FRAMES", "")
        count = int(tag) if tag.isdigit() else 0
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


def _locked(path: str) -> str | None:
    """Whether the file says that it is encrypted."""
    with Path(path).open("rb") as file:
        head = file.read(1 << 20)
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - (1 << 20)))
        tail = file.read()
    if any(mark in part for mark in (b"encv", b"pssh") for part in (head, tail)):
        return _ENCRYPTED
    return None
