from __future__ import annotations

import numpy as np
import pytest

from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.models.preprocessing import normalize

CROP = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3) * 4


def test_numbers_worked_out_by_hand() -> None:
    got = normalize(np.array([[[[0, 51, 255]]]], np.uint8), (0.5, 0.2, 0.0), (0.25, 0.5, 2.0))
    np.testing.assert_allclose(got, np.array([-2.0, 0.0, 0.5]).reshape(1, 3, 1, 1), atol=1e-6)


def test_channels_come_first_and_lie_in_one_piece() -> None:
    got = normalize(CROP, (0.5, 0.4, 0.35), (0.25, 0.3, 0.2))
    assert (got.shape, got.dtype, got.flags.c_contiguous) == ((2, 3, 3, 3), np.float32, True)
    expected = (CROP.astype(np.float64) / 255 - [0.5, 0.4, 0.35]) / [0.25, 0.3, 0.2]
    np.testing.assert_allclose(got, expected.transpose(0, 3, 1, 2), rtol=0, atol=1e-6)


def test_gray_is_repeated_for_three_channels() -> None:
    gray = CROP[..., :1]
    mean, std = (0.5, 0.4, 0.35), (0.25, 0.3, 0.2)
    np.testing.assert_array_equal(normalize(gray, mean, std), normalize(gray.repeat(3, axis=3), mean, std))


def test_no_image_is_an_empty_array() -> None:
    assert normalize(CROP[:0, ..., :1], (0.5,), (0.25,)).shape == (0, 1, 3, 3)


@pytest.mark.parametrize("name", MODELS)
def test_shipped_models_feed_their_networks_by_it(name: str) -> None:
    model = Model(read_model(name), threads=1)
    card = model.card
    crops = np.random.default_rng(0).integers(0, 256, (2, card.size, card.size, card.n_channels), np.uint8)
    (fed,) = model.network_inputs(crops).values()
    np.testing.assert_array_equal(fed, normalize(crops, card.mean, card.std))
