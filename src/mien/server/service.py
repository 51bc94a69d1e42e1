"""What the endpoints share: one engine, the limits, the counters, the videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from mien.server.access import Access
from mien.server.engine import Engine
from mien.server.limits import Limits
from mien.server.metrics import Metrics

if TYPE_CHECKING:
    from mien.server.jobs import Jobs


@dataclass
class Service:
    """One running service.

    Attributes:
        engine: what analyses.
        limits: what is allowed.
        access: who may ask.
        metrics: the counters.
        jobs: the videos.
        ready: whether work is taken; False before the start and after the sign to stop.
        live: live connections.
    """

    engine: Engine
    limits: Limits
    access: Access
    metrics: Metrics
    jobs: Jobs
    ready: bool = False
    live: int = 0


def service_of(connection: HTTPConnection) -> Service:
    """The service that a request or WebSocket came to."""
    service: Any = connection.app.state.service
    if not isinstance(service, Service):
        raise TypeError("the app was not made by create_app")
    return service
