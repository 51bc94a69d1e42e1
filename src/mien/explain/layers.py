"""The layers of a network in the order of computation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mien.errors import InputError


@contextmanager
def _recording(module: nn.Module, outputs: dict[str, Tensor]) -> Iterator[None]:
    """Record the output of every layer in ``outputs``, in the order of computation."""
    handles = []
    for name, layer in module.named_modules():

        def record(_: nn.Module, __: object, output: object, name: str = name) -> None:
            if isinstance(output, Tensor):
                outputs[name] = output

        handles.append(layer.register_forward_hook(record))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layer_outputs(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Layer name → its output for the input ``x``, in the order of computation."""
    outputs: dict[str, Tensor] = {}
    with _recording(module, outputs), torch.inference_mode():
        module(x)
    return outputs


def convolutions(module: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Names of the convolutions, in the order of computation."""
    return tuple(name for name in layer_outputs(module, x) if isinstance(module.get_submodule(name), nn.Conv2d))


def weighted_layers(module: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Names of the layers with weights of their own, in the order of computation."""
    names = (name for name in layer_outputs(module, x) if name)
    return tuple(name for name in names if any(True for _ in module.get_submodule(name).parameters(recurse=False)))


def select_layer(module: nn.Module, x: Tensor, name: str | None) -> str:
    """The layer for Grad-CAM: the one of this name, or for None the last convolution.

    Args:
        module: the network.
        x: an example of its input.
        name: any layer whose output is a stack of maps.

    Raises:
        InputError: no such layer, or the network has no convolution; the message lists the convolutions.
    """
    outputs = layer_outputs(module, x)
    known = [one for one in outputs if isinstance(module.get_submodule(one), nn.Conv2d)]
    if not known:
        raise InputError("this network has no convolution, which Grad-CAM needs", advice="choose another method")
    if name is None:
        return known[-1]
    if name not in outputs or outputs[name].ndim != 4:
        raise InputError(f"no layer {name!r} that gives maps", advice=f"choose a convolution: {', '.join(known)}")
    return name
