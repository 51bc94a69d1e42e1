"""The face detector.

Commands:
    torchrun --nproc-per-node 2 -m mien train detector --data photos.parquet --faces fairface/train.parquet
        --out runs/detector --workers 0 --minutes 60
        two processor cores that do nothing else make about 190 crops a second. The shipped detector saw 504,000 crops,
        the last 155,000 of them from ``--init`` on, in two core hours beside other work: what it finds is in
        docs/results/detector.json, curves of the losses in docs/results/detector_training.csv
    torchrun … --minutes 30 --resume --hard-negatives runs/detector/detector.onnx
        continues in the same folder; photos in which that export finds faces wrongly are drawn more often
    mien train detector … --init detector.onnx --learning-rate 0.0015
        starts from the weights of an export, for instance of the file that ships, where no checkpoint is left
    mien train detector … --steps 20000 --workers 4
        one process, by steps: nothing depends on the clock

Held out are the photos that the file marks (`mien data prepare --validation`), or in the photos of the shipped detector
the sources below: nothing of them is trained on. Owners are held out whole, because repositories of one owner show the
same people and rooms.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import HELD_OUT as HELD_OUT_SPLIT
from mien.datasets.detection import DetectionPhotos, read_detection, split_by_source
from mien.detect.mien import RUN_FILE
from mien.detect.single_shot import Forward
from mien.files import atomic_path, make_folder
from mien.networks.detector import FaceDetector
from mien.run_differences import differences
from mien.text import number, rough_duration
from mien.training.detection.crops import CropSampler
from mien.training.detection.hard_negatives import false_alarm_weights
from mien.training.detection.module import rank, world_size
from mien.training.detection.run import (
    CHECKPOINT,
    HARD,
    DetectorConfig,
    TrainingPhotos,
    TrainingState,
    load_detector,
    train_detector,
)
from mien.training.environment import collect_environment
from mien.training.resumption import describe_source, other_run_error, run_exists_error
from mien.training.run_folder import ENVIRONMENT, read_json, write_json

HELD_OUT = (
    "DeBruine",
    "github.com/OWASP/",
    "github.com/Openscapes/",
    "github.com/pyOpenSci/",
    "github.com/rladies/",
    "github.com/scikit-learn/",
    "github.com/sugarlabs/",
    "github.com/elementary/",
    "github.com/pop-os/",
)
"""Sources with about an eighth of the faces of every size, of the portraits with points by hand, and of the photos
without faces."""

CONFIG = DetectorConfig()
_STATISTICS_SEED, _STATISTICS_CROPS = 98, 800
"""Training crops on which the batch statistics of an export are measured."""


def split_photos(photos: DetectionPhotos) -> NDArray[np.bool_]:
    """``(n,)`` which photos are held out; none where neither the file nor this recipe names some."""
    marked = np.array([split == HELD_OUT_SPLIT for split in photos.splits], np.bool_)
    if marked.any():
        return marked
    known = all(any(source == name or source.startswith(name) for source in photos.sources) for name in HELD_OUT)
    if not known:
        return marked
    outside = set(split_by_source(photos, HELD_OUT)[1].sources)
    return np.array([source in outside for source in photos.sources], np.bool_)


def prepare(photos: Path, faces: Path | None, cache: Path) -> tuple[TrainingPhotos, DetectionPhotos]:
    """What is trained on, and the photos held out. Decoded photos and located faces are kept in ``cache``."""
    from mien.training.detection.face_tiles import load_tiles, locate_faces, read_pictures, save_tiles
    from mien.training.detection.photo_store import build_store

    make_folder(cache)
    everything = read_detection(photos)
    store = build_store(everything, cache / "photos.u8")
    tiles = None
    if faces is not None and faces.suffix == ".npz":
        tiles = load_tiles(faces)
    elif faces is not None:
        path = cache / "tiles.npz"
        if not path.is_file():
            from mien.training.detection.mtcnn_faces import padded_mtcnn

            save_tiles(locate_faces(read_pictures(faces, 14_000, 0), padded_mtcnn()), path)
        tiles = load_tiles(path)
    outside = split_photos(everything)
    rows = np.flatnonzero(~outside)
    return TrainingPhotos(everything.select(rows), store.select(rows), tiles), everything.select(outside)


@dataclass(frozen=True, slots=True)
class DetectorRun:
    """A call of `run`.

    Attributes:
        photos: file of photos with boxes.
        out: folder of the run.
        faces: file of faces to paste onto photos without faces: pictures of one each, or a ``.npz`` file of those that
            were located before (`mien.training.detection.face_tiles.save_tiles`).
        cache: folder for decoded photos; None for one in ``out``.
        initial: float32 export whose weights a new run starts from.
        hard_negatives: export whose false boxes are trained against.
        resume: continue the run in ``out``.
        steps, minutes: length of the run; minutes from now take precedence.
        learning_rate: of the plateau.
        seed: of the weights and of the crops.
        workers: processes that make crops.
        threads: threads of the process that trains.
        progress: print how far the run is on stderr.
        command: the command line, for the run folder.
    """

    photos: Path
    out: Path
    faces: Path | None = None
    cache: Path | None = None
    initial: Path | None = None
    hard_negatives: Path | None = None
    resume: bool = False
    steps: int = CONFIG.steps
    minutes: float | None = None
    learning_rate: float = CONFIG.schedule.peak
    seed: int = CONFIG.seed
    workers: int = 1
    threads: int = 1
    progress: bool = True
    command: str = ""


def run(call: DetectorRun) -> Path:
    """Train, and export what was trained as `RUN_FILE` in the run folder; returns that file.

    Raises:
        TrainingError: the folder holds another run, or one and ``resume`` is False; or the losses are not finite.
        DataError, MissingFileError: the photos cannot be read.
        KeyboardInterrupt: after the checkpoint of an interrupted run was written.
    """
    import torch

    torch.set_num_threads(call.threads)
    if "RANK" in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    _check_folder(call)
    data, _ = prepare(call.photos, call.faces, call.cache or call.out / "cache")
    hard = call.out / HARD
    if call.hard_negatives is not None and rank() == 0:
        weights = false_alarm_weights(data.photos, data.store, _onnx(call.hard_negatives))
        with atomic_path(hard) as temporary:
            np.save(temporary, weights)
    if world_size() > 1:
        torch.distributed.barrier()
    if hard.is_file():
        data = TrainingPhotos(data.photos, data.store, data.tiles, np.load(hard))
    schedule = replace(CONFIG.schedule, peak=call.learning_rate)
    config = replace(CONFIG, steps=call.steps, schedule=schedule, seed=call.seed)

    checkpoint = train_detector(
        data,
        config,
        call.out,
        workers=call.workers,
        minutes=call.minutes,
        initial=None if call.initial is None else partial(_from_export, call.initial, data, config),
        report=_print_state if call.progress else None,
    )
    exported = call.out / RUN_FILE
    # a run that was complete before is exported already
    current = exported.is_file() and exported.stat().st_mtime >= checkpoint.stat().st_mtime
    if rank() == 0 and not current:
        from mien.training.detection.export import describe, export_detector

        with atomic_path(exported) as temporary:
            temporary.write_bytes(describe(export_detector(load_detector(checkpoint)), {"name": call.out.name}))
    return exported


def _from_export(path: Path, data: TrainingPhotos, config: DetectorConfig) -> FaceDetector:
    from mien.training.detection.initial_weights import load_exported

    sampler = CropSampler(data.photos, data.store, data.tiles, config.side, config.mix)
    return load_exported(path, (sampler.crop(_STATISTICS_SEED, i).pixels for i in range(_STATISTICS_CROPS)))


def _check_folder(call: DetectorRun) -> None:
    """Refuse a folder that holds another run; write down what this one learns from."""
    sources = {"data": call.photos, "faces": call.faces, "initial": call.initial}
    found = {name: describe_source(path) for name, path in sources.items() if path is not None}
    environment = call.out / ENVIRONMENT
    if (call.out / CHECKPOINT).is_file():
        if not call.resume:
            raise run_exists_error(call.out)
        before = read_json(environment)
        unlike = differences({name: before.get(name) for name in sources}, {name: found.get(name) for name in sources})
        if unlike:
            raise other_run_error("holds a run on other data", unlike, call.out)
    elif rank() == 0:
        make_folder(call.out)
        write_json(environment, {**collect_environment(), **found, "command": call.command})


def _print_state(state: TrainingState) -> None:
    sys.stderr.write(
        f"step {state.step:,} ({state.progress:.0%}): loss {number(state.losses['total'])}, "
        f"{state.crops_per_second:.0f} crops a second, {rough_duration(state.seconds_left)} left\n"
    )
    sys.stderr.flush()


def _onnx(path: Path) -> Forward:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(images: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = session.run(None, {"images": images})
        return outputs

    return forward
