"""Does the pipeline show the emotion network what it was trained on? Accuracy through detector and crop, beside direct.

    python benchmarks/end_to_end.py --data fer2013.parquet --json docs/results/end_to_end.json

FER2013 test faces (PrivateTest) are pasted into 640×480 pictures of smooth random colours, four a picture, at several
sizes and angles, and whole pictures are analysed. A face counts as found when a detection's centre lies in its middle
and it is nearest to it. Accuracy on the faces found is set beside the accuracy of the same network on the same faces'
48×48 pixels directly, and the file holds how far its predictions diverge from those; misses are counted, and so are
detections where there is no face.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.cpus import available_cpus
from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import read_prepared
from mien.detect import DetectionOptions, Detector, make_detector
from mien.evaluation.scoring.end_to_end import detect_and_crop
from mien.evaluation.scoring.evaluate import match_protocols
from mien.evaluation.scoring.pasted_faces import pasted_scenes
from mien.evaluation.scoring.scored_model import ScoredModel, predict, wrap_onnx
from mien.models.catalog import read_model
from mien.models.crop_frames import FER2013_FRAME, zoom_frame
from mien.models.model import Model, Probabilities


def divergence(own: NDArray[np.floating], through: NDArray[np.floating]) -> float:
    """Mean Kullback-Leibler divergence, in nats, of predictions through the detector from those on the own pixels."""
    least = 1e-6
    return float(np.mean((own * (np.log(own + least) - np.log(through + least))).sum(axis=1)))


def measure(
    part: Dataset, model: ScoredModel, direct: Probabilities, detector: Detector, side: int, angle: float
) -> dict[str, float]:
    """Paste every face ``side`` pixels wide, turned by ± ``angle`` degrees; search; set beside the direct answers."""
    n = len(part)
    seen = detect_and_crop(pasted_scenes(part.images, side, angle), n, [model], detector)
    through = model.predict(seen.crops[0], {}, False)
    row = {"side": side, "angle": angle, "faces": n, "found": int(seen.found.sum()), "spurious": seen.spurious}
    for head, protocol in match_protocols(model, part)[0].items():
        straight, whole = (protocol.predictions(each[head], seen.found) for each in (direct, through))
        row[f"{head}_found"] = float(whole.found.mean())
        row[f"{head}_direct"] = float(straight.correct[straight.found].mean())
        row[f"{head}_end_to_end"] = float(whole.correct[whole.found].mean())
        row[f"{head}_divergence"] = divergence(direct[head][seen.found], through[head][seen.found])
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", default="emotion")
    parser.add_argument("--detector", default=defaults.DETECTOR)
    parser.add_argument("--min-face", type=int, help="None for the detector's own")
    parser.add_argument("--step", type=int, default=1, help="take every STEPth test face")
    parser.add_argument("--split", default="test", help="which images: validation to choose, test to report")
    parser.add_argument("--zoom", type=float, help="instead of the card's frame: FER2013's, this much larger")
    parser.add_argument("--box-weight", type=float, help="instead of the card's")
    parser.add_argument("--roll-kept", type=float, help="instead of the card's")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 160])
    parser.add_argument("--angles", type=float, nargs="+", default=[0, 15])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    part = read_prepared(options.data).select(options.split)[:: options.step]
    loaded = Model(read_model(options.model), threads=1)
    frame = loaded.card.frame if options.zoom is None else zoom_frame(FER2013_FRAME, options.zoom)
    weight = frame.box_weight if options.box_weight is None else options.box_weight
    kept = frame.roll_kept if options.roll_kept is None else options.roll_kept
    model = replace(wrap_onnx(loaded), frame=replace(frame, box_weight=weight, roll_kept=kept))
    direct = predict(model, part)
    detector = make_detector(DetectionOptions(options.detector, options.min_face), threads=1)
    print(f"{len(part)} {options.split} faces, {options.detector}; accuracy of those found: direct → end to end")
    settings = [(side, angle) for side in options.sizes for angle in options.angles]
    rows = []
    with ThreadPoolExecutor(available_cpus()) as pool:
        for row in pool.map(lambda setting: measure(part, model, direct, detector, *setting), settings):
            rows.append(row)
            print(
                f"{row['side']:4d} px {row['angle']:3.0f}°: found {row['found'] / row['faces']:6.1%} "
                f"(FER+ majority {row['ferplus_found']:.1%}), spurious {row['spurious']}, "
                f"FER+ {row['ferplus_direct']:.2%} → {row['ferplus_end_to_end']:.2%}, "
                f"FER2013 {row['fer2013_direct']:.2%} → {row['fer2013_end_to_end']:.2%}",
                flush=True,
            )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"detector": options.detector, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
