"""Training of a detector that starts from an export."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import TrainingError
from mien.networks.detector import PIXEL_MEAN, PIXEL_SCALE, DetectorShape, FaceDetector
from mien.training.batch_norms import FoldedNorm, unfold
from mien.training.onnx_export import WEIGHT_PREFIX

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
    pairs = _normalised_convolutions(network)
    state = network.state_dict()
    sizes = {name: float(pair[0].weight.detach().square().mean().sqrt()) for name, pair in pairs.items()}
    layers: dict[str, FoldedNorm] = {}
    for name, value in _read(path).items():
        convolution = name.removesuffix(".bias")
        if name in state and state[name].shape == value.shape:
            state[name].copy_(value)
        elif convolution in pairs and pairs[convolution][1].bias.shape == value.shape:
            layers[convolution] = FoldedNorm(*pairs[convolution], value)
        else:
            raise TrainingError(f"{path}: {name} {list(value.shape)} is not part of a float32 export of this network")
    for name, size in sizes.items():
        if name not in layers:
            raise TrainingError(f"{path}: {name}.bias is missing: not a float32 export of this network")
        layers[name].rescale(size)
    if not unfold(network, layers.values(), _batches(pictures, batch)):
        raise TrainingError("no picture to measure batch statistics on")
    return network


def _normalised_convolutions(network: nn.Module) -> dict[str, tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions that batch norms follow, by name."""
    return {
        f"{prefix}.{name}": (first, second)
        for prefix, parent in network.named_modules()
        for (name, first), (_, second) in itertools.pairwise(parent.named_children())
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)
    }


def _read(path: Path) -> dict[str, Tensor]:
    """Parameters by name."""
    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise TrainingError(f"{path}: not a readable ONNX file ({error})") from None
    found = {
        each.name.removeprefix(WEIGHT_PREFIX): torch.from_numpy(onnx.numpy_helper.to_array(each).copy())
        for each in graph.initializer
        if each.name.startswith(WEIGHT_PREFIX)
    }
    if not found:
        raise TrainingError(f"{path}: no float32 export of a detector")
    return found


def _batches(pictures: Iterable[NDArray[np.uint8]], size: int) -> Iterator[Tensor]:
    """Inputs of the network."""
    each = iter(pictures)
    while part := list(itertools.islice(each, size)):
        pixels = torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float()
        yield (pixels - PIXEL_MEAN) / PIXEL_SCALE
