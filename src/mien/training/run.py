"""One training run, from a recipe and a data file to a run folder. Killed at any moment, it resumes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.utils.data import DataLoader

from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import read_prepared
from mien.errors import InputError, TrainingError
from mien.file_lock import lock_folder
from mien.files import make_folder, output_errors
from mien.logger import get_logger
from mien.models.model import Model
from mien.networks.catalog import get_network
from mien.training import run_folder as files
from mien.training.checkpoint_file import AtomicCheckpointIO
from mien.training.config import Recipe, recipe_to_dict
from mien.training.curves import append_epoch, draw_curves, read_epochs
from mien.training.data import InMemoryDataset, TrainingBatch, make_loader, unlabelled_images
from mien.training.environment import collect_environment
from mien.training.initial_weights import fit_heads, load_exported, load_trunk
from mien.training.module import VAL_LOSS, VAL_SCORE, TrainingModule
from mien.training.precision import faster_in_bfloat16
from mien.training.preprocessing import unit_range
from mien.training.progress import TrainingProgress
from mien.training.ranks import ProcessRank, process_group, run_on_first
from mien.training.resumption import FINISHED, RunStart, count_epochs, describe_source, find_start
from mien.training.stored_predictions import StoredPredictions, read_stored_predictions
from mien.training.torch_threads import set_torch_threads

EpochCallback = Callable[[Mapping[str, float]], bool]
"""Takes the row of metrics of an epoch and returns whether training continues."""
_DRAW_EVERY = 20.0
"""Seconds between two drawings of the curves; on a GPU an epoch of a small network is shorter than one drawing."""
_STATISTICS_IMAGES = 2048
"""Training images on which the norms of an exported model are measured."""
STOPPED = "training-stopped"
"""Code of the error of a run whose process was asked to end."""
_RESUME = "the same call with --resume continues after the last finished epoch"
_log = get_logger(__name__)


class RunFolderWriter(Callback):
    """Writes weights, the row of metrics and the curves after every epoch.

    It must precede the averaging callback: at the end of validation the module still holds the averaged weights.
    """

    def __init__(self, folder: Path, select: str = "score", on_epoch: EpochCallback | None = None) -> None:
        self.folder = folder
        self.select = select
        self.on_epoch = on_epoch
        self.best = float("-inf")
        self._weights: dict[str, Tensor] = {}
        self._started = self._clock()
        self._drawn = float("-inf")
        self._undrawn = False
        self._stop = False

    @staticmethod
    def _clock() -> tuple[float, float]:
        """Wall clock and processor time: on a shared machine only the second is meaningful."""
        return time.monotonic(), time.process_time()

    def state_dict(self) -> dict[str, Any]:
        """State of a resumed run."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.best = state_dict["best"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock of the epoch."""
        self._started = self._clock()

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep a copy of the weights that were validated."""
        if trainer.is_global_zero and isinstance(pl_module, TrainingModule) and not trainer.sanity_checking:
            state = pl_module.network.state_dict()
            self._weights = {name: value.detach().cpu().clone() for name, value in state.items()}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the results of the epoch; end training on all processes where the callback of the first ends it."""
        # on all processes, because reading a metric averages it over them
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.is_global_zero and self._weights:
            self._write(trainer, metrics)
        if self.on_epoch is not None and trainer.strategy.broadcast(self._stop):
            trainer.should_stop = True

    def _write(self, trainer: L.Trainer, metrics: Mapping[str, float]) -> None:
        files.save_weights(self._weights, self.folder / files.LAST)
        criterion = metrics[VAL_SCORE] if self.select == "score" else -metrics[VAL_LOSS]
        if criterion > self.best:
            self.best = criterion
            files.save_weights(self._weights, self.folder / files.BEST)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        wall, processor = (now - then for now, then in zip(self._clock(), self._started, strict=True))
        times = {"seconds": round(wall, 2), "cpu_seconds": round(processor, 2)}
        row = {"epoch": trainer.current_epoch + 1, "lr": rate, **times, **metrics}
        append_epoch(self.folder / files.METRICS, row)
        self._undrawn = True
        if time.monotonic() - self._drawn >= _DRAW_EVERY:
            self._draw()
        if self.on_epoch is not None and not self.on_epoch(row):
            self._stop = True

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the last epochs where the interval between drawings has skipped them."""
        if trainer.is_global_zero and self._undrawn:
            self._draw()

    def _draw(self) -> None:
        draw_curves(read_epochs(self.folder / files.METRICS), self.folder / files.CURVES)
        self._drawn, self._undrawn = time.monotonic(), False


class TimeLimit(Callback):
    """Ends training after the epoch in which the time runs out."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.reached = False

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop where the time is over."""
        last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        # clocks differ, and all processes must end together
        if trainer.strategy.reduce_boolean_decision(time.monotonic() >= self.deadline, all=False) and not last:
            self.reached = trainer.should_stop = True


def train(
    recipe: Recipe,
    data: Path,
    folder: Path,
    *,
    teacher: Path | None = None,
    unlabelled: Path | None = None,
    initial: Path | None = None,
    resume: bool = False,
    threads: int | None = None,
    progress: bool = True,
    command: str = "",
    seconds: float | None = None,
    on_epoch: EpochCallback | None = None,
    advice: str = _RESUME,
) -> Path:
    """Train ``recipe`` on the prepared file ``data`` and return the run folder.

    Processes that ``torchrun`` started train together: the recipe's batch is what all of them take in one step, and the
    first writes the folder.

    Args:
        recipe: what to train and how.
        data: file written by ``mien data prepare``.
        folder: the run folder; must be new or empty unless ``resume``.
        teacher: run folder of the teacher, for a recipe that distils, or the file of its stored predictions.
        unlabelled: prepared file whose training images teach without their labels, for a recipe with ``consistency``.
        initial: exported model of the same network whose weights a new run starts from.
        resume: continue after the folder's last finished epoch; the metrics are those of an uninterrupted run.
        threads: processor threads, None for torch's own choice.
        progress: print on stderr what the run will take, and each epoch with the time left.
        command: command line to record.
        seconds: end after the epoch in which this time has passed; None for no limit.
        on_epoch: called with every epoch's row of metrics; training ends after the epoch for which it returns False.
        advice: how the caller's users continue a run that the time or a signal ended.

    A run that is complete stays as it is; with more epochs it is lengthened, and the learning rate follows the schedule
    of the new length from there on.

    Raises:
        TrainingError: the folder is in use, holds a run on other data or settings, the time ran out, the process was
            asked to end, or the loss became infinite.
        InputError: a distilling recipe without a teacher, one with ``consistency`` without its images, or another
            process trains in the folder.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after Ctrl-C; the folder holds the epochs that were finished.

    Examples:
        >>> folder = train(recipe, Path("made.parquet"), Path("another"), threads=1, progress=False)
        >>> sorted(path.name for path in folder.iterdir() if path.suffix == ".safetensors")
        ['best.safetensors', 'last.safetensors']
    """
    set_torch_threads(threads)
    with process_group() as process, contextlib.ExitStack() as stack:
        prepared = read_prepared(data)
        teacher_module, predictions = _teacher(recipe, teacher)
        images, dataset = _unlabelled(recipe, unlabelled)
        given = {"data": data, "teacher": teacher, "initial": initial, "unlabelled": unlabelled}
        sources = {name: describe_source(path) for name, path in given.items() if path is not None}
        if images is not None:
            sources["unlabelled"]["name"] = dataset
        # before the folder is made: data that the recipe cannot be trained on leave nothing behind
        L.seed_everything(recipe.seed, verbose=False)
        module = TrainingModule(recipe, teacher_module, images)
        loader = make_loader(prepared, recipe, "train", process, predictions)
        validation = make_loader(prepared, recipe, "validation", process)
        start = run_on_first(process, lambda: _start(recipe, sources, folder, resume, stack))
        if start.finished:
            _log.info("%s is complete", folder)
            return folder
        resume_from = start.state
        _log.info("%s recipe %s in %s", "resuming" if resume_from is not None else "training", recipe.name, folder)
        if process.is_first:
            _write_environment(folder, prepared, process, command, sources, resumed=resume_from is not None)
            files.write_json(folder / files.CONFIG, recipe_to_dict(recipe))
        # Lightning and TensorBoard log and warn a lot; everything relevant is in the folder
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        limit = None if seconds is None else TimeLimit(seconds)
        trainer = _trainer(recipe, folder, progress, limit, on_epoch, process)
        if initial is not None and resume_from is None:
            load_initial(module, initial, loader)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory.*")
            # a run folder that was moved or copied
            warnings.filterwarnings("ignore", message="The dirpath has changed from")
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            # kernels of one input channel are laid out both ways at once
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            _fit(trainer, module, loader, validation, resume_from, folder, advice)
        if limit is not None and limit.reached:
            raise TrainingError("the time ran out", path=folder, advice=advice, code="time-over")
        if not torch.isfinite(trainer.callback_metrics.get("train_loss", torch.zeros(()))):
            raise TrainingError(
                "the loss is not finite",
                path=folder,
                advice="lower the learning rate of the recipe",
                code="loss-not-finite",
            )
        if process.is_first and not (on_epoch is not None and count_epochs(folder) < recipe.epochs):
            environment = files.read_json(folder / files.ENVIRONMENT)
            files.write_json(folder / files.ENVIRONMENT, environment | {FINISHED: _now()})
        return folder


def _start(
    recipe: Recipe, sources: Mapping[str, Mapping[str, Any]], folder: Path, resume: bool, stack: contextlib.ExitStack
) -> RunStart:
    """Make and lock the folder, and find where training starts."""
    make_folder(folder)
    with output_errors(folder):
        stack.callback(lock_folder(folder).release)
        return find_start(recipe, sources, folder, resume=resume)


def _fit(
    trainer: L.Trainer,
    module: TrainingModule,
    training: DataLoader[TrainingBatch],
    validation: DataLoader[TrainingBatch],
    resume_from: Path | None,
    folder: Path,
    advice: str,
) -> None:
    """Train; Ctrl-C is a `KeyboardInterrupt`, of which Lightning makes a `SystemExit`, and ignores further ones."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        with output_errors(folder):
            trainer.fit(
                module,
                training,
                validation,
                ckpt_path=resume_from,
                weights_only=False if resume_from is not None else None,
            )
    except SIGTERMException:
        raise TrainingError("was stopped by a signal", path=folder, advice=advice, code=STOPPED) from None
    except SystemExit:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
    if trainer.interrupted:
        raise KeyboardInterrupt


def _write_environment(
    folder: Path,
    prepared: Dataset,
    process: ProcessRank,
    command: str,
    sources: Mapping[str, Mapping[str, Any]],
    *,
    resumed: bool,
) -> None:
    facts = collect_environment() | {"processes": process.world, "command": command, **sources}
    facts["data"] = {**sources["data"], "channels": prepared.channels, **dataclasses.asdict(prepared.info)}
    facts |= {"started": _now(), "earlier": _earlier(folder) if resumed else []}
    files.write_json(folder / files.ENVIRONMENT, facts)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _trainer(
    recipe: Recipe,
    folder: Path,
    progress: bool,
    limit: TimeLimit | None,
    on_epoch: EpochCallback | None,
    process: ProcessRank,
) -> L.Trainer:
    bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and faster_in_bfloat16())
    callbacks: list[Callback] = [RunFolderWriter(folder, recipe.select, on_epoch)]
    if recipe.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema))
    if recipe.early_stopping is not None:
        monitor, mode = (VAL_SCORE, "max") if recipe.select == "score" else (VAL_LOSS, "min")
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
        callbacks.append(TrainingProgress(recipe))
    return L.Trainer(
        accelerator="auto",
        devices=process.local,
        num_nodes=process.nodes,
        strategy="auto" if process.world == 1 else "ddp",
        use_distributed_sampler=False,  # `EpochBatchSampler` divides the batches itself
        # statistics of the whole batch; torch has them on GPUs only
        sync_batchnorm=process.world > 1 and torch.cuda.is_available(),
        max_epochs=recipe.epochs,
        precision="bf16-mixed" if bf16 else "32-true",
        gradient_clip_val=recipe.gradient_clip,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(folder, name="", version=files.TENSORBOARD),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )


def _earlier(folder: Path) -> list[dict[str, Any]]:
    """Commit, start and planned epochs of each part of the run before this one, oldest first."""
    path = folder / files.ENVIRONMENT
    if not path.is_file():
        return []
    old = files.read_json(path)
    epochs = files.read_json(folder / files.CONFIG).get("epochs")
    return [
        *old.get("earlier", []),
        {"commit": old.get("commit"), "started": old.get("started"), "epochs": epochs},
    ]


def _teacher(recipe: Recipe, path: Path | None) -> tuple[torch.nn.Module | None, StoredPredictions | None]:
    """The network to learn from, or its stored predictions."""
    if recipe.distill is None:
        if path is not None:
            raise InputError(f"recipe {recipe.name!r} does not distil", advice="leave --teacher out")
        return None, None
    if path is None:
        kind = "the .npz file of its predictions" if recipe.distill.stored else "its run folder"
        raise InputError(
            f"recipe {recipe.name!r} learns from a teacher",
            advice=f"train {recipe.distill.teacher!r} first and give {kind} as --teacher",
        )
    if recipe.distill.stored:
        return None, read_stored_predictions(path, recipe.head_sizes)
    other, module, _ = files.load_run(path)
    if other.head_sizes != recipe.head_sizes or (other.mean, other.std) != (recipe.mean, recipe.std):
        raise InputError(f"the teacher's heads or normalisation differ from those of {recipe.name!r}", path=path)
    return module, None


def load_initial(module: TrainingModule, path: Path, loader: DataLoader[TrainingBatch]) -> None:
    """Start from an exported model; the norms are measured on augmented training images.

    Where layers are frozen the heads are new ones, fitted on the features of training images and their mirror images.
    """
    batches: list[Tensor] = []
    for batch in loader:
        batches.append(module.normalize(module.augment(unit_range(batch["images"]))))
        if sum(map(len, batches)) >= _STATISTICS_IMAGES:
            break
    images = torch.cat(batches)
    if not module.recipe.frozen:
        load_exported(module.network, path, images)
        return
    card = Model(path, threads=1).card
    source = get_network(module.recipe.network).module({head.name: len(head.labels) for head in card.heads}, None)
    load_trunk(module.network, source, path, images)
    plain = list(loader)
    pixels = torch.cat([module.normalize(unit_range(batch["images"])) for batch in plain])
    labels = {head.name: torch.cat([batch["label"][head.name] for batch in plain]) for head in module.recipe.heads}
    both = {name: torch.cat([each, each]) for name, each in labels.items()}
    fit_heads(module.network, torch.cat([pixels, pixels.flip(3)]), both)


def _unlabelled(recipe: Recipe, path: Path | None) -> tuple[InMemoryDataset | None, str]:
    """Images without labels and the name of their dataset; none where the recipe takes none."""
    if recipe.consistency is None:
        if path is not None:
            raise InputError(
                f"recipe {recipe.name!r} does not learn from images without labels", advice="leave --unlabelled out"
            )
        return None, ""
    if path is None:
        raise InputError(
            f"recipe {recipe.name!r} learns from images without labels, too",
            advice="give a prepared file as --unlabelled",
        )
    prepared = read_prepared(path)
    return unlabelled_images(prepared, recipe), prepared.info.name
