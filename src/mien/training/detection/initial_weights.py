"""Training that starts from an export, whose batch statistics are part of its convolutions.

Training needs them apart again: with them every layer sees inputs of one size, whatever the layers before it learn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import TrainingError
from mien.networks.detector import PIXEL_MEAN, PIXEL_SCALE, DetectorShape, FaceDetector

_PREFIX = "module."
"""What the export puts before the names of the network's parameters."""


def load_exported(
    path: Path, pictures: Iterable[NDArray[np.uint8]], shape: DetectorShape | None = None, *, batch: int = 16
) -> FaceDetector:
    """The network of a float32 export, with batch statistics measured on pictures.

    In evaluation mode it computes what the export computes. Each kernel gets the size that it has in a new network, so
    that a learning rate means the same; the factor becomes part of the batch statistics.

    Args:
        path: what `mien.training.detection.export.export_detector` wrote.
        pictures: RGB uint8 ``(side, side, 3)``, training crops.
        shape: of the exported network.
        batch: pictures that are measured together.

    Raises:
        TrainingError: the file is no export of such a network, or there are no pictures.
    """
    network = FaceDetector(shape).eval()
    layers = _normalised_convolutions(network)
    state = network.state_dict()
    for name, value in _read(path).items():
        if name in state and state[name].shape == value.shape:
            state[name].copy_(value)
        elif (layer := layers.get(name.removesuffix(".bias"))) and layer.norm.bias.shape == value.shape:
            layer.offset = value
        else:
            raise TrainingError(f"{path}: {name} {list(value.shape)} is not part of a float32 export of this network")
    with torch.no_grad():
        for name, layer in layers.items():
            if layer.offset is None:
                raise TrainingError(f"{path}: {name}.bias is missing: not a float32 export of this network")
            layer.rescale()
        _measure(network, list(layers.values()), pictures, batch)
        for layer in layers.values():
            layer.finish()
    return network


@dataclass(slots=True, eq=False)
class _Layer:
    """A convolution and its batch statistics. ``y`` is the convolution's output with its rescaled kernel.

    Attributes:
        size: root mean square of the kernel in a new network.
        offset: of the exported convolution.
        factor: the exported convolution computes ``factor * y + offset``.
        count, total, squares: number, sums and sums of squares of ``y`` per channel.
    """

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    size: float
    offset: Tensor | None = None
    factor: Tensor = field(default_factory=lambda: torch.ones(1))
    count: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))

    def rescale(self) -> None:
        kernel = self.convolution.weight
        self.factor = kernel.square().mean(dim=(1, 2, 3)).sqrt().clamp(min=1e-6) / self.size
        kernel.div_(self.factor[:, None, None, None])
        self._set(torch.zeros_like(self.factor), torch.ones_like(self.factor))

    def observe(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        y = inputs[0].double()
        self.count += y.numel() // y.shape[1]
        self.total = self.total + y.sum(dim=(0, 2, 3))
        self.squares = self.squares + y.square().sum(dim=(0, 2, 3))

    def finish(self) -> None:
        mean = self.total / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        self._set(mean.float(), variance.float())

    def _set(self, mean: Tensor, variance: Tensor) -> None:
        """Statistics with which the layer still computes ``factor * y + offset``."""
        state = self.norm.state_dict()
        state["running_mean"].copy_(mean)
        state["running_var"].copy_(variance)
        state["weight"].copy_(self.factor * (variance + self.norm.eps).sqrt())
        state["bias"].copy_(self.factor * mean + (0 if self.offset is None else self.offset))


def _normalised_convolutions(network: nn.Module) -> dict[str, _Layer]:
    """The convolutions that batch statistics follow, by name."""
    layers = {}
    for prefix, parent in network.named_modules():
        for (name, first), (_, second) in itertools.pairwise(parent.named_children()):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                size = float(first.weight.detach().square().mean().sqrt())
                layers[f"{prefix}.{name}"] = _Layer(first, second, size)
    return layers


def _read(path: Path) -> dict[str, Tensor]:
    """Parameters by name."""
    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise TrainingError(f"{path}: not a readable ONNX file ({error})") from None
    found = {
        each.name.removeprefix(_PREFIX): torch.from_numpy(onnx.numpy_helper.to_array(each).copy())
        for each in graph.initializer
        if each.name.startswith(_PREFIX)
    }
    if not found:
        raise TrainingError(f"{path}: no float32 export of a detector")
    return found


def _measure(network: nn.Module, layers: list[_Layer], pictures: Iterable[NDArray[np.uint8]], batch: int) -> None:
    """Run the network on the pictures, every layer observed."""
    hooks = [layer.norm.register_forward_pre_hook(layer.observe) for layer in layers]
    each = iter(pictures)
    measured = 0
    while part := list(itertools.islice(each, batch)):
        pixels = torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float()
        network((pixels - PIXEL_MEAN) / PIXEL_SCALE)
        measured += len(part)
    for hook in hooks:
        hook.remove()
    if not measured:
        raise TrainingError("no picture to measure batch statistics on")
