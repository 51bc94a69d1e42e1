"""Deletion and insertion curves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.patch_network import PATCH, SIZE
from mien.explain.faithfulness import CENTRE, RANDOM, faithfulness_curves
from mien.explain.model import ExplainedNetwork


def test_the_true_map_beats_orders_that_know_nothing(toy: ExplainedNetwork) -> None:
    random = np.random.default_rng(0)
    crops = random.integers(60, 120, (12, SIZE, SIZE, 1)).astype(np.uint8)
    crops[(slice(None), *PATCH)] = 200
    true = np.zeros((12, SIZE, SIZE), np.float32)
    true[(slice(None), *PATCH)] = 1
    found = faithfulness_curves(toy, toy.head(), crops, np.zeros(12, np.int64), {"true": true, "false": -true}, steps=8)
    orders = found["orders"]
    assert list(orders) == [RANDOM, CENTRE, "true", "false"]
    for way, sign in (("deletion", 1), ("insertion", -1)):
        areas = {name: sign * one[way]["auc"] for name, one in orders.items()}
        assert areas["true"] < areas[RANDOM] < areas["false"]
        assert (orders["true"][way]["better"], orders["false"][way]["better"]) == (1, 0)
        low, high = orders["true"][way]["interval"]
        assert low <= orders["true"][way]["auc"] <= high
    with torch.no_grad():
        whole = toy.probabilities(toy.input(crops), toy.head())[:, 0].mean()
    for one in orders.values():
        assert one["deletion"]["curve"][0] == one["insertion"]["curve"][-1] == pytest.approx(whole, abs=1e-4)
        assert one["deletion"]["curve"][-1] == pytest.approx(0.5)
    assert found["share"][-1] == 1
