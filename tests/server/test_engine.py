"""Photos of many requests are classified together, within limits."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from fastapi.testclient import TestClient

from helpers.hostile import bomb
from helpers.serving import JPEG, PausableDetector, assert_problem, blank, encoded, models, photo, service
from helpers.waiting import PATIENCE
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.predict.model_set import ModelSet
from mien.server.engine import InferenceEngine, PhotoRequest
from mien.server.limits import ServiceLimits


def post(client: TestClient, data: bytes = b"", **more: Any) -> Any:
    return client.post("/v1/analyze", content=data or blank(), headers=JPEG | more.pop("headers", {}), **more)


def test_pixels_images_and_faces() -> None:
    with service(PausableDetector(5), with_models=False, pixels=5000, images=2, faces=3) as client:
        assert "64 × 48" not in post(client).text
        assert_problem(post(client, encoded_blank(100, 51)), 413, "image-too-large")
        assert_problem(post(client, bomb()), 413, "image-too-large")
        assert_problem(client.post("/v1/analyze", files=[("image", blank())] * 3), 413, "too-large")
        (result,) = post(client).json()["results"]
        assert (len(result["faces"]), result["left_out"]) == (3, 2)
        assert [face["score"] for face in result["faces"]] == [0.99, 0.9675, 0.945]


def encoded_blank(width: int, height: int) -> bytes:
    import numpy as np

    return encoded(np.zeros((height, width, 3), np.uint8), "PNG")


class Counting(Model):
    """A model that keeps how many crops each call had."""

    def __init__(self, name: str) -> None:
        super().__init__(read_model(name), threads=1)
        self.calls: list[int] = []

    def predict(self, crops: Any, **more: Any) -> Any:
        self.calls.append(len(crops))
        return super().predict(crops, **more)


def test_photos_of_many_requests_are_classified_together_and_answered_separately() -> None:
    emotion, age = Counting("emotion"), Counting("age")
    engine = InferenceEngine(
        PausableDetector(2),
        ModelSet({"emotion": emotion, "age": age}),
        ServiceLimits(batch=8, batch_ms=10_000.0),
        threads=2,
    )
    sizes: list[int] = []
    engine.on_batch = sizes.append

    async def all_at_once() -> list[Any]:
        requests = [PhotoRequest(), PhotoRequest(frozenset(["emotion"])), PhotoRequest(frozenset(["age"]))]
        photos = [photo(), blank(), photo("PNG")]
        return await asyncio.gather(*(engine.analyze(photos[i % 3], requests[i % 3]) for i in range(12)))

    results = asyncio.run(asyncio.wait_for(all_at_once(), PATIENCE))
    engine.close(PATIENCE)
    assert sum(sizes) == 12
    assert len(sizes) <= 4
    assert sum(emotion.calls) == sum(age.calls) == 16
    assert [one.faces.image_size for one in results[:3]] == [(256, 256), (64, 48), (256, 256)]
    assert [one.faces.emotions is None for one in results[:3]] == [False, False, True]
    assert [one.faces.ages is None for one in results[:3]] == [False, True, False]
    for i in range(3, 12):
        assert results[i].faces.to_dicts() == results[i % 3].faces.to_dicts()


def test_one_photo_alone_does_not_wait_for_others() -> None:
    engine = InferenceEngine(PausableDetector(1), models(), ServiceLimits(batch_ms=60_000.0), threads=1)
    result = asyncio.run(asyncio.wait_for(engine.analyze(photo(), PhotoRequest()), PATIENCE))
    engine.close(PATIENCE)
    assert result.faces.ages is not None


def test_photos_of_cancelled_requests_are_skipped() -> None:
    detector = PausableDetector(paused=True)
    engine = InferenceEngine(detector, ModelSet(), ServiceLimits(), threads=1)

    async def given_up() -> None:
        first = asyncio.ensure_future(engine.analyze(photo(), PhotoRequest()))
        await asyncio.get_running_loop().run_in_executor(None, detector.wait_for, 1)
        later = [asyncio.ensure_future(engine.analyze(photo(), PhotoRequest())) for _ in range(5)]
        await asyncio.sleep(0)
        for task in later:
            task.cancel()
        await asyncio.gather(*later, return_exceptions=True)
        detector.resume.set()
        assert (await first).faces
        assert (await engine.analyze(blank(), PhotoRequest())).faces

    asyncio.run(asyncio.wait_for(given_up(), PATIENCE))
    assert detector.started == 2
    engine.close(PATIENCE)
    assert threading.active_count() < 50
