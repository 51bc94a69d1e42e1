"""A prepared dataset in memory, in batches: one index operation per batch, no worker processes."""

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
from mien.errors import DataError, InputError
from mien.networks.catalog import get_network
from mien.networks.spec import NetworkSpec
from mien.training.config import Recipe, SplitRoles
from mien.training.ranks import SINGLE_PROCESS, ProcessRank
from mien.training.resize import resize_images
from mien.training.stored_predictions import StoredPredictions, blend
from mien.training.targets import HeadTargets, head_targets


class TrainingBatch(TypedDict):
    """Images and targets of one training step."""

    images: Tensor
    soft: dict[str, Tensor]
    weight: dict[str, Tensor]
    label: dict[str, Tensor]
    features: dict[str, Tensor]


class InMemoryDataset(TorchDataset[TrainingBatch]):
    """Uint8 images ``(n, c, h, w)``, features and the targets of every head, indexed by lists of rows.

    Images of another size than ``size`` are resized per batch: a dataset enlarged as a whole would fill memory.
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

    def __getitem__(self, rows: Tensor) -> TrainingBatch:
        """The batch of these rows, ``(b,)`` int64."""
        return TrainingBatch(
            images=self._resized(self.images[rows]),
            soft={name: t[rows] for name, t in self.soft.items()},
            weight={name: t[rows] for name, t in self.weight.items()},
            label={name: t[rows] for name, t in self.label.items()},
            features={name: t[rows] for name, t in self.features.items()},
        )

    def _resized(self, images: Tensor) -> Tensor:
        if tuple(images.shape[2:]) == (self.size, self.size):
            return images
        resized = resize_images(images.permute(0, 2, 3, 1).numpy(), self.size, images.shape[1])
        return torch.from_numpy(resized).permute(0, 3, 1, 2)


class EpochBatchSampler(Sampler[Tensor]):
    """Batches of rows; the order depends on seed and epoch only, so a resumed run repeats it.

    A smaller last training batch is dropped when there is a full one: batch statistics of a few images would be noise.

    With several processes each gets a slice of every batch, and none an empty one: a last batch of fewer images than
    processes is merged with the batch before it.

    Raises:
        DataError: fewer images, or images per batch, than processes.
    """

    def __init__(self, n: int, batch_size: int, *, seed: int | None, process: ProcessRank = SINGLE_PROCESS) -> None:
        if min(n, batch_size) < process.world:
            raise DataError(
                f"{process.world} processes cannot share {n} images in batches of {batch_size}",
                advice="start fewer processes",
            )
        self.n, self.batch_size, self.seed, self.epoch, self.process = n, batch_size, seed, 0, process

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.seed is not None and self.n >= self.batch_size:
            return self.n // self.batch_size
        whole, rest = divmod(self.n, self.batch_size)
        return whole + (rest > 0 if whole == 0 else rest >= self.process.world)

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.arange(self.n)
        if self.seed is not None:
            order = torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(self.n))
        count = len(self)
        for i in range(count):
            last = self.seed is None and i + 1 == count
            end = self.n if last else (i + 1) * self.batch_size
            yield self.process.slice_of(order[i * self.batch_size : end])


def make_loader(
    data: Dataset,
    recipe: Recipe,
    role: str,
    process: ProcessRank = SINGLE_PROCESS,
    teacher: StoredPredictions | None = None,
) -> DataLoader[TrainingBatch]:
    """Batches of one role ("train", "validation" or "test") of the recipe's splits: shuffled for "train".

    Images without a target for any head are left out. With several processes each gets its slices of the batches.
    Predictions of a ``teacher`` become a share of the targets.
    """
    part, targets = select_role(data, recipe, role)
    if teacher is not None and recipe.distill is not None:
        targets = blend(targets, part.row, teacher, recipe.distill.weight)
    row = get_network(recipe.network)
    pixels = _pixels(part, row)
    sampler = EpochBatchSampler(
        len(pixels), recipe.batch_size, seed=recipe.seed if role == "train" else None, process=process
    )
    # its own generator: an iterator draws a number when it is made, and that moment differs in a resumed run
    if role == "train":
        _check_batch_norm(recipe, row, min(len(pixels), recipe.batch_size), process)
    generator = torch.Generator().manual_seed(recipe.seed)
    dataset = InMemoryDataset(pixels, targets, _features(part, row), row.size)
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)


def _pixels(part: Dataset, row: NetworkSpec) -> Tensor:
    """Uint8 ``(n, c, h, w)``, gray where the network takes gray."""
    images = part.images
    if row.channels == "gray" and part.channels == 3:
        images = np.concatenate([resize_images(image[None], image.shape[0], 1) for image in images])
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def unlabelled_images(data: Dataset, recipe: Recipe) -> InMemoryDataset:
    """The training images of a dataset without their labels, for `mien.training.config.Consistency`.

    Raises:
        DataError: it has no training images, or not as many channels as the recipe's network.
        InputError: the network takes more than pixels.
    """
    row = get_network(recipe.network)
    if row.features:
        raise InputError(
            f"network {recipe.network!r} takes {', '.join(row.features)} beside pixels",
            advice="images without labels are for networks that take pixels alone",
        )
    if row.channels == "rgb" and data.channels == 1:
        raise DataError("the images without labels are gray, and the network takes colour", code="channels-differ")
    part = data[np.isin(data.split, recipe.splits.train)]
    if len(part) == 0:
        raise DataError(
            f"the dataset without labels has no {' or '.join(map(repr, recipe.splits.train))} images",
            code="split-missing",
        )
    return InMemoryDataset(_pixels(part, row), {}, size=row.size)


def _check_batch_norm(recipe: Recipe, row: NetworkSpec, batch: int, process: ProcessRank) -> None:
    """Refuse batches of one image for a network that then normalises a single value per channel.

    Raises:
        DataError: the smallest part of a batch is one image, and the network cannot be trained on that.
    """
    synchronised = process.world > 1 and torch.cuda.is_available()
    if batch // (1 if synchronised else process.world) > 1:
        return
    with torch.device("meta"):  # shapes without values
        module = row.module(recipe.head_sizes, recipe.dropout).train()
        images = torch.zeros(1, len(recipe.mean), row.size, row.size)
        features = {name: torch.zeros(1, length) for name, length in row.features.items()}
        try:
            module(images, features) if features else module(images)
        except ValueError:
            raise DataError(
                f"network {recipe.network!r} cannot be trained on batches of one image: its batch norm needs two",
                advice="give a larger batch size (--batch-size), or more training images",
                code="batch-too-small",
            ) from None


def select_role(data: Dataset, recipe: Recipe, role: str) -> tuple[Dataset, dict[str, HeadTargets]]:
    """The images of one role of a recipe that have a target for some head, with the targets.

    Raises:
        DataError: there are none, or the file lacks the labels for a head.
    """
    splits: SplitRoles = recipe.splits
    names: tuple[str, ...] = getattr(splits, role)
    part = data[np.isin(data.split, names)]
    if len(part) == 0:
        have = ", ".join(sorted(set(data.split.tolist())))
        raise DataError(
            f"the dataset has no {' or '.join(map(repr, names))} images, only {have}",
            advice="`mien data prepare FILE --validation 0.1 --out NEW` moves a tenth of the training images to "
            "validation; with --split 80,10,10 it makes new splits",
            code="split-missing",
        )
    targets = {head.name: head_targets(part, head) for head in recipe.heads}
    used = np.any([t.weight > 0 for t in targets.values()], axis=0)
    if splits.cap is not None:
        used &= _first(targets[recipe.heads[0].name].label, splits.cap)
    return part[used], {
        k: HeadTargets(t.soft[used], t.weight[used], t.label[used]) for k, t in targets.items()
    }  # fmt: skip


def _first(label: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Whether each row is among the first ``count`` of its label."""
    keep = np.zeros(len(label), bool)
    for value in np.unique(label[label >= 0]):
        keep[np.flatnonzero(label == value)[:count]] = True
    return keep


def _features(part: Dataset, row: NetworkSpec) -> dict[str, Tensor]:
    """The feature vectors that a network takes in addition to the pixels."""
    for name, length in row.features.items():
        have = part.features.get(name)
        if have is None or have.shape[1] != length:
            found = "none" if have is None else f"vectors of {have.shape[1]}"
            raise DataError(
                f"the network takes {length} {name} features per image, and this file has {found}",
                advice="add them with `mien data prepare FILE --features … --out FILE`",
                code="features-missing",
            )
    return {name: torch.from_numpy(np.ascontiguousarray(part.features[name])) for name in row.features}
