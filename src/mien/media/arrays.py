"""Arrays that callers pass → RGB uint8 pixels, or an error that explains what is wrong with them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

Color = Literal["rgb", "bgr"]
"""Order of the channels of an array."""


def rgb_from_array(array: NDArray[Any], color: Color | None) -> NDArray[np.uint8]:
    """A copy of the picture as RGB uint8 ``(h, w, 3)``, so that later changes to the array do not reach the result.

    Args:
        array: uint8 of shape ``(h, w)``, ``(h, w, 1)``, ``(h, w, 3)`` or ``(h, w, 4)``; the fourth channel is opacity
            and the picture is composited on white.
        color: the order of the channels; needed for three and four, meaningless for one.

    Raises:
        InputError: for any other dtype or shape, an empty array, or three channels without ``color``.
    """
    array = np.asarray(array)
    _check_shape(array)
    if array.dtype != np.uint8:
        raise InputError(
            f"the array is {array.dtype}, a picture is uint8 with values 0-255", advice=_conversion_advice(array)
        )
    channels = array.shape[2] if array.ndim == 3 else 1
    if channels >= 3 and color is None:
        raise InputError(
            f"the array has {channels} channels but not their order",
            advice='add color="rgb", or color="bgr" for what OpenCV reads',
        )
    array = np.ascontiguousarray(array)
    if channels == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if channels == 3:
        return np.ascontiguousarray(array[..., ::-1]) if color == "bgr" else array.copy()
    from PIL import Image

    from mien.media.pixels import composite_on_white, rgb_pixels

    rgba = array if color == "rgb" else array[..., [2, 1, 0, 3]]
    return rgb_pixels(composite_on_white(Image.fromarray(rgba)))


def _check_shape(array: NDArray[Any]) -> None:
    shape = array.shape
    if array.ndim == 1 and array.dtype == np.uint8 and len(array):
        raise InputError(
            f"the array has one axis of {len(array)} bytes", advice="if it is an encoded file, pass array.tobytes()"
        )
    if array.ndim == 4:
        raise InputError(f"the array of shape {shape} is a batch", advice="pass one picture at a time")
    if array.ndim not in (2, 3):
        raise InputError(f"the array has shape {shape}, a picture is (height, width) or (height, width, 3)")
    if 0 in shape:
        raise InputError(f"the array of shape {shape} is empty: a picture needs at least one pixel")
    if array.ndim == 3 and shape[2] not in (1, 3, 4):
        if shape[0] in (1, 3, 4) and shape[2] > 4:
            raise InputError(
                f"the array of shape {shape} has its channels first",
                advice="pass numpy.moveaxis(array, 0, -1), which is (height, width, channels)",
            )
        raise InputError(f"the array of shape {shape} has {shape[2]} channels, a picture has 1, 3 or 4")


def _conversion_advice(array: NDArray[Any]) -> str:
    kind = array.dtype.kind
    if kind == "b":
        return "pass array.astype('uint8') * 255"
    if kind == "f":
        if np.isnan(array).any():
            return "it also holds NaN, so replace that first, with numpy.nan_to_num"
        if array.min() >= 0 and array.max() <= 1:
            return "its values lie in 0-1, so pass (array * 255).round().astype('uint8')"
        if array.min() >= -1 and array.max() <= 1:
            return "its values lie in -1 to 1, so pass ((array + 1) * 127.5).round().astype('uint8')"
    if kind in "fiu":
        if array.min() >= 0 and array.max() <= 255:
            return "pass array.round().astype('uint8')" if kind == "f" else "pass array.astype('uint8')"
        if array.dtype == np.uint16:
            return "pass (array / 257).round().astype('uint8')"
    return "scale it to 0-255 and convert it with astype('uint8')"
