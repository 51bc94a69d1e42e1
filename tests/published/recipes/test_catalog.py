from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from helpers.labelled_pictures import pictures
from mien.datasets.dataset import DatasetInfo
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError
from mien.evaluation.scoring.evaluate import evaluate
from mien.evaluation.scoring.scored_model import open_model, predict
from mien.labels import OWN, SEVEN_AGE_RANGES, age_bin_names
from mien.networks.catalog import NETWORKS, get_network
from mien.published.recipes.catalog import PUBLISHED_RECIPES
from mien.recipes.catalog import get_recipe
from mien.training import run_folder as files
from mien.training.config import NO_AUGMENTATION, OptimizerConfig, ScheduleConfig, SplitRoles
from mien.training.data import select_role
from mien.training.run import train


@pytest.mark.parametrize("name", [one.name for one in PUBLISHED_RECIPES])
def test_every_recipe_fits_its_network(name: str) -> None:
    chosen = get_recipe(name)
    assert len(chosen.mean) == len(chosen.std) == (1 if get_network(chosen.network).channels == "gray" else 3)
    assert chosen.name.startswith(chosen.network.split("-")[0])
    if name.endswith("-improved") and chosen.task == "emotion":
        assert [head.name for head in chosen.heads] == ["ferplus", "fer2013"]
        assert chosen.splits == SplitRoles()
    if not name.endswith("-improved"):
        # none of the sources averages weights, and smoothing, where one has it, is its own
        assert chosen.ema is None
        assert chosen.optimizer.weight_decay == 0


ORIGINAL = {
    # name: classes, epochs, batch, optimiser, lr, schedule, normalised black and white
    "compact-vgg": (7, 30, 64, "adam", 0.01, "plateau", (-129.44 / 64.87, (255 - 129.44) / 64.87)),
    "compact-vgg-rafdb": (7, 30, 64, "adam", 0.001, "plateau", (-146.68 / 67.63, (255 - 146.68) / 67.63)),
    "small-cnn": (7, 30, 64, "adam", 5e-4, "plateau", (0, 255)),
    "large-cnn": (7, 30, 64, "adam", 5e-4, "plateau", (0, 255)),
    "mini-xception": (7, 103, 32, "adam", 1e-3, "plateau", (-1, 1)),
    "fusion-a": (5, 13, 128, "sgd", 0.016, "exponential", (0, 255)),
    "fusion-b-landmarks-sliding-plain": (5, 13, 128, "sgd", 0.016, "exponential", (0, 255)),
    "fusion-b-seven": (7, 13, 128, "sgd", 0.016, "exponential", (0, 255)),
    "stack-final": (7, 10, 64, "adam", 1e-3, "constant", (0, 255)),
    "attention-sequential": (7, 100, 128, "adam", 5e-3, "constant", (-1, 1)),
    "attention-deep": (4, 120, 128, "adam", 1e-5, "constant", (-1, 1)),
    "age-cnn": (7, 60, 256, "adam", 1e-3, "constant", (0, 1)),
    "age-cnn-small": (7, 60, 256, "adam", 1e-3, "constant", (0, 1)),
    "ferplus-vgg13": (8, 100, 32, "sgd", 0.005, "steps", (-2, 2)),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_settings_are_those_of_the_source(name: str) -> None:
    one = get_recipe(name)
    stated = (len(one.heads[0].labels), one.epochs, one.batch_size, one.optimizer.name, one.optimizer.lr)
    assert stated == ORIGINAL[name][:5]
    assert one.schedule.name == ORIGINAL[name][5]
    for shade, wanted in zip((0.0, 1.0), ORIGINAL[name][6], strict=True):
        assert (shade - one.mean[0]) / one.std[0] == pytest.approx(wanted, abs=1e-3)


@pytest.fixture(scope="module")
def with_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(pictures(60, features=True), tmp_path_factory.mktemp("data") / "features.parquet")


def test_a_network_of_two_inputs_trains_and_is_scored(with_features: Path, tmp_path: Path) -> None:
    chosen = replace(get_recipe("fusion-a-landmarks-hog"), epochs=1, batch_size=8, precision="float32")
    folder = train(chosen, with_features, tmp_path / "run", threads=1, progress=False)
    data = read_prepared(with_features)
    part, _ = select_role(data, chosen, "test")
    model = open_model(folder)
    probabilities = predict(model, part)["emotion"]
    assert probabilities.shape == (len(part), 5)
    other = replace(part, features={name: vectors + 1 for name, vectors in part.features.items()})
    assert not np.allclose(predict(model, other)["emotion"], probabilities)
    with pytest.raises(DataError, match="--features"):
        predict(model, replace(part, features={}))
    write_prepared(pictures(60), tmp_path / "plain.parquet")
    with pytest.raises(DataError, match="136 landmarks"):
        train(chosen, tmp_path / "plain.parquet", tmp_path / "other", threads=1, progress=False)


def test_scores_of_both_label_sets(tmp_path: Path) -> None:
    write_prepared(pictures(60), tmp_path / "data.parquet")
    chosen = replace(
        get_recipe("attention-parallel-improved"),
        epochs=12,
        batch_size=8,
        augment=NO_AUGMENTATION,
        ema=None,
        optimizer=OptimizerConfig("adam", lr=0.01, weight_decay=0.0),
        schedule=ScheduleConfig("constant", warmup_epochs=0.0),
    )
    folder = train(chosen, tmp_path / "data.parquet", tmp_path / "run", threads=1, progress=False)
    results = evaluate(open_model(folder), read_prepared(tmp_path / "data.parquet"))["results"]
    assert {"fer2013", "ferplus"} <= set(results)
    # happy faces are the bright ones, in both orders of labels
    assert results["fer2013"]["recall"]["happy"] == results["ferplus"]["recall"]["happy"] == 1


FEW = 25
"""Images of which 15 are for training: two batches of six, and some over."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(pictures(FEW, features=True), tmp_path_factory.mktemp("data") / "few.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in PUBLISHED_RECIPES if one.network in NETWORKS])
def test_every_recipe_runs(name: str, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of each recipe as it is, but for its length and batches."""
    # of 42 million weights in the networks of two inputs it takes seconds; tests/published/networks checks their start
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda weight, **_: nn.init.uniform_(weight, -0.02, 0.02))
    chosen = replace(get_recipe(name), epochs=1, batch_size=6)
    data = few
    if chosen.heads[0].labels == age_bin_names(SEVEN_AGE_RANGES):
        info = DatasetInfo("combined-faces", OWN, classes=chosen.heads[0].labels)
        data = write_prepared(replace(pictures(FEW), info=info, votes=None), tmp_path / "ranges.parquet")
    elif chosen.task == "age":
        images = np.repeat(np.pad(pictures(FEW).images, ((0, 0), (8, 8), (8, 8), (0, 0))), 3, axis=3)
        ages = (np.arange(FEW) % 9).astype(np.int8)
        plain = replace(pictures(FEW), images=images, info=DatasetInfo("fairface"), emotion=None, votes=None, age=ages)
        data = write_prepared(plain, tmp_path / "ages.parquet")
    if name == "compact-vgg-rafdb":
        colour = np.repeat(pictures(FEW).images, 3, axis=3)
        data = write_prepared(
            replace(pictures(FEW), images=colour, info=DatasetInfo("rafdb", "rafdb")), tmp_path / "r.parquet"
        )
    folder = train(chosen, data, tmp_path / "run", threads=1, progress=False)
    from mien.training.curves import read_epochs

    assert np.isfinite(read_epochs(folder / files.METRICS)[0]["val_loss"])
