"""The parts of an annotated video, and joining them into one file with the sound of the original.

A part is named by its number and the time stamp of its first frame, ``000003_1260000.mp4``; its own times start at 0.
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.draw.encoder import TICKS, check_complete, encoder_errors
from mien.draw.mark import MARK
from mien.draw.soundtrack import Soundtrack
from mien.errors import OutputError
from mien.files import atomic_path, is_special, sync

if TYPE_CHECKING:
    import av

_SINGLE_FRAME = TICKS // 25
"""Duration of the frame of a video with a single one, ticks."""


def part_name(number: int, ticks: int, suffix: str) -> str:
    """The file name of a part that starts at this time stamp."""
    return f"{number:06d}_{ticks}{suffix}"


def first_timestamp(part: Path) -> int:
    """The time stamp of the first frame of a part, ticks."""
    return int(part.stem.split("_")[1])


def read_timestamps(path: Path) -> list[int]:
    """The time stamps of the frames of a part, relative to its first frame; ticks."""
    import av

    with encoder_errors(path), av.open(f"file:{path}") as source:
        stream = source.streams.video[0]
        return [_ticks(packet) for packet in source.demux(stream) if packet.size]


def read_frame_size(path: Path) -> tuple[int, int]:
    """(width, height) of the frames of a part."""
    import av

    with encoder_errors(path), av.open(f"file:{path}") as source:
        stream = source.streams.video[0]
        return stream.width, stream.height


def truncate_part(part: Path, frames: int) -> None:
    """Reduce a part to its first frames."""
    import av

    hidden = part.with_name(f".{part.name}")
    with encoder_errors(part):
        with av.open(f"file:{part}") as source, av.open(f"file:{hidden}", "w", format="mp4") as output:
            stream = output.add_stream_from_template(source.streams.video[0])
            stream.time_base = Fraction(1, TICKS)
            for packet in _packets([part], first_timestamp(part), stream):
                if frames > 0:
                    output.mux(packet)
                frames -= 1
        check_complete(hidden)
        sync(hidden)
        hidden.replace(part)


def join_parts(
    parts: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], original: str | os.PathLike[str] | None
) -> tuple[str, ...]:
    """Write all parts and the sound of the original as one file; no frame is encoded again.

    Sound that MP4 cannot hold is encoded, or left out where that fails too.

    Returns:
        The problems with the sound, one line each.
    """
    files, target = [*map(Path, parts)], Path(path)
    for copy in (True, False):
        try:
            return _mux(files, target, original, copy=copy)
        except _SoundRefusedError as refused:
            problem = str(refused)
    return (problem, *_mux(files, target, None))


def _mux(parts: Sequence[Path], path: Path, original: Any, *, copy: bool = True) -> tuple[str, ...]:
    import av

    zero = first_timestamp(parts[0])
    with encoder_errors(path), atomic_path(path, folder=parts[0].parent) as temporary:
        with contextlib.ExitStack() as stack:
            # the index at the start of the file: a browser shows it while it loads
            options = {"movflags": "+faststart"}
            output = stack.enter_context(av.open(f"file:{temporary}", "w", format="mp4", options=options))
            output.metadata["comment"] = MARK
            with av.open(f"file:{parts[0]}") as first:
                stream = output.add_stream_from_template(first.streams.video[0])
            stream.time_base = Fraction(1, TICKS)
            packets = [_packets(parts, zero, stream)]
            sound = None
            if original is not None:
                sound = Soundtrack(original, output, zero / TICKS, (zero + _length(parts)) / TICKS, copy=copy)
                packets.append(iter(stack.enter_context(sound)))
            for packet in heapq.merge(*packets, key=_seconds):
                if sound is not None and packet.stream is sound.stream:
                    _mux_sound(output, packet)
                else:
                    output.mux(packet)
        check_complete(temporary)
        sync(temporary)
    if not is_special(path):
        with encoder_errors(path):
            sync(path.parent)
    return () if sound is None else sound.problems


class _SoundRefusedError(Exception):
    """MP4 cannot hold these packets."""


def _mux_sound(output: av.container.OutputContainer, packet: av.Packet[Any]) -> None:
    from av.error import ArgumentError, InvalidDataError

    try:
        output.mux(packet)
    except (ArgumentError, InvalidDataError) as error:
        raise _SoundRefusedError(f"the sound could not be copied: {error.strerror}") from error


def _packets(parts: Sequence[Path], zero: int, stream: Any) -> Iterator[av.Packet[Any]]:
    """The packets of all parts, with time stamps relative to ``zero`` and durations up to the next frame."""
    import av

    pending: av.Packet[Any] | None = None
    duration = _SINGLE_FRAME
    for part in parts:
        offset = first_timestamp(part) - zero
        with av.open(f"file:{part}") as source:
            for packet in source.demux(source.streams.video[0]):
                if not packet.size:
                    continue
                ticks = _ticks(packet) + offset
                packet.stream, packet.time_base = stream, Fraction(1, TICKS)
                packet.pts = packet.dts = ticks
                if pending is not None:
                    duration = ticks - (pending.pts or 0)
                    pending.duration = duration
                    yield pending
                pending = packet
    if pending is not None:
        pending.duration = duration
        yield pending


def _length(parts: Sequence[Path]) -> int:
    """Ticks from the first frame to the end of the last one, which lasts as long as the one before."""
    last = [first_timestamp(part) + ticks for part in parts[-2:] for ticks in read_timestamps(part)[-2:]][-2:]
    duration = last[1] - last[0] if len(last) > 1 else _SINGLE_FRAME
    return last[-1] + duration - first_timestamp(parts[0])


def _ticks(packet: av.Packet[Any]) -> int:
    if packet.pts is None or packet.time_base is None:
        raise OutputError("a part of the annotated video is damaged", advice="start the run again, without --resume")
    return round(packet.pts * packet.time_base * TICKS)


def _seconds(packet: av.Packet[Any]) -> float:
    return float((packet.dts or 0) * (packet.time_base or 0))
