"""What a training prints while it runs: what it will take, epoch of epochs with the time left, and how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mien.networks.catalog import get_network
from mien.text import count, number, percent, rough_duration
from mien.training.config import Recipe
from mien.training.curves import read_epochs
from mien.training.losses import soft_cross_entropy
from mien.training.module import VAL_LOSS, VAL_SCORE, TrainingModule
from mien.training.preprocessing import unit_range
from mien.training.run_folder import METRICS

_SAMPLE = 16
"""Images of the step that is measured before training."""
_INTERVAL = 5.0
"""Least seconds between two lines about epochs where the output is no terminal."""
_REFRESH = 0.5
"""Seconds between two states of the line on a terminal."""


class TrainingProgress(Callback):
    """Prints to stderr: first an estimate for this machine, then each epoch with the time left, loss and scores."""

    def __init__(self, recipe: Recipe, stream: TextIO | None = None) -> None:
        self.recipe = recipe
        self.stream = sys.stderr if stream is None else stream
        self._first = self._last = self._shown = 0.0
        self._begun = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print what the training will take."""
        if not trainer.is_global_zero or not isinstance(pl_module, TrainingModule):
            return
        self._begun = trainer.current_epoch
        left = self.recipe.epochs - self._begun
        train = len(trainer.train_dataloader.dataset)  # type: ignore[union-attr]
        validation = sum(len(loader.dataset) for loader in _loaders(trainer.val_dataloaders))
        seconds = epoch_seconds(self.recipe, pl_module, train, validation) / trainer.world_size
        images = f"{train:,} training and {validation:,} validation images"
        self._print(
            f"{self.recipe.name}: {count(left, 'epoch')} of {images} on {_device(pl_module)}, "
            f"about {rough_duration(seconds)} per epoch, {rough_duration(seconds * left)} in all"
        )
        self._first = self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the line on a terminal."""
        now = time.monotonic()
        if not trainer.is_global_zero or not self.stream.isatty() or now - self._shown < _REFRESH:
            return
        self._shown = now
        share = (batch_idx + 1) / max(1, int(trainer.num_training_batches))
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        shown = f", loss {number(float(loss))}" if isinstance(loss, Tensor) else ""
        epoch = trainer.current_epoch + 1
        self.stream.write(f"\r\x1b[Kepoch {epoch} of {self.recipe.epochs}: {percent(share, digits=0)}{shown}")
        self.stream.flush()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the epoch, with the time that those to come will take."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not trainer.is_global_zero:
            return
        now, epoch = time.monotonic(), trainer.current_epoch + 1
        done = epoch - self._begun
        terminal = self.stream.isatty()
        if epoch < self.recipe.epochs and not terminal and done > 1 and now - self._last < _INTERVAL:
            return
        self._last = now
        left = (now - self._first) / done * (self.recipe.epochs - epoch)
        parts = [
            f"loss {number(metrics['train_loss'])}" if "train_loss" in metrics else "",
            f"validation loss {number(metrics[VAL_LOSS])}" if VAL_LOSS in metrics else "",
            describe_scores(self.recipe, metrics),
            f"{rough_duration(left)} left" if epoch < self.recipe.epochs else "",
        ]
        start = "\r\x1b[K" if terminal else ""
        self._print(f"{start}epoch {epoch} of {self.recipe.epochs}: {', '.join(filter(None, parts))}")

    def _print(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()


def describe_scores(recipe: Recipe, metrics: Mapping[str, float]) -> str:
    """``validation accuracy 71.2 % (ferplus), 65.0 % (fer2013)`` from a row of metrics."""
    values = {head.name: metrics.get(f"val_{head.name}_accuracy") for head in recipe.heads}
    shown = [percent(value) + (f" ({name})" if len(values) > 1 else "") for name, value in values.items()]
    return f"validation accuracy {', '.join(shown)}" if None not in values.values() else ""


def describe_best(recipe: Recipe, folder: Path) -> str:
    """The epoch that a finished run kept, and its scores."""
    epochs = read_epochs(folder / METRICS)
    key = VAL_SCORE if recipe.select == "score" else VAL_LOSS
    best = (max if recipe.select == "score" else min)(epochs, key=lambda row: float(row[key]))
    scores = describe_scores(recipe, {name: float(value) for name, value in best.items()})
    return f"best epoch {int(float(best['epoch']))} of {len(epochs)}: {scores}"


def epoch_seconds(recipe: Recipe, module: TrainingModule, train: int, validation: int) -> float:
    """An estimate of one epoch from one step on a few made-up images; random numbers and weights stay as they are."""
    row = get_network(recipe.network)
    device = module.device
    with torch.random.fork_rng():
        trial = TrainingModule(recipe).to(device).train()
        count = min(_SAMPLE, max(2, recipe.batch_size))
        images = torch.randint(0, 256, (count, len(recipe.mean), row.size, row.size), dtype=torch.uint8, device=device)
        features = {name: torch.zeros(count, length, device=device) for name, length in row.features.items()}
        times = []
        for _ in range(2):  # the first pays for what is made once
            started = time.monotonic()
            augmented = trial.augment(unit_range(images))
            with torch.autocast(device.type, torch.bfloat16, enabled=_uses_bf16(module)):
                logits = trial(augmented, features)
                loss = torch.zeros((), device=device)
                for one in logits.values():
                    even = torch.full_like(one, 1 / one.shape[1])
                    loss = loss + soft_cross_entropy(one, even, torch.ones_like(one[:, 0]))
                for teacher in module._teacher:
                    with torch.no_grad():
                        teacher(trial.normalize(augmented))
            loss.backward()  # type: ignore[no-untyped-call]
            middle = time.monotonic()
            with torch.inference_mode():
                trial(unit_range(images), features)
            loss.item()  # waits for a GPU
            times.append((middle - started, time.monotonic() - middle))
        step, check = times[-1]
    if recipe.consistency is not None:
        # their targets are predictions for the image and its mirror
        unlabelled = train * recipe.consistency.batch_size / recipe.batch_size
        train, validation = train + round(unlabelled), validation + round(2 * unlabelled)
    return (step * train + check * validation) / count


def _device(module: TrainingModule) -> str:
    if module.device.type == "cuda":
        return str(torch.cuda.get_device_name(module.device))
    count = torch.get_num_threads()
    return f"{count} processor thread{'s' if count > 1 else ''}"


def _uses_bf16(module: TrainingModule) -> bool:
    return str(module.trainer.precision).startswith("bf16")


def _loaders(loaders: Any) -> list[Any]:
    return list(loaders) if isinstance(loaders, (list, tuple)) else [loaders]
