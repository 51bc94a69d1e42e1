"""Arrays of callers become RGB pixels, or an error that names the cure."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import InputError
from mien.media.image import load_image


def test_arrays() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    assert np.array_equal(load_image(rgb, color="rgb").rgb, rgb)
    assert np.array_equal(load_image(rgb, color="bgr").rgb, rgb[..., ::-1])
    gray = rgb[..., 0]
    for array in (gray, gray[..., None]):
        assert np.array_equal(load_image(array).rgb, np.repeat(gray[..., None], 3, 2))
    opaque = np.dstack([rgb, np.full(gray.shape, 255, np.uint8)])
    assert np.array_equal(load_image(opaque, color="rgb").rgb, rgb)
    assert np.array_equal(load_image(opaque, color="bgr").rgb, rgb[..., ::-1])
    clear = opaque.copy()
    clear[..., 3] = 0
    assert (load_image(clear, color="bgr").rgb == 255).all()


def test_arrays_are_copied() -> None:
    for array, color in ((np.zeros((4, 4, 3), np.uint8), "rgb"), (np.zeros((4, 4), np.uint8), None)):
        frame = load_image(array, color=color)
        array[...] = 9
        assert (frame.rgb == 0).all()


def test_strided_and_read_only_arrays() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    view = rgb[::-2, ::3]
    view.setflags(write=False)
    for color in ("rgb", "bgr"):
        want = view if color == "rgb" else view[..., ::-1]
        assert np.array_equal(load_image(view, color=color).rgb, want)


U8 = np.uint8
BAD_ARRAYS = [
    (np.zeros((4, 4, 3), U8), None, 'the array has 3 channels but not their order; add color="rgb", or'),
    (np.zeros((4, 4, 4), U8), None, "the array has 4 channels but not their order"),
    (np.zeros((3, 40, 50), U8), "rgb", "(3, 40, 50) has its channels first; pass numpy.moveaxis(array, 0, -1)"),
    (np.zeros((1, 40, 50), U8), None, "has its channels first"),
    (np.zeros((3, 40, 50), np.float32), "rgb", "has its channels first"),
    (np.zeros((4, 5, 2), U8), "rgb", "(4, 5, 2) has 2 channels, a picture has 1, 3 or 4"),
    (np.zeros((2, 4, 4, 3), U8), "rgb", "(2, 4, 4, 3) is a batch; pass one picture at a time"),
    (np.zeros(100, U8), "rgb", "one axis of 100 bytes; if it is an encoded file, pass array.tobytes()"),
    (np.zeros((), U8), "rgb", "has shape (), a picture is (height, width) or (height, width, 3)"),
    (np.zeros((0, 4, 3), U8), "rgb", "(0, 4, 3) is empty: a picture needs at least one pixel"),
    (np.zeros((4, 0), U8), None, "(4, 0) is empty"),
    (np.zeros((4, 4, 0), U8), "rgb", "is empty"),
    (np.full((4, 4, 3), 0.5, np.float32), "rgb", "is float32, a picture is uint8 with values 0-255; its values lie in"),
    (np.full((4, 4, 3), -0.5), "rgb", "is float64, a picture is uint8 with values 0-255; its values lie in -1 to 1"),
    (np.full((4, 4, 3), 99.5), "rgb", "pass array.round().astype('uint8')"),
    (np.full((4, 4, 3), np.nan), "rgb", "it also holds NaN, so replace that first, with numpy.nan_to_num"),
    (np.full((4, 4, 3), np.inf), "rgb", "scale it to 0-255 and convert it with astype('uint8')"),
    (np.full((4, 4, 3), 60000, np.uint16), "rgb", "is uint16, a picture is uint8 with values 0-255; pass (array /"),
    (np.full((4, 4, 3), 200, np.int64), "rgb", "a picture is uint8 with values 0-255; pass array.astype('uint8')"),
    (np.full((4, 4), -1, np.int32), None, "scale it to 0-255"),
    (np.ones((4, 4), bool), None, "is bool, a picture is uint8 with values 0-255; pass array.astype('uint8') * 255"),
    (np.full((4, 4), 1j), None, "is complex128"),
    (np.full((4, 4), "a"), None, "is <U1"),
    (np.full((4, 4), None), None, "is object"),
]  # fmt: skip


@pytest.mark.parametrize(("array", "color", "message"), BAD_ARRAYS)
def test_bad_arrays(array: np.ndarray, color: str | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_image(array, color=color)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
