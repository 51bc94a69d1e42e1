"""What the tests in a browser share: a service as a process, Chromium, pages that are watched, media to feed them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.clips import Pan, clip, side_by_side
from helpers.pictures import astronaut, hopper, noise
from helpers.serving import ServeProcess

SECONDS = 60.0
"""The longest that anything may take, on a busy machine as well."""
LARGEST = 2_000_000
"""Bytes of a photo that the service under test takes."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu-watchdog",  # which takes a machine that is busy for one that hangs
    "--use-fake-device-for-media-stream",
]


@dataclass
class Service:
    """``mien serve`` on a port that stays the same when it is started again."""

    largest: int | None = LARGEST
    options: tuple[str, ...] = ()
    port: int = 0
    process: ServeProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self, key: str | None = None) -> None:
        """Start it and wait until it answers."""
        options = ["--port", str(self.port), "--quiet", "--max-shutdown-seconds", "2", *self.options]
        options += ["--max-body-bytes", str(self.largest)] if self.largest else []
        self.process = ServeProcess(*options, **({"MIEN_SERVE_KEY": key} if key else {}))
        self.port = self.process.port

    def status(self, path: str) -> int:
        """What is answered to a GET."""
        try:
            with urllib.request.urlopen(f"{self.url}{path.lstrip('/')}", timeout=SECONDS) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def removals(self) -> int:
        """How many requests to remove a video were answered, by its metrics."""
        with urllib.request.urlopen(f"{self.url}metrics", timeout=SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.split()[-1])) for line in lines if 'method="DELETE"' in line and 'status="204"' in line
        )

    def stop(self) -> None:
        """End it as a supervisor does."""
        if self.process is not None:
            with self.process:
                self.process.stop()
            self.process = None


@dataclass(frozen=True)
class Media:
    """Files that pages are fed with: public-domain portraits, and what is made of them."""

    smiling: Path
    stern: Path
    dark: Path
    small: Path
    crowd: Path
    nobody: Path
    text: Path
    clip: Path
    long_clip: Path
    unplayable: Path
    camera: Path

    @classmethod
    def made(cls, folder: Path) -> Media:
        face, other = astronaut(), hopper()
        close = face[20:220, 120:330]
        tiny = np.asarray(Image.fromarray(face).resize((128, 128)))
        pair = side_by_side(Pan.astronaut((240, 180), step=(0.5, 0.1)), Pan.hopper((240, 180), step=(-0.5, 0.1)))
        pan = Pan.astronaut((320, 240), step=(0.5, 0.2))
        webm = {"codec": "libvpx", "draw": pair}
        files = cls(
            *(
                folder / name
                for name in ("smiling.png", "stern.jpg", "dark.png", "small.png", "crowd.jpg", "nobody.png")
            ),
            folder / "text.jpg",
            clip(folder / "clip.webm", frames=50, **webm),  # type: ignore[arg-type]
            clip(folder / "long.webm", frames=300, **webm),  # type: ignore[arg-type]
            clip(folder / "old.avi", frames=25, codec="mpeg4", draw=pair),
            clip(
                folder / "camera.mjpeg",
                frames=40,
                # to and fro, because the browser shows the file over and over
                draw=lambda i: pan(min(i, 40 - i)),
                codec="mjpeg",
                pix_fmt="yuvj420p",
                container="mjpeg",
            ),
        )
        Image.fromarray(face).save(files.smiling)
        # without the lowest buttons of the uniform, of which one looks like a face
        Image.fromarray(other[:560]).save(files.stern, quality=92)
        Image.fromarray((face * 0.2).astype(np.uint8)).save(files.dark)
        Image.fromarray(tiny).save(files.small)
        Image.fromarray(np.tile(close, (4, 4, 1))).save(files.crowd, quality=92)
        Image.fromarray(noise(240, 320, blur=8)).save(files.nobody)
        files.text.write_text("no picture")
        return files


# what the browser itself reports: an answer such as 422, a server that is gone, a test that looks at a canvas
_KNOWN = ("Failed to load resource", "WebSocket connection to", "Canvas2D: Multiple readback")


@dataclass
class Watch:
    """What a page did that it should not: errors, and requests to anywhere but its own server."""

    own: str
    problems: list[str] = field(default_factory=list)

    def on(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("console", self._on_console)
        page.on("request", self._on_request)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(known in message.text for known in _KNOWN):
            self.problems.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.own, "blob:", "data:")):
            self.problems.append(f"request: {request.url}")


@contextmanager
def browser(chromium: Path, camera: Path) -> Iterator[Any]:
    """Chromium whose camera shows a file; a page still has to be allowed to use it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        running = playwright.chromium.launch(executable_path=str(chromium), args=flags, timeout=1000 * SECONDS)
        try:
            yield running
        finally:
            running.close()
