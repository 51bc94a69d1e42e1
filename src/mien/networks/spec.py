"""A row of the tables of networks; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mien.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Heads = Mapping[str, int]
"""Head name → number of classes."""

TWO_HEADS: Heads = {"ferplus": 8, "fer2013": 7}
"""The heads of Mien's own emotion networks."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A row of the table.

    Attributes:
        build: head name → number of classes, to a module whose forward returns head name → logits; takes ``dropout``
            as well where ``dropout`` below is not None.
        size: side of the square input, pixels.
        channels: "gray" or "rgb".
        parameters: trained parameters with ``heads``.
        source: paper or origin.
        heads: the heads that ``parameters`` counts.
        statistics: running means and variances of its batch norms, which some sources count as parameters too.
        features: name of a feature vector beside the pixels → its length; empty for most.
        megamacs: millions of multiply-adds per image; queues of trainings are ordered by it.
        dropout: the network's default probability of dropout, where a recipe may set another; None where it may not.

    Examples:
        >>> from mien.networks.catalog import get_network
        >>> row = get_network("emotion-fast")
        >>> network = row.module({"mood": 2}, dropout=0.1)
        >>> row.channels, row.megamacs, sum(p.numel() for p in network.parameters()) < row.parameters
        ('gray', 103.3, True)
    """

    build: Callable[..., nn.Module]
    size: int
    channels: str
    parameters: int
    source: str
    heads: Heads = field(default_factory=lambda: dict(TWO_HEADS))
    statistics: int = 0
    features: Mapping[str, int] = field(default_factory=dict)
    megamacs: float = 0.0
    dropout: float | None = None

    def module(self, heads: Heads, dropout: float | None = None) -> nn.Module:
        """The network with a recipe's dropout, None for the default; `InputError` where it has none to set.

        Args:
            heads: head name → number of classes.
            dropout: probability, 0–1; None for the network's own.
        """
        if dropout is None:
            return self.build(heads)
        if self.dropout is None:
            raise InputError(
                f"the network ({self.source}) has no dropout to set", advice="leave `dropout` out of the recipe"
            )
        return self.build(heads, dropout=dropout)
