"""The run folder of a support-vector machine.

It holds config.json (the recipe), environment.json, result.json (scores of validation and test) and model.skops.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.errors import MissingFileError
from mien.published.svm.model_file import load_svm_model
from mien.published.svm.recipe import SvmRecipe, svm_recipe_from_dict
from mien.training.run_folder import CONFIG, read_json

MODEL, RESULT = "model.skops", "result.json"


def is_svm_run(path: Path) -> bool:
    """Whether a path is such a run folder."""
    return (path / MODEL).is_file()


def load_svm(folder: Path) -> tuple[SvmRecipe, Any]:
    """Recipe and fitted scikit-learn pipeline of a run folder.

    Raises:
        MissingFileError: not such a folder.
        ModelError: a damaged model file, or one that names a type that no model of Mien's holds.
    """
    for name in (CONFIG, MODEL):
        if not (folder / name).is_file():
            raise MissingFileError(
                "no such file", path=folder / name, advice="give a folder that `mien train svm-…` wrote"
            )
    recipe = svm_recipe_from_dict(read_json(folder / CONFIG))
    return recipe, load_svm_model(folder / MODEL)
