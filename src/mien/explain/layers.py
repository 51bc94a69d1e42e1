"""The layers of a network in the order in which they compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mien.errors import InputError


@contextmanager
def _watched(module: nn.Module, seen: dict[str, Tensor]) -> Iterator[None]:
    """Put every layer's output into ``seen`` in the order in which they are computed."""
    handles = []
    for name, layer in module.named_modules():

        def note(_: nn.Module, __: object, output: object, name: str = name) -> None:
            if isinstance(output, Tensor):
                seen[name] = output

        handles.append(layer.register_forward_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def outputs(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Layer name → its output for the input ``x``, in the order of computation."""
    seen: dict[str, Tensor] = {}
    with _watched(module, seen), torch.inference_mode():
        module(x)
    return seen


def convolutions(module: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Names of the convolutions, in the order of computation."""
    return tuple(name for name in outputs(module, x) if isinstance(module.get_submodule(name), nn.Conv2d))


def weighted(module: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Names of the layers that hold weights themselves, in the order of computation."""
    names = (name for name in outputs(module, x) if name)
    return tuple(name for name in names if any(True for _ in module.get_submodule(name).parameters(recurse=False)))


def chosen_layer(module: nn.Module, x: Tensor, name: str | None) -> str:
    """The layer for Grad-CAM: the one of this name, or for None the last convolution.

    Args:
        module: the network.
        x: an example of its input.
        name: any layer whose output is a stack of maps.

    Raises:
        InputError: no such layer, or the network has no convolution; lists the convolutions there are.
    """
    found = outputs(module, x)
    known = [one for one in found if isinstance(module.get_submodule(one), nn.Conv2d)]
    if not known:
        raise InputError("this network has no convolution, which Grad-CAM needs: choose another method")
    if name is None:
        return known[-1]
    if name not in found or found[name].ndim != 4:
        raise InputError(f"no layer {name!r} that gives maps: the convolutions are {', '.join(known)}")
    return name
