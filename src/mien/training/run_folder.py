"""Run folders: what they contain, and reading a trained network back.

config.json          the recipe        environment.json   versions, machine, commit, data, command
metrics.csv          one row per epoch curves.png         the same as a picture
best.safetensors     averaged weights of the epoch with the best score; last.safetensors of the last epoch
last.ckpt            everything that a resumed run needs
tensorboard/         event files
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MienError, MissingFileError, ModelError, TrainingError
from mien.files import write_bytes, write_text
from mien.training.config import Recipe, recipe_from_dict

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG, ENVIRONMENT, METRICS, CURVES = "config.json", "environment.json", "metrics.csv", "curves.png"
BEST, LAST, RESUME = "best.safetensors", "last.safetensors", "last.ckpt"
TENSORBOARD = "tensorboard"


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a file of `write_json`; `TrainingError` for one that is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"is not readable as JSON ({error})", path=path, advice="train again") from None


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a state dictionary as safetensors, atomically; `OutputError` where that fails."""
    from safetensors.torch import save

    write_bytes(path, save({name: value.contiguous() for name, value in weights.items()}))


def load_run(path: Path) -> tuple[Recipe, nn.Module, Path]:
    """Read a trained network back.

    Args:
        path: a run folder (its best weights are taken) or one of its ``.safetensors`` files.

    Returns:
        The recipe, the network in evaluation mode, and the weights file that was read.

    Raises:
        MissingFileError: no such run, or one without weights or recipe.
        TrainingError: the recipe is not one of this version.
        ModelError: the weights are damaged or those of another network.

    Examples:
        >>> recipe, network, weights = load_run(run)
        >>> recipe.name, network.training, weights.name
        ('small', False, 'best.safetensors')
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from mien.networks.catalog import get_network

    weights = path / BEST if path.is_dir() else path
    config = weights.parent / CONFIG
    for needed in (weights, config):
        if not needed.is_file() and path.is_file():
            raise MissingFileError("is not in a run folder", path=path, advice="give a folder that `mien train` wrote")
        if not needed.is_file():
            raise MissingFileError("no such file", path=needed, advice="give a folder that `mien train` wrote")
    recipe = recipe_from_dict(read_json(config))
    try:
        module = get_network(recipe.network).module(recipe.head_sizes, recipe.dropout)
        module.load_state_dict(load_file(weights))
    except MienError:
        raise
    except (AttributeError, KeyError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise ModelError(f"does not hold the weights of {recipe.network!r} ({error})", path=weights) from error
    return recipe, module.eval(), weights
