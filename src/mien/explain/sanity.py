"""Does a map depend on what the network has learned? Randomised weights (Adebayo et al. 2018, arXiv 1810.03292).

From the output towards the input, the weights of more and more layers are shuffled (which keeps their distribution, so
that signals neither vanish nor explode), and the maps of the same faces and classes are computed again. A method whose
maps do not change shows the picture, not the network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.functional.regression import spearman_corrcoef

from mien.explain.layers import weighted_layers
from mien.explain.methods import attribution_maps
from mien.explain.model import ExplainedNetwork
from mien.models.card import Head


def randomisation_test(
    model: ExplainedNetwork,
    head: Head,
    crops: NDArray[np.uint8],
    targets: NDArray[np.int64],
    methods: Sequence[str],
    *,
    layer: str | None = None,
    stages: int = 5,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Similarity of maps before and after weights are shuffled.

    Args:
        model: the network.
        head: output of the network.
        crops: uint8 ``(n, size, size, channels)``, at least one.
        targets: ``(n,)`` class index of each.
        methods: names of `mien.explain.methods.METHODS`.
        layer: for Grad-CAM.
        stages: number of networks to compare; the first has one layer shuffled, the last all.
        seed: of the shuffles.
        progress: called after each method of each stage.

    Returns:
        JSON-ready: ``{"images", "seed", "layers": [names from the output], "shuffled": [layers per stage], "methods":
        {name: {"spearman": [per stage], "ssim": […], "others": …}}}``: means over the faces of the rank correlation and
        the structural similarity of magnitudes; a constant map correlates with nothing (0). ``others`` is the rank
        correlation between maps of different faces by the trained network, which share the method and the framing of
        faces only; None for a single face.

    Examples:
        >>> from mien.explain.model import open_network
        >>> network = open_network("emotion", threads=1)
        >>> faces, happy = dataset.images[:2], np.full(2, 1)
        >>> sorted(randomisation_test(network, network.head(), faces, happy, ["saliency"], stages=2))
        ['images', 'layers', 'methods', 'seed', 'shuffled']
    """
    x = model.input(crops[:1])
    other_heads = {f"heads.{other.name}" for other in model.heads if other.name != head.name}
    names = [name for name in reversed(weighted_layers(model.module, x)) if name not in other_heads]
    counts = sorted({round(float(k)) for k in np.linspace(1, len(names), stages)})
    before = {name: attribution_maps(model, head, crops, targets, name, layer) for name in methods}
    results: dict[str, dict[str, Any]] = {
        name: {"spearman": [], "ssim": [], "others": _others(before[name])} for name in methods
    }
    for count in counts:
        shuffled = replace(model, module=shuffle_weights(model.module, names[:count], seed))
        for name in methods:
            after = attribution_maps(shuffled, head, crops, targets, name, layer)
            results[name]["spearman"].append(_spearman(before[name], after))
            results[name]["ssim"].append(_ssim(before[name], after))
            progress()
    return {"images": len(crops), "seed": seed, "layers": names, "shuffled": counts, "methods": results}


def shuffle_weights(module: nn.Module, names: Sequence[str], seed: int) -> nn.Module:
    """A copy in which the weights of each of these layers, and its biases, are shuffled among themselves."""
    other = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in names:
            for values in other.get_submodule(name).parameters(recurse=False):
                order = torch.randperm(values.numel(), generator=generator)
                values.copy_(values.flatten()[order].view_as(values))
    return other


def _spearman(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean over ``(n, h, w)`` maps of the rank correlation of magnitudes."""
    one, two = (np.abs(maps).reshape(len(maps), -1) for maps in (a, b))
    varied = (np.ptp(one, axis=1) > 0) & (np.ptp(two, axis=1) > 0)
    if not varied.any():
        return 0.0
    pairs = (torch.from_numpy(np.ascontiguousarray(flat[varied].T)) for flat in (one, two))
    values = spearman_corrcoef(*pairs)
    return round(float(values.sum()) / len(a), 4)


def _others(maps: NDArray[np.float32]) -> float | None:
    """Rank correlation of each map with that of the next face."""
    return _spearman(maps, np.roll(maps, 1, axis=0)) if len(maps) > 1 else None


def _ssim(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean over ``(n, h, w)`` maps of the structural similarity of magnitudes scaled to 0–1."""
    one, two = (torch.from_numpy(_scaled(np.abs(maps)))[:, None] for maps in (a, b))
    value = structural_similarity_index_measure(one, two, data_range=1.0)
    return round(float(value if isinstance(value, torch.Tensor) else value[0]), 4)


def _scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    top = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, top, out=np.zeros_like(maps), where=top > 0), np.float32)
