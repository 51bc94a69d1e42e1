"""uvicorn's HTTP protocol with limits it lacks: time to send a head, time to read an answer, number of connections."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.server.problems import MEDIA_TYPE, ProblemError


def limited_protocol(header_seconds: float, idle_seconds: float, connections: int) -> type[H11Protocol]:
    """The class for `uvicorn.Config`.

    Args:
        header_seconds: time from the first byte of a head, or from the connection, to its end.
        idle_seconds: pause of a client that is to read an answer.
        connections: open connections; further ones are closed at once.
    """

    class LimitedH11Protocol(H11Protocol):
        """One connection."""

        _head_timer: asyncio.TimerHandle | None = None
        _write_timer: asyncio.TimerHandle | None = None
        _counted = False
        _upgraded = False

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= connections:
                # nothing was read, so no answer is due; to send one would mean to wait for the client
                transport.abort()
                self.transport = transport
                return
            self._counted = True
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

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_head_timer()
            self._stop_write_timer()
            if self._counted:
                super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            # close() would wait until the client has read the rest
            self._write_timer = self.loop.call_later(idle_seconds, self.transport.abort)

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
            cycle: Any = self.cycle  # None before the first request, whatever its type says
            idle = cycle is None or cycle.response_complete
            if not idle or self._upgraded or self.transport.is_closing():
                self._stop_head_timer()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(header_seconds, self._head_timed_out)

        def _stop_head_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _head_timed_out(self) -> None:
            self._head_timer = None
            if not self.transport.is_closing():
                cycle: Any = self.cycle
                if self.conn.our_state is h11.IDLE and cycle is None:
                    detail = f"the head of the request took longer than {header_seconds:g} s"
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

    return LimitedH11Protocol
