"""A run of the detector's training: crops made in other processes, checkpoints, curves, resumption.

A run folder holds ``checkpoint.pt`` (everything that a resumed run needs), ``curves.csv`` (a row per ``log_every``
steps; drawn in ``curves.png``) and ``config.json``. A run ends after ``steps`` steps or, where ``minutes`` is given, by
the clock: what a machine that does other work as well gets done until then. The learning rate falls to zero in either
case. Several processes train together under ``torchrun``, each with batches of its own.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mien.datasets.detection import DetectionPhotos
from mien.errors import TrainingError
from mien.files import append, atomic_path, make_folder, write_text
from mien.networks.detector import DetectorShape, FaceDetector
from mien.signals import ENDING
from mien.training.checkpoint_file import save_checkpoint
from mien.training.curves import read_epochs
from mien.training.detection.crops import CropMix, CropSampler
from mien.training.detection.face_tiles import FaceTiles
from mien.training.detection.losses import LossWeights
from mien.training.detection.module import CropBatch, DetectorTrainer, TrapezoidSchedule, collate, rank, world_size
from mien.training.detection.photo_store import PhotoStore

CHECKPOINT, CURVES, CONFIG, HARD = "checkpoint.pt", "curves.csv", "config.json", "hard.npy"
PICTURE = "curves.png"
_END = 1e6
"""Progress of a process that was asked to end."""
LOSSES = ("score", "box", "points", "total")


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """A recipe for the detector.

    Attributes:
        shape: of the network.
        mix: what crops are made of.
        weights: of the losses.
        schedule: of the learning rate.
        side, batch: pixels of a crop and crops per step.
        large_side, large_batch, large_every: every so many steps a batch of larger crops.
        steps: length of the run; with a time limit only the first guess.
        weight_decay: of the kernels.
        ema: decay of the averaged weights per step.
        seed: of the weights and of the crops.
    """

    shape: DetectorShape = field(default_factory=DetectorShape)
    mix: CropMix = field(default_factory=CropMix)
    weights: LossWeights = field(default_factory=LossWeights)
    schedule: TrapezoidSchedule = field(default_factory=TrapezoidSchedule)
    side: int = 256
    batch: int = 20
    large_side: int = 384
    large_batch: int = 9
    large_every: int = 6
    steps: int = 40_000
    weight_decay: float = 0.02
    ema: float = 0.999
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPhotos:
    """What is trained on: labels, decoded pixels, faces to paste, weights of the photos without faces."""

    photos: DetectionPhotos
    store: PhotoStore
    tiles: FaceTiles | None
    hard: np.ndarray[tuple[int], np.dtype[np.float32]] | None = None


@dataclass(frozen=True, slots=True)
class TrainingState:
    """How far a run is.

    Attributes:
        step: steps done.
        progress: share of the run that is over, 0–1.
        seconds_left: about how long it will take.
        crops_per_second: of the last steps.
        losses: means of the last steps, see `LOSSES`.
    """

    step: int
    progress: float
    seconds_left: float
    crops_per_second: float
    losses: dict[str, float]


class _Batches(Dataset[CropBatch]):
    """Batch ``i`` of the run; made where it is needed."""

    def __init__(self, data: TrainingPhotos, config: DetectorConfig) -> None:
        self._config = config
        self._small = CropSampler(data.photos, data.store, data.tiles, config.side, config.mix, data.hard)
        large = replace(config.mix, largest=config.mix.largest * config.large_side / config.side)
        self._large = CropSampler(data.photos, data.store, data.tiles, config.large_side, large, data.hard)

    def __getitem__(self, number: int) -> CropBatch:
        config = self._config
        if config.large_every and number % config.large_every == config.large_every - 1:
            sampler, size = self._large, config.large_batch
        else:
            sampler, size = self._small, config.batch
        return collate([sampler.crop(config.seed, number * 64 + i) for i in range(size)])


def train_detector(
    data: TrainingPhotos,
    config: DetectorConfig,
    out: Path,
    *,
    workers: int = 1,
    minutes: float | None = None,
    initial: Callable[[], FaceDetector] | None = None,
    checkpoint_every: float = 180.0,
    log_every: int = 50,
    report: Callable[[TrainingState], object] | None = None,
) -> Path:
    """Train, or continue the run that ``out`` holds.

    Args:
        data: photos to train on.
        config: the recipe. A resumed run may change everything but the network's shape.
        out: folder of the run.
        workers: processes that make crops; 0 makes them in this one.
        minutes: end this many minutes from now instead of after ``config.steps`` steps.
        initial: makes the network that a new run starts from; without it the weights are random.
        checkpoint_every: seconds between checkpoints.
        log_every: steps per row of the curves.
        report: called with every row of the curves, in the process that writes them.

    Returns:
        The checkpoint.

    Raises:
        TrainingError: the losses are not finite, or the checkpoint fits another network.
        KeyboardInterrupt: after the checkpoint of an interrupted run was written.
    """
    make_folder(out)
    torch.manual_seed(config.seed)
    checkpoint = out / CHECKPOINT
    network = FaceDetector(config.shape) if initial is None or checkpoint.is_file() else initial()
    trainer = DetectorTrainer(network, config.weights, weight_decay=config.weight_decay, ema=config.ema)
    spent = _restore(trainer, checkpoint) if checkpoint.is_file() else 0.0
    leads = rank() == 0
    if leads:
        write_text(out / CONFIG, json.dumps(asdict(config), indent=2) + "\n")
    started = saved = logged = time.monotonic()
    window: list[dict[str, float]] = []
    crops, first_step = 0, trainer.step
    if minutes is None and first_step >= config.steps:
        return checkpoint
    stop = _StopRequest()
    for batch in _load(data, config, trainer.batches, workers, endless=minutes is not None):
        elapsed = time.monotonic() - started
        # by the clock it is counted from the first start, so that a run that was interrupted does not decay again
        over = trainer.step / config.steps if minutes is None else (spent + elapsed) / (spent + minutes * 60)
        # one process that has to end ends all of them: the mean is what counts
        losses, progress = trainer.train_step(batch, config.schedule, _END if stop.requested else min(over, 1.0))
        window.append(losses)
        crops += len(batch.pixels) * world_size()
        if leads and len(window) >= log_every:
            now = time.monotonic()
            means = {name: float(np.mean([row[name] for row in window])) for name in LOSSES}
            if not np.isfinite(means["total"]):
                raise TrainingError(f"the losses are not finite after step {trainer.step}: lower the learning rate")
            rate = config.schedule.rate(trainer.step, progress)
            speed = crops / (now - logged)
            _append(out / CURVES, trainer.step, spent + now - started, rate, speed, means)
            if report is not None:
                if minutes is None:
                    done = trainer.step / config.steps
                    left = (now - started) / (trainer.step - first_step) * (config.steps - trainer.step)
                else:
                    done, left = progress, minutes * 60 - (now - started)
                report(TrainingState(trainer.step, min(done, 1.0), max(left, 0.0), speed, means))
            window, crops, logged = [], 0, now
        if leads and time.monotonic() - saved > checkpoint_every:
            _save(trainer, checkpoint, spent + time.monotonic() - started)
            saved = time.monotonic()
        if progress >= 1:
            break
    stop.restore()
    if leads:
        _save(trainer, checkpoint, spent + time.monotonic() - started)
        if (out / CURVES).is_file():
            draw_losses(out / CURVES, out / PICTURE)
    if stop.interrupted:
        raise KeyboardInterrupt
    return checkpoint


def draw_losses(curves: Path, picture: Path) -> None:
    """Losses and learning rate over the steps, as one PNG."""
    from matplotlib.figure import Figure

    rows = read_epochs(curves)
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, names in zip(figure.subplots(1, 3), (LOSSES, ("learning_rate",), ("crops_per_second",)), strict=True):
        for name in names:
            axes.plot([row["step"] for row in rows], [row[name] for row in rows], label=name.replace("_", " "))
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right", fontsize=7)
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})


def load_detector(checkpoint: Path, *, averaged: bool = True) -> FaceDetector:
    """The network of a checkpoint in evaluation mode.

    Raises:
        TrainingError: the file is no checkpoint of a detector.
    """
    try:
        config = json.loads(checkpoint.with_name(CONFIG).read_text(encoding="utf-8"))
        shape: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config["shape"].items()}
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        module = FaceDetector(DetectorShape(**shape))
        module.load_state_dict(state["averaged" if averaged else "module"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise TrainingError(f"{checkpoint}: not a checkpoint of a detector ({error})") from None
    return module.eval()


class _StopRequest:
    """Whether the process was asked to end: it writes a checkpoint first. A second interrupt ends it at once."""

    def __init__(self) -> None:
        self.requested = self.interrupted = False
        self._before: dict[int, Any] = {}
        # outside the main thread there is no such request
        with contextlib.suppress(ValueError):
            for number in ENDING:
                self._before[number] = signal.signal(number, self._request)

    def restore(self) -> None:
        """Handle signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, _: object) -> None:
        self.requested = True
        if number == signal.SIGINT:
            self.interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _load(
    data: TrainingPhotos, config: DetectorConfig, first: int, workers: int, *, endless: bool
) -> Iterator[CropBatch]:
    """Batches from number ``first`` on."""
    last = 10**9 if endless else config.steps * world_size()
    loader = DataLoader(
        _Batches(data, config),
        batch_size=None,
        sampler=range(first + rank(), last, world_size()),
        num_workers=workers,
        prefetch_factor=6 if workers else None,
        worker_init_fn=_quiet_worker if workers else None,
    )
    return iter(loader)


def _quiet_worker(_: int) -> None:
    from mien.opencv import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # the process that trains answers the request to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _restore(trainer: DetectorTrainer, checkpoint: Path) -> float:
    """Restore the trainer; returns the seconds that the run has taken so far."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        trainer.restore(state)
        return float(state["seconds"])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{checkpoint}: cannot be resumed ({error}): choose another folder") from None


def _save(trainer: DetectorTrainer, path: Path, seconds: float) -> None:
    save_checkpoint({**trainer.state(), "seconds": seconds}, path)


def _append(path: Path, step: int, seconds: float, rate: float, speed: float, losses: dict[str, float]) -> None:
    size = path.stat().st_size if path.is_file() else 0
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if not size:
        writer.writerow(["step", "minutes", "learning_rate", "crops_per_second", *LOSSES])
    values = [f"{seconds / 60:.2f}", f"{rate:.6f}", f"{speed:.1f}", *(f"{losses[name]:.4f}" for name in LOSSES)]
    writer.writerow([step, *values])
    append(path, text.getvalue().encode(), size)
