"""Query parameters that an operation does not have, or that are given twice, are refused: they would change nothing."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from starlette.requests import HTTPConnection

from mien.errors import one_line
from mien.server.problems import ProblemError

_LENIENT = frozenset({"/healthz", "/readyz", "/metrics"})
"""What probes call, some with parameters of their own."""
_SHOWN = 40
"""Characters of a name that are repeated to the client."""


async def refuse_unknown_parameters(connection: HTTPConnection) -> None:
    """A dependency of the endpoints.

    Raises:
        ProblemError: the query has a parameter that the description of the operation does not name, or one twice.
    """
    path = getattr(connection.scope.get("route"), "path", "")
    operation = connection.app.openapi()["paths"].get(path, {}).get(connection.scope.get("method", "").lower())
    if operation is None or path in _LENIENT:
        return
    known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
    names = [name for name, _ in connection.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise ProblemError("input-invalid", unknown_name(name, known))
        if names.count(name) > 1:
            raise ProblemError("input-invalid", f"{name} is given more than once: several values are one, with commas")


def unknown_name(name: str, known: Collection[str]) -> str:
    """What is wrong about a parameter that there is not, and which one may be meant."""
    near = difflib.get_close_matches(name, known, 1)
    there_are = (
        f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}" if known else "there is none here"
    )
    return f"no query parameter {one_line(name)[:_SHOWN]!r}; {there_are}"
