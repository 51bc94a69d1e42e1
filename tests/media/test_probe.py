"""What is known of a video file before it is read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import av.logging
import pytest

from helpers.clips import clip, number_of, numbered, sound
from helpers.video_files import FRAMES, read_clip
from mien.errors import VideoError
from mien.media.selection import FrameSelection
from mien.media.video import open_video


def test_info(made: Callable[..., Path], tmp_path: Path) -> None:
    with open_video(made("h264.mp4")) as video:
        info = video.info
    assert (info.width, info.height, info.rate, info.frames, info.rotation) == (64, 48, 25.0, FRAMES, 0)
    assert info.seconds == pytest.approx(1.6)
    assert (info.codec, info.has_audio, info.live) == ("h264", False, False)
    assert info.name == str(made("h264.mp4"))
    assert open_video(made("h264.mp4"), FrameSelection(every=3)).info.frames == 14
    assert open_video(made("h264.mp4"), FrameSelection(start=0.4, end=0.6)).info.frames == 5
    assert open_video(made("h264.mkv"), FrameSelection(fps=5)).info.frames == 8
    assert open_video(made("raw.h264")).info.frames is None
    assert open_video(made("av1.mp4")).info.codec == "av1"


def test_the_larger_track_is_taken_and_a_cover_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output:
        streams = []
        for width, height in ((32, 32), (64, 48)):
            stream = output.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
            streams.append((stream, (width, height)))
        for i, (stream, size) in itertools.product(range(5), streams):
            frame = av.VideoFrame.from_ndarray(numbered(i, size), "rgb24")
            frame.pts = i
            output.mux(stream.encode(frame))
        for stream, _ in streams:
            output.mux(stream.encode(None))
    with open_video(path) as video:
        assert [(frame.size, number_of(frame.rgb)) for frame in video] == [((64, 48), i) for i in range(5)]


def test_names_that_look_like_addresses_or_patterns(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "a%03d[1]*?.mp4", "ünïcode 漢字.mp4", "-x.mp4", "concat:x.mp4"):
        path = clip(tmp_path / "a.mp4", frames=2).rename(tmp_path / name)
        assert len(read_clip(path)) == 2
    odd = Path(str(tmp_path / "a\udcff.mp4"))
    clip(tmp_path / "a.mp4", frames=2).rename(odd)
    assert len(read_clip(odd)) == 2


def test_sound_alone(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"a\.m4a: holds sound but no video"):
        open_video(sound(tmp_path / "a.m4a"))


def test_a_track_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        output.start_encoding()
    with pytest.raises(VideoError, match=r"a\.mp4: holds a video track without a single frame"):
        open_video(path)


@pytest.mark.parametrize(("declared", "frames"), [("40", 40), ("²", 40), ("many", 40)])
def test_a_count_of_frames_that_is_no_number_is_ignored(declared: str, frames: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    clip(tmp_path / "b.mkv", frames=40)
    with av.open(str(tmp_path / "b.mkv")) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.metadata["NUMBER_OF_FRAMES"] = declared
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert open_video(path).info.frames == frames
