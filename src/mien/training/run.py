"""One training run, from a recipe and a data file to a run folder. Killed at any moment, it resumes."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import read_prepared
from mien.errors import InputError, TrainingError
from mien.training import checkpoint as files
from mien.training.config import Recipe, recipe_from_dict, recipe_to_dict
from mien.training.curves import append_row, draw_curves, read_rows
from mien.training.data import loader
from mien.training.environment import environment
from mien.training.module import LOSS, SCORE, Learner
from mien.training.ranks import Ranks, first_does, joined

Watch = Callable[[Mapping[str, float]], bool]
"""Takes the row of metrics of an epoch and says whether training goes on."""
_DRAW_EVERY = 20.0
"""Seconds between two drawings of the curves; on a GPU an epoch of a small network is shorter than one drawing."""


class RunFolder(Callback):
    """Writes weights, the row of metrics and the curves after every epoch.

    It must stand before the averaging callback: at the end of validation the module still holds the averaged weights.
    """

    def __init__(self, folder: Path, select: str = "score", watch: Watch | None = None) -> None:
        self.folder = folder
        self.select = select
        self.watch = watch
        self.best = float("-inf")
        self._weights: dict[str, Tensor] = {}
        self._started = self._clock()
        self._drawn = float("-inf")
        self._stop = False

    @staticmethod
    def _clock() -> tuple[float, float]:
        """Wall clock and processor time: on a machine that does other work as well, only the second says much."""
        return time.monotonic(), time.process_time()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to know."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best = state_dict["best"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the epoch."""
        self._started = self._clock()

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep a copy of the weights that were validated."""
        if trainer.is_global_zero and isinstance(pl_module, Learner) and not trainer.sanity_checking:
            state = pl_module.network.state_dict()
            self._weights = {name: value.detach().cpu().clone() for name, value in state.items()}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what the epoch brought, and end training on all processes where the first is told to."""
        # all ask, for what is logged is averaged over processes when it is asked for
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.is_global_zero and self._weights:
            self._write(trainer, metrics)
        if self.watch is not None and trainer.strategy.broadcast(self._stop):
            trainer.should_stop = True

    def _write(self, trainer: L.Trainer, metrics: Mapping[str, float]) -> None:
        files.save_weights(self._weights, self.folder / files.LAST)
        figure = metrics[SCORE] if self.select == "score" else -metrics[LOSS]
        if figure > self.best:
            self.best = figure
            files.save_weights(self._weights, self.folder / files.BEST)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        wall, processor = (now - then for now, then in zip(self._clock(), self._started, strict=True))
        times = {"seconds": round(wall, 2), "cpu_seconds": round(processor, 2)}
        row = {"epoch": trainer.current_epoch + 1, "lr": rate, **times, **metrics}
        append_row(self.folder / files.METRICS, row)
        if time.monotonic() - self._drawn >= _DRAW_EVERY:
            self._draw()
        if self.watch is not None and not self.watch(row):
            self._stop = True

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw what an early end left out."""
        if trainer.is_global_zero and (self.folder / files.METRICS).is_file():
            self._draw()

    def _draw(self) -> None:
        draw_curves(read_rows(self.folder / files.METRICS), self.folder / files.CURVES)
        self._drawn = time.monotonic()


class TimeLimit(Callback):
    """Ends training after the epoch in which the time runs out."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.reached = False

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the clock."""
        last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        # clocks differ: all processes end together
        if trainer.strategy.reduce_boolean_decision(time.monotonic() >= self.deadline, all=False) and not last:
            self.reached = trainer.should_stop = True


def fit(
    recipe: Recipe,
    data: Path,
    folder: Path,
    *,
    teacher: Path | None = None,
    resume: bool = False,
    threads: int | None = None,
    progress: bool = True,
    command: str = "",
    seconds: float | None = None,
    watch: Watch | None = None,
) -> Path:
    """Train ``recipe`` on the prepared file ``data`` and return the run folder.

    Processes that ``torchrun`` started train together: the recipe's batch is what all of them take in one step, and the
    first writes the folder.

    Args:
        recipe: what to train and how.
        data: file written by ``mien data prepare``.
        folder: the run folder; must be new or empty unless ``resume``.
        teacher: run folder of the teacher, for a recipe that distils.
        resume: go on from the folder's last finished epoch; the metrics are those of an uninterrupted run.
        threads: processor threads, None for torch's own choice.
        progress: show a progress bar on stderr.
        command: command line to record.
        seconds: end after the epoch in which so much time has passed, None for never.
        watch: called with every epoch's row of metrics; training ends after the epoch for which it says False.

    Raises:
        TrainingError: the folder is in use, holds another recipe, the time ran out, or the loss became infinite.
        InputError: a distilling recipe without a teacher.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    with joined() as ranks:
        resume_from = first_does(ranks, lambda: _prepare_folder(recipe, folder, resume))
        taught_by = _teacher(recipe, teacher)
        prepared = read_prepared(data)
        L.seed_everything(recipe.seed, verbose=False)
        if ranks.first:
            _write_environment(folder, data, prepared, ranks, command, resumed=resume_from is not None)
        # TensorBoard and Lightning speak on loggers and warnings of their own; what matters is in the folder
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        limit = None if seconds is None else TimeLimit(seconds)
        trainer = _trainer(recipe, folder, progress, limit, watch, ranks)
        learner = Learner(recipe, taught_by)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory.*")
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            # kernels of one input channel are laid out both ways at once
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            trainer.fit(
                learner,
                loader(prepared, recipe, "train", ranks),
                loader(prepared, recipe, "validation", ranks),
                ckpt_path=resume_from,
                weights_only=False if resume_from is not None else None,
            )
        if limit is not None and limit.reached:
            raise TrainingError(f"{folder}: the time ran out; `--resume` goes on from the last finished epoch")
        if trainer.interrupted:
            raise TrainingError(f"{folder}: stopped; `--resume` goes on from the last finished epoch")
        if not torch.isfinite(trainer.callback_metrics.get("train_loss", torch.zeros(()))):
            raise TrainingError(f"{folder}: the loss is not finite; lower the learning rate of the recipe")
        return folder


def _write_environment(
    folder: Path, data: Path, prepared: Dataset, ranks: Ranks, command: str, *, resumed: bool
) -> None:
    facts = environment() | {
        "processes": ranks.world,
        "command": command,
        "data": {
            "file": data.name,
            "sha256": _sha256(data),
            "channels": prepared.channels,
            **dataclasses.asdict(prepared.info),
        },
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "earlier": _earlier(folder) if resumed else [],
    }
    files.write_json(folder / files.ENVIRONMENT, facts)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def bf16_supported() -> bool:
    """Whether this machine's accelerator, or else its processor, computes in bfloat16 faster than in float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(f in flags.read_text() for f in ("avx512_bf16", "amx_bf16"))


def _trainer(
    recipe: Recipe, folder: Path, progress: bool, limit: TimeLimit | None, watch: Watch | None, ranks: Ranks
) -> L.Trainer:
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and bf16_supported())
    callbacks: list[Callback] = [RunFolder(folder, recipe.select, watch)]
    if recipe.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema))
    if recipe.early_stopping is not None:
        monitor, mode = (SCORE, "max") if recipe.select == "score" else (LOSS, "min")
        callbacks.append(
            EarlyStopping(monitor, mode=mode, patience=recipe.early_stopping, check_on_train_epoch_end=True)
        )
    callbacks.append(
        ModelCheckpoint(
            folder, filename="last", monitor=None, save_top_k=1, enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
    )  # fmt: skip
    if limit is not None:
        callbacks.append(limit)
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=5))
    return L.Trainer(
        accelerator="auto",
        devices=ranks.local,
        num_nodes=ranks.nodes,
        strategy="auto" if ranks.world == 1 else "ddp",
        use_distributed_sampler=False,  # `EpochBatches` divides the batches itself
        # statistics of the whole batch; torch has them on GPUs only
        sync_batchnorm=ranks.world > 1 and torch.cuda.is_available(),
        max_epochs=recipe.epochs,
        precision="bf16-mixed" if bf16 else "32-true",
        gradient_clip_val=recipe.gradient_clip,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )


def _prepare_folder(recipe: Recipe, folder: Path, resume: bool) -> Path | None:
    config, state = folder / files.CONFIG, folder / files.RESUME
    said = recipe_to_dict(recipe)
    if resume and config.exists():
        # as recipes, so that a folder from before a field existed goes on with the field's default
        if recipe_from_dict(files.read_json(config)) != recipe_from_dict(said):
            raise TrainingError(
                f"{folder}: holds a run of other settings; give the same recipe and options to resume it"
            )
        return state if state.exists() else None
    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"{folder}: is not empty; give another --out, or --resume to go on with the run in it")
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(config, said)
    return None


def _earlier(folder: Path) -> list[dict[str, Any]]:
    """Which code ran the epochs before this resume: commit and start of each part, oldest first."""
    path = folder / files.ENVIRONMENT
    if not path.is_file():
        return []
    old = files.read_json(path)
    return [*old.get("earlier", []), {"commit": old.get("commit"), "started": old.get("started")}]


def _teacher(recipe: Recipe, folder: Path | None) -> torch.nn.Module | None:
    if recipe.distill is None:
        if folder is not None:
            raise InputError(f"recipe {recipe.name!r} does not distil: leave --teacher out")
        return None
    if folder is None:
        raise InputError(
            f"recipe {recipe.name!r} learns from a teacher: train {recipe.distill.teacher!r} first "
            "and give its run folder as --teacher"
        )
    taught, module, _ = files.load_run(folder)
    if taught.head_sizes != recipe.head_sizes or (taught.mean, taught.std) != (recipe.mean, recipe.std):
        raise InputError(f"{folder}: the teacher's heads or normalisation differ from those of {recipe.name!r}")
    return module
