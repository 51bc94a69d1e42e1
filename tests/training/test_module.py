from __future__ import annotations

import pytest
import torch

from mien.networks.catalog import NETWORKS
from mien.recipes.catalog import get_recipe
from mien.training.config import (
    OptimizerConfig,
    ScheduleConfig,
)
from mien.training.module import make_optimizer, make_schedule


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
