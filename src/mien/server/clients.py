"""Who a request comes from: the address that shares are counted by, and the owner of videos."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from mien.server.problems import ProblemError

OWNER_HEADER = "X-Client-Id"
"""Header with which a client distinguishes itself from others of its address."""
CHOSEN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
"""What clients may choose as the id of a video, or as their own: long enough that no one guesses it."""
_FORWARDED = ("x-forwarded-for", "forwarded")


def client_address(scope: Scope) -> str:
    """The address that a request or WebSocket comes from, as shares and rates are counted: of IPv6 the /64 network."""
    client: Any = scope.get("client")
    return normalized_address(client[0]) if client else ""


@functools.lru_cache(maxsize=4096)
def normalized_address(text: str) -> str:
    """An address without what one client can vary: of IPv6 the /64 network, of an IPv4 address in IPv6 the former.

    Examples:
        >>> normalized_address("2001:db8::17"), normalized_address("::ffff:192.0.2.1"), normalized_address("testclient")
        ('2001:db8::/64', '192.0.2.1', 'testclient')
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def owner_of(scope: Scope, *, trusts_proxy: bool) -> str | None:
    """Who owns the videos that a request uploads, and may list them: its `OWNER_HEADER`, else its address.

    None where the address is that of a proxy, which stands for any number of people.

    Args:
        scope: of the request.
        trusts_proxy: whether the address comes from a proxy's header.

    Raises:
        ProblemError: the header is not a valid id.
    """
    headers: Mapping[str, str] = Headers(scope=scope)
    chosen = headers.get(OWNER_HEADER)
    if chosen is not None:
        if not CHOSEN_ID.fullmatch(chosen):
            raise ProblemError("input-invalid", f"{OWNER_HEADER} is 16 to 64 letters, digits, - or _, best random ones")
        return f"id {chosen}"
    if not trusts_proxy and any(name in headers for name in _FORWARDED):
        return None
    return f"address {client_address(scope)}"
