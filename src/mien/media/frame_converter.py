"""A decoded frame of any pixel format → upright RGB uint8 with square pixels."""

from __future__ import annotations

import functools
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import VideoError
from mien.media.image import MAX_PIXELS
from mien.media.pixels import apply_orientation
from mien.resampling import to_uint8

if TYPE_CHECKING:
    import av

_UNSPECIFIED, _BT709, _FCC, _SMPTE240M, _BT2020, _BT2020_CL = 2, 1, 4, 7, 9, 10
_MATRICES = {_BT709: "ITU709", _FCC: "FCC", 5: "ITU601", 6: "ITU601", _SMPTE240M: "SMPTE240M", _BT2020: "BT2020"}
"""AVColorSpace → PyAV's name of swscale's matrix."""
_LIMITED, _FULL = 1, 2
_PQ, _HLG = 16, 18
_SQUARE_TOLERANCE = 0.01
"""Sample aspect ratios this near to 1 are rounding of an encoder."""
ROTATIONS = {1: 0, 2: 0, 3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""EXIF's number of an orientation → degrees clockwise, without the mirroring of some."""
_MAX_ASPECT = 8
"""Sample aspect ratios above this, or below its reciprocal, are damage."""


class FrameConverter:
    """Frames of one stream → RGB.

    YUV is converted by the matrix and the range that the stream states. Where it states no matrix, pictures of at least
    1280 × 720 pixels are taken for BT.709 and smaller ones for BT.601, as players do; where it states no range, for
    limited, except for JPEG's formats and greyscale. Transparency is composited on white. The brightness of HDR (PQ,
    HLG) is converted to SDR by a curve; its wide colours are approximate. Interlaced frames stay as they are.

    Args:
        sar: width to height of one stored pixel; the shorter side of the pixel is stretched so that pixels are square.
        transfer: AVColorTransferCharacteristic of the stream.
    """

    def __init__(self, sar: Fraction | None, transfer: int = _UNSPECIFIED) -> None:
        from av.video.reformatter import Colorspace, VideoReformatter

        ratio = float(sar) if sar else 1.0
        self.sar = ratio if abs(ratio - 1) >= _SQUARE_TOLERANCE and 1 / _MAX_ASPECT <= ratio <= _MAX_ASPECT else 1.0
        self._transfer = transfer
        self._reformatter = VideoReformatter()
        self._matrices = Colorspace.__members__
        self._angle: int | None = None
        self._orientation: int | None = None

    def rgb(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """RGB uint8 ``(height, width, 3)``, contiguous.

        Raises:
            VideoError: a picture that is too large, or a pixel format that cannot be converted.
        """
        from av.error import FFmpegError

        width, height = self._scaled(frame.width, frame.height)
        if width * height > MAX_PIXELS:
            raise VideoError(
                f"declares frames of {width:,} × {height:,} pixels, above the limit of {MAX_PIXELS:,}",
                code="video-too-large",
                details={"pixels": width * height, "limit": MAX_PIXELS},
            )
        name = frame.format.name
        alpha = _has_alpha(frame)
        matrix = self._matrix(frame)
        # names, which every PyAV takes: the numbers behind them are not the same in all
        coding: dict[str, Any] = {
            "src_colorspace": matrix,
            # RGB has no matrix, but PyAV 14 ignores all of these where the two names are the same
            "dst_colorspace": "ITU709" if matrix == "ITU601" else "ITU601",
            "src_color_range": "JPEG" if _is_full(frame) else "MPEG",
            "dst_color_range": "JPEG",
            "interpolation": "BILINEAR",
        }
        try:
            converted = self._reformatter.reformat(frame, width, height, "rgba" if alpha else "rgb24", **coding)
        except (FFmpegError, ValueError):
            raise VideoError(
                f"its pixel format {name} cannot be converted to RGB", advice="convert it with ffmpeg"
            ) from None
        pixels = np.ascontiguousarray(converted.to_ndarray(), np.uint8)
        if alpha:
            pixels = _composite_on_white(pixels)
        if self._transfer in (_PQ, _HLG):
            pixels = _to_sdr(pixels, self._transfer)
        return apply_orientation(pixels, self.orientation(frame))

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(width, height) in pixels of what `rgb` returns."""
        width, height = self._scaled(frame.width, frame.height)
        return (height, width) if self.orientation(frame) >= 5 else (width, height)

    def orientation(self, frame: av.VideoFrame) -> int:
        """How the frame must be turned to be upright, as EXIF numbers it.

        The display matrix is read once, and again when PyAV's cheap summary of it changes: reading it keeps the frame,
        with its pixels, alive until Python's next garbage collection.
        """
        angle: int | None = getattr(frame, "rotation", None)
        if self._orientation is None or angle != self._angle:
            self._angle, self._orientation = angle, orientation(frame)
        return self._orientation

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self.sar >= 1:
            return max(1, round(width * self.sar)), height
        return width, max(1, round(height / self.sar))

    def _matrix(self, frame: av.VideoFrame) -> str:
        space = _BT2020 if frame.colorspace == _BT2020_CL else frame.colorspace
        if space not in _MATRICES:
            space = _BT709 if frame.width >= 1280 or frame.height >= 720 else 6
        name = _MATRICES[space]
        return name if name in self._matrices else "ITU709"


def orientation(frame: av.VideoFrame) -> int:
    """How the frame must be turned to be upright, as EXIF numbers it: 1 not at all, 2–8 the other seven ways.

    Source:
        FFmpeg's display matrix (libavutil/display.h): x' = a·x + c·y, y' = b·x + d·y with a, b, c, d at 0, 1, 3, 4.
    """
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV does not know a kind of side data beside it
        return {90: 8, -90: 6, 180: 3, -180: 3}.get(getattr(frame, "rotation", 0), 1)
    if data is None:
        return 1
    a, b, _, c, d = struct.unpack("=9i", bytes(data))[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}[a < 0, d < 0]
    return {(False, False): 5, (True, False): 6, (True, True): 7, (False, True): 8}[c < 0, b < 0]


def _is_full(frame: av.VideoFrame) -> bool:
    name = frame.format.name
    if frame.format.is_rgb or name.startswith("yuvj"):
        return True
    if frame.color_range in (_LIMITED, _FULL):
        return bool(frame.color_range == _FULL)
    return name.startswith(("gray", "ya", "mono"))


def _has_alpha(frame: av.VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def _composite_on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weight = alpha.astype(np.uint16)
    return ((rgba[..., :3] * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def _to_sdr(rgb: NDArray[np.uint8], transfer: int) -> NDArray[np.uint8]:
    pixels = _curve(transfer)[rgb]
    if transfer == _PQ:
        pixels = to_uint8(pixels.astype(np.float32) @ _TO_BT709.T)
    return pixels


_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""BT.2020 → BT.709 primaries (ITU-R BT.2087); applied to coded values it is an approximation."""


@functools.lru_cache(maxsize=2)
def _curve(transfer: int) -> NDArray[np.uint8]:
    """``(256,)``: a coded PQ or HLG level → the sRGB level of the same brightness, highlights rolled off.

    Source:
        Curves of ITU-R BT.2100 (HLG's system gamma 1.2 at 1,000 cd/m²); white at 203 cd/m² as in ITU-R BT.2408.
    """
    coded = np.arange(256) / 255
    if transfer == _PQ:
        power = coded ** (1 / 78.84375)
        candelas = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    else:
        scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        candelas = 1000 * scene**1.2
    linear = candelas / 203
    knee = 0.75
    linear = np.where(linear <= knee, linear, 1 - (1 - knee) * np.exp(-(linear - knee) / (1 - knee)))
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(srgb * 255), np.uint8)
