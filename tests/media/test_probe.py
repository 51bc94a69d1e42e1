"""What is known of a video file before it is read, and one clear line for everything that is no video."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

from helpers.clips import clip, number_of, numbered, scrambled, shortened, sound
from helpers.video_files import FRAMES, read_clip, save_picture
from mien.errors import InputError, MissingFileError, VideoError
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


def test_an_index_at_the_end_that_is_cut_off(tmp_path: Path) -> None:
    path = shortened(clip(tmp_path / "a.mp4"))
    with pytest.raises(VideoError, match=r"a\.mp4: is an MP4 or MOV file without its index \(moov\), as when a rec"):
        open_video(path)


def pdf(path: Path) -> None:
    path.write_bytes(b"%PDF-1.4\n" + b"\0" * 500)


def encrypted(path: Path) -> None:
    key = "00112233445566778899aabbccddeeff"
    clip(path, container_options={"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key})


def animated_webp(path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    pictures[0].save(path, "WEBP", save_all=True, append_images=pictures[1:])


NOT_VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda p: p.write_text("hello\n" * 50), "holds text, not a video; check what was saved under this name"),
    "page": (
        lambda p: p.write_text("<!DOCTYPE html><html>404</html>"),
        "is a web page, perhaps the answer to a failed",
    ),
    "subtitles": (lambda p: p.write_text("1\n00:00:01,000 --> 00:00:02,000\nhi\n"), "holds text, not a video"),
    "playlist": (
        lambda p: p.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        "is a playlist, not a video; give the address it comes from, or one of the files it names",
    ),
    "empty": (lambda p: p.touch(), r"is empty \(0 bytes\); copy or download it again"),
    "noise": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)), "is not a video, or damaged at its start"),
    "zeros": (lambda p: p.write_bytes(bytes(5000)), "is not a video, or damaged at its start"),
    "pdf": (pdf, "is a PDF document"),
    "png": (lambda p: save_picture(p, "PNG"), "is a picture, not a video; 'mien analyze FILE' or Analyzer.analyze"),
    "jpeg": (lambda p: save_picture(p, "JPEG"), "is a picture, not a video"),
    "webp": (lambda p: save_picture(p, "WEBP"), "is a picture, not a video"),
    "avif": (lambda p: save_picture(p, "AVIF"), "is a picture, not a video"),
    "tiff": (lambda p: save_picture(p, "TIFF"), "is a picture, not a video"),
    "animated-webp": (animated_webp, "is an animated WebP, which FFmpeg does not read; convert it to MP4 or GIF"),
    "drm": (encrypted, r"is encrypted \(DRM\); only the player it was made for can read it"),
    "codec": (
        lambda p: clip(p).write_bytes(p.read_bytes().replace(b"avc1", b"zzzz")),
        "its codec is not one that FFmpeg decodes; convert it to H.264",
    ),
    "noise-inside": (lambda p: scrambled(clip(p), 0.005, 0.55), "is |not one of its frames can be decoded"),
}


@pytest.mark.parametrize("case", NOT_VIDEOS)
def test_files_that_are_no_videos(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "film.mp4"
    make, message = NOT_VIDEOS[case]
    make(path)
    capfd.readouterr()
    with pytest.raises(VideoError, match=message) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


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


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"gone\.mp4: no such file; check the path, relative ones start at "):
        open_video(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="is a folder; give the videos in it one at a time, or open_num"):
        open_video(tmp_path)
    with pytest.raises(InputError, match="is an address, not a file; 'mien live' or open_live reads it"):
        open_video("rtsp://host/stream")
    with pytest.raises(InputError, match="the path is empty"):
        open_video("")
    with pytest.raises(InputError, match="is a pipe or a device, which cannot be read twice"):
        open_video("/dev/null")
    with pytest.raises(InputError, match="is not a path: "):
        open_video("a\0b")
    (tmp_path / "file").touch()
    with pytest.raises(MissingFileError, match="a part of the path is a file, not a folder"):
        open_video(tmp_path / "file" / "a.mp4")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "a.mp4")

    def refused(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(InputError, match=r"a\.mp4: cannot be opened: Permission denied"):
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


def test_programs_can_tell_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    encrypted(path)
    with pytest.raises(VideoError) as caught:
        open_video(path)
    assert (caught.value.code, caught.value.path) == ("video-encrypted", str(path))
    pdf(path)
    with pytest.raises(VideoError) as caught:
        open_video(path)
    assert (caught.value.code, caught.value.reason, caught.value.advice) == (
        "video-unreadable", "is a PDF document", None
    )  # fmt: skip
    with pytest.raises(InputError) as address:
        open_video("rtsp://user:secret@host/stream")
    assert "secret" not in str(address.value)
