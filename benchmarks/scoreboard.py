"""Networks that read emotions, under every protocol of FER2013 and FER+.

    mien data prepare fer2013.csv --ferplus fer2013new.csv --out fer2013.parquet
    python benchmarks/scoreboard.py --data fer2013.parquet --json docs/results/scoreboard.json
    python benchmarks/scoreboard.py --data fer2013.parquet mine.onnx runs/mine --json mine.json

    python benchmarks/peers.py --weights-only --environments DIR
    python benchmarks/scoreboard.py --data fer2013.parquet --environments DIR --json docs/results/scoreboard_peers.json

Models are shipped names, ONNX files with a card, or run folders; by default those that Mien ships. With --environments
they are the classifiers that other packages ship, from where `benchmarks/peers.py` installed these, each fed as its own
code feeds a face. Each is scored on PrivateTest (the split "test") and PublicTest ("validation", on which Mien's
temperatures, read-outs and checkpoints were chosen), for one look at a face and for the mean with its mirror image,
under every prior that its card offers; other packages offer no choice. A package without contempt has the images of
contempt wrong under the protocols of eight classes.

The file of other packages also holds the label that each gave to every image, so that Mien's networks are compared with
them on the same images (McNemar's test) without installing them again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from beside.environments import versions
from beside.serving import Served, command
from beside.table import ENVIRONMENTS, WEIGHTS
from numpy.typing import NDArray

from mien.datasets import ferplus
from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.ferplus import SCORING_RULES
from mien.datasets.prepared_file import read_prepared
from mien.evaluation.bootstrap import mean_interval
from mien.evaluation.comparison import compare
from mien.evaluation.predictions import LEAK_FREE, HeadPredictions, subset_name
from mien.evaluation.scoring.evaluate import predict_split
from mien.evaluation.scoring.scored_model import ScoredModel, open_model, wrap_uncalibrated
from mien.labels import FERPLUS_7, canonical
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model, Probabilities, average_with_mirror, read_out
from mien.models.priors import DEFAULT, PHOTOS

SHIPPED = ("emotion", "emotion-int8")
SPLITS = ("test", "validation")
OWN_PRIOR = "its own"
"""Prior of a package that offers no choice."""
SHARED = "ferplus majority-7"
"""The protocol whose labels all models have."""
PEERS = Path(__file__).parents[1] / "docs" / "results" / "scoreboard_peers.json"
BY_NAME = {environment.name: environment for environment in ENVIRONMENTS}


def score(model: ScoredModel, data: Dataset, split: str, flip: bool) -> dict[str, Any]:
    """Protocol → figures."""
    heads = predict_split(model, data, split=split, flip=flip)
    rated = any(one.raters is not None for one in heads.official)
    names = [*(SCORING_RULES if rated else ()), *(one.protocol for one in heads.official if one.raters is None)]
    contempt = _contempt(model, data, split)
    results = {}
    for one in predict_split(model, data, split=split, flip=flip, protocols=names).by_protocol:
        scores, lacking = one.scores(), contempt.get(one.protocol, 0)
        correct = np.concatenate([one.correct, np.zeros(lacking, np.bool_)])
        whole = not lacking
        results[one.protocol] = {
            "n": len(correct), "accuracy": float(correct.mean()), "interval": mean_interval(correct),
            "balanced_accuracy": scores.balanced_accuracy * (1 if whole else 7 / 8),
            "log_loss": scores.log_loss if whole else None, "ece": scores.ece if whole else None,
        }  # fmt: skip
    return results


def _contempt(model: ScoredModel, data: Dataset, split: str) -> dict[str, int]:
    """Protocol of eight classes → its images of contempt, which a model without that label has wrong."""
    if data.votes is None or any(canonical(label) == "contempt" for label in model.heads.get("ferplus", ("contempt",))):
        return {}
    rows = data.split == split
    clean = ~leaked_rows(data)[rows]
    counts = {}
    for rule, row in SCORING_RULES.items():
        if row.classes == 8:
            contempt = ferplus.scoring_labels(data.votes[rows], rule) == 7
            counts[f"ferplus {rule}"] = int(contempt.sum())
            counts[subset_name(f"ferplus {rule}", LEAK_FREE)] = int((contempt & clean).sum())
    return counts


def once(model: ScoredModel) -> ScoredModel:
    """The model, run once on a split however often it is asked."""
    kept: dict[tuple[bytes, bool], Probabilities] = {}

    def predict(images: Any, features: Any, flip: bool) -> Probabilities:
        key = (hashlib.sha256(images).digest(), flip)
        if key not in kept:
            kept[key] = model.predict(images, features, flip)
        return kept[key]

    return replace(model, predict=predict)


def by_prior(name: str) -> dict[str, ScoredModel]:
    """Prior → model; the network runs once for all priors that a card offers."""
    if name not in MODELS and not name.lower().endswith(".onnx"):
        return {PHOTOS: once(open_model(name, threads=1))}
    loaded = Model(read_model(name), threads=1, name=name)
    plain, heads = once(wrap_uncalibrated(loaded)), loaded.card.heads

    def predict(images: Any, features: Any, flip: bool, prior: str) -> Probabilities:
        def read(mirrored: bool) -> Probabilities:
            given = np.ascontiguousarray(images[:, :, ::-1]) if mirrored else images
            kept = mirrors if mirrored else plain
            logs = {head: np.log(np.maximum(p, 1e-30)) for head, p in kept.predict(given, features, False).items()}
            return read_out(heads, logs, prior)

        straight = read(False)
        return {head: (p + read(True)[head]) / 2 for head, p in straight.items()} if flip else straight

    mirrors = once(wrap_uncalibrated(loaded))
    return {prior: replace(plain, predict=partial(predict, prior=prior)) for prior in loaded.card.priors or (PHOTOS,)}


def peers(
    environments: Path, wanted: Collection[str], work: Path, stack: ExitStack
) -> Iterator[tuple[str, str, ScoredModel]]:
    """Name, title and classifier of the other packages of these names that are installed there."""
    for name, (title, environment, variant) in WEIGHTS.items():
        if name not in wanted or not (environments / environment).is_dir():
            continue
        home = work / name
        home.mkdir()
        run = command(BY_NAME[environment], environments.resolve() / environment, variant, "serve")
        served = stack.enter_context(Served(run, home))
        classify = asker(served, home)
        first = classify(np.zeros((1, 48, 48, 1), np.uint8))
        # one answer, which both label sets are scored on
        labels = tuple(canonical(label) for label in first[0])

        def look(images: NDArray[np.uint8], classify: Ask = classify) -> Probabilities:
            return dict.fromkeys(("ferplus", "fer2013"), classify(images)[1])

        def predict(images: Any, features: Any, flip: bool, look: Any = look) -> Probabilities:
            return average_with_mirror(look, images) if flip else look(images)

        yield name, title, once(ScoredModel(title, 48, 1, dict.fromkeys(("ferplus", "fer2013"), labels), predict))


Ask = Callable[[NDArray[np.uint8]], tuple[list[str], NDArray[np.float32]]]
"""Gray ``(n, 48, 48, 1)`` → labels and probabilities."""


def asker(served: Served, home: Path) -> Ask:
    def classify(faces: NDArray[np.uint8]) -> tuple[list[str], NDArray[np.float32]]:
        given, out = home / "faces.raw", home / "answers"
        np.ascontiguousarray(faces).tofile(given)
        heads = served.ask(op="score", faces=str(given), n=len(faces), side=faces.shape[1], out=str(out))["heads"]
        ((head, labels),) = heads.items()
        return labels, np.fromfile(f"{out}.{head}", np.float32).reshape(-1, len(labels))

    return classify


def answers(model: ScoredModel, data: Dataset, split: str, flip: bool) -> str:
    """The position in `FERPLUS_7` of the label of every image of a split, one digit per image."""
    labels = [FERPLUS_7.index[canonical(label)] for label in model.heads["ferplus"]]
    probabilities = predict_split(model, data, split=split, flip=flip).probabilities["ferplus"]
    return "".join(str(labels[i]) for i in probabilities.argmax(axis=1))


def against(model: ScoredModel, data: Dataset, others: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model on the same images as every other package: one look, test images, the protocol that all share."""
    ours = predict_split(model, data, protocols=["majority-7"]).by_protocol[0]
    order = [ours.labels.index(label) for label in FERPLUS_7.names]
    rows = []
    for row in others["rows"]:
        if row["split"] == "test" and not row["flip"]:
            given = np.array([order[int(digit)] for digit in row["answers"]], np.int64)[ours.rows]
            theirs = HeadPredictions(ours.protocol, ours.labels, ours.truth, given, None, ours.rows)
            rows.append({"package": row["model"], **compare(theirs, ours).to_dict()})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=SHIPPED)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--environments", type=Path, help="score other packages instead, from where they were installed"
    )
    parser.add_argument("--only", help="of these, by their names in benchmarks/beside/table.py")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    data = read_prepared(options.data)
    document: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "rows": []}

    def add(name: str, prior: str, model: ScoredModel, **more: Any) -> None:
        for split in SPLITS:
            for flip in (False, True):
                row = {"model": name, "prior": prior, "flip": flip, "split": split, **more}
                if options.environments is not None:
                    row["answers"] = answers(model, data, split, flip)
                document["rows"].append(row | {"results": score(model, data, split, flip)})
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{name}, prior {prior}", flush=True)

    if options.environments is not None:
        if options.only is not None and options.json.is_file():
            document = json.loads(options.json.read_text(encoding="utf-8"))
        wanted = WEIGHTS if options.only is None else options.only.split(",")
        with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
            for name, title, model in peers(options.environments, wanted, Path(temporary), stack):
                environment = BY_NAME[WEIGHTS[name][1]]
                found = versions(environment, options.environments.resolve() / environment.name)
                document["versions"] = {**document.get("versions", {}), **found}
                document["rows"] = [row for row in document["rows"] if row["model"] != name]
                add(name, OWN_PRIOR, model, title=title)
        return
    others = json.loads(PEERS.read_text(encoding="utf-8")) if PEERS.is_file() else {"rows": []}
    document["sha256"] = {name: MODELS[name].sha256 for name in options.models if name in MODELS}
    for name in options.models:
        for prior, model in by_prior(str(name)).items():
            add(str(name), prior, model)
            if prior == DEFAULT and name == SHIPPED[0]:
                document["against"] = against(model, data, others)
    options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
