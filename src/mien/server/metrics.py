"""Counters for Prometheus. Labels are names of routes and codes of problems, never what a client sent."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ServiceMetrics:
    """The counters of one service; attributes are Prometheus's own objects."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("mien_requests", "Requests answered", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            "mien_request_seconds", "Time from head to answer", ["route"], buckets=_SECONDS, registry=registry
        )
        self.problems = Counter("mien_problems", "Requests answered with a problem", ["code"], registry=registry)
        self.in_flight = Gauge("mien_requests_in_flight", "Requests that compute or upload", registry=registry)
        self.photos = Counter("mien_photos", "Photos analysed", registry=registry)
        self.faces = Counter("mien_faces", "Faces returned for photos", registry=registry)
        self.batches = Histogram(
            "mien_batch_photos", "Photos classified together", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.live = Gauge("mien_live_connections", "Live connections", registry=registry)
        self.live_frames = Counter("mien_live_frames", "Live frames", ["outcome"], registry=registry)
        self.videos = Counter("mien_videos", "Videos that ended", ["status"], registry=registry)
        self._queue = Gauge("mien_pool_waiting", "Tasks that no thread has started", registry=registry)
        self._jobs = Gauge("mien_videos_kept", "Videos queued, running and done", registry=registry)

    def set_gauges(self, waiting: Callable[[], float], jobs: Callable[[], float]) -> None:
        """Call these whenever the metrics are read.

        Args:
            waiting: number of tasks that no thread has started.
            jobs: number of videos kept.
        """
        self._queue.set_function(waiting)
        self._jobs.set_function(jobs)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
