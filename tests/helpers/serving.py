"""A service for tests, in this process or as a process of its own; and a detector that tests can pause."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from helpers.pictures import astronaut, noise
from helpers.waiting import PATIENCE
from mien import defaults
from mien.predict.model_set import ModelSet
from mien.results.faces import Faces
from mien.server.access import AccessPolicy
from mien.server.app import create_app
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits

HERE = "http://127.0.0.1"
JPEG = {"Content-Type": "image/jpeg"}


class PausableDetector:
    """A detector that returns a given number of faces once `resume` is set; `started` counts its pictures."""

    name = "pausable"

    def __init__(self, faces: int = 1, *, paused: bool = False) -> None:
        self.faces, self.started, self.resume = faces, 0, threading.Event()
        self._change = threading.Condition()
        if not paused:
            self.resume.set()

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        with self._change:
            self.started += 1
            self._change.notify_all()
        assert self.resume.wait(PATIENCE)
        height, width = rgb.shape[:2]
        n = self.faces
        boxes = np.tile(np.array([[8, 8, min(72, width), min(72, height)]], np.float32), (n, 1))
        return Faces.detected(boxes, np.linspace(0.99, 0.9, n), None, (width, height))

    def wait_for(self, pictures: int) -> None:
        with self._change:
            assert self._change.wait_for(lambda: self.started >= pictures, PATIENCE)


@cache
def models() -> ModelSet:
    """The shipped emotion and age models."""
    return ModelSet.open(defaults.MODELS, threads=1)


@contextlib.contextmanager
def service(
    detector: Any = None,
    *,
    access: AccessPolicy | None = None,
    threads: int = 1,
    with_models: bool | ModelSet = True,
    **limits: float,
) -> Iterator[TestClient]:
    """A client of a service in this process; ``with_models`` are other models than the default, or none."""
    allowed = ServiceLimits(**{"rate": 0.0, **limits})  # type: ignore[arg-type]
    if detector is None:
        from mien.detect.mien import MienDetector

        detector = MienDetector(threads=1)
    given = with_models if isinstance(with_models, ModelSet) else models() if with_models else ModelSet()
    engine = InferenceEngine(detector, given, allowed, threads=threads)
    with TestClient(create_app(engine, access), base_url=HERE) as client:
        yield client


@cache
def photo(kind: str = "JPEG") -> bytes:
    """scikit-image's astronaut, cropped to 256×256 around the face."""
    return encoded(astronaut()[:256, 100:356], kind)


@cache
def blank(width: int = 64, height: int = 48) -> bytes:
    """A picture without a face."""
    return encoded(noise(height, width), "JPEG")


def encoded(rgb: NDArray[np.uint8], kind: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind, **options)
    return stream.getvalue()


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["code"], problem["type"]) == (code, f"urn:mien:problem:{code}"), problem
    assert problem["status"] == status
    assert {"title", "detail"} <= set(problem)
    return problem


class ServeProcess:
    """``mien serve`` as a process. A context manager; it is killed where it does not end."""

    def __init__(self, *options: str, open_files: int | None = None, **environment: str) -> None:
        # warnings of packages as old as the release check installs are not errors
        unexpected = os.environ.get("MIEN_CHILD_WARNINGS", "error")
        service = ["serve", "--port", "0", "--threads", "1", *options]
        command = [sys.executable, "-W", unexpected, "-m", "mien", *service]
        if open_files is not None:
            command = ["sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh", *command]
        self._run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
        self.log: list[str] = []
        self._logged = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = re.split(" on | – ", self.wait_for("serving on"))[1]
        self.port = int(self.address.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._run.pid

    def __enter__(self) -> ServeProcess:
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

        with self._logged:
            self._logged.wait_for(lambda: line() or self._run.poll() is not None, PATIENCE)
        first = line()
        assert first, "\n".join(self.log)
        return first

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal; its exit code."""
        self._run.send_signal(number)
        return self._run.wait(PATIENCE)

    def _read(self) -> None:
        assert self._run.stderr is not None
        for line in self._run.stderr:
            with self._logged:
                self.log.append(line.rstrip("\n"))
                self._logged.notify_all()
        with self._logged:
            self._logged.notify_all()


def workdirs(parent: Path) -> list[Path]:
    """Work folders of services in a temporary folder."""
    return sorted(parent.glob("mien-serve-*"))
