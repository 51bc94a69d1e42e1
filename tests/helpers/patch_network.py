"""A network whose answer is known: the brightness of a patch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.explain.model import ExplainedNetwork
from mien.models.card import Head
from mien.models.crop_frames import FRAMES
from mien.networks.catalog import get_network

IDENTITY, HALF = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.5, 0.0, 0.5, 0.0, 0.5, -0.5)
SIZE = 24
PATCH = (slice(6, 12), slice(12, 18))


class Patch(nn.Module):
    """Class "yes" is the brightness of a patch, through a convolution that copies and a ReLU; "no" is its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        self.relu = nn.ReLU()
        self.heads = nn.ModuleDict({"answer": nn.Linear(SIZE * SIZE, 2, bias=False)})
        weight = torch.zeros(2, SIZE, SIZE)
        weight[0][PATCH], weight[1][PATCH] = 0.02, -0.02
        with torch.no_grad():
            self.conv.weight.fill_(1.0)
            self.heads["answer"].weight.copy_(weight.flatten(1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.relu(self.conv(x)).flatten(1)
        return {"answer": self.heads["answer"](y)}


def patch_network(module: nn.Module, name: str = "toy", size: int = SIZE, channels: int = 1) -> ExplainedNetwork:
    heads = (Head("answer", ("yes", "no")),)
    return ExplainedNetwork(
        "toy", "emotion", name, module.eval(), size, (0.25,) * channels, (0.25,) * channels, heads, FRAMES["emotion"]
    )


def outside() -> NDArray[np.bool_]:
    mask = np.ones((SIZE, SIZE), np.bool_)
    mask[PATCH] = False
    return mask


def attention_network(name: str, theta: tuple[float, ...]) -> ExplainedNetwork:
    module = get_network(name).build({"answer": 2})
    with torch.no_grad():
        module.localise[-1].bias.copy_(torch.tensor(theta))  # type: ignore[union-attr,operator,index]
    return patch_network(module, name, size=48)
