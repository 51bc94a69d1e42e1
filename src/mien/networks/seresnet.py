"""Small residual networks with squeeze-and-excitation and one linear layer per head.

Papers: He et al. 2016, "Deep Residual Learning"; Hu et al. 2018, "Squeeze-and-Excitation Networks"; the average-pooled
shortcut is the "D" variant of He et al. 2019, "Bag of Tricks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Channel gates from the average-pooled map."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(channels // reduction, 4))
        self.excite = nn.Linear(max(channels // reduction, 4), channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` → the same shape."""
        gates = torch.sigmoid(self.excite(self.relu(self.squeeze(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


class ResidualBlock(nn.Module):
    """conv3-BN-ReLU-conv3-BN-SE, plus the input, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.se = SqueezeExcite(outputs)
        shortcut: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if inputs != outputs:
            shortcut += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)
        # two, as modules: guided backpropagation hooks each
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` → ``(n, outputs, h / stride, w / stride)``."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        z: Tensor = self.relu2(y + self.shortcut(x))
        return z


class SEResNet(nn.Module):
    """Stem convolutions, stages of residual blocks, global average pooling, one linear layer per head.

    Args:
        heads: head name → number of classes.
        channels: 1 (gray) or 3 (RGB) input channels.
        stem: (width, stride) of each 3×3 stem convolution.
        widths: channels of each stage.
        depths: residual blocks of each stage.
        strides: stride of the first block of each stage, 1 or 2.
        dropout: probability before the heads.
    """

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        channels: int,
        stem: Sequence[tuple[int, int]],
        widths: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = channels
        for outputs, stride in stem:
            layers += [nn.Conv2d(width, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            width = outputs
        self.stem = nn.Sequential(*layers)
        blocks: list[nn.Module] = []
        for outputs, depth, first in zip(widths, depths, strides, strict=True):
            for i in range(depth):
                blocks.append(ResidualBlock(width, outputs, first if i == 0 else 1))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(width, classes) for name, classes in heads.items()})
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for block in blocks:
            # a block starts as the identity, so that a high learning rate does not diverge at the start
            if isinstance(block, ResidualBlock):
                nn.init.zeros_(block.bn2.weight)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(n, channels, size, size)`` normalised → head name → ``(n, classes)`` logits."""
        y = self.blocks(self.stem(x)).mean((2, 3))
        y = self.dropout(y)
        return {name: head(y) for name, head in self.heads.items()}
