"""What a file is, by its first bytes: for files that are no readable picture or video, what to do about them."""

from __future__ import annotations

from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG."""
HEADER_BYTES = 512
"""Bytes from the start of a file that the functions here need."""


class FileDiagnosis(NamedTuple):
    """Why a file cannot be read.

    Attributes:
        reason: what it is, as the predicate of a sentence about the file.
        advice: what to do, None where nothing helps.
    """

    reason: str
    advice: str | None = None


_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"mif2", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

_VIDEO = FileDiagnosis("is a video, not a picture", "'mien analyze FILE' or Analyzer.video(path) reads it")
_IMAGE = FileDiagnosis("is a picture, not a video", "'mien analyze FILE' or Analyzer.analyze(path) reads it")
_RAW = FileDiagnosis("is a camera raw file", "export it as JPEG or TIFF")
_JPEG_XL = FileDiagnosis("is a JPEG XL picture, which is not supported", "save it as PNG or JPEG")
_ODD_TIFF = FileDiagnosis("is a TIFF or camera raw file of a kind that cannot be read", "save it as PNG or JPEG")
_GIT_LFS = b"version https://git-lfs"
_ZIP, _GZIP, _PDF, _POSTSCRIPT = b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"%!PS"
_SIGNATURES: tuple[tuple[bytes, FileDiagnosis], ...] = (
    (_PDF, FileDiagnosis("is a PDF document", "save the page as PNG or JPEG")),
    (_POSTSCRIPT, FileDiagnosis("is a PostScript file", "save it as PNG or JPEG")),
    (_ZIP, FileDiagnosis("is a ZIP archive", "unpack it first")),
    (_GZIP, FileDiagnosis("is a gzip archive", "unpack it first")),
    (b"\x93NUMPY", FileDiagnosis("is a NumPy array", "load it with numpy.load and pass the array")),
    (b"\x1a\x45\xdf\xa3", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"FLV\x01", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),
    (b"\xff\x0a", _JPEG_XL),
    (b"\x00\x00\x00\x0cJXL ", _JPEG_XL),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"8BPS", FileDiagnosis("is a Photoshop file", "save it as PNG or JPEG")),
    (b"II*\0", _ODD_TIFF),
    (b"MM\0*", _ODD_TIFF),
    (b"\xff\xd8\xff", FileDiagnosis("is a JPEG file damaged at its start", "copy or download it again")),
    (b"\x89PNG", FileDiagnosis("is a PNG file damaged at its start", "copy or download it again")),
    (_GIT_LFS, FileDiagnosis("is a Git LFS pointer", "fetch the picture with 'git lfs pull'")),
)
_SVG = b"<svg"
_WEB_PAGES = (b"<html", b"<!doctype html")
RAW_SUFFIXES = frozenset({".3fr", ".arw", ".cr2", ".cr3", ".dng", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".rw2"})
"""Camera raw files; most are TIFF inside, with a thumbnail where a reader of TIFF looks for the picture."""


def is_heif_header(head: bytes) -> bool:
    """Whether these first bytes begin a HEIF (HEIC) picture and not an AVIF one, which shares the container."""
    if head[4:8] != b"ftyp":
        return False
    length = int.from_bytes(head[:4], "big")
    brands = head[8:length] if 16 <= length <= len(head) else head[8:12]
    return head[8:12] in _HEIF_BRANDS and not any(brand in brands for brand in _AVIF_BRANDS)


_IMAGE_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\x01\0", b"8BPS")


def is_image_header(head: bytes) -> bool:
    """Whether these first bytes begin a single picture; GIF counts, though it may be animated."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return not _is_animated_webp(head)
    return (
        head.startswith(_IMAGE_SIGNATURES) or is_heif_header(head) or (head[4:8] == b"ftyp" and head[8:12] == b"avif")
    )


def is_video_header(head: bytes) -> bool:
    """Whether these first bytes begin a container of videos; it may hold sound alone."""
    transport_stream = head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47"
    return transport_stream or (not is_image_header(head) and diagnose_unreadable_image(head) == _VIDEO)


def diagnose_unreadable_image(head: bytes) -> FileDiagnosis:
    """What a file is that starts with ``head`` and is no readable picture, and what to do."""
    for signature, diagnosis in _SIGNATURES:
        if head.startswith(signature):
            return diagnosis
    if head[4:8] == b"ftyp":
        return _diagnose_mp4_family(head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _VIDEO
    if _is_text(head):
        if _SVG in head.lower():
            return FileDiagnosis("is an SVG drawing", "save it as PNG")
        return _diagnose_text(head, "picture")
    return FileDiagnosis(
        "is not a picture, or damaged at its start", "give a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file"
    )


def diagnose_unreadable_video(head: bytes) -> FileDiagnosis:
    """What a file is that starts with ``head`` and is no readable video, and what to do."""
    if is_image_header(head):
        return _IMAGE
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileDiagnosis("is an animated WebP, which FFmpeg does not read", "convert it to MP4 or GIF")
    if head.startswith(b"#EXTM3U"):
        return FileDiagnosis(
            "is a playlist, not a video", "give the address it comes from, or one of the files it names"
        )
    if head[4:8] == b"ftyp":
        return FileDiagnosis(
            "is an MP4 or MOV file without its index (moov), as when a recording or a copy breaks off",
            "copy it again, or repair it with a tool such as untrunc",
        )
    if head.startswith((_PDF, _POSTSCRIPT)):
        return FileDiagnosis(diagnose_unreadable_image(head).reason)
    if head.startswith(_GIT_LFS):
        return FileDiagnosis("is a Git LFS pointer", "fetch the video with 'git lfs pull'")
    diagnosis = diagnose_unreadable_image(head)
    if diagnosis == _VIDEO:
        return FileDiagnosis("is a video that is damaged at its start", "copy or download it again")
    if head.startswith((_ZIP, _GZIP)):
        return diagnosis
    if _is_text(head):
        return FileDiagnosis("is an SVG drawing") if _SVG in head.lower() else _diagnose_text(head, "video")
    return FileDiagnosis("is not a video, or damaged at its start", "copy or download it again")


def _diagnose_mp4_family(brand: bytes) -> FileDiagnosis:
    if brand in _AVIF_BRANDS:
        from PIL import features

        if features.check("avif"):
            return FileDiagnosis("is a damaged AVIF picture", "copy or download it again")
        return FileDiagnosis("is an AVIF picture, which this Pillow cannot read", "pip install --upgrade pillow")
    return _RAW if brand[:3] == b"crx" else _VIDEO


def _diagnose_text(head: bytes, wanted: str) -> FileDiagnosis:
    if any(mark in head.lower() for mark in _WEB_PAGES):
        return FileDiagnosis("is a web page, perhaps the answer to a failed download", f"fetch the {wanted} again")
    return FileDiagnosis(f"holds text, not a {wanted}", "check what was saved under this name")


def _is_animated_webp(head: bytes) -> bool:
    return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 0x02)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # the end of the header may split the last character
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return bool(text) and all(c.isprintable() or c in "\t\n\r\f\ufeff" for c in text)
