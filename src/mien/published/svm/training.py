"""Training of a support-vector machine into a run folder."""

from __future__ import annotations

import dataclasses
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mien.datasets.prepared_file import read_prepared
from mien.errors import DataError, MissingExtraError
from mien.files import make_folder, output_errors
from mien.models.file_cache import file_sha256
from mien.published.svm.model_file import import_skops, save_svm_model
from mien.published.svm.recipe import SvmRecipe
from mien.published.svm.run_folder import MODEL, RESULT
from mien.published.svm.samples import select_samples, vectors_and_labels
from mien.published.svm.scoring import score_held_out
from mien.training.environment import collect_environment
from mien.training.resumption import clear_failed_start
from mien.training.run_folder import CONFIG, ENVIRONMENT, write_json

_CACHE_MB = 1500


def train_svm(recipe: SvmRecipe, data: Path, folder: Path, *, command: str = "") -> Path:
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
    pipeline = _make_pipeline(recipe)
    prepared = read_prepared(data)
    x, y = vectors_and_labels(recipe, select_samples(recipe, prepared, "train"))
    absent = sorted(set(range(len(recipe.classes))) - set(y.tolist()))
    if absent:
        name = recipe.classes[absent[0]]
        raise DataError(f"no training images of {name!r}, which {recipe.name!r} learns", path=data)
    make_folder(folder)
    with output_errors(folder):
        clear_failed_start(folder)
    write_json(folder / CONFIG, dataclasses.asdict(recipe))
    facts = collect_environment() | {
        "command": command,
        "data": {"file": data.name, "sha256": file_sha256(data), **dataclasses.asdict(prepared.info)},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(folder / ENVIRONMENT, facts)
    start, cpu_start = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        # a limit of steps is the source's own choice; the result records whether it was reached
        warnings.filterwarnings("ignore", category=_convergence_warning())
        pipeline.fit(x, y)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    save_svm_model(pipeline, folder / MODEL)
    cpu_start = time.process_time()
    scores, n = score_held_out(recipe, pipeline, prepared)
    per_image = (time.process_time() - cpu_start) / max(n, 1)
    run: dict[str, Any] = {
        "seed": recipe.seed,
        "images": len(y),
        "scores": scores,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "cpu_milliseconds_per_image": round(1000 * per_image, 2),
        "converged": _converged(pipeline),
        "processor": facts["processor"],
        "threads": 1,
        "command": command,
        "commit": facts["commit"],
        "date": facts["started"][:10],
        "data_sha256": facts["data"]["sha256"],
        "packages": facts["packages"] | {name: version(name) for name in ("scikit-learn", "skops")},
    }
    write_json(folder / RESULT, {"row": recipe.name, "parameters": _count_parameters(pipeline), "runs": [run]})
    return folder


def _make_pipeline(recipe: SvmRecipe) -> Any:
    try:
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC, LinearSVC
    except ImportError:
        raise MissingExtraError("scikit-learn", "train", "a support-vector machine") from None
    import_skops()
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


def _converged(pipeline: Any) -> bool:
    """Whether every solver ended before its limit of steps."""
    svm = pipeline["svm"]
    return bool(svm.max_iter < 0 or np.max(svm.n_iter_) < svm.max_iter)


def _count_parameters(pipeline: Any) -> dict[str, int]:
    """Support vectors, and numbers that were learned: those vectors and their weights, or weights alone."""
    svm = pipeline["svm"]
    if hasattr(svm, "support_vectors_"):
        learned = svm.support_vectors_.size + svm.dual_coef_.size + svm.intercept_.size
        return {"trained": int(learned), "support_vectors": len(svm.support_vectors_)}
    return {"trained": int(svm.coef_.size + svm.intercept_.size)}
