"""The face detector.

Commands:
    torchrun --nproc-per-node 2 -m mien.recipes.detector photos.parquet --faces fairface/train.parquet
        --out runs/detector --workers 0 --minutes 60
        two processor cores that do nothing else make about 190 crops a second. The shipped detector saw 504,000 crops,
        the last 155,000 of them from ``--init`` on, in two core hours beside other work: of the faces held out it finds
        83 %, and 97 % of those from 32 pixels, at 0.08 false boxes per photo without faces
        (docs/results/detector.json, curves of the losses in docs/results/detector_training.csv)
    torchrun … --minutes 30 --hard-negatives runs/detector/detector.onnx
        goes on in the same folder; photos in which that export finds faces wrongly are drawn more often
    python -m mien.recipes.detector … --init detector.onnx --learning-rate 0.0015
        starts from the weights of an export, for instance of the file that ships, where no checkpoint is left
    python -m mien.recipes.detector … --steps 20000 --workers 4
        one process, by steps: nothing depends on the clock

The sources below are held out: nothing of them is trained on. Owners are held out whole, because repositories of one
owner show the same people and rooms.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.datasets.detection import DetectionPhotos, read_detection, split_by_source
from mien.detect.single_shot import Forward
from mien.errors import InputError
from mien.files import atomic_path, make_folder
from mien.networks.detector import FaceDetector
from mien.training.detection.crops import CropSampler
from mien.training.detection.hard_negatives import false_alarm_weights
from mien.training.detection.module import rank, world_size
from mien.training.detection.run import HARD, DetectorConfig, TrainingPhotos, train_detector

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


def prepare(photos: Path, faces: Path | None, cache: Path) -> tuple[TrainingPhotos, DetectionPhotos]:
    """What is trained on, and the photos held out. Decoded photos and located faces are kept in ``cache``."""
    from mien.training.detection.faces import load_tiles, locate_faces, read_pictures, save_tiles
    from mien.training.detection.store import build_store

    make_folder(cache)
    everything = read_detection(photos)
    store = build_store(everything, cache / "photos.u8")
    tiles = None
    if faces is not None:
        path = cache / "tiles.npz"
        if not path.is_file():
            from mien.training.detection.locate import padded_mtcnn

            save_tiles(locate_faces(read_pictures(faces, 14_000, 0), padded_mtcnn()), path)
        tiles = load_tiles(path)
    train, held_out = split_by_source(everything, HELD_OUT)
    outside = set(held_out.sources)
    rows = np.flatnonzero([source not in outside for source in everything.sources])
    return TrainingPhotos(train, store.select(rows), tiles), held_out


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the recipe."""
    import torch

    parser = argparse.ArgumentParser(description="Train the face detector.")
    parser.add_argument("photos", type=Path, help="Parquet file of photos with boxes and landmarks")
    parser.add_argument("--faces", type=Path, help="Parquet file of faces to paste onto photos without faces")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a run in it is continued")
    parser.add_argument("--cache", type=Path, help="folder for decoded photos (default: OUT/cache)")
    parser.add_argument("--init", type=Path, help="float32 export whose weights a new run starts from")
    parser.add_argument("--learning-rate", type=float, default=CONFIG.schedule.peak, help="of the plateau")
    parser.add_argument("--minutes", type=float, help="end this many minutes from now")
    parser.add_argument("--steps", type=int, default=CONFIG.steps, help="length of the run without --minutes")
    parser.add_argument("--workers", type=int, default=1, help="processes that make crops")
    parser.add_argument("--threads", type=int, default=1, help="threads of the process that trains")
    parser.add_argument("--hard-negatives", type=Path, help="exported detector whose false boxes are trained against")
    options = parser.parse_args(arguments)
    if options.minutes is not None and options.minutes <= 0:
        raise InputError("--minutes must be above 0")
    torch.set_num_threads(options.threads)
    if "RANK" in os.environ:
        torch.distributed.init_process_group("gloo")
    data, _ = prepare(options.photos, options.faces, options.cache or options.out / "cache")
    hard = options.out / HARD
    if options.hard_negatives is not None and rank() == 0:
        weights = false_alarm_weights(data.photos, data.store, _onnx(options.hard_negatives))
        with atomic_path(hard) as temporary:
            np.save(temporary, weights)
    if world_size() > 1:
        torch.distributed.barrier()
    if hard.is_file():
        data = TrainingPhotos(data.photos, data.store, data.tiles, np.load(hard))
    config = replace(CONFIG, steps=options.steps, schedule=replace(CONFIG.schedule, peak=options.learning_rate))

    def initial() -> FaceDetector:
        from mien.training.detection.initial_weights import load_exported

        sampler = CropSampler(data.photos, data.store, data.tiles, config.side, config.mix)
        return load_exported(options.init, (sampler.crop(_STATISTICS_SEED, i).pixels for i in range(_STATISTICS_CROPS)))

    train_detector(
        data,
        config,
        options.out,
        workers=options.workers,
        minutes=options.minutes,
        initial=None if options.init is None else initial,
    )


def _onnx(path: Path) -> Forward:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def forward(images: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = session.run(None, {"images": images})
        return outputs

    return forward


if __name__ == "__main__":
    main()
