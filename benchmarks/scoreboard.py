"""Networks that read emotions, under every protocol of FER2013 and FER+.

    mien data prepare fer2013.csv --ferplus fer2013new.csv --out fer2013.parquet
    python benchmarks/scoreboard.py --data fer2013.parquet --json docs/results/scoreboard.json
    python benchmarks/scoreboard.py --data fer2013.parquet mine.onnx runs/mine --json mine.json

Models are shipped names, ONNX files with a card, or run folders; by default those that Mien ships. Each is scored on
PrivateTest (the split "test") and PublicTest ("validation", on which temperatures, read-outs and checkpoints were
chosen), for one look at a face and for the mean with its mirror image, under every prior that its card offers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets.dataset import Dataset
from mien.datasets.ferplus import SCORING_RULES
from mien.datasets.prepared_file import read_prepared
from mien.evaluation.bootstrap import mean_interval
from mien.evaluation.scoring.evaluate import predict_split
from mien.evaluation.scoring.scored_model import ScoredModel, open_model, wrap_uncalibrated
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model, Probabilities, read_out
from mien.models.priors import PHOTOS

SHIPPED = ("emotion", "emotion-int8")
SPLITS = ("test", "validation")


def score(model: ScoredModel, data: Dataset, split: str, flip: bool) -> dict[str, Any]:
    """Protocol → figures."""
    heads = predict_split(model, data, split=split, flip=flip)
    rated = any(one.raters is not None for one in heads.official)
    names = [*(SCORING_RULES if rated else ()), *(one.protocol for one in heads.official if one.raters is None)]
    results = {}
    for one in predict_split(model, data, split=split, flip=flip, protocols=names).by_protocol:
        scores = one.scores()
        results[one.protocol] = {
            "n": scores.n, "accuracy": scores.accuracy, "interval": mean_interval(one.correct),
            "balanced_accuracy": scores.balanced_accuracy, "log_loss": scores.log_loss, "ece": scores.ece,
        }  # fmt: skip
    return results


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=SHIPPED)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    data = read_prepared(options.data)
    rows = []
    for name in options.models:
        for prior, model in by_prior(str(name)).items():
            for split in SPLITS:
                for flip in (False, True):
                    results = score(model, data, split, flip)
                    rows.append({"model": str(name), "prior": prior, "flip": flip, "split": split, "results": results})
            print(f"{name}, prior {prior}", flush=True)
    options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
