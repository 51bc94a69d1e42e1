"""Maps of networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from helpers.patch_network import PATCH, SIZE, outside
from mien.errors import InputError
from mien.explain.methods import METHODS, attribution_maps, select_methods
from mien.explain.model import ExplainedNetwork
from mien.networks.catalog import NETWORKS


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("occlusion", "grad-cam")])
def test_gradients_find_the_patch(method: str, toy: ExplainedNetwork, bright: NDArray[np.uint8]) -> None:
    found = attribution_maps(toy, toy.head(), bright, np.zeros(3, np.int64), method)
    assert (found.shape, found.dtype) == ((3, SIZE, SIZE), np.float32)
    assert (found[(slice(None), *PATCH)] > 0).all()
    assert not found[:, outside()].any()


def test_occlusion_and_grad_cam_are_greatest_at_the_patch(toy: ExplainedNetwork, bright: NDArray[np.uint8]) -> None:
    for method in ("occlusion", "grad-cam"):
        found = attribution_maps(toy, toy.head(), bright, np.zeros(3, np.int64), method)
        assert found[(slice(None), *PATCH)].mean() > 2 * found[:, outside()].mean() >= 0


def test_signed_maps_speak_against_the_other_class(toy: ExplainedNetwork, bright: NDArray[np.uint8]) -> None:
    for method in ("integrated-gradients", "occlusion"):
        found = attribution_maps(toy, toy.head(), bright, np.array([0, 1, 0]), method)
        assert found[0].sum() > 0 > found[1].sum()
        np.testing.assert_allclose(found[0], -found[1], atol=1e-5)


def test_integrated_gradients_sum_to_the_score(toy: ExplainedNetwork, bright: NDArray[np.uint8]) -> None:
    found = attribution_maps(toy, toy.head(), bright, np.zeros(3, np.int64), "integrated-gradients")
    with torch.no_grad():
        score = toy.module(toy.input(bright))["answer"][:, 0].numpy()
    np.testing.assert_allclose(found.sum(axis=(1, 2)), score, rtol=1e-3)


def test_maps_of_no_face(toy: ExplainedNetwork) -> None:
    for method in METHODS:
        none = np.zeros((0, SIZE, SIZE, 1), np.uint8)
        assert attribution_maps(toy, toy.head(), none, np.zeros(0, np.int64), method).shape == (0, SIZE, SIZE)


class _Count(TorchFunctionMode):
    """Counts ReLUs that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.calls += func in (torch.relu, torch.relu_, nn.functional.relu, Tensor.relu)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [name for name, row in NETWORKS.items() if not row.features])
def test_guided_backprop_can_hook_every_relu(name: str) -> None:
    row = NETWORKS[name]
    with torch.device("meta"):
        module = row.build(row.heads).eval()
        hooked = [0]
        for layer in module.modules():
            if isinstance(layer, nn.ReLU):
                layer.register_forward_hook(lambda *_: hooked.__setitem__(0, hooked[0] + 1))
        with _Count() as counted:
            module(torch.empty(1, 1 if row.channels == "gray" else 3, row.size, row.size))
    assert counted.calls == hooked[0] > 0


def test_methods_that_were_asked_for(toy: ExplainedNetwork) -> None:
    assert select_methods(toy, ("all",)) == tuple(METHODS)
    assert select_methods(toy, ("occlusion", "saliency")) == ("saliency", "occlusion")
    with pytest.raises(InputError, match="no spatial transformer"):
        select_methods(toy, ("regions",))
    with pytest.raises(InputError, match="saliency, integrated-gradients"):
        select_methods(toy, ("guess",))
    with pytest.raises(InputError, match="saliency, integrated-gradients"):
        attribution_maps(toy, toy.head(), np.zeros((1, SIZE, SIZE, 1), np.uint8), np.zeros(1, np.int64), "guess")
