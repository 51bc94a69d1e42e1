"""The order of layers, and the one for Grad-CAM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mien.errors import InputError
from mien.explain.layers import convolutions, select_layer, weighted_layers
from mien.explain.model import ExplainedNetwork
from mien.networks.catalog import get_network


def test_layers(toy: ExplainedNetwork, bright: NDArray[np.uint8]) -> None:
    x = toy.input(bright)
    assert convolutions(toy.module, x) == ("conv",)
    assert weighted_layers(toy.module, x) == ("conv", "heads.answer")
    assert select_layer(toy.module, x, None) == "conv"
    assert select_layer(toy.module, x, "relu") == "relu"
    for wrong in ("nonsense", "heads.answer"):
        with pytest.raises(InputError, match="choose a convolution: conv"):
            select_layer(toy.module, x, wrong)


def test_the_last_convolution_is_the_last_that_computes() -> None:
    # the localisation is defined after the features, and computes before them
    row = get_network("attention-parallel")
    module = row.build(row.heads).eval()
    assert select_layer(module, torch.zeros(1, 1, 48, 48), None).startswith("extract.")
