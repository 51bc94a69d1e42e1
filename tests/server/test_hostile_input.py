"""Hundreds of corrupt pictures: every answer is a result or a clean 4xx, and the service is as it was."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from helpers.hostile import KINDS, corrupted, saved
from helpers.pictures import noise
from helpers.serving import Held, blank, is_problem, service


@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_pictures(kind: str) -> None:
    whole = saved(noise(24, 32, blur=2.0), kind)
    rng = np.random.default_rng(KINDS.index(kind))
    statuses: Counter[int] = Counter()
    with service(Held(0), told=False) as client:
        for _ in range(30):
            answer = client.post(
                "/v1/analyze",
                content=corrupted(whole, rng),
                headers={"Content-Type": "application/octet-stream"},
            )
            statuses[answer.status_code] += 1
            if answer.status_code != 200:
                is_problem(answer, answer.status_code, "too-large" if answer.status_code == 413 else "image-unreadable")
        good = client.post("/v1/analyze", content=blank(), headers={"Content-Type": "image/jpeg"})
        assert good.status_code == 200
    assert set(statuses) <= {200, 413, 422}
    assert statuses[422] >= 5
