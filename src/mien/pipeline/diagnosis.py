"""What this installation consists of, whether it works, and how fast it is here: the values of ``mien doctor``."""

from __future__ import annotations

import functools
import os
import platform
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mien import defaults
from mien.cpus import available_cpus, machine_cpus, processor_name, thread_count
from mien.detect import DETECTORS, make_detector
from mien.detect.mien import FLOAT_NETWORK, LANDMARKS, NETWORK
from mien.errors import MienError
from mien.extras import installed_version, installed_versions
from mien.models.catalog import MODELS, read_model
from mien.models.devices import DEVICES, parse_device
from mien.models.model import Model
from mien.models.session import open_session

PICTURE = 640, 480
"""Size of the picture that the detector is measured on: gray noise without a face."""
FACES = 16
"""Faces that a network is measured on together."""
_RUNS, _LEAST_RUNS, _SECONDS = 30, 5, 2.0
"""Runs of a measurement at most and at least, and the time after which no further one begins."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device of `mien.models.devices.DEVICES` on this machine.

    Attributes:
        name: its name there.
        installed: whether this ONNX Runtime was built with its provider.
        reason: why it does not load, None where a network runs on it.
        needs: what it needs.
    """

    name: str
    installed: bool
    reason: str | None
    needs: str


@dataclass(frozen=True, slots=True)
class FileState:
    """A shipped file.

    Attributes:
        name: its name.
        reason: why it cannot be used, None where its hash is right and it loads.
    """

    name: str
    reason: str | None


def machine() -> dict[str, Any]:
    """Processor, memory and versions; JSON-ready, and without a name of the machine or of its user."""
    import mien

    return {
        "mien": mien.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": processor_name(),
        "cpus": machine_cpus(),
        "available_cpus": available_cpus(),
        "memory_gib": _memory_gib(),
        "packages": installed_versions(core_packages()),
    }


def core_packages() -> list[str]:
    """What the package depends on without extras, and ONNX Runtime under the names of its other builds."""
    names = [name for name, extra in _requirements() if extra is None]
    return names + [info.needs.split(",")[0].partition("[")[0] for info in DEVICES.values() if info.needs not in names]


def extras() -> dict[str, list[str]]:
    """Every extra, as in ``pip install 'mien[NAME]'``, with its packages that are not installed."""
    by_extra: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra is not None:
            by_extra.setdefault(extra, [])
            if name != "mien" and installed_version(name) is None:
                by_extra[extra].append(name)
    return by_extra


def devices() -> list[DeviceState]:
    """Every device, each tried with a small network."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    states = []
    for name, info in DEVICES.items():
        installed = info.provider in available
        reason = _device_problem(name) if installed else "this ONNX Runtime was built without it"
        states.append(DeviceState(name, installed, reason, info.needs))
    return states


def _device_problem(device: str) -> str | None:
    """Why a device whose provider is installed does not load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = open_session(LANDMARKS.read(), threads=1, name=LANDMARKS.filename, device=device)
    loads = parse_device(device).info.provider in session.providers
    return None if loads else "its libraries or its hardware were not found"


def files() -> list[FileState]:
    """Every shipped network: its hash is compared, and it is loaded."""
    contents: dict[str, Callable[[], bytes]] = {}
    for name, row in MODELS.items():
        contents[row.filename] = lambda name=name: read_model(name)  # type: ignore[misc]
    contents |= {Path(each.filename).name: each.read for each in (NETWORK, FLOAT_NETWORK, LANDMARKS)}
    return [FileState(name, _file_problem(name, read)) for name, read in contents.items()]


def _file_problem(name: str, read: Callable[[], bytes]) -> str | None:
    try:
        open_session(read(), threads=1, name=name)
    except MienError as error:
        return str(error)
    return None


def benchmark(device: str = defaults.DEVICE, threads: int | None = None) -> dict[str, Any]:
    """How fast this machine is: one JSON-ready row.

    Args:
        device: what networks run on.
        threads: processor threads, None for the available CPUs, at most 4.

    Returns:
        ``machine``, ``device``, ``threads``, ``load`` (processes that wanted a CPU before, None where it is not
        known), and ``ms``: measurement → median and least milliseconds.

    Warns:
        DeviceWarning: the device did not load; the row then states the processor.
    """
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    width, height = PICTURE
    random = np.random.default_rng(0)
    picture = random.integers(96, 160, (height, width, 3), dtype=np.uint8)
    detector = make_detector(threads=threads, device=device)
    measured = {f"detect {width}x{height}": _measure(lambda: detector.detect(picture))}
    for name in defaults.MODELS:
        model = Model(read_model(name), threads=threads, name=name, device=device)
        card = model.card
        for count in (1, FACES):
            crops = random.integers(0, 256, (count, card.size, card.size, card.n_channels), dtype=np.uint8)
            measured[f"{name}, {count} face{'s' if count > 1 else ''}"] = _measure(functools.partial(model, crops))
    loads = device == defaults.DEVICE or _device_problem(device) is None
    return {
        "machine": machine(),
        "device": device if loads else defaults.DEVICE,
        "threads": thread_count(threads),
        "load": load,
        "ms": measured,
    }


def _measure(run: Callable[[], object]) -> Mapping[str, float]:
    """Median and least time of a call, milliseconds; the first one, which loads what is missing, does not count."""
    run()
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _LEAST_RUNS or (len(times) < _RUNS and time.perf_counter() < end):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return {"median": round(statistics.median(times), 2), "least": round(min(times), 2)}


def report(device: str = defaults.DEVICE, threads: int | None = None) -> dict[str, Any]:
    """All of this in one JSON-ready value."""
    states = files()
    row: dict[str, Any] = {"machine": machine(), "device": device, "threads": thread_count(threads), "ms": {}}
    if all(each.reason is None for each in states):
        row = benchmark(device, threads)
    return {
        **row,
        "executable": sys.executable,
        "devices": [asdict(each) for each in devices()] if row["ms"] else [],
        "files": [asdict(each) for each in states],
        "extras": extras(),
        "detectors": {name: _detector_problem(name) for name in DETECTORS},
    }


def _detector_problem(name: str) -> str | None:
    """Why a detector cannot be used."""
    try:
        make_detector(name, threads=1)
    except MienError as error:
        return str(error)
    return None


def _requirements() -> list[tuple[str, str | None]]:
    """Names of the packages that this one asks for, each with its extra."""
    try:
        lines = metadata.requires("mien") or []
    except metadata.PackageNotFoundError:
        lines = []
    found = []
    for line in lines:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == [\'\"]([\w-]+)", line)
        if name is not None:
            found.append((name[0], extra[1] if extra else None))
    return found


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1)
    except (AttributeError, OSError, ValueError):
        return None  # Windows has no sysconf
