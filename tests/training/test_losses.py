"""Losses over soft targets."""

from __future__ import annotations

import pytest
import torch

from mien.training.losses import distillation_loss, soft_cross_entropy


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
