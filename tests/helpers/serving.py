"""A service for tests, in this process or as one of its own; and a detector that tests can hold."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from helpers.pictures import astronaut, noise
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.results.faces import Faces
from mien.server.access import AccessPolicy
from mien.server.app import create_app
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits

HERE = "http://127.0.0.1"
PATIENCE = 60.0
"""Seconds after which something that a test waits for counts as never coming."""
JPEG = {"Content-Type": "image/jpeg"}


class Held:
    """A detector that finds as many faces as it is told, once `go` is set; `begun` counts the pictures it was given."""

    name = "held"

    def __init__(self, faces: int = 1, *, go: bool = True) -> None:
        self.faces, self.begun, self.go = faces, 0, threading.Event()
        self._change = threading.Condition()
        if go:
            self.go.set()

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        with self._change:
            self.begun += 1
            self._change.notify_all()
        assert self.go.wait(PATIENCE)
        height, width = rgb.shape[:2]
        n = self.faces
        boxes = np.tile(np.array([[8, 8, min(72, width), min(72, height)]], np.float32), (n, 1))
        return Faces.detected(boxes, np.linspace(0.99, 0.9, n), None, (width, height))

    def wait_for(self, pictures: int) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self.begun >= pictures, PATIENCE)


@cache
def models() -> tuple[Model, Model]:
    """The shipped emotion and age models."""
    return Model(read_model("emotion"), threads=1), Model(read_model("age"), threads=1)


@contextlib.contextmanager
def service(
    detector: Any = None, *, access: AccessPolicy | None = None, threads: int = 1, told: bool = True, **limits: float
) -> Iterator[TestClient]:
    """A client of a service in this process; ``told=False`` leaves the models out."""
    allowed = ServiceLimits(**{"rate": 0.0, **limits})  # type: ignore[arg-type]
    emotion, age = models() if told else (None, None)
    if detector is None:
        from mien.detect.mtcnn import MTCNN

        detector = MTCNN(40, 1)
    engine = InferenceEngine(detector, emotion, age, allowed, threads=threads)
    with TestClient(create_app(engine, access), base_url=HERE) as client:
        yield client


@cache
def photo(kind: str = "JPEG") -> bytes:
    """scikit-image's astronaut, cut to 256×256 around the face."""
    return encoded(astronaut()[:256, 100:356], kind)


@cache
def blank(width: int = 64, height: int = 48) -> bytes:
    """A picture without a face."""
    return encoded(noise(height, width), "JPEG")


def encoded(rgb: NDArray[np.uint8], kind: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind, **options)
    return stream.getvalue()


def is_problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that an answer is this problem, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["type"] == f"urn:mien:problem:{kind}", told
    assert told["status"] == status
    assert {"title", "detail"} <= set(told)
    return told


def until(true: Callable[[], Any]) -> Any:
    """What ``true`` gives as soon as that is true; looks again and again, for as long as `PATIENCE`."""
    stop = time.monotonic() + PATIENCE
    while not (value := true()):
        assert time.monotonic() < stop, "it never came true"
        time.sleep(0.02)
    return value


class Process:
    """``mien serve`` as a process. A context manager; it is killed where it does not end."""

    def __init__(self, *options: str, **environment: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "mien", "serve", "--port", "0", "--threads", "1", *options]
        self._run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
        self.log: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = re.split(" on | – ", self.wait_for("serving on"))[1]
        self.port = int(self.address.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._run.pid

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._run.poll() is None:
            self._run.kill()
        self._run.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._run.stderr is not None
        self._run.stderr.close()

    def wait_for(self, text: str) -> str:
        """The first line of its log that holds ``text``."""

        def line() -> str | None:
            return next((one for one in self.log if text in one), None)

        with self._said:
            self._said.wait_for(lambda: line() or self._run.poll() is not None, PATIENCE)
        found = line()
        assert found, "\n".join(self.log)
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; its exit code."""
        self._run.send_signal(number)
        return self._run.wait(PATIENCE)

    def _read(self) -> None:
        assert self._run.stderr is not None
        for line in self._run.stderr:
            with self._said:
                self.log.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self._said.notify_all()


def folders(parent: Path) -> list[Path]:
    """Private folders of services in a temporary folder."""
    return sorted(parent.glob("mien-serve-*"))
