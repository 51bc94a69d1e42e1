"""Learning curves of own classes: from a shipped network's weights, and from scratch.

    python benchmarks/own_classes.py --fer2013 fer2013.parquet --fairface fairface.parquet \\
        --json docs/results/own_classes.json

``fer2013.parquet`` is that of the CSV with FER+'s votes, ``fairface.parquet`` is prepared with ``--crop age``. Every
result is written when it is there; the same call continues after the last one, unless a network has changed since.

Two tasks: "smiling / not smiling" (FER+ majority happy, or another emotion) from the emotion network, "child / adult"
(FairFace, up to 9 years and from 20 on) from the age network. For 50, 200 and 1,000 images per class, a quarter as many
for validation, and 500 test images per class:

* frozen: a linear classifier on the shipped network's features, and nothing else learns,
* finetune: ``mien train finetune``, whose start that is,
* scratch: ``mien train classes`` on the same network, from random weights, with `SCRATCH_EPOCHS`.

The shipped networks have learned from the training images of these datasets with other labels, never from the test
images. Times are processor seconds of one thread, reading the data and exporting nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.evaluation.scoring.protocols import match_head
from mien.labels import FERPLUS, OWN
from mien.models.catalog import MODELS
from mien.recipes.classes import classes_recipe
from mien.recipes.finetune import finetune_recipe, read_source
from mien.training.config import Recipe
from mien.training.data import make_loader
from mien.training.module import TrainingModule
from mien.training.preprocessing import unit_range
from mien.training.run import load_initial, train
from mien.training.run_folder import load_run

COUNTS = (50, 200, 1000)
TEST = 500
SCRATCH_EPOCHS = {50: 120, 200: 40, 1000: 10}
"""Images per class → epochs from random weights; with few images ten times those of `FINETUNE`."""
WAYS = ("frozen", "finetune", "scratch")
ADULT = 3
"""Number of the age range 20-29, the first of adults; those from 0 to 9 years are the first two."""


def smiling(data: Dataset) -> NDArray[np.int64]:
    """0 not smiling, 1 smiling, -1 neither."""
    truth = match_head("ferplus", FERPLUS.names, data).truth
    return np.where(truth < 0, -1, truth == FERPLUS.names.index("happy")).astype(np.int64)


def child(data: Dataset) -> NDArray[np.int64]:
    """0 adult, 1 child, -1 between."""
    age = np.asarray(data.age, np.int64)
    return np.select([age < 0, age <= 1, age >= ADULT], [-1, 1, 0], -1)


TASKS = {"smiling": ("emotion", smiling, ("not smiling", "smiling")), "child": ("age", child, ("adult", "child"))}


def choose(data: Dataset, labels: NDArray[np.int64], names: tuple[str, str], n: int, seed: int) -> Dataset:
    """A dataset of own classes: ``n`` training, ``n`` / 4 validation and `TEST` test images of each class."""
    rng = np.random.default_rng(seed)
    last = "test" if (data.split == "test").any() else "validation"
    rows, splits = [], []
    for value in (0, 1):
        pool = rng.permutation(np.flatnonzero((labels == value) & (data.split == "train")))[: n + n // 4]
        held = rng.permutation(np.flatnonzero((labels == value) & (data.split == last)))[:TEST]
        rows += [pool, held]
        splits += (
            ["train"] * min(n, len(pool)) + ["validation"] * (len(pool) - min(n, len(pool))) + ["test"] * len(held)
        )
    order = np.concatenate(rows)
    part = data[order]
    info = replace(part.info, name="own", taxonomy=OWN, classes=names)
    return replace(
        part, info=info, split=np.array(splits), emotion=labels[order].astype(np.int8), votes=None, age=None
    )  # fmt: skip


def accuracy(module: torch.nn.Module, recipe: Recipe, data: Dataset) -> float:
    """On the test images."""
    wrapped = TrainingModule(recipe)
    wrapped.network = module
    wrapped.eval()
    hits, n = 0, 0
    with torch.no_grad():
        for batch in make_loader(data, recipe, "test"):
            found = wrapped(unit_range(batch["images"]), {})[recipe.heads[0].name].argmax(1)
            hits, n = hits + int((found == batch["label"][recipe.heads[0].name]).sum()), n + len(found)
    return hits / n


def measure(way: str, source: str, data: Dataset, path: Path, folder: Path, n: int) -> dict[str, Any]:
    """Accuracy and processor seconds of one way."""
    file, card, blocks = read_source(source)
    recipe = finetune_recipe(data.info.classes, card, blocks, own=True)
    start = time.process_time()
    if way == "frozen":
        torch.manual_seed(0)
        module = TrainingModule(recipe)
        load_initial(module, file, make_loader(data, recipe, "train"))
        seconds = time.process_time() - start
        return {"seconds": seconds, "accuracy": accuracy(module.network, recipe, data)}
    if way == "scratch":
        recipe = replace(
            classes_recipe(data.info.classes, own=True), network=recipe.network, mean=recipe.mean, std=recipe.std,
            epochs=SCRATCH_EPOCHS[n], batch_size=32, ema=None, augment=recipe.augment,
        )  # fmt: skip
    train(recipe, path, folder / way, initial=file if way == "finetune" else None, threads=1, progress=False)
    seconds = time.process_time() - start
    _, network, _ = load_run(folder / way)
    return {"seconds": seconds, "epochs": recipe.epochs, "accuracy": accuracy(network, recipe, data)}


def read_results(path: Path | None, sources: dict[str, str]) -> dict[str, Any]:
    """Results of an earlier call; of tasks whose network is still the same.

    Args:
        path: of the JSON, None for none.
        sources: task → SHA-256 of its network.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}
    return {task: one for task, one in known.items() if sources.get(task, one["sha256"]) == one["sha256"]}


def main() -> None:
    """Measure, print, write after every number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fer2013", type=Path)
    parser.add_argument("--fairface", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    given = {"smiling": options.fer2013, "child": options.fairface}
    loaded = {task: read_prepared(path) for task, path in given.items() if path is not None}
    networks = {task: MODELS[TASKS[task][0]].sha256 for task in loaded}
    document = read_results(options.json, networks)
    # training from scratch is last, because it takes longest
    for way, n, task in sorted(itertools.product(WAYS, options.counts, loaded), key=lambda one: one[0] == "scratch"):
        source, label, names = TASKS[task]
        part = document.setdefault(task, {"from": source, "sha256": networks[task], "counts": {}})
        table = part["counts"].setdefault(str(n), {})
        if way in table:
            continue
        with TemporaryDirectory() as folder:
            path = Path(folder) / "own.parquet"
            write_prepared(choose(loaded[task], label(loaded[task]), names, n, seed=0), path)
            own = read_prepared(path)
            table["images"] = {split: int((own.split == split).sum()) for split in ("train", "validation", "test")}
            table[way] = measure(way, source, own, path, Path(folder), n)
        print(task, n, way, json.dumps(table[way]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
