"""Hundreds of corrupt pictures: every answer is a result or a clean 4xx, and the service is as it was."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pictures import noise
from serving import Held, blank, is_problem, service

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "TGA", "PPM", "JPEG2000", "QOI")


def corrupted(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut, doubled or made up."""
    data = bytearray(whole)
    way = rng.integers(5)
    if way == 0:
        return bytes(data[: rng.integers(len(data))])
    if way == 1:
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            data[at] = rng.integers(256)
    elif way == 2:
        # heads hold sizes and lengths
        for at in rng.integers(0, min(64, len(data)), rng.integers(1, 8)):
            data[at] = rng.integers(256)
    elif way == 3:
        data = data[: rng.integers(len(data))] + data[rng.integers(len(data)) :]
    else:
        data[16:] = rng.bytes(int(rng.integers(1, 2000)))
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_pictures(kind: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(noise(24, 32, blur=2.0)).save(stream, kind)
    rng = np.random.default_rng(KINDS.index(kind))
    statuses: Counter[int] = Counter()
    with service(Held(0), told=False) as client:
        for _ in range(30):
            answer = client.post(
                "/v1/analyze",
                content=corrupted(stream.getvalue(), rng),
                headers={"Content-Type": "application/octet-stream"},
            )
            statuses[answer.status_code] += 1
            if answer.status_code != 200:
                is_problem(answer, answer.status_code, "too-large" if answer.status_code == 413 else "image-unreadable")
        good = client.post("/v1/analyze", content=blank(), headers={"Content-Type": "image/jpeg"})
        assert good.status_code == 200
    assert set(statuses) <= {200, 413, 422}
    assert statuses[422] >= 5
