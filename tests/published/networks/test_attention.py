from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.published.networks.attention import AttentionalNetwork


@pytest.mark.parametrize("parallel", [False, True])
def test_a_transformer_starts_as_the_identity(parallel: bool) -> None:
    torch.manual_seed(0)
    module = AttentionalNetwork({"emotion": 7}, parallel=parallel).eval()
    x = torch.randn(2, 1, 48, 48)
    regions = module.regions(x)
    np.testing.assert_allclose(regions.detach(), np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1)))
    with torch.no_grad():
        straight = module.extract(x).flatten(1)
        wanted = module.heads["emotion"](torch.relu(module.dense(straight)))
        torch.testing.assert_close(module(x)["emotion"], wanted, atol=1e-4, rtol=1e-4)
