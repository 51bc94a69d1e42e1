"""Rebuilds a torch network from an exported ONNX file of Mien, because explanations need gradients.

The exporter folds a batch norm that follows a convolution or a linear layer into it: the file then holds the layer's
scaled weight and a ``…_bias``. Such a layer gets the folded weight and bias, and the batch norm behind it becomes the
identity, which computes, and differentiates, the same. The result is refused unless its logits are those of ONNX
Runtime.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from mien.errors import InputError, ModelError
from mien.models.card import Card
from mien.models.model import Model
from mien.models.preprocessing import normalize
from mien.networks.catalog import get_network
from mien.recipes.catalog import trained_network
from mien.training.onnx_export import WEIGHT_PREFIX

TOLERANCE = 1e-4
"""Greatest difference of a logit between the rebuilt network and ONNX Runtime, as a share of the greatest logit where
that is above 1, as for exports."""
_IMAGES = 8
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def rebuild_network(content: bytes, name: str) -> tuple[Card, str, nn.Module]:
    """The network in an exported file.

    Args:
        content: the ONNX file.
        name: of the model, for messages.

    Returns:
        Its card, the name of the network in the catalog, and the module in evaluation mode.

    Raises:
        ModelError: no exported file, one of an unknown recipe, or one that cannot be rebuilt exactly.
    """
    model = Model(content, threads=1, name=name)
    card = model.card
    if "quantized" in card.training:
        raise ModelError(
            "is in 8 bits and cannot be differentiated", path=name, advice="explain the network that it was made from"
        )
    try:
        row_name = trained_network(card.training)
        row = get_network(row_name)
    except InputError as error:
        raise _not_rebuilt(name, str(error)) from error
    module = row.build({head.name: len(head.labels) for head in card.heads})
    weights = {
        entry.name.removeprefix(WEIGHT_PREFIX): torch.from_numpy(np.array(numpy_helper.to_array(entry)))
        for entry in onnx.load_from_string(content).graph.initializer
    }
    try:
        _fill(module, weights)
    except (KeyError, RuntimeError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise _not_rebuilt(name, f"its weights are not those of {row_name!r}: {reason}") from error
    module.eval()
    difference = _difference(model, module)
    if not difference <= TOLERANCE:
        raise _not_rebuilt(name, f"its logits would differ by {difference:.1e}")
    return card, row_name, module


def _not_rebuilt(name: str, reason: str) -> ModelError:
    return ModelError(
        f"cannot be turned back into a torch network ({reason})",
        path=name,
        advice="give the run folder it was exported from",
        code="model-not-rebuilt",
    )


def _fill(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load the file's weights into the module; `KeyError` or `RuntimeError` where one is missing or does not fit."""
    for path, layer in list(module.named_modules()):
        bias = weights.get(f"{path}.weight_bias")
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and bias is not None:
            layer.bias = nn.Parameter(torch.empty_like(bias))
            weights[f"{path}.bias"] = bias
        elif isinstance(layer, _NORMS) and f"{path}.weight" not in weights:
            parent, _, own = path.rpartition(".")
            setattr(module.get_submodule(parent), own, nn.Identity())
    state: dict[str, Any] = {}
    for key, value in module.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state[key] = value  # not exported, and a trained network does not need it
        elif key.endswith(".bias") and key not in weights and key.removesuffix("bias") + "weight" in weights:
            state[key] = torch.zeros_like(value)  # the exporter leaves out a bias of zeros
        else:
            state[key] = weights[key]
    module.load_state_dict(state)


def _difference(model: Model, module: nn.Module) -> float:
    """Greatest difference of any logit on seeded random images."""
    card = model.card
    shape = (_IMAGES, card.size, card.size, card.n_channels)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with torch.inference_mode():
        outputs = module(torch.from_numpy(normalize(images, card.mean, card.std)))
    expected = model.logits(images)
    greatest = max(1.0, *(float(np.abs(value).max()) for value in expected.values()))
    return max(float(np.abs(outputs[key].numpy() - value).max()) for key, value in expected.items()) / greatest
