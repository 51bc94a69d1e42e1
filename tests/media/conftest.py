"""Clips of every kind, and a camera on the network."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.clips import clip
from helpers.network_camera import Handler, Sender, Step
from helpers.video_files import FRAMES, KINDS, KINDS_OF_LONG, TIMES, drawn


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A clip of this kind, made once: 40 numbered frames, at 25 a second or at `TIMES`."""
    folder = tmp_path_factory.mktemp("clips")

    def get(kind: str, variable: bool = False) -> Path:
        path = folder / f"{'variable' if variable else 'steady'}-{kind}"
        if not path.exists():
            clip(path, frames=FRAMES, times=TIMES if variable else None, **KINDS[kind])  # type: ignore[arg-type]
        return path

    return get


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """A copy of a clip of 100 frames, to be damaged."""
    folder = tmp_path_factory.mktemp("long")

    def get(kind: str, target: Path) -> Path:
        if not (folder / kind).exists():
            clip(folder / kind, frames=100, draw=drawn, **KINDS_OF_LONG[kind])  # type: ignore[arg-type]
        copy = target / kind
        copy.write_bytes((folder / kind).read_bytes())
        return copy

    return get


@pytest.fixture
def sender() -> Iterator[Callable[..., Sender]]:
    """Starts a camera on the network with one list of steps per connection."""
    servers = []

    def start(*connections: list[Step], **options: float) -> Sender:
        made = Sender(list(connections), **options)  # type: ignore[arg-type]
        handler = type("Handler", (Handler,), {"sender": made})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.block_on_close = False
        made.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return made

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
