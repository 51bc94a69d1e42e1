"""Connections as the service sets them up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from helpers.waiting import PATIENCE
from mien.server.http_protocol import find_place
from mien.server.limits import ServiceLimits


@dataclass
class Open:
    """An open connection."""

    address: str
    silent_since: float | None = None


NOW = 10.0
LIMITS = ServiceLimits(connections=32, client_connections=20)


def busy(address: str, number: int) -> list[Open]:
    return [Open(address) for _ in range(number)]


@pytest.mark.parametrize(
    ("connections", "address", "has_place"),
    [
        ([], "a", True),
        (busy("a", 19), "a", True),
        (busy("a", 20), "a", False),
        (busy("a", 20), "b", True),
        # two of 32 places are kept for addresses that have none
        (busy("a", 20) + busy("b", 10), "b", False),
        (busy("a", 20) + busy("b", 10), "c", True),
        (busy("a", 20) + busy("b", 11), "c", True),
        (busy("a", 20) + busy("b", 12), "c", False),
    ],
)
def test_addresses_have_a_share_and_places_are_kept(connections: list[Open], address: str, has_place: bool) -> None:
    assert find_place(connections, address, LIMITS, NOW) == (has_place, None)


def test_the_oldest_silent_connection_gives_way() -> None:
    old, new, other = Open("a", 1.0), Open("a", 2.0), Open("b", 0.5)
    # beyond its share an address closes its own
    assert find_place([*busy("a", 18), new, old, other], "a", LIMITS, NOW) == (True, old)
    # where all places are taken, one of the address with the most
    assert find_place([*busy("a", 15), new, old, *busy("b", 14), other], "c", LIMITS, NOW) == (True, old)
    assert find_place([*busy("a", 17), *busy("b", 14), other], "c", LIMITS, NOW) == (True, other)
    assert find_place([*busy("a", 17), *busy("b", 15)], "c", LIMITS, NOW) == (False, None)
    # the request of one that has just been made may be on its way
    just_made = Open("a", NOW - 0.1)
    assert find_place([*busy("a", 16), just_made, *busy("b", 15)], "c", LIMITS, NOW) == (False, None)
    assert find_place([*busy("a", 16), just_made, *busy("b", 15)], "c", LIMITS, NOW + 1) == (True, just_made)


def test_a_proxy_has_no_share_of_its_own() -> None:
    assert find_place(busy("proxy", 25), "proxy", LIMITS, NOW, "proxy") == (True, None)
    assert find_place(busy("proxy", 32), "proxy", LIMITS, NOW, "proxy") == (False, None)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    import socket

    import uvicorn
    from uvicorn.server import ServerState

    from mien.server.http_protocol import limited_protocol

    async def connected() -> int:
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(lambda: None, ws="none", log_config=None)
        made = limited_protocol(ServiceLimits(connections=5))
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
