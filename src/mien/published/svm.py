"""Train, keep, read back and score a support-vector machine (scikit-learn).

Its run folder holds config.json (the recipe), environment.json, result.json (scores of validation and test) and
model.skops. skops writes arrays and the names of types, never code; a file that names a type outside `TRUSTED` is
refused unread.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.class_balance import first_per_class
from mien.datasets.dataset import Dataset
from mien.datasets.exact_duplicates import leaked_rows
from mien.datasets.prepared_file import read_prepared
from mien.errors import DataError, MissingExtraError, MissingFileError, ModelError, TrainingError
from mien.evaluation.predictions import HeadPredictions
from mien.evaluation.scoring.evaluate import SplitPredictions, score_predictions, with_subsets
from mien.evaluation.scoring.groups import make_groupings
from mien.files import atomic_path
from mien.models.fetch import file_sha256
from mien.published.features import concatenate_features
from mien.published.svm_recipe import SvmRecipe, svm_recipe_from_dict
from mien.training.checkpoint import CONFIG, ENVIRONMENT, read_json, write_json
from mien.training.environment import environment

MODEL, RESULT = "model.skops", "result.json"
HEAD = "emotion"
"""What the protocol of the scores is called, as for a network of one emotion head."""
TRUSTED = frozenset(
    {
        ("sklearn.pipeline", "Pipeline"),
        ("sklearn.preprocessing._data", "StandardScaler"),
        ("sklearn.svm._classes", "SVC"),
        ("sklearn.svm._classes", "LinearSVC"),
        ("numpy", "ndarray"),
        ("numpy", "float64"),
        ("numpy", "int32"),
        ("numpy", "int64"),
        ("builtins", "dict"),
        ("builtins", "list"),
        ("builtins", "str"),
        ("builtins", "tuple"),
    }
)
"""(module, type) of everything that a model file may name."""

_CACHE_MB = 1500
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, OSError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError,
    RuntimeError, SyntaxError, TokenError, TypeError, ValueError,
)  # fmt: skip
"""What reading a damaged file raises, in the zip, in its JSON, and where objects and arrays are made of it."""


def is_svm_run(path: Path) -> bool:
    """Whether a path is such a run folder."""
    return (path / MODEL).is_file()


def fit_svm(recipe: SvmRecipe, data: Path, folder: Path, *, command: str = "") -> Path:
    """Train ``recipe`` on the prepared file ``data``, score it on validation and test, and return the run folder.

    Args:
        recipe: what to train.
        data: file written by ``mien data prepare … --features``.
        folder: the run folder; must be new or empty.
        command: command line to record.

    Raises:
        TrainingError: the folder is in use.
        DataError: the file lacks a feature, an emotion of the recipe, or images of a split.
        MissingExtraError: scikit-learn or skops is not installed.
    """
    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"{folder}: is not empty; give another --out")
    machine = _machine(recipe)
    prepared = read_prepared(data)
    part = _part(recipe, prepared, "train")
    x, y = _vectors(recipe, part)
    absent = sorted(set(range(len(recipe.classes))) - set(y.tolist()))
    if absent:
        raise DataError(f"{data}: no training images of {recipe.classes[absent[0]]!r}, which {recipe.name!r} learns")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, dataclasses.asdict(recipe))
    facts = environment() | {
        "command": command,
        "data": {"file": data.name, "sha256": file_sha256(data), **dataclasses.asdict(prepared.info)},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(folder / ENVIRONMENT, facts)
    began, worked = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        # a limit of steps is the source's own choice; the result says whether it was reached
        warnings.filterwarnings("ignore", category=_convergence_warning())
        machine.fit(x, y)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    save_machine(machine, folder / MODEL)
    worked = time.process_time()
    scores, n = _scores(recipe, machine, prepared)
    per_image = (time.process_time() - worked) / max(n, 1)
    one: dict[str, Any] = {
        "seed": recipe.seed,
        "images": len(y),
        "scores": scores,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "cpu_milliseconds_per_image": round(1000 * per_image, 2),
        "converged": _converged(machine),
        "processor": facts["processor"],
        "threads": 1,
        "command": command,
        "commit": facts["commit"],
        "date": facts["started"][:10],
        "data_sha256": facts["data"]["sha256"],
        "packages": facts["packages"] | _packages(),
    }
    write_json(folder / RESULT, {"row": recipe.name, "parameters": _parameters(machine), "runs": [one]})
    return folder


def load_svm(folder: Path) -> tuple[SvmRecipe, Any]:
    """Recipe and fitted scikit-learn pipeline of a run folder.

    Raises:
        MissingFileError: not such a folder.
        ModelError: a damaged model file, or one that names a type outside `TRUSTED`.
    """
    for name in (CONFIG, MODEL):
        if not (folder / name).is_file():
            raise MissingFileError(f"{folder / name}: no such file; give a folder that `mien train svm-…` wrote")
    recipe = svm_recipe_from_dict(read_json(folder / CONFIG))
    return recipe, load_machine(folder / MODEL)


def evaluate_svm(folder: Path, data: Dataset, *, split: str = "test", samples: int = 0) -> dict[str, Any]:
    """Every figure of a run on one split, in the shape of `mien.evaluation.scoring.evaluate.evaluate`.

    Args:
        folder: the run.
        data: the whole dataset.
        split: which images.
        samples: bootstrap resamples for 95 % intervals; 0 for none.

    Raises:
        DataError: the dataset has no such split, or lacks a feature.
    """
    return score_predictions(predict_svm(folder, data, split=split), samples=samples)


def predict_svm(
    folder: Path, data: Dataset, *, split: str = "test", slices: Sequence[str] | None = None
) -> SplitPredictions:
    """Predictions of a run on one split, labels without probabilities; errors as for `evaluate_svm`."""
    recipe, machine = load_svm(folder)
    scored = tuple(_score(recipe, machine, data, split, HEAD))
    absent = [name for name in (data.taxonomy.names if data.taxonomy else ()) if name not in recipe.classes]
    left = int((data.split == split).sum()) - len(scored[0])
    note = f"{HEAD}: the model does not predict {', '.join(absent)}; {left:,} images are left out"
    groupings = () if slices is None else make_groupings(data, data.split == split, slices)
    return SplitPredictions(
        recipe.name, data.info.name, split, False, scored, groupings=groupings, notes=(note,) if left else ()
    )


def save_machine(machine: Any, path: Path) -> None:
    """Write a fitted pipeline, atomically."""
    sio = _skops()
    with atomic_path(path) as temporary:
        sio.dump(machine, temporary)


def load_machine(path: Path) -> Any:
    """Read a fitted pipeline; see `load_svm` for the errors."""
    sio = _skops()
    try:
        with zipfile.ZipFile(path) as archive:
            named = _types(json.loads(archive.read("schema.json")))
        strange = sorted(named - TRUSTED)
        if strange:
            raise ModelError(
                f"{path}: names the type {'.'.join(strange[0])}, which no model of Mien's holds; "
                "do not use a file from a source you do not trust"
            )
        return sio.load(path, trusted=[])
    except ModelError:
        raise
    except _DAMAGE as error:
        raise ModelError(f"{path}: not a readable model ({error}); train it again") from None


def _types(node: Any) -> set[tuple[str, str]]:
    """Every type that a schema of skops names, however deep."""
    if isinstance(node, dict):
        here = {(str(node.get("__module__")), str(node["__class__"]))} if "__class__" in node else set()
        return here.union(*map(_types, node.values()))
    return set().union(*map(_types, node)) if isinstance(node, list) else set()


def _machine(recipe: SvmRecipe) -> Any:
    try:
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC, LinearSVC
    except ImportError:
        raise MissingExtraError("scikit-learn", "train", "a support-vector machine") from None
    _skops()
    if recipe.kernel == "rbf":
        steps = -1 if recipe.iterations is None else recipe.iterations
        svm = SVC(C=recipe.c, gamma=recipe.gamma, max_iter=steps, cache_size=_CACHE_MB, random_state=recipe.seed)
    else:
        svm = LinearSVC(C=recipe.c, max_iter=recipe.iterations or 1000, dual="auto", random_state=recipe.seed)
    scale = [("scale", StandardScaler())] if recipe.scaled else []
    return Pipeline([*scale, ("svm", svm)])


def _convergence_warning() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning

    return ConvergenceWarning  # type: ignore[no-any-return]


def _skops() -> Any:
    try:
        import skops.io as sio
    except ImportError:
        raise MissingExtraError("skops", "train", "a support-vector machine") from None
    return sio


def _part(recipe: SvmRecipe, data: Dataset, split: str) -> Dataset:
    """Images of the recipe's classes in one split."""
    if data.emotion is None or data.taxonomy is None:
        raise DataError(f"{data.info.name} has no emotions to learn")
    absent = [name for name in recipe.classes if name not in data.taxonomy.index]
    if absent:
        raise DataError(f"{data.info.name} has no emotion {absent[0]!r}, which {recipe.name!r} learns")
    codes = [data.taxonomy.index[name] for name in recipe.classes]
    part = data[(data.split == split) & np.isin(data.emotion, codes)]
    if not len(part):
        raise DataError(f"the dataset has no {split!r} images of {', '.join(recipe.classes)}")
    return part if recipe.per_class is None else first_per_class(part, recipe.per_class)


def _vectors(recipe: SvmRecipe, part: Dataset) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """``(n, length)`` vectors and ``(n,)`` places in the recipe's classes."""
    missing = [name for name in recipe.features if name not in part.features]
    if missing:
        asked = ",".join(recipe.features).replace("_", "-")
        raise DataError(
            f"{recipe.name!r} takes {missing[0]} and this file has none: "
            f"add it with `mien data prepare FILE --features {asked} --out NEW`"
        )
    names = () if part.taxonomy is None else part.taxonomy.names
    places = np.array([recipe.classes.index(name) if name in recipe.classes else -1 for name in names], np.int64)
    return concatenate_features(part.features, recipe.features).astype(np.float64), places[part.emotion]


def _scores(recipe: SvmRecipe, machine: Any, data: Dataset) -> tuple[dict[str, Any], int]:
    """Scores of validation and test, where the dataset has them, and how many images were scored."""
    table: dict[str, Any] = {}
    images = 0
    for split in ("validation", "test"):
        if (data.split == split).any():
            sets = _score(recipe, machine, data, split, split)
            table |= {one.protocol: one.scores().to_dict() for one in sets}
            images += len(sets[0])
    return table, images


def _score(recipe: SvmRecipe, machine: Any, data: Dataset, split: str, name: str) -> list[HeadPredictions]:
    """``name`` and ``name leak-free``, the second where images of the split stand in training too."""
    part = _part(recipe, data, split)
    x, truth = _vectors(recipe, part)
    predicted = _predicted(machine, x, recipe)
    # where its images stand in the split, as networks count them
    places = np.flatnonzero(np.isin(data.row[data.split == split], part.row))
    whole = HeadPredictions(name, recipe.classes, truth, predicted, None, places.astype(np.int64))
    return with_subsets(whole, leaked_rows(data)[data.split == split])


def _predicted(machine: Any, x: NDArray[np.float64], recipe: SvmRecipe) -> NDArray[np.int64]:
    """Places in the recipe's classes; `ModelError` where the file's machine cannot judge, or names other classes."""
    try:
        places = np.asarray(machine.predict(x))
    except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the machine of {recipe.name!r} cannot judge ({error}): train it again") from error
    if (
        places.shape != (len(x),)
        or places.dtype.kind not in "iu"
        or not np.isin(places, range(len(recipe.classes))).all()
    ):
        raise ModelError(
            f"the machine of {recipe.name!r} does not tell its {len(recipe.classes)} classes: train it again"
        )
    return places.astype(np.int64)


def _converged(machine: Any) -> bool:
    """Whether every solver ended before its limit of steps."""
    svm = machine["svm"]
    return bool(svm.max_iter < 0 or np.max(svm.n_iter_) < svm.max_iter)


def _parameters(machine: Any) -> dict[str, int]:
    """Support vectors, and numbers that were learned: those vectors and their weights, or weights alone."""
    svm = machine["svm"]
    if hasattr(svm, "support_vectors_"):
        learned = svm.support_vectors_.size + svm.dual_coef_.size + svm.intercept_.size
        return {"trained": int(learned), "support_vectors": len(svm.support_vectors_)}
    return {"trained": int(svm.coef_.size + svm.intercept_.size)}


def _packages() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("scikit-learn", "skops")}
