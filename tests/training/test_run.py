from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.labelled_pictures import fabricated, pictures
from helpers.tiny_recipe import TINY, metrics_of
from mien.datasets.dataset import DatasetInfo
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import InputError
from mien.recipes.catalog import SHIPPED, get_recipe
from mien.training import run_folder as files
from mien.training.config import (
    NO_AUGMENTATION,
    Distillation,
    OptimizerConfig,
    ScheduleConfig,
)
from mien.training.data import make_loader
from mien.training.module import TrainingModule
from mien.training.preprocessing import unit_range
from mien.training.run import train


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
    assert len(metrics_of(folder)) == 1
    train(plain, data, folder, resume=True, threads=1, progress=False)
    assert len(json.loads((folder / files.ENVIRONMENT).read_text())["earlier"]) == 1
    whole, resumed = metrics_of(finished), metrics_of(folder)
    for one, other in zip(whole, resumed, strict=True):
        for name in set(one) - {"seconds", "cpu_seconds"}:
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-6), name


def test_it_learns_and_every_head_is_scored(data: Path, tmp_path: Path) -> None:
    easy = replace(
        TINY, epochs=8, augment=NO_AUGMENTATION, ema=None, schedule=ScheduleConfig("constant", warmup_epochs=0)
    )
    folder = train(easy, data, tmp_path / "run", threads=1, progress=False)
    best = max(float(row["val_score"]) for row in metrics_of(folder))
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
    assert np.isfinite(float(metrics_of(folder)[0]["train_loss"]))


def test_early_stopping_stops(data: Path, tmp_path: Path) -> None:
    still = replace(
        TINY,
        epochs=6,
        optimizer=OptimizerConfig("sgd", lr=0.0),
        schedule=ScheduleConfig("constant", 0),
        early_stopping=1,
        ema=None,
    )
    assert len(metrics_of(train(still, data, tmp_path / "run", threads=1, progress=False))) < 6


def test_a_teacher_teaches(finished: Path, data: Path, tmp_path: Path) -> None:
    student = replace(TINY, name="student", epochs=1, distill=Distillation("tiny", weight=0.5))
    with pytest.raises(InputError, match="--teacher"):
        train(student, data, tmp_path / "alone", threads=1, progress=False)
    folder = train(student, data, tmp_path / "taught", teacher=finished, threads=1, progress=False)
    taught = float(metrics_of(folder)[0]["train_loss"])
    plain = train(replace(student, distill=None), data, tmp_path / "plain", threads=1, progress=False)
    assert taught != pytest.approx(float(metrics_of(plain)[0]["train_loss"]))


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
    if chosen.distill is not None and chosen.distill.stored:
        teacher = tmp_path / "teacher.npz"
        rng = np.random.default_rng(0)
        predictions = {k: rng.dirichlet(np.ones(n), 16) for k, n in chosen.head_sizes.items()}
        np.savez(teacher, allow_pickle=False, row=data.row, **predictions)
    elif chosen.distill is not None:
        before = replace(get_recipe(chosen.distill.teacher), epochs=1, batch_size=8, network="emotion-fast")
        teacher = train(before, tmp_path / "data.parquet", tmp_path / "teacher", threads=1, progress=False)
    unlabelled = tmp_path / "data.parquet" if chosen.consistency is not None else None
    folder = train(chosen, tmp_path / "data.parquet", tmp_path / "run", teacher=teacher, unlabelled=unlabelled,
                   threads=1, progress=False)  # fmt: skip
    assert np.isfinite(float(metrics_of(folder)[0]["val_loss"]))
