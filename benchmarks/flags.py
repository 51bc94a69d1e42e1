"""What flags and sets of labels are worth: on test faces, clean and disturbed in seven ways, and in photos by yaw.

    python benchmarks/flags.py emotion --data fer2013.parquet --photos 1500 --json docs/results/flags.json
    python benchmarks/flags.py age --data fairface.parquet --fairface fairface/validation.parquet --photos 1500 \\
        --json docs/results/flags.json

``fairface.parquet`` is prepared with ``--crop age``. For every kind and strength
(`mien.evaluation.scoring.disturbances`, every second strength) the accuracy on the majority of FER+ raters or on the
age range, the share of faces with each flag, the accuracy of faces with and without any, and the coverage and size
of the sets of 90 %. The combined score is a logistic regression of right or wrong on entropy, brightness, sharpness and
the network's two outputs, fitted on every second face of all sets together and compared with entropy alone on the
others, as the area under the risk-coverage curve. With ``--photos`` faces are detected in photos, and the accuracy is
divided by their yaw and by their flags: in those of FairFace, or in faces of FER2013 that are enlarged.

Results of a model replace those of the same model in the JSON file.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.fairface import open_fairface
from mien.datasets.prepared_file import read_prepared
from mien.detect import DetectionOptions, make_detector
from mien.distributions import normalised_entropy
from mien.evaluation.risk_coverage import risk_coverage
from mien.evaluation.scoring.disturbances import DISTURBANCES, disturb
from mien.evaluation.scoring.protocols import match_head
from mien.evaluation.scoring.view_outputs import covered
from mien.labels import FERPLUS
from mien.media.frame import Frame
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.predict.classify import predict, predict_crops
from mien.predict.face_cropper import FaceCropper
from mien.results.view import FLAGS, MEASURES, face_flags, head_pose

COVERAGE = 0.9
SIDE = 96
"""Pixels to which faces are enlarged for the detector."""
YAW = (0, 10, 20, 30, 90)
"""Ends of the intervals of yaw, degrees."""


def labels(data: Dataset, task: str) -> NDArray[np.int64]:
    """The right label of each image, -1 for none: of FER+ raters' majority, or the age range."""
    if task == "age":
        return np.asarray(data.age, np.int64)
    return match_head("ferplus", FERPLUS.names, data).truth


def choose(data: Dataset, count: int, task: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images that no network learned from, and their labels."""
    part = data[data.split == ("test" if (data.split == "test").any() else "validation")]
    truth = labels(part, task)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(truth >= 0))[:count]
    return part.images[np.sort(rows)], truth[np.sort(rows)]


def logistic(x: NDArray[np.float64], y: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights and bias by Newton's method, with a small ridge."""
    z = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    weights = np.zeros(z.shape[1])
    for _ in range(20):
        p = 1 / (1 + np.exp(-z @ weights))
        hessian = (z * (p * (1 - p))[:, None]).T @ z + 1e-3 * np.eye(len(weights))
        weights += np.linalg.solve(hessian, z.T @ (y - p) - 1e-3 * weights)
    return weights


def inputs(entropy: NDArray[np.floating], measures: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(n, 5)`` of the combined score, of about unit size."""
    brightness, sharpness, cover, unlike = np.asarray(measures, np.float64).T
    return np.stack([entropy, np.log(brightness + 1), sharpness, cover, np.log(unlike + 0.05)], axis=1)


def measure(model: Model, images: NDArray[np.uint8], truth: NDArray[np.int64]) -> dict[str, Any]:
    """Everything of one set."""
    task = model.card.task
    predictions, measures = predict_crops(task, model, images)
    one = predictions[task]
    flags = face_flags(np.full(len(images), 1e3), np.zeros((len(images), 3)), measures) > 0
    right, flagged = one.best == truth, flags.any(axis=1)
    sets = one.sets
    row: dict[str, Any] = {
        "n": len(images),
        "accuracy": float(right.mean()),
        "flags": {name: float(share) for name, share in zip(FLAGS, flags.mean(axis=0), strict=True)},
        "flagged": float(flagged.mean()),
        "accuracy_flagged": float(right[flagged].mean()) if flagged.any() else None,
        "accuracy_unflagged": float(right[~flagged].mean()) if (~flagged).any() else None,
        "by_flag": {name: float(right[flags[:, i]].mean()) for i, name in enumerate(FLAGS) if flags[:, i].sum() >= 20},
    }
    if sets is not None:
        row["coverage"] = float(sets[np.arange(len(truth)), truth].mean())
        row["set_size"] = float(sets.sum(axis=1).mean())
    row["_right"], row["_entropy"], row["_measures"] = right, normalised_entropy(one.probabilities), measures
    return row


def curves(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Risk over coverage of entropy alone and of the combined score, on every second face of all sets together."""
    right = np.concatenate([row["_right"] for row in rows])
    entropy = np.concatenate([row["_entropy"] for row in rows])
    x = inputs(entropy, np.concatenate([row["_measures"] for row in rows]))
    first = np.arange(len(right)) % 2 == 0
    weights = logistic(x[first], right[first])
    combined = x[~first] @ weights[:-1] + weights[-1]
    table = {}
    for name, score in (("entropy", -entropy[~first]), ("combined", combined)):
        share, risk = risk_coverage(score, right[~first])
        at = {f"{c:.0%}": float(1 - risk[max(1, round(c * len(share))) - 1]) for c in (1.0, 0.9, 0.8, 0.7, 0.5)}
        table[name] = {"aurc": float(risk.mean()), "accuracy_at": at}
    names = ["entropy", "log brightness", "sharpness", "covered", "log unlike"]
    return table | {"weights": dict(zip(names, weights[:-1].round(3).tolist(), strict=True)), "n": int((~first).sum())}


def photos_of(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Faces of FER2013 as photos: enlarged, with a margin around them."""
    for image in images:
        large = np.repeat(np.repeat(image, SIDE // image.shape[0], axis=0), SIDE // image.shape[1], axis=1)
        yield FaceCropper.pad(np.repeat(large, 3, axis=2))


def photos(model: Model, pictures: Iterable[NDArray[np.uint8]], truth: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy of faces that are detected in photos, by yaw and by flag."""
    detector = make_detector(DetectionOptions("mien"), threads=1)
    task = model.card.task
    yaw, right, flags = [], [], []
    for picture, label in zip(pictures, truth, strict=True):
        faces = detector.detect(picture)[:1]
        if not faces:
            continue
        (found,) = predict([Frame(picture)], [faces], detector.name, {task: model})
        yaw.append(abs(float(head_pose(faces.landmarks)[0, 0])))
        flags.append(np.nan_to_num(found.flags[0]) > 0)
        right.append(int(found.predictions[task].best[0]) == label)
    angle, hit, flagged = np.array(yaw), np.array(right), np.array(flags)

    def part(inside: NDArray[np.bool_]) -> dict[str, Any]:
        return {"n": int(inside.sum()), "accuracy": float(hit[inside].mean()) if inside.any() else None}

    return {
        "faces": len(truth),
        "found": len(hit),
        "accuracy": float(hit.mean()),
        "unflagged": part(~flagged.any(axis=1)),
        "yaw": {f"{low}-{high}": part((angle >= low) & (angle < high)) for low, high in itertools.pairwise(YAW)},
        "flags": {name: part(flagged[:, i]) for i, name in enumerate(FLAGS)},
    }


def chosen_photos(
    data: Dataset, options: argparse.Namespace, task: str
) -> tuple[Iterable[NDArray[np.uint8]], NDArray[np.int64]]:
    """Photos and their labels."""
    if task != "age":
        images, truth = choose(data, options.photos, task)
        return photos_of(images), truth
    source = open_fairface(options.fairface)
    truth = np.asarray(source.age, np.int64)
    rows = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(truth >= 0))[: options.photos])
    return (FaceCropper.pad(source.image(int(i))) for i in rows), truth[rows]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=600, help="test faces")
    parser.add_argument("--photos", type=int, default=0, help="photos of the tables by yaw and by flag")
    parser.add_argument("--fairface", type=Path, help="the photos, for a model of ages")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = Model(read_model(options.model), threads=1, coverage=COVERAGE)
    data = read_prepared(options.data)
    task = model.card.task
    images, truth = choose(data, options.count, task)
    sets = {"clean": images} | {
        f"{how.name} {strength:g}": disturb(images, how, strength)
        for how in DISTURBANCES
        for strength in how.strengths[1::2]
    }
    sets["covers"] = covered(images, np.random.default_rng(1))
    rows: dict[str, dict[str, Any]] = {}
    for name, given in sets.items():
        rows[name] = measure(model, given, truth)
        print(json.dumps({"set": name} | {k: v for k, v in rows[name].items() if not k.startswith("_")}), flush=True)
    document: dict[str, Any] = {"model": model.card.name, "coverage": COVERAGE, "measures": list(MEASURES)}
    document["risk_coverage"] = curves(list(rows.values()))
    print(json.dumps(document["risk_coverage"]))
    document["sets"] = {n: {k: v for k, v in row.items() if not k.startswith("_")} for n, row in rows.items()}
    if options.photos:
        document["photos"] = photos(model, *chosen_photos(data, options, task))
        print(json.dumps(document["photos"]))
    if options.json:
        known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.is_file() else {}
        text = json.dumps(known | {model.card.name: document}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
