"""Recipes of the published systems: they say what their sources say, and the settings they need do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.labelled_pictures import pictures
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError
from mien.evaluation.scoring.evaluate import evaluate, open_model, predict
from mien.labels import FER2013, FERPLUS_7
from mien.networks.catalog import NETWORKS, get_network
from mien.published.recipes.catalog import PUBLISHED_RECIPES
from mien.recipes.catalog import RECIPES, SHIPPED, get_recipe
from mien.training import run_folder as files
from mien.training.config import NO_AUGMENTATION, HeadSpec, OptimizerConfig, ScheduleConfig, SplitRoles
from mien.training.data import make_loader, select_role
from mien.training.module import TrainingModule, make_schedule
from mien.training.preprocessing import unit_range
from mien.training.run import train
from mien.training.targets import head_targets


def test_the_tables_hold_every_recipe_once() -> None:
    assert (
        len({one.name for one in (*SHIPPED, *PUBLISHED_RECIPES)})
        == len(SHIPPED) + len(PUBLISHED_RECIPES)
        == len(RECIPES)
    )


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
    "ferplus-vgg13": (8, 100, 32, "sgd", 0.005, "steps", (-2, 2)),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_settings_are_those_of_the_source(name: str) -> None:
    one = get_recipe(name)
    said = (len(one.heads[0].labels), one.epochs, one.batch_size, one.optimizer.name, one.optimizer.lr)
    assert said == ORIGINAL[name][:5]
    assert one.schedule.name == ORIGINAL[name][5]
    for shade, wanted in zip((0.0, 1.0), ORIGINAL[name][6], strict=True):
        assert (shade - one.mean[0]) / one.std[0] == pytest.approx(wanted, abs=1e-3)


def test_labels_of_a_subset_are_mapped_by_name() -> None:
    data = pictures(14)
    head = HeadSpec("emotion", ("neutral", "angry"), "emotion", subset=True)
    got = head_targets(data, head)
    names = [FER2013.names[label] for label in data.emotion]  # type: ignore[union-attr]
    wanted = [{"neutral": 0, "angry": 1}.get(name, -1) for name in names]
    assert got.label.tolist() == wanted
    assert (got.weight > 0).tolist() == [value >= 0 for value in wanted]
    assert got.soft[got.label == 0].tolist() == [[1, 0]] * 2
    with pytest.raises(DataError, match="labels"):
        head_targets(data, replace(head, subset=False))
    with pytest.raises(DataError, match="labels"):
        head_targets(data, replace(head, labels=("neutral", "bored")))


def test_distribution_heads_can_be_scored_on_their_own_target() -> None:
    votes = np.zeros((3, 10), np.int8)
    votes[0, [0, 3]] = 6, 4
    votes[1, [1, 2, 3]] = 4, 3, 3
    votes[2, 7] = 10
    data = pictures(3)
    data = replace(data, votes=votes)
    head = HeadSpec("emotion", FERPLUS_7.names, "distribution", scored_on="target")
    assert head_targets(data, head).label.tolist() == [0, 1, -1]
    # four of ten votes are no majority
    assert head_targets(data, replace(head, scored_on="majority")).label.tolist() == [0, -1, -1]


def test_splits_play_the_roles_of_the_recipe() -> None:
    data = pictures(60)
    both = get_recipe("small-cnn")
    assert len(select_role(data, both, "train")[0]) == 36
    assert len(select_role(data, both, "validation")[0]) == len(select_role(data, both, "test")[0]) == 24
    swapped = get_recipe("compact-vgg")
    assert set(select_role(data, swapped, "validation")[0].split.tolist()) == {"test"}
    assert set(select_role(data, swapped, "test")[0].split.tolist()) == {"validation"}


def test_a_cap_keeps_the_first_images_of_each_class() -> None:
    data = pictures(140)
    capped = replace(get_recipe("fusion-a"), splits=SplitRoles(cap=2))
    part, targets = select_role(data, capped, "train")
    assert np.bincount(targets["emotion"].label).tolist() == [2] * 5
    whole, all_targets = select_role(data, get_recipe("fusion-a"), "train")
    for label in range(5):
        first = whole.row[all_targets["emotion"].label == label][:2]
        assert part.row[targets["emotion"].label == label].tolist() == first.tolist()


def test_small_images_are_enlarged_as_they_are_asked_for() -> None:
    batches = make_loader(pictures(70), get_recipe("compact-vgg"), "validation")
    batch = next(iter(batches))
    assert batch["images"].shape[1:] == (1, 100, 100)
    assert batch["images"].dtype == torch.uint8
    assert batches.dataset.images.shape[1:] == (1, 48, 48)  # type: ignore[attr-defined]
    learner = TrainingModule(get_recipe("compact-vgg"))
    assert learner.normalize(torch.full((1, 1, 4, 4), 129.44 / 255)).abs().max() < 1e-5
    assert learner(unit_range(batch["images"]), batch["features"])["emotion"].shape == (len(batch["images"]), 7)


def test_colour_is_made_gray_for_a_gray_network() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    split = np.array(["train", "train", "validation", "validation"])
    ages = np.array([0, 3, 5, 8], np.int8)
    data = Dataset(images, split, np.arange(4, dtype=np.int32), DatasetInfo("fairface"), age=ages)
    batch = next(iter(make_loader(data, get_recipe("age-cnn-small-improved"), "validation")))
    assert batch["images"].shape == (2, 1, 200, 200)
    luma = images[2].astype(float) @ [0.299, 0.587, 0.114]
    assert float(batch["images"][0].float().mean()) == pytest.approx(luma.mean(), abs=1)


def rates(schedule: ScheduleConfig, steps: int, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make_schedule(optimizer, schedule, steps, epochs)["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_exponential_and_stepped_rates() -> None:
    smooth = rates(ScheduleConfig("exponential", warmup_epochs=0, factor=0.5, every=10), 40, 2)
    assert smooth[0] == 1
    assert smooth[10] == pytest.approx(0.5)
    assert smooth[15] == pytest.approx(0.5**1.5)
    stepped = rates(get_recipe("ferplus-vgg13").schedule, 500, 100)
    assert [stepped[i] for i in (0, 99, 100, 199, 200, 499)] == [1, 1, 0.5, 0.5, 0.1, 0.1]


def test_a_plateau_has_a_floor() -> None:
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    chosen = ScheduleConfig("plateau", factor=0.1, patience=1, least=1e-5)
    plateau = make_schedule(optimizer, chosen, 1, 1)["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(8):
        plateau.step(1.0)
        seen.append(optimizer.param_groups[0]["lr"])
    # the first value is the best so far; two bad epochs later the rate falls
    assert seen == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5, 1e-5])


@pytest.fixture(scope="module")
def with_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(pictures(60, features=True), tmp_path_factory.mktemp("data") / "features.parquet")


def test_feature_columns_survive_the_file(with_features: Path) -> None:
    data, wanted = read_prepared(with_features), pictures(60, features=True)
    assert data.features.keys() == wanted.features.keys()
    for name, vectors in wanted.features.items():
        np.testing.assert_array_equal(data.features[name], vectors)
    np.testing.assert_array_equal(data[data.split == "test"].features["hog"], vectors_of(wanted, "hog", "test"))
    assert data.sha256() != pictures(60).sha256()


def vectors_of(data: Dataset, name: str, split: str) -> np.ndarray:
    return np.asarray(data.features[name])[data.split == split]


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


def test_the_best_epoch_can_go_by_the_loss(tmp_path: Path) -> None:
    write_prepared(pictures(60), tmp_path / "data.parquet")
    unstable = replace(
        get_recipe("attention-parallel"),
        epochs=4,
        batch_size=8,
        optimizer=OptimizerConfig("adam", lr=0.05, weight_decay=0.0),
        select="loss",
    )
    folder = train(unstable, tmp_path / "data.parquet", tmp_path / "run", threads=1, progress=False)
    from mien.training.curves import read_epochs

    losses = [row["val_loss"] for row in read_epochs(folder / files.METRICS)]
    _, best, _ = files.load_run(folder / files.BEST)
    data = read_prepared(tmp_path / "data.parquet")
    batch = next(iter(make_loader(data, replace(unstable, batch_size=60), "validation")))
    learner = TrainingModule(unstable).eval()
    learner.network.load_state_dict(best.state_dict())
    with torch.no_grad():
        logits = learner(unit_range(batch["images"]))["emotion"]
    loss = torch.nn.functional.cross_entropy(logits, batch["label"]["emotion"])
    assert float(loss) == pytest.approx(min(losses), rel=1e-3)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in PUBLISHED_RECIPES if one.network in NETWORKS])
def test_every_recipe_runs(name: str, with_features: Path, tmp_path: Path) -> None:
    """Two steps of each recipe as it is, but for its length and batches."""
    chosen = replace(get_recipe(name), epochs=1, batch_size=16)
    data = with_features
    if chosen.task == "age":
        images = np.repeat(np.pad(pictures(60).images, ((0, 0), (8, 8), (8, 8), (0, 0))), 3, axis=3)
        ages = (np.arange(60) % 9).astype(np.int8)
        plain = replace(pictures(60), images=images, info=DatasetInfo("fairface"), emotion=None, votes=None, age=ages)
        data = write_prepared(plain, tmp_path / "ages.parquet")
    if name == "compact-vgg-rafdb":
        colour = np.repeat(pictures(60).images, 3, axis=3)
        data = write_prepared(
            replace(pictures(60), images=colour, info=DatasetInfo("rafdb", "rafdb")), tmp_path / "r.parquet"
        )
    folder = train(chosen, data, tmp_path / "run", threads=1, progress=False)
    from mien.training.curves import read_epochs

    assert np.isfinite(read_epochs(folder / files.METRICS)[0]["val_loss"])
