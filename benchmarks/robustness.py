"""What disturbances cost: accuracy of classifiers, Mien's beside those that other packages ship, and faces found.

    python benchmarks/robustness.py --data fer2013.parquet --photos fairface/validation.parquet \\
        --environments DIR --json docs/results/robustness.json

    python benchmarks/robustness.py --data fer2013.parquet --photos fairface/validation.parquet --keep-others \\
        --json docs/results/robustness.json

DIR is where `benchmarks/peers.py --environments DIR` put the other packages; without it Mien is measured alone. With
--keep-others the file's other packages and other detectors keep their figures, which no new network of Mien's changes,
and Mien's are measured again on as many faces and photos, chosen and spoiled in the same way.

*Accuracy*: test faces of FER2013 (48×48 pixels, a seeded choice) are spoiled in seven ways at five strengths each
(`mien.evaluation.scoring.disturbances`), and every classifier gets the very same arrays, as its own code would feed
them. *Faces found*: photos of FairFace's validation set, one person each, with the margin they have in training, are
spoiled likewise and searched; a face is found when a detection's centre lies within a quarter of the picture's side of
its middle. Sigma and covered share refer to the face, whose width is the median of those found; where a face is to be
small, the photo itself is shrunk. Intervals are 95 %, Wilson's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from beside.scores import scored
from beside.serving import Served, command
from beside.table import ENVIRONMENTS, WEIGHTS
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.fairface import open_fairface
from mien.datasets.prepared_file import read_prepared
from mien.detect import DetectionOptions, make_detector
from mien.evaluation.scoring.disturbances import DISTURBANCES, Disturbance, disturb
from mien.evaluation.scoring.scored_model import predict, wrap_onnx
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.predict.face_cropper import FaceCropper

MIN_FACE = 20
"""Pixels; the smallest face that is looked for, by every detector."""
FACES = (96, 64, 48, 32, 24)
"""Widths in pixels to which the faces of photos are shrunk."""
CLEAN = "clean"
BY_NAME = {environment.name: environment for environment in ENVIRONMENTS}

Find = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""RGB ``(h, w, 3)`` → the ``(m, 2)`` centres of the faces in it."""
Heads = dict[str, tuple[list[str], NDArray[np.float32]]]
Classify = Callable[[NDArray[np.uint8]], Heads]
"""Gray ``(n, 48, 48, 1)`` → head → labels and probabilities."""


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which is meaningful where none or all are right too."""
    middle, spread = hits / n + z * z / (2 * n), z * (hits * (n - hits) / n**3 + z * z / (4 * n * n)) ** 0.5
    low, high = ((middle + side * spread) / (1 + z * z / n) for side in (-1, 1))
    return round(max(low, 0.0), 6), round(min(high, 1.0), 6)


def share(right: NDArray[np.bool_]) -> dict[str, Any]:
    return {"n": len(right), "share": float(right.mean()), "interval": wilson(int(right.sum()), len(right))}


def points() -> Iterator[tuple[Disturbance | None, float]]:
    """As they are, then every disturbance at every strength."""
    yield None, 0.0
    for how in DISTURBANCES:
        for strength in how.strengths:
            yield how, strength


def ours(part: Dataset) -> Classify:
    model = wrap_onnx(Model(read_model("emotion"), threads=1))

    def classify(faces: NDArray[np.uint8]) -> Heads:
        from dataclasses import replace

        reported = predict(model, replace(part, images=faces))
        return {head: (list(labels), reported[head]) for head, labels in model.heads.items()}

    return classify


def theirs(served: Served, work: Path) -> Classify:
    def classify(faces: NDArray[np.uint8]) -> Heads:
        given, out = work / "faces.raw", work / "reported"
        faces.tofile(given)
        heads = served.ask(op="score", faces=str(given), n=len(faces), side=faces.shape[1], out=str(out))["heads"]
        return {
            head: (labels, np.fromfile(f"{out}.{head}", np.float32).reshape(-1, len(labels)))
            for head, labels in heads.items()
        }

    return classify


def kept(rows: list[dict[str, Any]], key: str, name: str, strength: float) -> dict[str, Any]:
    """What the file already holds of a point, of "classifiers" or "detectors"; empty where it holds none."""
    found = (row[key] for row in rows if (row["disturbance"], row["strength"]) == (name, strength))
    return dict(next(found, {}))


def classification(
    part: Dataset, classifiers: dict[str, Classify], before: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows; figures of ``before`` of classifiers that are not measured stay."""
    rows = []
    for how, strength in points():
        faces = part.images if how is None else disturb(part.images, how, strength)
        name = how.name if how else CLEAN
        row: dict[str, Any] = {"disturbance": name, "strength": strength}
        row["classifiers"] = kept(before, "classifiers", name, strength)
        for name, classify in classifiers.items():
            table = scored(classify(faces), part)
            row["classifiers"][name] = {key: share(table[key].correct) for key in ("fer2013", "ferplus7")}
        rows.append(row)
        reported = {name: f"{one['ferplus7']['share']:.3f}" for name, one in row["classifiers"].items()}
        print(row["disturbance"], strength, reported, flush=True)
    return rows


def photos(path: Path, count: int) -> list[NDArray[np.uint8]]:
    """Evenly over the validation set, RGB with margin."""
    source = open_fairface(path)
    rows = np.flatnonzero(source.split == "validation")
    chosen = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    return [np.asarray(FaceCropper.pad(source.image(int(row)))) for row in chosen]


def spoiled(
    photo: NDArray[np.uint8], how: Disturbance | None, strength: float, width: float, i: int
) -> NDArray[np.uint8]:
    """One photo spoiled; ``width`` is that of its face, by which lengths are scaled."""
    if how is None:
        return photo
    if how.name == "small":
        factor = strength / width
        return np.asarray(cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    if how.name == "cover":
        # the share is that of the face, which fills its picture there and not here
        top, left = ((length - round(width)) // 2 for length in photo.shape[:2])
        place = (slice(max(top, 0), top + round(width)), slice(max(left, 0), left + round(width)))
        out = photo.copy()
        out[place] = disturb(photo[place][None], how, strength, seed=i)[0]
        return out
    # so is sigma reported for a face of 48 pixels
    strength = strength * width / photo.shape[1] if how.name == "blur" else strength
    return disturb(photo[None], how, strength, seed=i)[0]


def found(photo: NDArray[np.uint8], centres: NDArray[np.floating]) -> bool:
    height, width = photo.shape[:2]
    gaps = np.hypot(centres[:, 0] - width / 2, centres[:, 1] - height / 2)
    return bool((gaps < min(height, width) / 4).any())


def detection(
    pictures: list[NDArray[np.uint8]], detectors: dict[str, Find], width: float, before: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows; figures of ``before`` of detectors that are not measured stay."""
    rows = []
    for how, strength in points():
        if how is not None and how.name == "small":
            strength = FACES[how.strengths.index(strength)]
        kind = how.name if how else CLEAN
        row: dict[str, Any] = {"disturbance": kind, "strength": strength}
        hits: dict[str, list[bool]] = {name: [] for name in detectors}
        for i, photo in enumerate(pictures):
            given = spoiled(photo, how, strength, width, i)
            for name, find in detectors.items():
                hits[name].append(found(given, find(given)))
        measured = {name: share(np.array(each)) for name, each in hits.items()}
        row["detectors"] = kept(before, "detectors", kind, strength) | measured
        rows.append(row)
        print(row["disturbance"], strength, {name: f"{np.mean(each):.3f}" for name, each in hits.items()}, flush=True)
    return rows


def mien_finder(name: str) -> Find:
    detector = make_detector(DetectionOptions(name, MIN_FACE), threads=1)

    def find(photo: NDArray[np.uint8]) -> NDArray[np.floating]:
        boxes = detector.detect(photo).boxes
        return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)

    return find


def their_finder(served: Served, work: Path) -> Find:
    def find(photo: NDArray[np.uint8]) -> NDArray[np.floating]:
        given = work / "photo.raw"
        photo.tofile(given)
        answer = served.ask(op="find", photo=str(given), height=photo.shape[0], width=photo.shape[1], min_face=MIN_FACE)
        return np.asarray(answer["centres"], np.float64).reshape(-1, 2)

    return find


def face_width(pictures: list[NDArray[np.uint8]]) -> float:
    """The median width of the largest face that is found, pixels."""
    detector = make_detector(DetectionOptions("mtcnn", MIN_FACE), threads=1)
    widths = [(boxes[:, 2] - boxes[:, 0]).max() for p in pictures if len(boxes := detector.detect(p).boxes)]
    return float(np.median(widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("MIEN_DATA", "."))
    parser.add_argument("--data", type=Path, default=data / "fer2013.parquet")
    parser.add_argument("--photos", type=Path, default=data / "fairface" / "validation.parquet")
    parser.add_argument("--environments", type=Path, help="where benchmarks/peers.py put the other packages")
    parser.add_argument("--keep-others", action="store_true", help="measure Mien alone; the others' figures stay")
    parser.add_argument("--faces", type=int, default=1000, help="test faces per point")
    parser.add_argument("--pictures", type=int, default=300, help="photos per point")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", default="classification,detection")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    for path in (options.data, options.photos):
        if not path.is_file():
            parser.error(f"{path} is not there: give --data and --photos, or set MIEN_DATA")
    cv2.setNumThreads(1)
    document: dict[str, Any] = json.loads(options.json.read_text()) if options.json.is_file() else {}
    today = time.strftime("%Y-%m-%d")
    if options.keep_others:
        options.faces, options.pictures = document["faces"], document["photos"]
        options.seed = document["seed"]
    else:
        document = {"others_date": today} | {k: v for k, v in document.items() if k not in options.steps.split(",")}
    everything = read_prepared(options.data).select("test")
    rng = np.random.default_rng(options.seed)
    chosen = np.sort(rng.choice(len(everything), min(options.faces, len(everything)), replace=False))
    part = everything[chosen]
    document["disturbances"] = [
        {"name": how.name, "title": how.title, "unit": how.unit, "strengths": list(how.strengths)}
        for how in DISTURBANCES
    ]
    document |= {"seed": options.seed, "date": today, "min_face": MIN_FACE}
    document["emotion_sha256"] = MODELS["emotion"].sha256
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def served(name: str, environment: str, variant: str) -> Served:
            home = temporary / name
            home.mkdir()
            run = command(BY_NAME[environment], options.environments.resolve() / environment, variant, "serve")
            return stack.enter_context(Served(run, home))

        if "classification" in options.steps:
            classifiers: dict[str, Classify] = {"mien": ours(part)}
            titles = {"mien": "Mien"}
            if options.keep_others:
                titles = document["classifiers"] | titles
            for name, (title, environment, variant) in WEIGHTS.items():
                if (
                    name != "fer-keras"
                    and not options.keep_others
                    and options.environments
                    and (options.environments / environment).is_dir()
                ):
                    classifiers[name] = theirs(served(name, environment, variant), temporary)
                    titles[name] = title
            document["classifiers"] = titles
            document["faces"] = len(part)
            document["classification"] = classification(part, classifiers, document.get("classification", []))
        if "detection" in options.steps:
            pictures = photos(options.photos, options.pictures)
            width = document["face_width"] if options.keep_others else face_width(pictures)
            detectors, names = {"mien": mien_finder("mien")}, {"mien": "Mien"}
            if options.keep_others:
                names |= {name: title for name, title in document["detectors"].items() if name != "mien"}
            else:
                detectors["mtcnn"], names["mtcnn"] = mien_finder("mtcnn"), "MTCNN, as Mien offers it"
            if not options.keep_others and options.environments and (options.environments / "fer").is_dir():
                detectors["fer-haar"] = their_finder(served("fer-haar", "fer", "haar"), temporary)
                names["fer-haar"] = "fer, Haar"
            document |= {"photos": len(pictures), "face_width": width, "detectors": names}
            document["detection"] = detection(pictures, detectors, width, document.get("detection", []))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
