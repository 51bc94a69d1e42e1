"""The files that ship: detector in float32 and in 8 bits, network of landmarks.

Commands:
    python -m mien.recipes.detector_export runs/detector/checkpoint.pt --landmarks runs/landmarks/weights.pt
        --photos photos.parquet --faces fairface/train.parquet --cache runs/detector/cache --out exported
        ranges of the 8 bits come from training crops, never from the photos held out
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mien.errors import TrainingError
from mien.files import atomic_path, make_folder
from mien.networks.landmarks import LandmarkNetwork
from mien.recipes.detector import CONFIG, prepare
from mien.training.detection.crops import CropSampler
from mien.training.detection.export import describe, export_detector, export_landmarks, quantize_detector
from mien.training.detection.run import load_detector

CALIBRATION = 128
"""Training crops on which the ranges of the 8 bits are measured."""
_SEED = 99


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Export the detector and the network of landmarks.")
    parser.add_argument("checkpoint", type=Path, help="checkpoint of a run of the detector")
    parser.add_argument("--landmarks", type=Path, help="weights of the network of landmarks")
    parser.add_argument("--photos", type=Path, required=True, help="the photos that the run was trained on")
    parser.add_argument("--faces", type=Path, help="the faces that the run was trained on")
    parser.add_argument("--cache", type=Path, required=True, help="folder of decoded photos")
    parser.add_argument("--description", type=Path, help="JSON that is stored in every file")
    parser.add_argument("--out", type=Path, required=True, help="folder of the ONNX files")
    options = parser.parse_args(arguments)
    make_folder(options.out)
    description = json.loads(options.description.read_text(encoding="utf-8")) if options.description else {}
    content = export_detector(load_detector(options.checkpoint))
    data, _ = prepare(options.photos, options.faces, options.cache)
    sampler = CropSampler(data.photos, data.store, data.tiles, CONFIG.side, CONFIG.mix)
    small = quantize_detector(content, (sampler.crop(_SEED, i).pixels for i in range(CALIBRATION)))
    files = {"detector": content, "detector-int8": small}
    if options.landmarks is not None:
        files["landmarks"] = export_landmarks(_landmarks(options.landmarks))
    for name, each in files.items():
        with atomic_path(options.out / f"{name}.onnx") as temporary:
            temporary.write_bytes(describe(each, {"name": name, **description}))


def _landmarks(path: Path) -> LandmarkNetwork:
    import torch

    network = LandmarkNetwork()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{path}: not weights of the network of landmarks ({error})") from None
    return network.eval()


if __name__ == "__main__":
    main()
