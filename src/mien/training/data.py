"""A prepared dataset in memory, cut into whole batches: one index operation a batch, no worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mien.datasets.prepared import Prepared
from mien.errors import DataError
from mien.training.config import Recipe
from mien.training.targets import HeadTargets, head_targets


class Batch(TypedDict):
    """What the network learns from in one step."""

    images: Tensor
    soft: dict[str, Tensor]
    weight: dict[str, Tensor]
    label: dict[str, Tensor]


class InMemory(Dataset[Batch]):
    """Uint8 images ``(n, c, h, w)`` and the targets of every head, indexed by lists of rows."""

    def __init__(self, images: Tensor, targets: Mapping[str, HeadTargets]) -> None:
        self.images = images
        self.soft = {name: torch.from_numpy(t.soft) for name, t in targets.items()}
        self.weight = {name: torch.from_numpy(t.weight) for name, t in targets.items()}
        self.label = {name: torch.from_numpy(t.label) for name, t in targets.items()}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> Batch:
        """The batch of these rows, ``(b,)`` int64."""
        return Batch(
            images=self.images[rows],
            soft={name: t[rows] for name, t in self.soft.items()},
            weight={name: t[rows] for name, t in self.weight.items()},
            label={name: t[rows] for name, t in self.label.items()},
        )


class EpochBatches(Sampler[Tensor]):
    """Batches of rows; the order of an epoch follows from seed and epoch alone, so a resumed run repeats it.

    A last training batch smaller than the batch size is dropped when there is a full one: batch statistics of a few
    images would be noise.
    """

    def __init__(self, n: int, batch_size: int, *, seed: int | None) -> None:
        self.n, self.batch_size, self.seed, self.epoch = n, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.seed is not None and self.n >= self.batch_size:
            return self.n // self.batch_size
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.arange(self.n)
        if self.seed is not None:
            order = torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(self.n))
        for i in range(len(self)):
            yield order[i * self.batch_size : (i + 1) * self.batch_size]


def loader(data: Prepared, recipe: Recipe, split: str) -> DataLoader[Batch]:
    """Batches of one split: shuffled for "train", in order otherwise.

    Images that no head has a target for are left out.
    """
    part = data.select(split)
    if len(part) == 0:
        raise DataError(f"the dataset has no {split!r} images")
    targets = {head.name: head_targets(part, head) for head in recipe.heads}
    used = np.any([t.weight > 0 for t in targets.values()], axis=0)
    part, targets = (
        part[used],
        {k: HeadTargets(t.soft[used], t.weight[used], t.label[used]) for k, t in targets.items()},
    )
    images = torch.from_numpy(np.ascontiguousarray(part.images.transpose(0, 3, 1, 2)))
    sampler = EpochBatches(len(images), recipe.batch_size, seed=recipe.seed if split == "train" else None)
    # a generator of its own: an iterator draws a number when it is made, and that moment differs in a resumed run
    generator = torch.Generator().manual_seed(recipe.seed)
    return DataLoader(InMemory(images, targets), sampler=sampler, batch_size=None, generator=generator)
