"""The Lightning module: one network, several heads, soft targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
import torchmetrics
from torch import Tensor, nn

from mien.errors import InputError
from mien.networks.catalog import get_network
from mien.training.augment import make_augmentation, mixup
from mien.training.config import OptimizerConfig, Recipe, ScheduleConfig
from mien.training.data import InMemoryDataset, TrainingBatch
from mien.training.losses import distillation_loss, soft_cross_entropy
from mien.training.preprocessing import Normalize, unit_range
from mien.training.ranks import mean_over_ranks, world_size

if TYPE_CHECKING:
    from typing_extensions import Self

VAL_SCORE = "val_score"
"""Criterion of checkpoints: the mean of the heads' validation accuracies."""
VAL_LOSS = "val_loss"
"""Criterion of the plateau schedule, and of some recipes' checkpoints."""


@dataclass(frozen=True, slots=True)
class _SharedBatch:
    """A batch that several processes share.

    Attributes:
        world: processes.
        images: of all of them together.
        weights: name of a head → mean over processes of the sum of its weights; empty for one process.
    """

    world: int
    images: int
    weights: dict[str, Tensor]


class TrainingModule(L.LightningModule):
    """Trains one recipe's network; logs the loss, and accuracy and macro F1 of every head."""

    def __init__(
        self, recipe: Recipe, teacher: nn.Module | None = None, unlabelled: InMemoryDataset | None = None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self._unlabelled = unlabelled
        row = get_network(recipe.network)
        if len(recipe.mean) != (1 if row.channels == "gray" else 3):
            raise InputError(f"recipe {recipe.name!r}: mean and std do not fit a {row.channels} network")
        self.network = row.module(recipe.head_sizes, recipe.dropout)
        for parameter in self.network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._frozen = [
            layer for name, layer in self.network.named_modules() if f"{name}.".startswith(recipe.frozen) and name
        ]
        for layer in self._frozen:
            layer.requires_grad_(False)
        # in a list, so that the teacher's weights are not in this module's checkpoints
        self._teacher = [] if teacher is None else [teacher.eval().requires_grad_(False)]
        self.augment = make_augmentation(recipe.augment)
        self.normalize = Normalize(recipe.mean, recipe.std)
        # in dictionaries for use; registered below, so that they move to the device and logging finds them
        self.accuracy: dict[str, torchmetrics.Metric] = {}
        self.macro_f1: dict[str, torchmetrics.Metric] = {}
        for head in recipe.heads:
            options: dict[str, Any] = {"task": "multiclass", "num_classes": len(head.labels), "ignore_index": -1}
            self.accuracy[head.name] = torchmetrics.Accuracy(**options, average="micro")
            self.macro_f1[head.name] = torchmetrics.F1Score(**options, average="macro")
            self.add_module(f"{head.name}_accuracy", self.accuracy[head.name])
            self.add_module(f"{head.name}_macro_f1", self.macro_f1[head.name])

    def forward(self, images: Tensor, features: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Images 0–1 ``(n, c, h, w)`` and, for networks that take any, feature vectors → head name → logits."""
        x = self.normalize(images).contiguous(memory_format=torch.channels_last)
        logits: dict[str, Tensor] = self.network(x, features) if features else self.network(x)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set the mode; frozen layers stay in evaluation mode, so that their norms keep their statistics."""
        super().train(mode)
        for layer in self._frozen:
            layer.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Random numbers depend on seed, epoch and process only, so that a resumed run repeats them."""
        torch.manual_seed(self.recipe.seed * 100_003 + self.current_epoch + self.global_rank * 1_000_003)

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """One step: augment, mix, forward, losses of all heads (and of the teacher)."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            batch["images"] = self.augment(unit_range(batch["images"]))
            if self.recipe.augment.mixup:
                batch = mixup(batch, self.recipe.augment.mixup)
        shared = self._shared(batch)
        unlabelled = self._draw_unlabelled()
        labelled = batch["images"]
        images = labelled if unlabelled is None else torch.cat([labelled, self._altered(unlabelled)])
        both = self(images, batch["features"])
        logits = {name: one[: len(labelled)] for name, one in both.items()}
        loss = self._loss(logits, batch, shared)
        if self._teacher and self.recipe.distill is not None:
            share, temperature = self.recipe.distill.weight, self.recipe.distill.temperature
            teacher = self._teacher[0].to(self.device)
            with torch.no_grad():
                teacher_logits = teacher(self.normalize(batch["images"]))
            distilled = sum(
                (head.weight * distillation_loss(logits[head.name], teacher_logits[head.name], temperature)
                 for head in self.recipe.heads),
                start=torch.zeros((), device=self.device),
            )  # fmt: skip
            distilled = distilled * (len(batch["images"]) * shared.world / shared.images)
            loss = (1 - share) * loss + share * distilled
        if unlabelled is not None:
            altered = {name: one[len(labelled) :] for name, one in both.items()}
            loss = loss + self._consistency_loss(altered, unlabelled)
        several = shared.world > 1
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=shared.images, sync_dist=several)
        return loss

    def _draw_unlabelled(self) -> Tensor | None:
        """Images without labels for one step, 0–1; None where the recipe takes none."""
        if self._unlabelled is None or self.recipe.consistency is None:
            return None
        rows = torch.randint(len(self._unlabelled), (self.recipe.consistency.batch_size,))
        return unit_range(self._unlabelled[rows]["images"].to(self.device))

    def _altered(self, images: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            altered: Tensor = self.augment(images)
        return altered

    def _consistency_loss(self, logits: dict[str, Tensor], images: Tensor) -> Tensor:
        """Cross-entropy of the logits of altered images with the predictions for the originals and their mirrors."""
        assert self.recipe.consistency is not None
        self.eval()
        with torch.no_grad():
            views = [self(view) for view in (images, images.flip(-1))]
            target = {name: sum(view[name].float().softmax(1) for view in views) / 2 for name in logits}
        self.train()
        loss = torch.zeros((), device=self.device)
        for head in self.recipe.heads:
            even = torch.ones(len(images), device=self.device)
            loss = loss + head.weight * soft_cross_entropy(logits[head.name], target[head.name], even)
        return self.recipe.consistency.weight * loss

    def validation_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Loss and scores of every head on one batch."""
        shared = self._shared(batch)
        logits = self(unit_range(batch["images"]), batch["features"])
        n = shared.images
        for head in self.recipe.heads:
            name = head.name
            self.accuracy[name](logits[name].float(), batch["label"][name])
            self.macro_f1[name](logits[name].float(), batch["label"][name])
            self.log(f"val_{name}_accuracy", self.accuracy[name], batch_size=n)
            self.log(f"val_{name}_macro_f1", self.macro_f1[name], batch_size=n)
        self.log(VAL_LOSS, self._loss(logits, batch, shared), prog_bar=True, batch_size=n, sync_dist=shared.world > 1)

    def on_validation_epoch_end(self) -> None:
        """Log the criterion of checkpoints."""
        accuracies = [self.accuracy[head.name].compute() for head in self.recipe.heads]
        # every process has counted all images
        self.log(VAL_SCORE, torch.stack(accuracies).mean(), prog_bar=True, sync_dist=world_size() > 1)

    def _shared(self, batch: TrainingBatch) -> _SharedBatch:
        """The whole batch, of which each process has a part."""
        n, world = len(batch["images"]), world_size()
        if world == 1:
            return _SharedBatch(1, n, {})
        names = [head.name for head in self.recipe.heads]
        own = torch.stack([torch.tensor(float(n), device=self.device), *(batch["weight"][k].sum() for k in names)])
        means = mean_over_ranks(own)
        return _SharedBatch(world, round(float(means[0]) * world), dict(zip(names, means[1:], strict=True)))

    def _loss(self, logits: dict[str, Tensor], batch: TrainingBatch, shared: _SharedBatch) -> Tensor:
        """The sum of the heads' losses, scaled so that its mean over processes is that of the whole batch."""
        loss = torch.zeros((), device=self.device)
        for head in self.recipe.heads:
            name = head.name
            loss = loss + head.weight * soft_cross_entropy(
                logits[name], batch["soft"][name], batch["weight"][name], shared.weights.get(name)
            )
        return loss

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe."""
        optimizer = make_optimizer(self.network, self.recipe.optimizer, clipped=self.recipe.gradient_clip is not None)
        steps = int(self.trainer.estimated_stepping_batches)
        return make_schedule(optimizer, self.recipe.schedule, steps, self.recipe.epochs)


def make_optimizer(module: nn.Module, config: OptimizerConfig, *, clipped: bool = False) -> torch.optim.Optimizer:
    """The optimiser of ``module``; biases and norms are not decayed, and frozen layers left out."""
    trained = [p for p in module.parameters() if p.requires_grad]
    decayed: Sequence[Tensor] = [p for p in trained if p.ndim > 1]
    free: Sequence[Tensor] = [p for p in trained if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    # one kernel per step: the networks are small, and on a GPU launching kernels takes most of the time; Lightning
    # cannot clip gradients with it
    fused = True if not clipped and all(p.is_cuda for p in module.parameters()) else None
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, eps=config.eps, fused=fused)
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=config.lr, eps=config.eps, fused=fused)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=fused)


def make_schedule(optimizer: torch.optim.Optimizer, config: ScheduleConfig, steps: int, epochs: int) -> Any:
    """What Lightning's ``configure_optimizers`` returns: the optimiser with its schedule."""
    if config.name == "plateau":
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=config.factor, patience=config.patience, min_lr=config.least
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": VAL_LOSS}}
    warmup = max(1, round(config.warmup_epochs * steps / epochs)) if config.warmup_epochs else 0

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if config.name == "constant":
            return 1.0
        if config.name == "exponential":
            return float(config.factor ** (step / config.every))
        if config.name == "steps":
            epoch = step * epochs / steps
            return next((value for start, value in reversed(config.steps) if epoch >= start), 1.0)
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * done))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
