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

_PREFIX = "module."
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
        stored = {one.name.removeprefix(_PREFIX): numpy_helper.to_array(one) for one in graph.initializer}
        _copy(module, stored, images)
    except InputError as error:
        raise InputError(error.reason, path=path, advice=error.advice) from None
    except Exception as error:
        # onnx raises protobuf's errors, and others besides
        raise InputError(f"cannot be read as a model ({error})", path=path) from None
    _check(module, path, images[:32])


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
    names = [output.name for output in session.get_outputs()]
    expected = session.run(names, {"images": images.numpy()})
    with torch.no_grad():
        found = module.eval()(images)
    module.train()
    difference = max(float(np.abs(found[name].numpy() - e).max()) for name, e in zip(names, expected, strict=True))
    if difference > _TOLERANCE:
        raise InputError(f"logits differ by {difference:.3f} after loading", path=path, advice="give a float32 export")
