"""Is a map faithful? Deletion and insertion curves (Petsiuk et al. 2018, "RISE", arXiv 1806.07421).

Pixels are processed in the order of the map, most important first. Deletion replaces them by the mean pixel, and the
probability of the class should fall fast: a small area under the curve. Insertion restores them on a blurred face, and
it should rise fast: a large area. Two orders that do not depend on the network are baselines: random, and from the
centre outwards, which is hard to beat on centred faces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.explain.model import ExplainedNetwork, chunk_slices
from mien.models.card import Head
from mien.opencv import cv2

RANDOM, CENTRE = "random order", "centre first"
BLUR = 1 / 12
"""Standard deviation of the blur that insertion starts from, as a fraction of the crop's side: 4 pixels of 48."""
_RESAMPLES = 1000


def faithfulness_curves(
    model: ExplainedNetwork,
    head: Head,
    crops: NDArray[np.uint8],
    targets: NDArray[np.int64],
    maps: Mapping[str, NDArray[np.float32]],
    *,
    steps: int = 12,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Curves and areas of several methods on the same faces.

    Args:
        model: the network.
        head: output of the network.
        crops: uint8 ``(n, size, size, channels)``, at least one.
        targets: ``(n,)`` class index of each.
        maps: method → ``(n, size, size)``; greater is more important.
        steps: points of a curve, not counting the first.
        seed: of the random order, of ties, and of the bootstrap.
        progress: called after each order.

    Returns:
        JSON-ready: ``{"images", "steps", "seed", "share": [steps + 1], "orders": {name: {"deletion": …, "insertion":
        …}}}``. Each of the two has ``curve`` (mean probability at each share of pixels), ``auc`` (mean area under it,
        0–1), ``interval`` (95 %, bootstrap over the faces) and ``better`` (share of faces on which it beats the random
        order; None for the random order).

    Examples:
        >>> from mien.explain.methods import attribution_maps
        >>> from mien.explain.model import open_network
        >>> network, faces, happy = open_network("emotion", threads=1), dataset.images[:4], np.full(4, 1)
        >>> maps = {"saliency": attribution_maps(network, network.head(), faces, happy, "saliency")}
        >>> curves = faithfulness_curves(network, network.head(), faces, happy, maps, steps=4)
        >>> list(curves["orders"]), len(curves["orders"]["saliency"]["deletion"]["curve"])
        (['random order', 'centre first', 'saliency'], 5)
    """
    n, size = len(crops), model.size
    random = np.random.default_rng(seed)
    noise = random.random((n, size * size))
    points = (np.arange(size) + 0.5) - size / 2
    centre = np.broadcast_to(-np.hypot(points[:, None], points[None, :]), (n, size, size))
    orders = {RANDOM: noise.reshape(n, size, size), CENTRE: centre, **maps}
    x = model.input(crops)
    starts = {"deletion": x, "insertion": _blurred(model, crops)}
    ends = {"deletion": torch.zeros_like(x), "insertion": x}
    areas: dict[str, dict[str, NDArray[np.float64]]] = {}
    results: dict[str, dict[str, Any]] = {}
    resample = random.integers(0, n, (_RESAMPLES, n))
    for name, values in orders.items():
        ranks = _pixel_ranks(values.reshape(n, -1), noise).reshape(n, 1, size, size)
        results[name], areas[name] = {}, {}
        for way in starts:
            table = _probabilities(model, head, starts[way], ends[way], ranks, targets, steps)
            areas[name][way] = ((table[:, 1:] + table[:, :-1]) / 2).mean(axis=1)
            low, high = np.quantile(areas[name][way][resample].mean(axis=1), (0.025, 0.975))
            gain = (areas[name][way] - areas[RANDOM][way]) * (1 if way == "insertion" else -1)
            results[name][way] = {
                "curve": [round(float(value), 4) for value in table.mean(axis=0)],
                "auc": round(float(areas[name][way].mean()), 4),
                "interval": [round(float(low), 4), round(float(high), 4)],
                "better": None if name == RANDOM else round(float((gain > 0).mean()), 4),
            }
        progress()
    share = [round(k / steps, 4) for k in range(steps + 1)]
    return {"images": n, "steps": steps, "seed": seed, "share": share, "orders": results}


def _pixel_ranks(values: NDArray[Any], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, pixels)`` → the share of pixels (0–1) that come before each; equal values come in random order."""
    n, pixels = values.shape
    order = np.stack([np.lexsort((tie, -row)) for row, tie in zip(values, noise, strict=True)])
    ranks = np.empty((n, pixels))
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(pixels) / pixels, (n, pixels)), axis=1)
    return ranks


def _probabilities(
    model: ExplainedNetwork,
    head: Head,
    start: Tensor,
    end: Tensor,
    ranks: NDArray[np.float64],
    targets: NDArray[np.int64],
    steps: int,
) -> NDArray[np.float64]:
    """``(n, steps + 1)`` probability of the class as pixels go from ``start`` to ``end`` in order."""
    thresholds = torch.from_numpy(ranks)
    out = np.empty((len(start), steps + 1))
    for chunk in chunk_slices(len(start)):
        a, b, t = start[chunk], end[chunk], thresholds[chunk]
        # every step of every face as one batch
        mixed = torch.stack([torch.where(t < k / steps, b, a) for k in range(steps + 1)], dim=1)
        probabilities = model.probabilities(mixed.flatten(0, 1), head).reshape(len(a), steps + 1, -1)
        out[chunk] = np.take_along_axis(probabilities, targets[chunk][:, None, None], axis=2)[..., 0]
    return out


def _blurred(model: ExplainedNetwork, crops: NDArray[np.uint8]) -> Tensor:
    sigma = BLUR * model.size
    blurred = [cv2.GaussianBlur(crop, (0, 0), sigma).reshape(crop.shape) for crop in crops]
    return model.input(np.stack(blurred).astype(np.uint8))
