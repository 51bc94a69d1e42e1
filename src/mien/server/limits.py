"""Everything that the service bounds, in one place: `ServiceLimits`, and where its values come from."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mien import defaults
from mien.errors import InputError

ENVIRONMENT_PREFIX = "MIEN_SERVE_"
"""Start of the names of the environment variables; the rest is the limit's name in capitals."""

_PREFIX = re.compile(r"MIEN_?(SERV(E|ER|ICE)?_?)?")
_OF_CONTAINERS = re.compile(r"MIEN_(SERVICE_(HOST|PORT)|PORT)(_.*)?")
_MIB = 1 << 20
_NEAR = 0.8
"""Similarity of a name to one that is read, from which it counts as misspelt."""


def _limit(default: float, text: str, unit: str, minimum: float = 1) -> Any:
    return field(default=default, metadata={"text": text, "unit": unit, "minimum": minimum})


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What is allowed. Each is an option of ``mien serve`` and an environment variable; see `describe_limits`.

    Raises:
        InputError: a value out of range.

    Examples:
        >>> ServiceLimits(images=4).to_dict()["images"]
        4
    """

    body_bytes: int = _limit(32 * _MIB, "size of a request with photos", "bytes", 1024)
    images: int = _limit(16, "photos in a request", "photos")
    pixels: int = _limit(defaults.PAGE_PIXELS, "pixels of a photo; JPEG and HEIC files of more are shrunk", "pixels")
    decoders: int = _limit(3, "processes that decode photos whose header does not bound the time", "processes")
    client_decoders: int = _limit(2, "the same, for one address", "processes")
    decode_seconds: float = _limit(
        15.0, "processor time to decode such a photo, or a packet of a video", "seconds", 0.1
    )
    decode_bytes: int = _limit(1024 * _MIB, "memory of such a process (Linux)", "bytes", 64 * _MIB)
    faces: int = _limit(defaults.PAGE_FACES, "faces returned per photo or frame, best score first", "faces")
    video_bytes: int = _limit(512 * _MIB, "size of an uploaded video", "bytes", 1024)
    video_seconds: float = _limit(600.0, "length of the part of a video that is analysed", "seconds", 0.1)
    video_pixels: int = _limit(9_500_000, "pixels of a video's frame", "pixels")
    requests: int = _limit(64, "requests that compute or upload at once", "requests")
    client_requests: int = _limit(32, "the same, from one address", "requests")
    rate: float = _limit(50.0, "requests per second from one address, over time; 0 for no limit", "per second", 0)
    burst: int = _limit(100, "requests that one address may send at once before the rate counts", "requests")
    memory_bytes: int = _limit(
        512 * _MIB, "memory for the bodies of all requests with photos at once, parsed", "bytes", 1024
    )
    request_seconds: float = _limit(30.0, "time to answer a request after its upload", "seconds", 0.1)
    idle_seconds: float = _limit(10.0, "pause in an upload, or while a client reads an answer", "seconds", 0.1)
    upload_seconds: float = _limit(300.0, "time to upload a request", "seconds", 0.1)
    header_bytes: int = _limit(16_384, "size of a request's head", "bytes", 1024)
    header_seconds: float = _limit(10.0, "time to send a request's head", "seconds", 0.1)
    connections: int = _limit(256, "open connections", "connections")
    client_connections: int = _limit(128, "the same, from one address", "connections")
    keep_alive_seconds: float = _limit(5.0, "time an idle connection stays open", "seconds", 0.1)
    batch: int = _limit(16, "photos whose faces are classified together", "photos")
    batch_ms: float = _limit(5.0, "wait for more photos to classify together, while more are in progress", "ms", 0)
    live: int = _limit(4, "live connections", "connections")
    live_bytes: int = _limit(4 * _MIB, "size of a live frame", "bytes", 1024)
    live_pixels: int = _limit(2_500_000, "pixels of a live frame", "pixels")
    live_idle_seconds: float = _limit(30.0, "pause between live frames", "seconds", 0.1)
    live_seconds: float = _limit(14_400.0, "length of a live connection", "seconds", 1)
    jobs: int = _limit(8, "videos kept: queued, running and done", "videos")
    client_jobs: int = _limit(4, "the same, from one address", "videos")
    jobs_running: int = _limit(1, "videos analysed at once", "videos")
    job_seconds: float = _limit(3600.0, "time to analyse a video", "seconds", 0.01)
    job_bytes: int = _limit(256 * _MIB, "size of the tables of a video", "bytes", 1024)
    keep_seconds: float = _limit(3600.0, "time that the result of a video is kept", "seconds", 0.1)
    shutdown_seconds: float = _limit(30.0, "time that requests have to finish when the service stops", "seconds", 0)

    def __post_init__(self) -> None:
        for one in fields(self):
            value, minimum = getattr(self, one.name), one.metadata["minimum"]
            if not minimum <= value < float("inf"):
                raise InputError(f"{one.name} is at least {minimum} {one.metadata['unit']}, got {value}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: name → value."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LimitDescription:
    """A limit for people.

    Attributes:
        name: of the field of `ServiceLimits`.
        default: its default.
        text: what it bounds.
        unit: its unit.
        whole: whether it is a whole number.

    Examples:
        >>> describe_limits()[1]
        LimitDescription(name='images', default=16, text='photos in a request', unit='photos', whole=True)
    """

    name: str
    default: int | float
    text: str
    unit: str
    whole: bool


def describe_limits() -> list[LimitDescription]:
    """All limits, in order.

    Examples:
        >>> [limit.name for limit in describe_limits()][:3]
        ['body_bytes', 'images', 'pixels']
    """
    defaults = ServiceLimits()
    return [
        LimitDescription(
            one.name, getattr(defaults, one.name), one.metadata["text"], one.metadata["unit"], one.type == "int"
        )
        for one in fields(ServiceLimits)
    ]


def load_limits(environment: Mapping[str, str], options: Mapping[str, float | None]) -> ServiceLimits:
    """Limits from the options, else from the environment, else the defaults.

    Args:
        environment: variables, such as ``MIEN_SERVE_IMAGES``.
        options: name of a limit → its value, None where the option was not given.

    Raises:
        InputError: a value that is no number, or out of range.

    Examples:
        >>> load_limits({"MIEN_SERVE_IMAGES": "4"}, {"rate": 10.0}).images
        4
    """
    descriptions = {one.name: one for one in describe_limits()}
    values: dict[str, Any] = {}
    for name, one in descriptions.items():
        text = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            try:
                values[name] = int(text) if one.whole else float(text)
            except ValueError:
                kind = "whole number" if one.whole else "number"
                variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
                raise InputError(f"{variable} is a {kind} of {one.unit}, got {text!r}") from None
    values |= {name: value for name, value in options.items() if value is not None}
    return ServiceLimits(**values)


def unread_variables(environment: Mapping[str, str], others: Collection[str] = ()) -> dict[str, str | None]:
    """Variables of the environment that look like those of Mien but are not read → the one that may be meant.

    What Kubernetes and Docker set for a service of the name "mien" (``MIEN_SERVICE_HOST``, ``MIEN_PORT_8000_TCP``) is
    left out.

    Args:
        environment: the environment.
        others: variables that are read and are no limits.
    """
    limits = {one.name.upper(): ENVIRONMENT_PREFIX + one.name.upper() for one in describe_limits()}
    known = {*others, *limits.values()}
    unread: dict[str, str | None] = {}
    for name in environment:
        capitals = name.upper()
        if name in known or not capitals.startswith("MIEN") or _OF_CONTAINERS.fullmatch(capitals):
            continue
        # prefixes are alike in all names, so only what follows them is compared
        near = difflib.get_close_matches(_PREFIX.sub("", capitals), limits, 1, _NEAR)
        meant = limits[near[0]] if near else next(iter(difflib.get_close_matches(capitals, others, 1, _NEAR)), None)
        if meant or capitals.startswith(ENVIRONMENT_PREFIX):
            unread[name] = meant
    return unread
