"""What takes long to decode is decoded by a process that ends, and keeps no one else waiting."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import cv2
import numpy as np
import pytest
from PIL import features

from helpers.costly_files import jpeg_of_scans, motion_jpeg
from helpers.pictures import astronaut, noise
from helpers.serving import JPEG, PausableDetector, assert_problem, blank, encoded, photo, service
from helpers.waiting import PATIENCE, wait_until
from mien.media import decoder_process
from mien.predict.model_set import ModelSet
from mien.server.engine import InferenceEngine, PhotoRequest
from mien.server.limits import ServiceLimits

SLOW = jpeg_of_scans(5000, 5000, 190)
"""Takes seconds, and is not refused by the number of its scans."""


def large(kind: str = "JPEG") -> bytes:
    """One face in 4 megapixels."""
    return encoded(cv2.resize(astronaut(), (2000, 2000), interpolation=cv2.INTER_CUBIC), kind)


def faces(answer: Any) -> tuple[list[int], list[dict[str, Any]]]:
    (result,) = answer.json()["results"]
    return [result["width"], result["height"]], result["faces"]


def test_a_photo_above_the_limit_is_shrunk_and_its_boxes_are_in_its_own_pixels() -> None:
    with service(pixels=4_000_000) as client:
        size, whole = faces(client.post("/v1/analyze", content=large(), headers=JPEG))
    with service(pixels=1_000_000) as client:
        shrunk_size, shrunk = faces(client.post("/v1/analyze", content=large(), headers=JPEG))
        assert shrunk_size == size == [2000, 2000]
        assert [face["emotion"] for face in shrunk] == [whole[0]["emotion"]] == ["happy"]
        np.testing.assert_allclose(shrunk[0]["box"], whole[0]["box"], atol=16)
        side = min(shrunk[0]["box"][2] - shrunk[0]["box"][0], shrunk[0]["box"][3] - shrunk[0]["box"][1])
        for least, n in ((side - 1, 1), (side + 1, 0)):
            answer = client.post(f"/v1/analyze?min_face={least}", content=large(), headers=JPEG)
            assert len(faces(answer)[1]) == n
        problem = assert_problem(client.post("/v1/analyze", content=large("PNG"), headers=JPEG), 413, "image-too-large")
        assert problem["details"] == {"pixels": 4_000_000, "limit": 1_000_000}


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_formats_that_a_process_decodes_give_the_same() -> None:
    with service() as client:
        expected = faces(client.post("/v1/analyze", content=photo("PNG"), headers=JPEG))
        for kind in ("TIFF", "BMP", "QOI", "PPM"):
            assert faces(client.post("/v1/analyze", content=photo(kind), headers=JPEG)) == expected
        _, found = faces(client.post("/v1/analyze", content=photo("AVIF"), headers=JPEG))
        assert [face["emotion"] for face in found] == ["happy"]
        assert client.post("/v1/rendition", content=photo("TIFF"), headers=JPEG).headers["content-type"] == "image/jpeg"


def test_heic_is_read_or_refused_without_a_word_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = encoded(astronaut()[:256, 100:356], "HEIF")
    with service(decoders=1) as client:
        _, found = faces(client.post("/v1/analyze", content=data, headers=JPEG))
        assert [face["emotion"] for face in found] == ["happy"]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(sys, "executable", "")  # so that this process decodes
    with service(PausableDetector(0), with_models=False) as client:
        problem = assert_problem(client.post("/v1/analyze", content=data, headers=JPEG), 422, "extra-missing")
        assert problem["detail"] == (
            "the image is a HEIC picture; this service does not read that format: save it as JPEG or PNG"
        )


def test_a_photo_that_takes_too_long_is_stopped_and_others_are_answered_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoder_process, "_WALL_MARGIN", PATIENCE)  # for the clock of its processor time to come first
    with service(PausableDetector(0), with_models=False, decode_seconds=3.0, decoders=1) as client:
        client.post("/v1/analyze", content=encoded(noise(48, 64), "TIFF"), headers=JPEG)  # starts the process
        client.app.state.service.engine.decoders._seconds = 0.3  # type: ignore[attr-defined]
        answers: list[Any] = []
        send = threading.Thread(
            target=lambda: answers.append(client.post("/v1/analyze", content=SLOW, headers=JPEG)), daemon=True
        )
        send.start()
        while not answers:
            assert client.post("/v1/analyze", content=blank(), headers=JPEG).status_code == 200
        send.join(PATIENCE)
        problem = assert_problem(answers[0], 422, "image-too-complex")
        assert problem["details"] == {"limit": 0.3}
        assert problem["detail"].startswith(
            "the image took longer than 0.3 s of processor time to decode and was stopped; save it again"
        )


def test_a_client_that_goes_away_ends_the_decoding_of_its_photo() -> None:
    engine = InferenceEngine(PausableDetector(0), ModelSet(), ServiceLimits(), threads=1)

    async def send_and_leave() -> None:
        small = encoded(noise(48, 64), "TIFF")
        await engine.analyze(small, PhotoRequest())  # starts the process
        (process,) = engine.decoders._idle
        os.kill(process.pid, signal.SIGSTOP)  # its decoding takes for ever, however fast the machine is
        photo = asyncio.ensure_future(engine.analyze(small, PhotoRequest()))
        while not engine.decoders._busy:
            await asyncio.sleep(0.01)
        photo.cancel()
        await asyncio.gather(photo, return_exceptions=True)
        began = time.monotonic()
        while engine.decoders._busy:
            assert time.monotonic() - began < PATIENCE
            await asyncio.sleep(0.01)
        assert not process.alive
        assert not (await engine.analyze(small, PhotoRequest())).faces

    try:
        asyncio.run(send_and_leave())
    finally:
        engine.close(PATIENCE)


def video_of(path: Path, *pictures: bytes) -> bytes:
    motion_jpeg(path, [*pictures], (3000, 3000))
    return path.read_bytes()


def upload(client: Any, data: bytes) -> str:
    answer = client.post("/v1/videos", content=data, headers={"Content-Type": "video/x-msvideo"})
    assert answer.status_code == 202, answer.text
    return urljoin(str(answer.url), answer.headers["location"])


def test_deleting_a_video_ends_its_decoding(tmp_path: Path) -> None:
    good, slow = encoded(noise(300, 300), "JPEG"), jpeg_of_scans(3000, 3000, 540)
    data = video_of(tmp_path / "a.avi", good, good, *[slow] * 40)
    with service(PausableDetector(0), with_models=False) as client:
        here = upload(client, data)
        engine = client.app.state.service.engine  # type: ignore[attr-defined]
        wait_until(lambda: engine.decoders._busy)
        wait_until(lambda: client.get(here).json()["status"] == "running")
        for process in [*engine.decoders._busy]:
            os.kill(process.pid, signal.SIGSTOP)  # the frame it is at takes for ever, however fast the machine is
        began = time.monotonic()
        assert client.delete(here).status_code == 204
        assert time.monotonic() - began < PATIENCE  # its own clock would end it after twice that time
        assert not engine.decoders._busy
        assert_problem(client.get(here), 404, "video-unknown")


def test_a_frame_that_takes_too_long_fails_the_video_and_photos_are_answered_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_process, "wall_seconds", lambda seconds: 2 * seconds)
    good, slow = encoded(noise(300, 300), "JPEG"), jpeg_of_scans(3000, 3000, 540)
    data = video_of(tmp_path / "a.avi", *[good] * 3, *[slow] * 40)
    with service(PausableDetector(0), with_models=False, decode_seconds=3.0) as client:
        here = upload(client, data)
        decoders = client.app.state.service.engine.decoders  # type: ignore[attr-defined]
        wait_until(lambda: client.get(here).json()["status"] == "running" and decoders._busy)
        for process in [*decoders._busy]:
            os.kill(process.pid, signal.SIGSTOP)  # the frame it is at takes for ever, however fast the machine is
        meanwhile = -1  # photos that were answered before the video has failed
        while (state := client.get(here).json())["status"] in ("queued", "running"):
            assert client.post("/v1/analyze", content=blank(), headers=JPEG).status_code == 200
            meanwhile += 1
        assert meanwhile > 0
        assert state["status"] == "failed"
        assert (state["error"]["code"], state["error"]["details"]) == ("video-too-complex", {"limit": 6.0})


def test_a_live_frame_above_the_limit_is_an_error_with_its_size() -> None:
    with (
        service(PausableDetector(0), with_models=False, live_pixels=100_000) as client,
        client.websocket_connect("ws://127.0.0.1/v1/live") as socket,
    ):
        socket.send_bytes(encoded(noise(480, 640)))
        error = socket.receive_json()["error"]
        assert (error["code"], error["details"]) == ("image-too-large", {"pixels": 307_200, "limit": 100_000})
        socket.send_bytes(encoded(noise(240, 320), "TIFF"))
        assert socket.receive_json()["faces"] == []
