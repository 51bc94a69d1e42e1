"""One clear line for everything that is no readable video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.clips import clip, scrambled, shortened
from helpers.video_files import save_picture
from mien.errors import InputError, MissingFileError, VideoError
from mien.media.video import open_video


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


def test_an_index_at_the_end_that_is_cut_off(tmp_path: Path) -> None:
    path = shortened(clip(tmp_path / "a.mp4"))
    with pytest.raises(VideoError, match=r"a\.mp4: is an MP4 or MOV file without its index \(moov\), as when a rec"):
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


def test_programs_can_read_what_is_wrong(tmp_path: Path) -> None:
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
