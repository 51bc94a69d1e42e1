"""Training on a fabricated dataset: it learns, resumes to the same metrics, writes what it promises."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.labelled_pictures import fabricated
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError, TrainingError
from mien.labels import FER2013, FERPLUS
from mien.networks.catalog import NETWORKS, get_network
from mien.recipes.catalog import RECIPES, SHIPPED, get_recipe
from mien.training import run_folder as files
from mien.training.augment import make_augmentation, mixup
from mien.training.config import (
    NO_AUGMENTATION,
    Augmentation,
    Distillation,
    HeadSpec,
    OptimizerConfig,
    ScheduleConfig,
    recipe_from_dict,
)
from mien.training.data import Batch, EpochBatchSampler, make_loader
from mien.training.losses import distillation_loss, soft_cross_entropy
from mien.training.module import make_optimizer, make_schedule
from mien.training.run import train
from mien.training.targets import head_targets

TINY = replace(
    get_recipe("emotion-cpu"),
    name="tiny",
    epochs=3,
    batch_size=16,
    heads=(HeadSpec("ferplus", FERPLUS.names, "crossentropy"), HeadSpec("fer2013", FER2013.names, "emotion")),
    optimizer=OptimizerConfig(lr=3e-3),
    schedule=ScheduleConfig(warmup_epochs=0.5),
    ema=0.9,
    precision="float32",
)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "fabricated.parquet"
    write_prepared(fabricated(), path)
    return path


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / files.METRICS).open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs without interruption."""
    plain = replace(TINY, augment=replace(TINY.augment, flip=0.0, mixup=0.2))
    return train(
        plain, data, tmp_path_factory.mktemp("runs") / "whole", threads=1, progress=False, command="mien train"
    )


def test_a_run_folder_holds_what_it_promises(finished: Path) -> None:
    for name in (files.CONFIG, files.ENVIRONMENT, files.METRICS, files.CURVES, files.BEST, files.LAST, files.RESUME):
        assert (finished / name).stat().st_size > 0
    assert list((finished / "tensorboard").glob("events*"))
    environment = json.loads((finished / files.ENVIRONMENT).read_text())
    assert environment["command"] == "mien train"
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0] or environment["packages"]["torch"]
    assert len(environment["data"]["sha256"]) == 64
    table = rows(finished)
    assert [float(row["epoch"]) for row in table] == [1, 2, 3]
    assert {"train_loss", "val_loss", "val_score", "val_ferplus_accuracy", "val_fer2013_macro_f1", "lr"} <= set(
        table[0]
    )


def test_a_killed_run_resumes_to_the_same_metrics(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.training import run as module

    plain = replace(TINY, augment=replace(TINY.augment, flip=0.0, mixup=0.2))
    folder = tmp_path / "killed"

    class Killed(Exception):  # noqa: N818
        pass

    original = module.RunFolderWriter.on_train_epoch_start

    def dies(self: object, trainer: object, pl_module: object) -> None:
        if trainer.current_epoch == 1:  # type: ignore[attr-defined]
            raise Killed
        original(self, trainer, pl_module)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module.RunFolderWriter, "on_train_epoch_start", dies)
        with pytest.raises(Killed):
            train(plain, data, folder, threads=1, progress=False)
    assert len(rows(folder)) == 1
    train(plain, data, folder, resume=True, threads=1, progress=False)
    assert len(json.loads((folder / files.ENVIRONMENT).read_text())["earlier"]) == 1
    whole, resumed = rows(finished), rows(folder)
    for one, other in zip(whole, resumed, strict=True):
        for name in set(one) - {"seconds", "cpu_seconds"}:
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-6), name


def test_it_learns_and_every_head_is_scored(data: Path, tmp_path: Path) -> None:
    easy = replace(
        TINY, epochs=8, augment=NO_AUGMENTATION, ema=None, schedule=ScheduleConfig("constant", warmup_epochs=0)
    )
    folder = train(easy, data, tmp_path / "run", threads=1, progress=False)
    best = max(float(row["val_score"]) for row in rows(folder))
    assert best > 0.9


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"schedule": ScheduleConfig("plateau", patience=0)}, "plateau"),
        ({"optimizer": OptimizerConfig("sgd", lr=0.01)}, "sgd"),
        ({"optimizer": OptimizerConfig("adam"), "early_stopping": 1, "epochs": 2}, "adam, early stopping"),
        ({"precision": "bf16"}, "bf16"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_run(change: dict[str, object], name: str, data: Path, tmp_path: Path) -> None:
    folder = train(replace(TINY, epochs=1, **change) if "epochs" not in change else replace(TINY, **change),  # type: ignore[arg-type]
                 data, tmp_path / "run", threads=1, progress=False)  # fmt: skip
    assert np.isfinite(float(rows(folder)[0]["train_loss"]))


def test_early_stopping_stops(data: Path, tmp_path: Path) -> None:
    still = replace(
        TINY,
        epochs=6,
        optimizer=OptimizerConfig("sgd", lr=0.0),
        schedule=ScheduleConfig("constant", 0),
        early_stopping=1,
        ema=None,
    )
    assert len(rows(train(still, data, tmp_path / "run", threads=1, progress=False))) < 6


def test_a_teacher_teaches(finished: Path, data: Path, tmp_path: Path) -> None:
    student = replace(TINY, name="student", epochs=1, distill=Distillation("tiny", weight=0.5))
    with pytest.raises(InputError, match="--teacher"):
        train(student, data, tmp_path / "alone", threads=1, progress=False)
    folder = train(student, data, tmp_path / "taught", teacher=finished, threads=1, progress=False)
    taught = float(rows(folder)[0]["train_loss"])
    plain = train(replace(student, distill=None), data, tmp_path / "plain", threads=1, progress=False)
    assert taught != pytest.approx(float(rows(plain)[0]["train_loss"]))


def test_a_run_folder_in_use_is_refused(finished: Path, data: Path) -> None:
    with pytest.raises(TrainingError, match="--resume"):
        train(TINY, data, finished, threads=1, progress=False)
    with pytest.raises(TrainingError, match="other settings"):
        train(replace(TINY, seed=7), data, finished, resume=True, threads=1, progress=False)


def test_the_recipe_is_read_back(finished: Path) -> None:
    read, module, weights = files.load_run(finished)
    assert read.name == "tiny"
    assert weights.name == files.BEST
    assert set(module(torch.zeros(1, 1, 48, 48))) == {"ferplus", "fer2013"}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json(name: str) -> None:
    from dataclasses import asdict

    assert recipe_from_dict(json.loads(json.dumps(asdict(get_recipe(name))))) == get_recipe(name)
    with pytest.raises(TrainingError, match=r"config\.json"):
        recipe_from_dict({"name": name})


def test_size_limits_of_the_shipped_networks() -> None:
    assert NETWORKS["emotion-fast"].parameters <= 1_500_000
    assert NETWORKS["emotion"].parameters <= 1_500_000
    assert NETWORKS["age"].parameters <= 1_000_000


def test_epoch_batches_depend_on_seed_and_epoch_alone() -> None:
    one, two = EpochBatchSampler(50, 8, seed=3), EpochBatchSampler(50, 8, seed=3)
    assert len(one) == 6
    one.set_epoch(2)
    two.set_epoch(2)
    assert torch.equal(torch.cat(list(one)), torch.cat(list(two)))
    two.set_epoch(3)
    assert not torch.equal(torch.cat(list(one)), torch.cat(list(two)))
    assert torch.equal(torch.cat(list(EpochBatchSampler(50, 8, seed=None))), torch.arange(50))


def test_loader_leaves_out_images_without_a_target() -> None:
    data = fabricated()
    votes = data.votes.copy()  # type: ignore[union-attr]
    votes[:4] = 0
    part = replace(data, votes=votes)
    only_plus = replace(TINY, heads=(TINY.heads[0],))
    assert len(make_loader(part, only_plus, "train").dataset) == len(make_loader(data, only_plus, "train").dataset) - 4  # type: ignore[arg-type]
    with pytest.raises(DataError, match="test"):
        make_loader(data[data.split != "test"], TINY, "test")
    with pytest.raises(DataError, match="--ferplus"):
        make_loader(replace(data, votes=None), TINY, "train")


def test_neighbour_smoothing_keeps_distributions() -> None:
    n = 9
    ages = np.arange(9, dtype=np.int8)
    data = Dataset(
        np.zeros((n, 4, 4, 3), np.uint8),
        np.array(["train"] * n),
        np.arange(n, dtype=np.int32),
        DatasetInfo("fairface"),
        age=ages,
    )
    head = replace(get_recipe("age-cpu").heads[0], neighbour_smoothing=0.2)
    soft = head_targets(data, head).soft
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(soft[4, 3:6], [0.1, 0.8, 0.1], atol=1e-6)
    np.testing.assert_allclose(soft[0, :2], [0.9, 0.1], atol=1e-6)


def test_augmentation_keeps_shape_and_range() -> None:
    torch.manual_seed(0)
    for channels, config in ((1, Augmentation()), (3, Augmentation(saturation=(0.5, 1.5)))):
        images = torch.rand(8, channels, 48, 48)
        changed = make_augmentation(config)(images)
        assert changed.shape == images.shape
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert not torch.equal(changed, images)
    assert torch.equal(make_augmentation(NO_AUGMENTATION)(images), images)


def test_mixup_blends_targets_in_proportion() -> None:
    torch.manual_seed(0)
    soft = torch.eye(2).repeat(4, 1)
    batch = Batch(
        images=soft[:, :1, None, None].repeat(1, 1, 2, 2),
        soft={"h": soft},
        weight={"h": torch.tensor([1.0, 0.0] * 4)},
        label={"h": torch.zeros(8, dtype=torch.long)},
        features={},
    )
    mixed = mixup(batch, 0.4)
    some = mixed["weight"]["h"] > 0
    torch.testing.assert_close(mixed["soft"]["h"][some].sum(1), torch.ones(int(some.sum())))
    # images without a target must not teach: every target left is that of class 0
    torch.testing.assert_close(mixed["soft"]["h"][some][:, 0], torch.ones(int(some.sum())))
    torch.testing.assert_close(mixed["images"][:, 0, 0, 0], mixed["weight"]["h"])


def test_losses() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    target = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    expected = torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(soft_cross_entropy(logits, target, torch.ones(2)), expected)
    torch.testing.assert_close(
        soft_cross_entropy(logits, target, torch.tensor([1.0, 0.0])),
        torch.nn.functional.cross_entropy(logits[:1], target[:1]),
    )
    assert float(distillation_loss(logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)
    assert float(distillation_loss(logits, -logits, 2.0)) > 0


def test_weight_decay_spares_biases_and_norms() -> None:
    module = NETWORKS["age"].build({"age": 9})
    optimizer = make_optimizer(module, OptimizerConfig())
    decayed, free = optimizer.param_groups
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim <= 1 for p in free["params"])
    assert free["weight_decay"] == 0


def test_warm_up_and_cosine() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make_schedule(optimizer, ScheduleConfig("cosine", warmup_epochs=1, final=0.1), 100, 10)["lr_scheduler"][
        "scheduler"
    ]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in SHIPPED])
def test_every_recipe_runs(name: str, tmp_path: Path) -> None:
    """One step of each recipe as it is, but for its length: what a GPU will run starts on any machine."""
    chosen = replace(get_recipe(name), epochs=1, batch_size=8)
    data = fabricated(16)
    if chosen.task == "age":
        images = np.repeat(np.pad(data.images, ((0, 0), (8, 8), (8, 8), (0, 0))), 3, axis=3)
        age = np.arange(16, dtype=np.int8) % 9
        data = replace(data, images=images, info=DatasetInfo("fairface"), emotion=None, votes=None, age=age)
    write_prepared(data, tmp_path / "data.parquet")
    teacher = None
    if chosen.distill is not None:
        before = replace(get_recipe(chosen.distill.teacher), epochs=1, batch_size=8, network="emotion-fast")
        teacher = train(before, tmp_path / "data.parquet", tmp_path / "teacher", threads=1, progress=False)
    folder = train(chosen, tmp_path / "data.parquet", tmp_path / "run", teacher=teacher, threads=1, progress=False)
    assert np.isfinite(float(rows(folder)[0]["val_loss"]))


@pytest.mark.parametrize("change", [{"epochs": 0}, {"heads": ()}, {"ema": 1.5}])
def test_bad_recipes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="tiny"):
        replace(TINY, **change)  # type: ignore[arg-type]


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(InputError, match="emotion-cpu"):
        get_recipe("nonsense")
    with pytest.raises(InputError, match="emotion-fast"):
        get_network("nonsense")
