from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import hog as skimage_hog

from helpers.datasets import noise
from helpers.features import FACES
from mien.published.features import (
    FEATURES,
    hog,
)


def edges(vertical: bool) -> NDArray[np.uint8]:
    """A step in the middle of every 16-pixel cell, dark to bright."""
    line = np.where(np.arange(48) % 16 < 8, 10, 200).astype(np.uint8)
    image = np.tile(line, (48, 1))
    return (image if vertical else image.T)[None]


@pytest.mark.parametrize(("vertical", "orientation"), [(True, 0), (False, 4)])
def test_hog_of_edges(vertical: bool, orientation: int) -> None:
    cells = hog.face_hog(edges(vertical)).reshape(9, 8)
    np.testing.assert_allclose(cells[:, orientation], 1, atol=1e-5)
    assert np.delete(cells, orientation, axis=1).max() == 0


def test_hog_of_a_slope() -> None:
    """Brightness grows right and down alike: every gradient points at 45°, and the border's do too."""
    y, x = np.mgrid[:48, :48]
    cells = hog.face_hog((x + 2 * y).astype(np.uint8)[None]).reshape(9, 8)
    at = int(np.degrees(np.arctan2(2, 1)) // 22.5)
    np.testing.assert_allclose(cells[:, at], 1, atol=1e-5)


def test_a_flat_face_has_no_gradient() -> None:
    assert not hog.face_hog(np.full((2, 48, 48), 77, np.uint8)).any()
    assert not hog.sliding_window_hog(np.zeros((2, 48, 48), np.uint8)).any()


def by_definition(image: NDArray[np.uint8], cell: int) -> NDArray[np.float64]:
    """HOG cell by cell with NumPy's gradient, as scikit-image 0.13 has it."""
    down, right = np.gradient(image.astype(float))
    strength, angle = np.hypot(right, down), np.rad2deg(np.arctan2(down, right)) % 180
    out = []
    for y in range(0, image.shape[0] - cell + 1, cell):
        for x in range(0, image.shape[1] - cell + 1, cell):
            here = (slice(y, y + cell), slice(x, x + cell))
            votes = [strength[here][(angle[here] >= a) & (angle[here] < a + 22.5)].sum() for a in np.arange(8) * 22.5]
            out.append(np.array(votes) / cell**2 / (sum(votes) / cell**2 + 1e-5))
    return np.concatenate(out) if out else np.zeros(0)


def test_hog_follows_its_definition() -> None:
    for image, vector, windows in zip(
        FACES[:6], hog.face_hog(FACES[:6]), hog.sliding_window_hog(FACES[:6]), strict=True
    ):
        np.testing.assert_allclose(vector, by_definition(image, 16), atol=1e-6)
        starts = [(y, x) for y in range(0, 48, 6) for x in range(0, 48, 6)]
        parts = [by_definition(image[y : y + 24, x : x + 24], 8) for y, x in starts]
        np.testing.assert_allclose(windows, np.concatenate(parts), atol=1e-6)


def test_hog_equals_scikit_image_where_the_edge_is_repeated() -> None:
    for image in np.pad(noise(8, 46, 46, seed=3), ((0, 0), (1, 1), (1, 1)), mode="edge"):
        expected = skimage_hog(image, 8, (16, 16), (1, 1), block_norm="L1")
        np.testing.assert_allclose(hog.face_hog(image[None])[0], expected, atol=1e-6)


def test_windows_end_at_the_edge() -> None:
    """24 pixels hold 3 cells a side, 18 two, 12 one, 6 none: 5 × 3 + 2 + 1 cells each way."""
    assert (5 * 3 + 2 + 1) ** 2 * 8 == FEATURES["hog_sliding"].length == hog.sliding_window_hog(FACES[:1]).shape[1]
    changed = FACES[:1].copy()
    changed[0, 0, 0] ^= 255
    where = np.flatnonzero(hog.sliding_window_hog(FACES[:1])[0] != hog.sliding_window_hog(changed)[0])
    assert where.max() < 8  # the corner pixel is in the first cell of the first window alone


def test_hog_drawn_as_images() -> None:
    upright, level = hog.draw_hog(edges(True))[0], hog.draw_hog(edges(False))[0]
    assert upright.shape == (48, 48)
    assert upright.max() == level.max() == 255
    assert np.ptp(np.nonzero(upright[:16, :16])[0]) > 3 * np.ptp(np.nonzero(upright[:16, :16])[1])
    assert np.ptp(np.nonzero(level[:16, :16])[1]) > 3 * np.ptp(np.nonzero(level[:16, :16])[0])
    assert not hog.draw_hog(np.zeros((1, 48, 48), np.uint8)).any()
