"""The service as a process: socket, signals, log."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from mien.errors import InputError
from mien.logger import get_logger
from mien.server.access import AccessPolicy
from mien.server.http_protocol import limited_protocol
from mien.server.limits import ServiceLimits
from mien.server.open_files import ACCEPTED_AT_ONCE
from mien.signals import ENDING

log = get_logger(__name__)

_BACKLOG = 256
_ERROR_SECONDS = 10.0
"""Seconds between two lines about errors of the event loop."""


class _Server(uvicorn.Server):
    """uvicorn's, which exits with code 0 when a signal stops it."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            # more may wait in the system than asyncio accepts at once
            listener.listen(_BACKLOG)
        asyncio.get_running_loop().set_exception_handler(_LoopErrors())
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # a shell starts jobs in the background with Ctrl-C ignored: it is meant for the job in the foreground
        wanted = [n for n in ENDING if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _LoopErrors:
    """Logs errors of the event loop in one line each, and not more often than a person reads.

    asyncio reports every connection that it cannot accept with a traceback.
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._unreported = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._unreported += 1
        if loop.time() - self._last < _ERROR_SECONDS and self._last:
            return
        error = context.get("exception")
        # its text may hold what a client sent
        kind = f"{type(error).__name__} {errno.errorcode.get(getattr(error, 'errno', None) or 0, '')}".strip()
        log.error("event loop: %s (%d in all)", kind if error is not None else "error", self._unreported)
        self._last = loop.time()


def listen(access: AccessPolicy, port: int) -> socket.socket:
    """The socket; port 0 takes a free one.

    Raises:
        InputError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in access.host else socket.AF_INET
    try:
        return socket.create_server((access.host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            f"{access.host} port {port} cannot be listened on: {error.strerror or error}",
            advice="choose another with --port",
        ) from None


def base_url(listener: socket.socket) -> str:
    """The address for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: ASGIApp,
    listener: socket.socket,
    limits: ServiceLimits,
    *,
    on_started: Callable[[], None],
    proxy: str | None = None,
) -> None:
    """Answer until SIGTERM, SIGINT or SIGHUP; then accept no new requests, finish those in progress, and return.

    Args:
        app: from `mien.server.app.create_app`.
        listener: from `listen`.
        limits: what is allowed.
        on_started: called when the service answers requests.
        proxy: address of a proxy whose X-Forwarded-For is trusted; None for none.
    """
    config = uvicorn.Config(
        cast(Any, app),
        http=limited_protocol(limits, proxy),
        backlog=ACCEPTED_AT_ONCE,
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
    # its messages hold paths, and those the numbers of videos
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(_is_no_refused_handshake)
    # errors in what a client sent are answered, not logged
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    server = _Server(config, on_started)
    asyncio.run(_serve(server, listener))


def _is_no_refused_handshake(record: logging.LogRecord) -> bool:
    """False for what uvicorn logs of a live connection that was refused with a problem: the log has its own line."""
    return "without completing handshake" not in str(record.msg)


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    await server.serve(sockets=[listener])


def log_to_stderr(level: int = logging.INFO) -> None:
    """Log one line per answer: method, route, status, milliseconds."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger: Any = logging.getLogger("mien.server")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    logging.getLogger("uvicorn").handlers[:] = [handler]
