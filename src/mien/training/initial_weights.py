"""The weights of an exported model as the start of a run; its batch norms are measured on training images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import InputError, MissingFileError
from mien.training.batch_norms import FoldedNorm, unfold
from mien.training.onnx_export import WEIGHT_PREFIX

_HEADS = "heads."
_RIDGE = 1.0
"""Weight of the mean square of a head's weights beside the cross-entropy."""
_TOLERANCE = 0.05
"""Largest difference of a logit between the export and the network made from it."""


def load_exported(module: nn.Module, path: Path, images: Tensor) -> None:
    """Give ``module`` the weights of an exported float32 model of the same network.

    Args:
        module: network whose batch norms each follow the convolution that is defined before them.
        path: the ONNX file.
        images: ``(n, c, h, w)`` normalised training images on which the norms' statistics are measured.

    Raises:
        MissingFileError: no such file.
        InputError: the file holds another network.
    """
    import onnx
    from onnx import numpy_helper

    if not path.is_file():
        raise MissingFileError("no such file", path=path, advice="give a model that `mien export` wrote")
    try:
        graph = onnx.load(path).graph
        stored = {one.name.removeprefix(WEIGHT_PREFIX): numpy_helper.to_array(one) for one in graph.initializer}
        _copy(module, stored, images)
    except InputError as error:
        raise InputError(error.reason, path=path, advice=error.advice) from None
    except Exception as error:
        # onnx raises protobuf's errors, and others besides
        raise InputError(f"cannot be read as a model ({error})", path=path) from None
    _check(module, path, images[:32])


def load_trunk(module: nn.Module, source: nn.Module, path: Path, images: Tensor) -> None:
    """Give ``module`` all weights of an exported model except those of the heads.

    Args:
        module: network with heads of its own.
        source: the same network with the heads of the file; gets its weights, too.
        path: the ONNX file.
        images: as for `load_exported`.

    Raises:
        MissingFileError, InputError: as `load_exported`.
    """
    load_exported(source, path, images)
    trunk = {name: value for name, value in source.state_dict().items() if not name.startswith(_HEADS)}
    module.load_state_dict(trunk, strict=False)


def fit_heads(module: nn.Module, images: Tensor, labels: Mapping[str, Tensor]) -> None:
    """Set each linear head to the logistic regression on the features that it gets, with a ridge.

    Args:
        module: network with ``heads``, linear layers by name.
        images: ``(n, c, h, w)`` normalised.
        labels: head → ``(n,)`` classes, -1 for images without one.
    """
    features: dict[str, Tensor] = {}
    heads = dict(module.get_submodule(_HEADS.rstrip(".")).named_children())
    handles = [
        head.register_forward_pre_hook(lambda _, given, name=name: features.__setitem__(name, given[0].detach()))
        for name, head in heads.items()
    ]
    module.eval()
    with torch.no_grad():
        parts: dict[str, list[Tensor]] = {name: [] for name in heads}
        for start in range(0, len(images), 256):
            module(images[start : start + 256])
            for name, rows in features.items():
                parts[name].append(rows)
    for handle in handles:
        handle.remove()
    for name, head in heads.items():
        known = labels[name] >= 0
        _fit_linear(head, torch.cat(parts[name])[known], labels[name][known])
    module.train()


def _fit_linear(head: nn.Module, features: Tensor, labels: Tensor) -> None:
    if not isinstance(head, nn.Linear):
        raise InputError("a head is no linear layer", advice="start from one of Mien's own networks")
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    z = (features - mean) / deviation
    weight = torch.zeros_like(head.weight, requires_grad=True)
    bias = torch.zeros_like(head.bias, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            value = nn.functional.cross_entropy(z @ weight.T + bias, labels) + _RIDGE * (weight**2).mean(1).sum()
            value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.copy_(weight / deviation)
        head.bias.copy_(bias - (weight / deviation) @ mean)


def _copy(module: nn.Module, stored: Mapping[str, NDArray[Any]], images: Tensor) -> None:
    names = dict(module.named_modules())
    state = module.state_dict()
    layers: list[FoldedNorm] = []
    last: tuple[str, nn.Conv2d] | None = None
    for name, layer in names.items():
        if isinstance(layer, nn.Conv2d):
            last = name, layer
        elif isinstance(layer, nn.BatchNorm2d) and last is not None:
            offset = _tensor(stored, f"{last[0]}.weight_bias", layer.bias.shape)
            layers.append(FoldedNorm(last[1], layer, offset))
    for name, parameter in module.named_parameters():
        owner = names[name.rpartition(".")[0]]
        if not isinstance(owner, nn.BatchNorm2d):
            state[name].copy_(_tensor(stored, name, parameter.shape))
    unfold(module.eval(), layers, [images])
    module.train()


def _tensor(stored: Mapping[str, NDArray[Any]], name: str, shape: torch.Size) -> Tensor:
    if name not in stored or stored[name].shape != tuple(shape):
        raise InputError(f"has no weights {name} of shape {tuple(shape)}", advice="give an export of the same network")
    return torch.from_numpy(stored[name].copy())


def _check(module: nn.Module, path: Path, images: Tensor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        found = module.eval()(images)
    names = [output.name for output in session.get_outputs() if output.name in found]
    expected = session.run(names, {"images": images.numpy()})
    module.train()
    difference = max(float(np.abs(found[name].numpy() - e).max()) for name, e in zip(names, expected, strict=True))
    if difference > _TOLERANCE:
        raise InputError(f"logits differ by {difference:.3f} after loading", path=path, advice="give a float32 export")
