"""uvicorn's HTTP protocol with what it lacks: a time to send a head and to read an answer, a number of connections."""

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

    class Bounded(H11Protocol):
        """One connection."""

        _deadline: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None
        _counted = False

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= connections:
                # nothing was read, so that nothing is owed; an answer would have to be waited for
                transport.abort()
                self.transport = transport
                return
            self._counted = True
            # head and body are two writes: without this the second waits 40 ms for the client's acknowledgement, and
            # asyncio sets it only on sockets that were made for TCP in so many words
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            self._flows()
            if self._counted:
                super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            # to close would wait for what is left to be read
            self._stalled = self.loop.call_later(idle_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            self._flows()
            super().resume_writing()

        def _flows(self) -> None:
            if self._stalled is not None:
                self._stalled.cancel()
                self._stalled = None

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._unwatch()
            self._upgraded = True
            super().handle_websocket_upgrade(event)

        _upgraded = False

        def _watch(self) -> None:
            """A head, or the rest of a body that nobody reads, has so long."""
            cycle: Any = self.cycle  # None before the first request, whatever its type says
            idle = cycle is None or cycle.response_complete
            if not idle or self._upgraded or self.transport.is_closing():
                self._unwatch()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(header_seconds, self._late)

        def _unwatch(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _late(self) -> None:
            self._deadline = None
            if not self.transport.is_closing():
                cycle: Any = self.cycle
                if self.conn.our_state is h11.IDLE and cycle is None:
                    self._refuse(
                        ProblemError(408, "head-slow", f"the head of the request took longer than {header_seconds:g} s")
                    )
                self.transport.close()

        def send_400_response(self, msg: str) -> None:
            detail = "this is no HTTP request, or its head is too long: send fewer and shorter headers"
            self._refuse(ProblemError(400, "head-malformed", detail))
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

    return Bounded
