"""The region that the spatial transformer of a network samples: a quadrilateral per face, and statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import InputError
from mien.explain.model import ExplainedNetwork, chunk_slices
from mien.opencv import cv2
from mien.published.networks.attention import AttentionalNetwork

_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
_SUBPIXELS = 8
"""Subpixels per side of a pixel, for the edges of the covered area."""


def has_regions(model: ExplainedNetwork) -> bool:
    """Whether the network has a spatial transformer."""
    return isinstance(model.module, AttentionalNetwork)


def spatial_transformer(model: ExplainedNetwork) -> AttentionalNetwork:
    """The network with a spatial transformer; `InputError` for a network without one."""
    if not isinstance(model.module, AttentionalNetwork):
        raise InputError(
            f"{model.name} ({model.network}) has no spatial transformer",
            advice="give a trained 'attention-…' network, or choose another method",
        )
    return model.module


def affine_maps(model: ExplainedNetwork, x: Tensor) -> NDArray[np.float32]:
    """``(n, 2, 3)`` affine maps from the sampled output to the input's pixels (−1–1 in both).

    Some networks sample feature maps instead; those of convolutions without padding begin inside the picture, which is
    accounted for.
    """
    module = spatial_transformer(model)
    with torch.inference_mode():
        parts = [module.regions(x[chunk]).numpy() for chunk in chunk_slices(len(x))]
    maps = np.concatenate(parts) if parts else np.zeros((0, 2, 3), np.float32)
    return np.asarray(maps * (_span(module.extract, model.size) if module.parallel else 1.0), np.float32)


def quadrilaterals(maps: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """``(n, 2, 3)`` maps → ``(n, 4, 2)`` xy pixels of the corners in a crop of ``size``, (0, 0) its outer corner."""
    points = np.einsum("nij,kj->nki", maps[:, :, :2], _CORNERS) + maps[:, None, :, 2]
    return np.asarray((points + 1) * size / 2, np.float32)


def coverage(quads: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """``(n, 4, 2)`` corners → ``(n, size, size)`` share (0–1) of every pixel in the region."""
    out = np.zeros((len(quads), size, size), np.float32)
    for covered, quad in zip(out, quads, strict=True):
        fine = np.zeros((size * _SUBPIXELS, size * _SUBPIXELS), np.uint8)
        cv2.fillConvexPoly(fine, np.round(quad * _SUBPIXELS).astype(np.int32), 1)
        covered[...] = fine.reshape(size, _SUBPIXELS, size, _SUBPIXELS).mean(axis=(1, 3))
    return out


def region_statistics(maps: NDArray[np.float32]) -> dict[str, Any]:
    """Mean, standard deviation, minimum and maximum of the properties of ``(n, 2, 3)`` maps; JSON-ready.

    ``width`` and ``height`` are the region's sides as fractions of the picture's, ``right`` and ``down`` the shift of
    its centre as fractions of the picture's side, ``turn`` its rotation in degrees (clockwise on the screen), ``area``
    its area as a fraction of the picture's, negative where it is mirrored.
    """
    a, b, c, d = (maps[:, i, j].astype(np.float64) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    columns = {
        "width": np.hypot(a, c),
        "height": np.hypot(b, d),
        "right": maps[:, 0, 2] / 2,
        "down": maps[:, 1, 2] / 2,
        "turn": np.degrees(np.arctan2(c, a)),
        "area": a * d - b * c,
    }
    return {
        name: {
            "mean": round(float(values.mean()), 4),
            "sd": round(float(values.std()), 4),
            "min": round(float(values.min()), 4),
            "max": round(float(values.max()), 4),
        }
        for name, values in columns.items()
    }


def map_to_input(module: nn.Module, x: Tensor, layer: str, maps: Tensor) -> Tensor:
    """Maps of a layer behind the transformer, moved to where their pixels came from; others unchanged.

    Args:
        module: the network.
        x: its input, ``(n, c, size, size)``.
        layer: of the maps.
        maps: ``(n, 1, size, size)``.
    """
    if not isinstance(module, AttentionalNetwork) or module.parallel or not layer.startswith("extract."):
        return maps
    with torch.no_grad():
        theta = module.regions(x)
    whole = torch.cat([theta, theta.new_tensor([[[0.0, 0.0, 1.0]]]).expand(len(theta), 1, 3)], dim=1)
    # a transformer that has collapsed to a line or a point has no inverse; the pseudo-inverse is the nearest
    inverse = torch.linalg.pinv(whole)[:, :2]
    return F.grid_sample(maps, F.affine_grid(inverse, list(maps.shape), align_corners=False), align_corners=False)


def _span(layers: nn.Module, size: int) -> float:
    """Extent of the feature map of a sequence of layers, as a fraction of the input's side, about its centre."""
    step, first = 1.0, 0.0
    side = size
    for layer in layers.modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            kernel, stride, pad = (_one(v) for v in (layer.kernel_size, layer.stride, layer.padding))
            first += step * ((kernel - 1) / 2 - pad)
            step *= stride
            side = (side + 2 * pad - kernel) // stride + 1
    return step * side / size


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)
