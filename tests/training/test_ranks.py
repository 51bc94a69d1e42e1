"""Two processes train together, over gloo on this machine's processor: what one process would have learned."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.labelled_pictures import fabricated
from helpers.training_together import EXACT, train_quietly
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, TrainingError
from mien.training import run_folder as files
from mien.training.data import EpochBatchSampler
from mien.training.losses import soft_cross_entropy
from mien.training.ranks import SINGLE_PROCESS, ProcessRank, read_rank

SECONDS = 200
"""After which the processes are stopped; they take some ten."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without votes for some, so that heads count different images."""
    made = fabricated(90)
    votes = made.votes.copy()  # type: ignore[union-attr]
    votes[::4] = 0
    rng = np.random.default_rng(5)
    emotion = rng.integers(0, 7, len(made)).astype(np.int8)
    path = tmp_path_factory.mktemp("data") / "fabricated.parquet"
    write_prepared(replace(made, votes=votes, emotion=emotion), path)
    return path


@pytest.fixture(scope="module")
def together(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of everything that two processes did."""
    out = tmp_path_factory.mktemp("together")
    worker = Path(__file__).parents[1] / "helpers" / "training_together.py"
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*call, str(worker), str(data), str(out)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def rows(folder: Path) -> list[dict[str, float]]:
    with (folder / files.METRICS).open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def metrics(folder: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if "seconds" not in k} for row in rows(folder)]


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_quietly(EXACT, data, tmp_path_factory.mktemp("alone") / "run")


def test_two_processes_learn_what_one_learns(together: Path, alone: Path) -> None:
    for one, two in zip(metrics(alone), metrics(together / "exact"), strict=True):
        assert one == pytest.approx(two, rel=2e-5, abs=1e-6)
    for name in (files.LAST, files.BEST):
        expected, got = load_file(alone / name), load_file(together / "exact" / name)
        assert expected.keys() == got.keys()
        for key, value in expected.items():
            torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-6)
    environment = json.loads((together / "exact" / files.ENVIRONMENT).read_text())
    assert environment["processes"] == 2


def test_one_process_writes(together: Path) -> None:
    assert [row["epoch"] for row in rows(together / "exact")] == [1, 2, 3]
    assert len(list((together / "exact" / "tensorboard").glob("events*"))) == 1


def test_a_stopped_run_of_two_resumes_to_the_same_metrics(together: Path) -> None:
    for rank in range(2):
        assert "--resume" in (together / f"reported-{rank}.txt").read_text()
    assert metrics(together / "stopped") == metrics(together / "usual")
    expected, got = load_file(together / "usual" / files.LAST), load_file(together / "stopped" / files.LAST)
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_one_process_goes_on_with_what_two_began(together: Path, alone: Path, data: Path) -> None:
    folder = together / "handed-over"
    assert [row["epoch"] for row in rows(folder)] == [1]
    train_quietly(EXACT, data, folder, resume=True)
    for one, both in zip(metrics(alone), metrics(folder), strict=True):
        assert one == pytest.approx(both, rel=2e-5, abs=1e-6)
    expected, got = load_file(alone / files.LAST), load_file(folder / files.LAST)
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, rtol=1e-4, atol=1e-6)


def test_what_the_first_refuses_all_refuse(together: Path) -> None:
    for rank in range(2):
        assert "holds a run already" in (together / f"refused-{rank}.txt").read_text()


@pytest.mark.parametrize(("n", "size", "world"), [(50, 8, 2), (50, 8, 3), (5, 8, 2), (49, 8, 2), (17, 8, 4), (8, 8, 8)])
@pytest.mark.parametrize("seed", [None, 3])
def test_the_slices_of_all_processes_are_the_batch_of_one(n: int, size: int, world: int, seed: int | None) -> None:
    whole = list(EpochBatchSampler(n, size, seed=seed))
    slices = [
        list(EpochBatchSampler(n, size, seed=seed, process=ProcessRank(rank, world, world))) for rank in range(world)
    ]
    assert len({len(one) for one in slices}) == 1, "a process would wait for ever for another"
    assert all(len(rows) for one in slices for rows in one)
    joined = [torch.cat(parts) for parts in zip(*slices, strict=True)]
    assert torch.equal(torch.cat(joined), torch.cat(whole))
    assert all(torch.equal(a, b) for a, b in zip(joined[:-1], whole, strict=False))


def test_more_processes_than_images_are_refused() -> None:
    with pytest.raises(DataError, match="fewer processes"):
        EpochBatchSampler(3, 8, seed=None, process=ProcessRank(0, 4, 4))


def test_the_mean_of_the_parts_losses_is_the_loss_of_the_batch() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(7, 3), torch.softmax(torch.randn(7, 3), 1)
    weight = torch.tensor([1.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.5])
    whole = soft_cross_entropy(logits, target, weight)
    parts = [soft_cross_entropy(logits[s], target[s], weight[s], weight.sum() / 2) for s in (slice(0, 4), slice(4, 7))]
    torch.testing.assert_close(sum(parts) / 2, whole)


def test_the_rank_is_the_one_that_torchrun_gives() -> None:
    variables = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    process = read_rank(variables)
    assert (process.rank, process.world, process.nodes, process.is_first) == (3, 4, 2, False)
    assert read_rank({"RANK": "3"}) == SINGLE_PROCESS
    with pytest.raises(TrainingError, match="different numbers of processes"):
        read_rank(variables | {"WORLD_SIZE": "3"})
