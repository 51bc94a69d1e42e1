"""A decoded Pillow image of any mode → upright RGB uint8 pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError
from mien.media.color_profiles import to_srgb

if TYPE_CHECKING:
    from PIL import Image

_STRIP = 128
"""Rows that are copied at a time."""
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_LONG = 32


def to_rgb(image: Image.Image) -> Image.Image:
    """The image as mode RGB in sRGB, transparency on white.

    Raises:
        ImageError: pixels without an agreed value for white (32-bit integers, floats).
    """
    profile = image.info.get("icc_profile") or None
    if image.mode.startswith("I"):
        image = _from_integers(image)
    elif image.mode == "F":
        raise ImageError("has floating-point pixels without a stated white", advice="save it with 8 or 16 bits")
    elif image.mode == "La":
        image = composite_on_white(image.convert("LA").convert("RGBA"))
    elif image.mode in ("P", "PA") or image.has_transparency_data:
        image = composite_on_white(image.convert("RGBA"))
    elif image.mode == "1":
        image = image.convert("L")
    managed = to_srgb(image, profile)
    if managed is not None:
        return managed
    return image if image.mode == "RGB" else image.convert("RGB")


def composite_on_white(image: Image.Image) -> Image.Image:
    """An RGBA image composited on white, as mode RGB."""
    from PIL import Image

    alpha = image.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGB")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=alpha)
    return canvas


def rgb_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """A mode RGB image as RGB uint8 ``(h, w, 3)``.

    Copied strip by strip: the one large temporary of ``numpy.asarray`` costs four times as much at 12 megapixels.
    """
    width, height = image.size
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        out[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return out


def apply_orientation(rgb: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels turned upright by EXIF's orientation; 1 and unknown values change nothing.

    Source:
        Exif 2.32, tag 0x0112: 2 mirrored, 3 upside down, 4 both, 5–8 the same with rows and columns exchanged.
    """
    if orientation not in range(2, 9):
        return rgb
    if orientation >= 5:
        rgb = rgb.swapaxes(0, 1)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[orientation]
    return np.ascontiguousarray(rgb[::rows, ::columns])


def _from_integers(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image)
    white = 65535
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    if image.mode != "I" and 8 < bits < 16:
        white = (1 << bits) - 1
    if image.mode == "I" and bits == _LONG and values.max(initial=0) <= 255:
        white = 255  # as programs write them that make integers of any picture
    if image.mode == "I" and (values.min() < 0 or values.max() > white):
        raise ImageError("has 32-bit integer pixels without a stated white", advice="save it with 8 or 16 bits")
    if image.mode != "I" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = white - values
    scaled = (np.minimum(values, white).astype(np.uint32) * 255 + white // 2) // white
    return Image.fromarray(scaled.astype(np.uint8))
