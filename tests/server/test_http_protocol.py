"""Connections as the service sets them up."""

from __future__ import annotations

import asyncio
from typing import Any

from helpers.serving import (
    PATIENCE,
)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    import socket

    import uvicorn
    from uvicorn.server import ServerState

    from mien.server.http_protocol import limited_protocol

    async def connected() -> int:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(lambda: None, ws="none", log_config=None)
        made = limited_protocol(1.0, 1.0, 5)
        listening = socket.create_server(("127.0.0.1", 0))
        connections: list[Any] = []

        def connection() -> Any:
            connections.append(made(config, ServerState(), {}))
            return connections[-1]

        server = await loop.create_server(connection, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            while not connections or connections[0].transport is None:
                await asyncio.sleep(0)
            option = (
                connections[0].transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()
            connections[0].transport.abort()
            await writer.wait_closed()
        return int(option)

    assert asyncio.run(asyncio.wait_for(connected(), PATIENCE)) == 1
