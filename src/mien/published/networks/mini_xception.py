"""Mini-Xception: residual depthwise-separable blocks without a dense layer.

Paper: Arriaga, Plöger & Valdenegro 2017, "Real-time Convolutional Neural Networks for Emotion and Gender
Classification" (arXiv 1710.07557), in the variant its authors published for emotions: 64×64 gray in [−1, 1], 58,423
parameters with the batch statistics, 56,951 trained. It is the pretrained model that M. Bassani's report compares with.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from mien.networks.multi_head import initialise_as_keras, keras_batch_norm

WIDTHS = (16, 32, 64, 128)
SIDES = (60, 30, 15, 8)
"""Side of the input map of each block, for 64×64 pixels."""


class SeparableConv(nn.Sequential):
    """A 3×3 convolution per channel, then 1×1 over channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )


class XceptionBlock(nn.Module):
    """Two separable convolutions and max-pooling beside a strided 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), keras_batch_norm(outputs))
        # same-padded pooling pads the odd pixel at the end, which rounding up does as well
        pool = nn.MaxPool2d(3, 2, padding=1) if side % 2 else nn.MaxPool2d(3, 2, ceil_mode=True)
        self.body = nn.Sequential(
            SeparableConv(inputs, outputs), keras_batch_norm(outputs), nn.ReLU(), SeparableConv(outputs, outputs),
            keras_batch_norm(outputs), pool,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` → ``(n, outputs, ⌈h / 2⌉, ⌈w / 2⌉)``."""
        # equal to a 1×1 convolution of stride 2, whose gradient over channels-last maps crashes torch 2.13 on
        # processors (memory is written out of bounds)
        y: Tensor = self.shortcut(x[:, :, ::2, ::2]) + self.body(x)
        return y


class MiniXception(nn.Module):
    """Two plain convolutions, four blocks, and a 3×3 convolution per head, averaged over the map."""

    def __init__(self, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, bias=False), keras_batch_norm(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, bias=False), keras_batch_norm(8), nn.ReLU(),
        )  # fmt: skip
        inputs = (8, *WIDTHS[:-1])
        self.blocks = nn.Sequential(*(XceptionBlock(*each) for each in zip(inputs, WIDTHS, SIDES, strict=True)))
        self.heads = nn.ModuleDict({name: nn.Conv2d(WIDTHS[-1], n, 3, padding=1) for name, n in heads.items()})
        initialise_as_keras(self)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(n, 1, 64, 64)`` normalised → head name → ``(n, classes)`` logits."""
        y = self.blocks(self.stem(x))
        return {name: F.adaptive_avg_pool2d(head(y), 1).flatten(1) for name, head in self.heads.items()}
