"""The one table of methods, each on captum. Adding one is a function and a row here.

A method computes which pixels the score (logit) of one class depends on. Its maps are ``(n, size, size)`` float32 in
the frame of the crops: "signed" ones are evidence for (above 0) and against (below 0) the class, others are magnitudes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, Occlusion, Saliency
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mien.errors import unknown_name
from mien.explain.layers import select_layer
from mien.explain.model import ExplainedNetwork, HeadLogits, chunk_slices
from mien.explain.regions import affine_maps, coverage, has_regions, map_to_input, quadrilaterals, spatial_transformer
from mien.models.card import Head

INTEGRATION_STEPS = 32
"""Steps from the baseline of integrated gradients."""
OCCLUSION_WINDOW, OCCLUSION_STRIDE = 1 / 6, 1 / 12
"""Side and step of the occluding square, as fractions of the crop's side: 8 and 4 pixels of 48."""
REGIONS = "regions"
"""The method for networks with a spatial transformer only."""

Attribution = Callable[[HeadLogits, Tensor, Tensor, str], Tensor]
"""Head of a network, ``(n, c, size, size)`` input, ``(n,)`` class indices, layer → ``(n, size, size)``."""


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table.

    Attributes:
        run: computes the maps.
        signed: whether values below 0 are evidence against the class.
        source: paper.

    Examples:
        >>> METHODS["occlusion"].signed, METHODS["grad-cam"].source
        (True, 'Selvaraju et al. 2017, arXiv 1610.02391')
    """

    run: Attribution
    signed: bool
    source: str


def _saliency(scorer: HeadLogits, x: Tensor, target: Tensor, layer: str) -> Tensor:
    """|gradient| of the class score, the largest over the channels."""
    gradient: Tensor = Saliency(scorer).attribute(x, target=target, abs=True)
    return gradient.amax(dim=1)


def _integrated(scorer: HeadLogits, x: Tensor, target: Tensor, layer: str) -> Tensor:
    """Gradients integrated from the mean pixel (0 after normalisation) to the face, times the difference."""
    parts: Tensor = IntegratedGradients(scorer).attribute(
        x, baselines=0.0, target=target, n_steps=INTEGRATION_STEPS, internal_batch_size=2 * INTEGRATION_STEPS
    )
    return parts.sum(dim=1)


def _guided(scorer: HeadLogits, x: Tensor, target: Tensor, layer: str) -> Tensor:
    """|gradient| through positive signals only, the largest over the channels."""
    gradient: Tensor = GuidedBackprop(scorer).attribute(x, target=target)
    return gradient.abs().amax(dim=1)


def _gradcam(scorer: HeadLogits, x: Tensor, target: Tensor, layer: str) -> Tensor:
    """Maps of a layer, weighted by their mean gradients, values above 0, enlarged to the crop."""
    cam = LayerGradCam(scorer, scorer.module.get_submodule(layer))
    small: Tensor = cam.attribute(x, target=target, relu_attributions=True)
    large = F.interpolate(small.detach(), size=list(x.shape[2:]), mode="bilinear", align_corners=False)
    return map_to_input(scorer.module, x, layer, large)[:, 0]


def _occlusion(scorer: HeadLogits, x: Tensor, target: Tensor, layer: str) -> Tensor:
    """Loss of class score when a square is filled with the mean pixel, averaged over the squares on each pixel."""
    channels, side = x.shape[1], x.shape[2]
    window, stride = max(round(side * OCCLUSION_WINDOW), 1), max(round(side * OCCLUSION_STRIDE), 1)
    with torch.no_grad():
        parts: Tensor = Occlusion(scorer).attribute(
            x,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            baselines=0.0,
            target=target,
            perturbations_per_eval=max(128 // len(x), 1),
        )
    return parts.mean(dim=1)


METHODS: Mapping[str, Method] = {
    "saliency": Method(_saliency, False, "Simonyan et al. 2014, arXiv 1312.6034"),
    "integrated-gradients": Method(_integrated, True, "Sundararajan et al. 2017, arXiv 1703.01365"),
    "guided-backprop": Method(_guided, False, "Springenberg et al. 2015, arXiv 1412.6806"),
    "grad-cam": Method(_gradcam, False, "Selvaraju et al. 2017, arXiv 1610.02391"),
    "occlusion": Method(_occlusion, True, "Zeiler & Fergus 2014, arXiv 1311.2901"),
}
"""Every method by name, besides `REGIONS`.

Examples:
    >>> list(METHODS)
    ['saliency', 'integrated-gradients', 'guided-backprop', 'grad-cam', 'occlusion']
"""


def is_signed(method: str) -> bool:
    """Whether a method's maps have values below 0 as evidence against the class."""
    return method in METHODS and METHODS[method].signed


def select_methods(model: ExplainedNetwork, names: Sequence[str]) -> tuple[str, ...]:
    """The methods of these names, in the table's order; "all" is all that this network supports.

    Raises:
        InputError: no such method, or "regions" for a network without a transformer.
    """
    known = (*METHODS, REGIONS)
    for name in names:
        if name not in (*known, "all"):
            raise unknown_name("method", name, (*known, "all"))
    if REGIONS in names:
        spatial_transformer(model)
    every = "all" in names
    return tuple(
        name for name in known if name in names or (every and (name != REGIONS or has_regions(model)))
    )  # fmt: skip


def attribution_maps(
    model: ExplainedNetwork,
    head: Head,
    crops: NDArray[np.uint8],
    targets: NDArray[np.int64],
    method: str,
    layer: str | None = None,
) -> NDArray[np.float32]:
    """Maps of one method.

    Args:
        model: the network.
        head: output of the network.
        crops: uint8 ``(n, size, size, channels)``.
        targets: ``(n,)`` class index of each.
        method: a name of `METHODS`, or "regions", whose maps are the covered share of each pixel for any class.
        layer: for Grad-CAM; the last convolution for None.

    Returns:
        ``(n, size, size)`` float32.

    Raises:
        InputError: no such method, layer or transformer.

    Examples:
        >>> from mien.explain.model import open_network
        >>> network = open_network("emotion", threads=1)
        >>> attribution_maps(network, network.head(), dataset.images[:2], np.array([1, 1]), "grad-cam").shape
        (2, 48, 48)
    """
    x = model.input(crops)
    if method == REGIONS:
        return coverage(quadrilaterals(affine_maps(model, x), model.size), model.size)
    if method not in METHODS:
        raise unknown_name("method", method, (*METHODS, REGIONS))
    out = np.zeros((len(x), model.size, model.size), np.float32)
    if not len(x):
        return out
    layer_name = select_layer(model.module, x[:1], layer) if method == "grad-cam" else ""
    scorer = HeadLogits(model.module, head.name).eval()
    classes = torch.from_numpy(targets)
    for chunk in chunk_slices(len(x)):
        with warnings.catch_warnings():
            # captum warns each time that it sets and removes hooks
            warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
            part = METHODS[method].run(scorer, x[chunk].clone().requires_grad_(), classes[chunk], layer_name)
        out[chunk] = part.detach().numpy()
    return out
