"""What the endpoints share: one engine, the limits, the counters, the videos."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from mien.server.access import AccessPolicy
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics

if TYPE_CHECKING:
    from mien.server.job_queue import JobQueue
    from mien.server.workdir import Workdir


@dataclass
class ServiceState:
    """The state of one running service.

    Attributes:
        engine: analyses photos and frames.
        limits: what is allowed.
        access: who may use the service.
        metrics: the counters.
        jobs: the videos.
        workdir: the folder of their files.
        ready: whether it accepts work; False before the start and after the signal to stop.
        live: the live connections; the event of one that has not sent its key yet is set to end it.
    """

    engine: InferenceEngine
    limits: ServiceLimits
    access: AccessPolicy
    metrics: ServiceMetrics
    jobs: JobQueue
    workdir: Workdir
    ready: bool = False
    live: dict[object, asyncio.Event | None] = field(default_factory=dict)


def service_state(connection: HTTPConnection) -> ServiceState:
    """The state of the service that a request or WebSocket came to."""
    service: Any = connection.app.state.service
    if not isinstance(service, ServiceState):
        raise TypeError("the app was not made by create_app")
    return service
