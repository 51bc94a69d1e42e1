"""A model that can be explained: a differentiable torch network with the facts of its card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import InputError, choose_one
from mien.explain.from_onnx import rebuild_network
from mien.models.card import CropFrame, Head
from mien.models.catalog import MODELS, read_model
from mien.models.crop_frames import FRAMES
from mien.models.model import read_out
from mien.models.preprocessing import normalize
from mien.networks.catalog import get_network
from mien.published.svm.run_folder import is_svm_run
from mien.training.run_folder import load_run
from mien.training.torch_threads import set_torch_threads

BATCH_SIZE = 32
"""Faces per forward pass; bounds memory."""
PREDICTED, ALL = "predicted", "all"
"""Targets besides a class: the most probable class of each face; every class."""


class HeadLogits(nn.Module):
    """One head of a network: ``(n, c, size, size)`` normalised → ``(n, classes)`` logits."""

    def __init__(self, module: nn.Module, head: str) -> None:
        super().__init__()
        self.module, self.head = module, head

    def forward(self, x: Tensor) -> Tensor:
        """The head's logits; a class score is one of them."""
        logits: Tensor = self.module(x)[self.head]
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedNetwork:
    """A trained network.

    Attributes:
        name: as the user gave it.
        task: "emotion" or "age".
        network: its name in the catalog.
        module: in evaluation mode, on the CPU.
        size: side of the square input, pixels.
        mean: per channel, of pixel values 0–1.
        std: per channel, of pixel values 0–1.
        heads: outputs; the first is explained by default.
        frame: where a face lies in a crop.

    Examples:
        >>> network = open_network("emotion", threads=1)
        >>> network.channels, network.head().name, network.input(dataset.images[:2]).shape
        (1, 'ferplus', torch.Size([2, 1, 48, 48]))
        >>> network.probabilities(network.input(dataset.images[:2]), network.head()).shape
        (2, 8)
    """

    name: str
    task: str
    network: str
    module: nn.Module
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    heads: tuple[Head, ...]
    frame: CropFrame

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB)."""
        return len(self.mean)

    def head(self, name: str | None = None) -> Head:
        """The head of this name, the first for None; `InputError` for a name that the network lacks."""
        for head in self.heads:
            if name in (None, head.name):
                return head
        names = [head.name for head in self.heads]
        raise InputError(f"{self.name} has no head {name!r}", advice=choose_one(str(name), names))

    def input(self, crops: NDArray[np.uint8]) -> Tensor:
        """uint8 ``(n, size, size, channels)`` → normalised float32 ``(n, channels, size, size)``.

        Raises:
            InputError: crops of another shape or dtype.
        """
        expected = (self.size, self.size, self.channels)
        if crops.dtype != np.uint8 or crops.shape[1:] != expected:
            raise InputError(f"{self.name} takes uint8 crops (n, {expected}), got {crops.dtype} {crops.shape}")
        return torch.from_numpy(normalize(crops, self.mean, self.std))

    def probabilities(self, x: Tensor, head: Head) -> NDArray[np.float32]:
        """Normalised ``(n, channels, size, size)`` → ``(n, classes)``, read out by the card as in an analysis.

        Args:
            x: as from `input`.
            head: as from `head`.
        """
        parts = [np.zeros((0, len(head.labels)), np.float32)]
        with torch.inference_mode():
            for chunk in chunk_slices(len(x)):
                logits = {name: values.numpy() for name, values in self.module(x[chunk]).items()}
                parts.append(read_out(self.heads, logits)[head.name])
        return np.concatenate(parts)


def chunk_slices(n: int, size: int = BATCH_SIZE) -> Iterator[slice]:
    """Slices of at most ``size`` that cover n rows."""
    return (slice(start, start + size) for start in range(0, n, size))


def open_network(model: str | Path, threads: int | None = None) -> ExplainedNetwork:
    """A shipped model's name, an exported ``.onnx`` file, or a run folder or ``.safetensors`` file of `mien train`.

    Args:
        model: name, file or folder.
        threads: processor threads; None for torch's own choice.

    Raises:
        InputError: no such model, or one that maps of pixels cannot explain.
        ModelError: an ONNX file that cannot be turned back into a torch network.

    Examples:
        >>> open_network("emotion", threads=1).network, open_network(run, threads=1).network
        ('emotion-fast', 'emotion-fast')
    """
    set_torch_threads(threads)
    path = Path(model)
    if str(model) in MODELS or path.suffix.lower() == ".onnx":
        card, row_name, module = rebuild_network(read_model(model), str(model))
        return ExplainedNetwork(
            str(model), card.task, row_name, module, card.size, card.mean, card.std, card.heads, card.frame
        )
    if not path.exists():
        explainable = [name for name, row in MODELS.items() if not row.quantized]
        raise InputError(
            "no such model",
            path=path,
            advice=choose_one(str(model), (*explainable, "an .onnx file", "a run folder")),
            code="model-missing",
        )
    if is_svm_run(path):
        raise InputError("a support-vector machine has no gradient to its pixels", path=path, advice="give a network")
    recipe, module, _ = load_run(path)
    row = get_network(recipe.network)
    if row.features:
        raise InputError(
            f"{recipe.network!r} takes {', '.join(row.features)} features in addition to pixels, which maps cannot "
            "show",
            path=path,
            advice="give a network that takes pixels only",
        )
    heads = tuple(Head(head.name, head.labels) for head in recipe.heads)
    frame = FRAMES[recipe.task]
    return ExplainedNetwork(
        str(model), recipe.task, recipe.network, module, row.size, recipe.mean, recipe.std, heads, frame
    )  # fmt: skip


def target_classes(target: str, labels: tuple[str, ...], probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """The classes to explain: ``(n, k)`` class indices of n faces.

    Args:
        target: a label, "predicted" (k = 1) or "all" (k = classes).
        labels: of the head.
        probabilities: ``(n, classes)``.

    Raises:
        InputError: no such class.
    """
    n = len(probabilities)
    if target == PREDICTED:
        return np.asarray(probabilities.argmax(axis=1)[:, None], np.int64)
    if target == ALL:
        return np.tile(np.arange(len(labels)), (n, 1))
    if target not in labels:
        raise InputError(f"no class {target!r}", advice=choose_one(target, (PREDICTED, ALL, *labels)))
    return np.full((n, 1), labels.index(target), np.int64)
