"""Counters for Prometheus. Labels are names of routes and codes of problems, never what a client sent.

Names follow Prometheus's rules: base units (seconds), ``_total`` for counters, ``_info`` for what does not change.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import onnxruntime
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from mien.server.worker_pool import WorkKind

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SHORT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ServiceMetrics:
    """The counters of one service; attributes are Prometheus's own objects."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._build = Info("mien_build", "What runs", registry=registry)
        self.requests = Counter(
            "mien_http_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "mien_http_request_duration_seconds", "Time from head to answer", ["route"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.in_flight = Gauge("mien_http_requests_in_flight", "Requests that compute or upload", registry=registry)
        self.problems = Counter("mien_problems", "Requests answered with a problem", ["code"], registry=registry)
        self.inference = Histogram(
            "mien_inference_duration_seconds", "Time of one stage of inference", ["stage"], buckets=_SHORT_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.waits = Histogram(
            "mien_queue_wait_seconds", "Time that work waited for a thread", ["kind"], buckets=_SHORT_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._waiting = Gauge("mien_queue_tasks", "Tasks that no thread has started", ["kind"], registry=registry)
        self.batches = Histogram(
            "mien_batch_photos", "Photos classified together", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.photos = Counter("mien_photos", "Photos analysed", registry=registry)
        self.faces = Counter("mien_faces", "Faces returned for photos", registry=registry)
        self.live = Gauge("mien_live_connections", "Live connections", registry=registry)
        self.live_frames = Counter("mien_live_frames", "Live frames", ["outcome"], registry=registry)
        self.videos = Counter("mien_videos", "Videos that ended", ["status"], registry=registry)
        self._kept = Gauge("mien_videos_kept", "Videos queued, running and done", registry=registry)

    def set_build(self, models: Mapping[str, Any]) -> None:
        """Report versions.

        Args:
            models: description of the engine: its detector and its models.
        """
        self._build.info(
            {
                "version": version("mien"),
                "python": platform.python_version(),
                "onnxruntime": onnxruntime.__version__,
                "detector": str(models["detector"]),
                "models": ", ".join(models["models"].values()),
            }
        )

    def set_gauges(self, waiting: Callable[[WorkKind], float], kept: Callable[[], float]) -> None:
        """Call these whenever the metrics are read.

        Args:
            waiting: number of tasks of a kind that no thread has started.
            kept: number of videos kept.
        """

        def of_kind(kind: WorkKind) -> Callable[[], float]:
            return lambda: waiting(kind)

        for kind in WorkKind:
            self._waiting.labels(kind.value).set_function(of_kind(kind))
        self._kept.set_function(kept)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their media type, as the client accepts it."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type
