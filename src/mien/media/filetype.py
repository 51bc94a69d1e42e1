"""What a file is that is not a readable picture or video, so that the error can name the cure."""

from __future__ import annotations

HEADER_BYTES = 512
"""Bytes from the start of a file that `kind_of` wants."""

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

_VIDEO = "is a video, not a picture: 'mien analyze FILE' or Analyzer.video(path) reads it"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "is a PDF document: save the page as PNG or JPEG"),
    (b"%!PS", "is a PostScript file: save it as PNG or JPEG"),
    (b"PK\x03\x04", "is a ZIP archive: unpack it first"),
    (b"\x1f\x8b", "is a gzip archive: unpack it first"),
    (b"\x93NUMPY", "is a NumPy array: load it with numpy.load and pass the array"),
    (b"\x1a\x45\xdf\xa3", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"FLV\x01", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),
    (b"\xff\x0a", "is a JPEG XL picture, which is not supported: save it as PNG or JPEG"),
    (b"\x00\x00\x00\x0cJXL ", "is a JPEG XL picture, which is not supported: save it as PNG or JPEG"),
    (b"FUJIFILMCCD-RAW", "is a camera raw file: export it as JPEG or TIFF"),
    (b"8BPS", "is a Photoshop file: save it as PNG or JPEG"),
    (b"II*\0", "is a TIFF or camera raw file of a kind that cannot be read: save it as PNG or JPEG"),
    (b"MM\0*", "is a TIFF or camera raw file of a kind that cannot be read: save it as PNG or JPEG"),
    (b"\xff\xd8\xff", "is a JPEG file damaged at its start: copy or download it again"),
    (b"\x89PNG", "is a PNG file damaged at its start: copy or download it again"),
    (b"version https://git-lfs", "is a Git LFS pointer: fetch the picture with 'git lfs pull'"),
)
_TEXT: tuple[tuple[bytes, str], ...] = (
    (b"<svg", "is an SVG drawing: save it as PNG"),
    (b"<html", "is a web page, perhaps the answer to a failed download: fetch the picture again"),
    (b"<!doctype html", "is a web page, perhaps the answer to a failed download: fetch the picture again"),
)
RAW_SUFFIXES = frozenset({".3fr", ".arw", ".cr2", ".cr3", ".dng", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".rw2"})
"""Camera raw files; most are TIFF inside, with a thumbnail where a reader of TIFF looks for the picture."""


def is_heif_header(head: bytes) -> bool:
    """Whether these first bytes open a HEIF (HEIC) picture and not an AVIF one, which shares the container."""
    if head[4:8] != b"ftyp":
        return False
    length = int.from_bytes(head[:4], "big")
    brands = head[8:length] if 16 <= length <= len(head) else head[8:12]
    return head[8:12] in _HEIF_BRANDS and not any(brand in brands for brand in _AVIF_BRANDS)


def kind_of(head: bytes) -> str:
    """The end of a sentence about a file that starts with ``head`` and is no readable picture: what it is, the cure."""
    for magic, meaning in _MAGIC:
        if head.startswith(magic):
            return meaning
    if head[4:8] == b"ftyp":
        if head[8:12] in _AVIF_BRANDS:
            from PIL import features

            if features.check("avif"):
                return "is a damaged AVIF picture: copy or download it again"
            return "is an AVIF picture, which this Pillow cannot read: pip install --upgrade pillow"
        if head[8:11] == b"crx":
            return "is a camera raw file: export it as JPEG or TIFF"
        return _VIDEO
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _VIDEO
    if _is_text(head):
        lowered = head.lower()
        return next(
            (meaning for mark, meaning in _TEXT if mark in lowered),
            "holds text, not a picture: check what was saved under this name",
        )
    return "is not a picture, or damaged at its start: give a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file"


_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\x01\0", b"8BPS")
_STILL = "is a picture, not a video: 'mien analyze FILE' or Analyzer.analyze(path) reads it under its own suffix"


def is_image_header(head: bytes) -> bool:
    """Whether these first bytes open a single picture; GIF counts, though it may be animated."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return not _is_animated_webp(head)
    return head.startswith(_PICTURES) or is_heif_header(head) or (head[4:8] == b"ftyp" and head[8:12] == b"avif")


def is_video_header(head: bytes) -> bool:
    """Whether these first bytes open a container of videos; it may hold sound alone."""
    transport = head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47"
    return transport or (not is_image_header(head) and kind_of(head) == _VIDEO)


def kind_not_video(head: bytes) -> str:
    """The end of a sentence about a file that starts with ``head`` and is no readable video: what it is, the cure."""
    if is_image_header(head):
        return _STILL
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "is an animated WebP, which FFmpeg does not read: convert it to MP4 or GIF"
    if head.startswith(b"#EXTM3U"):
        return "is a playlist, not a video: give the address it comes from, or one of the files it names"
    if head[4:8] == b"ftyp":
        return (
            "is an MP4 or MOV file without its index (moov), as when a recording or a copy breaks off: "
            "copy it again, or repair it with a tool such as untrunc"
        )
    kind = kind_of(head)
    if kind == _VIDEO:
        return "is a video that is damaged at its start: copy or download it again"
    for magic in (b"%PDF", b"PK\x03\x04", b"\x1f\x8b", b"version https://git-lfs"):
        if head.startswith(magic):
            return kind.replace("picture", "video").split(": save the page")[0]
    if _is_text(head):
        return kind.replace("not a picture", "not a video").replace("fetch the picture", "fetch the video")
    return "is not a video, or damaged at its start: copy or download it again"


def _is_animated_webp(head: bytes) -> bool:
    return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 0x02)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # the last character may be cut in two by the end of the head
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(c.isprintable() or c in "\t\n\r\f\ufeff" for c in text)
