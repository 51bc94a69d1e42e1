"""A service as a process: socket, signals, log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from mien.errors import InputError
from mien.server.access import AccessPolicy
from mien.server.http_protocol import limited_protocol
from mien.server.limits import ServiceLimits

_BACKLOG = 256


class _Server(uvicorn.Server):
    """uvicorn's, that ends with code 0 when it was told to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(access: AccessPolicy, port: int) -> socket.socket:
    """The socket; port 0 takes a free one.

    Raises:
        InputError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in access.host else socket.AF_INET
    try:
        return socket.create_server((access.host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(
            f"{access.host} port {port}: cannot be listened on: {why}; choose another with --port"
        ) from None


def base_url(bound: socket.socket) -> str:
    """Where people find it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: ASGIApp,
    bound: socket.socket,
    limits: ServiceLimits,
    *,
    started: Callable[[], None],
    proxy: str | None = None,
) -> None:
    """Answer until SIGTERM or SIGINT; then take nothing new, finish what is in flight, and return.

    Args:
        app: from `mien.server.app.create_app`.
        bound: from `listen`.
        limits: what is allowed.
        started: called when requests are answered.
        proxy: address of a proxy whose X-Forwarded-For is believed; None believes nobody.
    """
    config = uvicorn.Config(
        cast(Any, app),
        http=limited_protocol(limits.header_seconds, limits.idle_seconds, limits.connections),
        ws="websockets-sansio",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy or "",
        h11_max_incomplete_event_size=limits.header_bytes,
        timeout_keep_alive=max(1, round(limits.keep_alive_seconds)),
        timeout_graceful_shutdown=round(limits.shutdown_seconds),
        ws_max_size=limits.live_bytes,
        ws_per_message_deflate=False,
    )
    # paths, which its messages would hold, can tell numbers of videos
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    # what a client sent wrong is answered, and nobody else's business
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    server = _Server(config, started)
    asyncio.run(_served(server, bound))


async def _served(server: uvicorn.Server, bound: socket.socket) -> None:
    await server.serve(sockets=[bound])


def log_to_stderr(level: int = logging.INFO) -> None:
    """One line an answer: method, route, status, milliseconds."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger: Any = logging.getLogger("mien.serve")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    logging.getLogger("uvicorn").handlers[:] = [handler]
