"""uvicorn's HTTP protocol with limits it lacks: time to send a head, time to read an answer, number of connections.

An address has a share of the connections, and some places are kept for addresses that have none. Where there is no
place, the connection that has been silent longest is closed, of the address that has the most; one that has just been
made is not, because its request may be on its way.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.server.clients import normalized_address
from mien.server.limits import ServiceLimits
from mien.server.problems import MEDIA_TYPE, ProblemError

_KEPT = 16
"""One place of so many is kept for addresses that have no connection."""


_GRACE_SECONDS = 0.5
"""Time for which a connection may be silent before it can be closed for another one."""


class HttpConnection(Protocol):
    """What the choice of a connection to close depends on."""

    @property
    def address(self) -> str:
        """Of the client."""

    @property
    def silent_since(self) -> float | None:
        """Loop time of the connection or of its last answer; None while a request is in progress."""


def find_place(
    connections: Sequence[HttpConnection], address: str, limits: ServiceLimits, now: float, proxy: str | None = None
) -> tuple[bool, HttpConnection | None]:
    """Whether a new connection gets a place, and the connection that is closed for it, if any.

    Args:
        connections: those that are open.
        address: of the new one.
        limits: how many there may be.
        now: loop time.
        proxy: address without a share of its own, because it stands for many clients.
    """
    count = Counter(one.address for one in connections)
    free = limits.connections - len(connections)
    beyond_share = address != proxy and count[address] >= limits.client_connections
    if not beyond_share and free > (limits.connections // _KEPT if count[address] else 0):
        return True, None
    silent = [one for one in connections if one.silent_since is not None and now - one.silent_since >= _GRACE_SECONDS]
    if beyond_share:
        silent = [one for one in silent if one.address == address]
    closed = min(silent, key=lambda one: (-count[one.address], one.silent_since or 0.0), default=None)
    return closed is not None, closed


class _LimitedH11Protocol(H11Protocol):
    """One connection.

    Attributes:
        limits: times and numbers.
        exempt: address that is exempt from the share of an address.
        address: of the client.
    """

    limits: ClassVar[ServiceLimits]
    exempt: ClassVar[str | None]
    address: str = ""
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _counted = False
    _upgraded = False
    _idle_since = 0.0

    @property
    def silent_since(self) -> float | None:
        cycle: Any = self.cycle  # None before the first request, despite its type
        return self._idle_since if cycle is None or cycle.response_complete else None

    def connection_made(self, transport: Any) -> None:
        self.address = normalized_address(str((transport.get_extra_info("peername") or ("",))[0]))
        connected = [_as_connection(one) for one in self.connections]
        has_place, closed = find_place(connected, self.address, self.limits, self.loop.time(), self.exempt)
        if closed is not None:
            protocol = cast(_LimitedH11Protocol, closed)
            self.connections.discard(protocol)  # it is lost only in the next turn of the event loop
            protocol.transport.abort()
        if not has_place:
            # nothing was read, so no answer is due; to send one would mean to wait for the client
            transport.abort()
            self.transport = transport
            return
        self._counted = True
        self._idle_since = self.loop.time()
        # head and body are two writes: without this the second waits 40 ms for the client's acknowledgement, and
        # asyncio sets it only on sockets created with an explicit protocol of TCP
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self._update_head_timer()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._update_head_timer()

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        if self._counted:
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        # close() would wait until the client has read the rest
        self._write_timer = self.loop.call_later(self.limits.idle_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._stop_head_timer()
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def _update_head_timer(self) -> None:
        """Limit the time of a head, or of the rest of a body that is not read."""
        cycle: Any = self.cycle  # None before the first request, despite its type
        idle = cycle is None or cycle.response_complete
        if not idle or self._upgraded or self.transport.is_closing():
            self._stop_head_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.header_seconds, self._head_timed_out)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            cycle: Any = self.cycle
            if self.conn.our_state is h11.IDLE and cycle is None:
                detail = f"the head of the request took longer than {self.limits.header_seconds:g} s"
                self._refuse(ProblemError("head-slow", detail))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        detail = "this is not an HTTP request, or its head is too long: send fewer and shorter headers"
        self._refuse(ProblemError("head-malformed", detail))
        self.transport.close()

    def _refuse(self, problem: ProblemError) -> None:
        content = json.dumps(problem.to_dict()).encode()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
            (b"x-content-type-options", b"nosniff"),
        ]
        head = h11.Response(status_code=problem.status, headers=headers)
        events: list[Any] = [head, h11.Data(data=content), h11.EndOfMessage()]
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))


def limited_protocol(limits: ServiceLimits, proxy: str | None = None) -> type[H11Protocol]:
    """The class for `uvicorn.Config`.

    Args:
        limits: times and numbers.
        proxy: address that is exempt from the share of an address.
    """
    exempt = None if proxy is None else normalized_address(proxy)
    return type("LimitedProtocol", (_LimitedH11Protocol,), {"limits": limits, "exempt": exempt})


@dataclass(frozen=True, slots=True)
class _UpgradedConnection:
    """A WebSocket, which is never silent."""

    address: str
    silent_since: None = None


def _as_connection(protocol: Any) -> HttpConnection:
    if isinstance(protocol, H11Protocol):
        return cast(HttpConnection, protocol)
    return _UpgradedConnection(normalized_address(str((protocol.client or ("",))[0])))
