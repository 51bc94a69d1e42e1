"""The regions of spatial transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.patch_network import HALF, IDENTITY, attention_network
from mien.explain.regions import affine_maps, coverage, map_to_input, quadrilaterals, region_statistics


def test_the_region_of_the_identity() -> None:
    x = torch.zeros(2, 1, 48, 48)
    for name, low, high in (("attention-sequential", 0, 48), ("attention-parallel", 6, 42), ("attention-deep", 6, 42)):
        corners = quadrilaterals(affine_maps(attention_network(name, IDENTITY), x), 48)
        wanted = [[low, low], [high, low], [high, high], [low, high]]
        np.testing.assert_allclose(corners, [wanted, wanted], atol=1e-4)


def test_the_upper_right_quarter() -> None:
    found = affine_maps(attention_network("attention-sequential", HALF), torch.zeros(1, 1, 48, 48))
    corners = quadrilaterals(found, 48)
    np.testing.assert_allclose(corners[0], [[24, 0], [48, 0], [48, 24], [24, 24]], atol=1e-4)
    share = coverage(corners, 48)[0]
    assert share[:23, 25:].min() == 1
    assert share[26:].max() == share[:, :22].max() == 0
    reported = region_statistics(found)
    assert {key: one["mean"] for key, one in reported.items()} == pytest.approx(
        {"width": 0.5, "height": 0.5, "right": 0.25, "down": -0.25, "turn": 0, "area": 0.25}
    )


def test_a_turn_is_given_in_degrees() -> None:
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    reported = region_statistics(np.array([[[c, -s, 0], [s, c, 0]]], np.float32))
    assert reported["turn"]["mean"] == pytest.approx(30, abs=1e-3)
    assert reported["area"]["mean"] == pytest.approx(1, abs=1e-3)


def test_maps_behind_the_transformer_go_back_to_their_pixels() -> None:
    model = attention_network("attention-sequential", HALF)
    x, ones = torch.zeros(1, 1, 48, 48), torch.ones(1, 1, 48, 48)
    back = map_to_input(model.module, x, "extract.0", ones)[0, 0]
    assert back[:23, 25:].min() > 0.99
    assert back[26:].abs().max() == back[:, :22].abs().max() == 0
    assert map_to_input(model.module, x, "localise.0", ones) is ones
