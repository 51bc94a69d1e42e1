"""A prepared dataset in memory, cut into whole batches: one index operation a batch, no worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from mien.datasets.dataset import Dataset
from mien.errors import DataError
from mien.networks.catalog import get_network
from mien.networks.spec import NetworkSpec
from mien.training.config import Recipe, Splits
from mien.training.ranks import ALONE, Ranks
from mien.training.resize import fit_images
from mien.training.targets import HeadTargets, head_targets


class Batch(TypedDict):
    """What the network learns from in one step."""

    images: Tensor
    soft: dict[str, Tensor]
    weight: dict[str, Tensor]
    label: dict[str, Tensor]
    features: dict[str, Tensor]


class InMemory(TorchDataset[Batch]):
    """Uint8 images ``(n, c, h, w)``, features and the targets of every head, indexed by lists of rows.

    Images of another size than ``size`` are resized when they are asked for: enlarged, a dataset would fill memory.
    """

    def __init__(
        self,
        images: Tensor,
        targets: Mapping[str, HeadTargets],
        features: Mapping[str, Tensor] | None = None,
        size: int | None = None,
    ) -> None:
        self.images = images
        self.features = dict(features or {})
        self.size = size or int(images.shape[-1])
        self.soft = {name: torch.from_numpy(t.soft) for name, t in targets.items()}
        self.weight = {name: torch.from_numpy(t.weight) for name, t in targets.items()}
        self.label = {name: torch.from_numpy(t.label) for name, t in targets.items()}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> Batch:
        """The batch of these rows, ``(b,)`` int64."""
        return Batch(
            images=self._fitted(self.images[rows]),
            soft={name: t[rows] for name, t in self.soft.items()},
            weight={name: t[rows] for name, t in self.weight.items()},
            label={name: t[rows] for name, t in self.label.items()},
            features={name: t[rows] for name, t in self.features.items()},
        )

    def _fitted(self, images: Tensor) -> Tensor:
        if tuple(images.shape[2:]) == (self.size, self.size):
            return images
        fitted = fit_images(images.permute(0, 2, 3, 1).numpy(), self.size, images.shape[1])
        return torch.from_numpy(fitted).permute(0, 3, 1, 2)


class EpochBatches(Sampler[Tensor]):
    """Batches of rows; the order of an epoch follows from seed and epoch alone, so a resumed run repeats it.

    A last training batch smaller than the batch size is dropped when there is a full one: batch statistics of a few
    images would be noise.

    Of several processes each gets its slice of every batch, and none an empty one: a last batch of fewer images than
    processes belongs to the batch before it.

    Raises:
        DataError: fewer images, or images a batch, than processes.
    """

    def __init__(self, n: int, batch_size: int, *, seed: int | None, ranks: Ranks = ALONE) -> None:
        if min(n, batch_size) < ranks.world:
            raise DataError(
                f"{ranks.world} processes cannot share {n} images in batches of {batch_size}: start fewer processes"
            )
        self.n, self.batch_size, self.seed, self.epoch, self.ranks = n, batch_size, seed, 0, ranks

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.seed is not None and self.n >= self.batch_size:
            return self.n // self.batch_size
        whole, rest = divmod(self.n, self.batch_size)
        return whole + (rest > 0 if whole == 0 else rest >= self.ranks.world)

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.arange(self.n)
        if self.seed is not None:
            order = torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(self.n))
        count = len(self)
        for i in range(count):
            last = self.seed is None and i + 1 == count
            end = self.n if last else (i + 1) * self.batch_size
            yield self.ranks.share(order[i * self.batch_size : end])


def loader(data: Dataset, recipe: Recipe, role: str, ranks: Ranks = ALONE) -> DataLoader[Batch]:
    """Batches of one role ("train", "validation" or "test") of the recipe's splits: shuffled for "train".

    Images that no head has a target for are left out. Of several processes each gets its slices of the batches.
    """
    part, targets = role_of(data, recipe, role)
    row = get_network(recipe.network)
    images = part.images
    if row.channels == "gray" and part.channels == 3:
        images = np.concatenate([fit_images(image[None], image.shape[0], 1) for image in images])
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    sampler = EpochBatches(len(pixels), recipe.batch_size, seed=recipe.seed if role == "train" else None, ranks=ranks)
    # a generator of its own: an iterator draws a number when it is made, and that moment differs in a resumed run
    generator = torch.Generator().manual_seed(recipe.seed)
    dataset = InMemory(pixels, targets, _features(part, row), row.size)
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)


def role_of(data: Dataset, recipe: Recipe, role: str) -> tuple[Dataset, dict[str, HeadTargets]]:
    """The images that play a role in a recipe and that some head has a target for, with the targets.

    Raises:
        DataError: there are none, or the file lacks the labels for a head.
    """
    splits: Splits = recipe.splits
    names: tuple[str, ...] = getattr(splits, role)
    part = data[np.isin(data.split, names)]
    if len(part) == 0:
        raise DataError(f"the dataset has no {' or '.join(map(repr, names))} images")
    targets = {head.name: head_targets(part, head) for head in recipe.heads}
    used = np.any([t.weight > 0 for t in targets.values()], axis=0)
    if splits.cap is not None:
        used &= _first(targets[recipe.heads[0].name].label, splits.cap)
    return part[used], {
        k: HeadTargets(t.soft[used], t.weight[used], t.label[used]) for k, t in targets.items()
    }  # fmt: skip


def _first(label: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which rows are among the first ``count`` of their label."""
    keep = np.zeros(len(label), bool)
    for value in np.unique(label[label >= 0]):
        keep[np.flatnonzero(label == value)[:count]] = True
    return keep


def _features(part: Dataset, row: NetworkSpec) -> dict[str, Tensor]:
    """The feature vectors that a network takes beside the pixels."""
    for name, length in row.features.items():
        have = part.features.get(name)
        if have is None or have.shape[1] != length:
            found = "none" if have is None else f"vectors of {have.shape[1]}"
            raise DataError(
                f"the network takes {length} {name} features an image, and this file has {found}: "
                "add them with `mien data prepare FILE --features … --out FILE`"
            )
    return {name: torch.from_numpy(np.ascontiguousarray(part.features[name])) for name in row.features}
