"""ONNX Runtime sessions, with the settings that this package relies on."""

from __future__ import annotations

import ctypes
import os
import warnings
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cpus import thread_count
from mien.defaults import DEVICE
from mien.errors import MissingFileError, ModelError
from mien.logger import get_logger
from mien.models.devices import CPU_PROVIDER, Device, DeviceWarning, load_libraries, parse_device

if TYPE_CHECKING:
    import onnxruntime

_log = get_logger(__name__)

_ERRORS_ONLY = 3


class Session:
    """A network in ONNX Runtime. ``run`` may be called from several threads.

    It is pickled with its model and may be forked: threads of a process do not exist in its forks, so a session that
    has threads is loaded again there, on first use.
    """

    def __init__(self, model: bytes | Path, threads: int, name: str | None, device: Device) -> None:
        self._arguments = model, threads, name, device
        self._loaded: onnxruntime.InferenceSession | None = _load(model, threads, name, device)
        _sessions.add(self)

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
        """One array per name in ``outputs``, or of all outputs for None; errors are those of ONNX Runtime."""
        arrays: list[Any] = self._session.run(None if outputs is None else list(outputs), dict(inputs))
        return arrays

    @property
    def inputs(self) -> list[Any]:
        """Name, type and shape of each input."""
        return list(self._session.get_inputs())

    @property
    def outputs(self) -> list[Any]:
        """Name, type and shape of each output."""
        return list(self._session.get_outputs())

    @property
    def metadata(self) -> dict[str, str]:
        """Text that the model's file holds beside the network."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def providers(self) -> list[str]:
        """Execution providers of ONNX Runtime that it runs on, the first one first."""
        return list(self._session.get_providers())

    @property
    def _session(self) -> onnxruntime.InferenceSession:
        # two threads that load it at once do no harm
        if self._loaded is None:
            self._loaded = _load(*self._arguments)
        return self._loaded

    def __reduce__(self) -> tuple[Any, ...]:
        return Session, self._arguments

    def leave_to_parent(self) -> None:
        """Give up what a fork has inherited, without ending it: that would wait for threads which only the parent has.

        ONNX Runtime crashes the process where it does; so the object is kept until the process ends.
        """
        if self._loaded is not None and self._arguments[1] > 1:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._loaded))
            self._loaded = None


_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in _sessions:
        session.leave_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def open_session(model: bytes | Path, *, threads: int | None = None, name: str = "", device: str = DEVICE) -> Session:
    """Load an ONNX model.

    Args:
        model: the file, or its content.
        threads: threads inside one operator; None takes the available CPUs, at most 4.
        name: stands for the path in error messages; by default the path.
        device: a name in `mien.models.devices.DEVICES`, with its unit after a colon if wanted: "cuda:1".

    Warns:
        DeviceWarning: the device did not load, and the network runs on the processor.

    Raises:
        MissingFileError: there is no such file.
        ModelError: the file is not an ONNX model, or one this ONNX Runtime cannot run.
        InputError: ``threads`` is below 1, or no such device.
    """
    path = name or (None if isinstance(model, bytes) else str(model))
    return Session(model, thread_count(threads), path, parse_device(device))


def _load(model: bytes | Path, threads: int, path: str | None, device: Device) -> onnxruntime.InferenceSession:
    import onnxruntime as ort

    ort.disable_telemetry_events()  # beside the variable that `mien` sets
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    # threads that spin between calls take the CPU from OpenCV, decoding and the other sessions
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    if isinstance(model, Path) and not model.is_file():
        raise MissingFileError("no such model file", path=model, advice="check the path")
    source = model if isinstance(model, bytes) else str(model)
    provider, reason = device.info.provider, ""
    try:
        session = None
        if provider != CPU_PROVIDER and provider in ort.get_available_providers():
            load_libraries(device)
            try:
                # its own fallback prints on stdout
                session = ort.InferenceSession(source, options, providers=device.providers(threads), enable_fallback=0)
            except _onnxruntime_errors() as error:
                reason = f" ({_one_sentence(error)})"
        if session is None:
            session = ort.InferenceSession(source, options, providers=[CPU_PROVIDER])
    except _onnxruntime_errors() as error:
        raise ModelError(
            f"the model cannot be loaded by ONNX Runtime {ort.__version__} ({_one_sentence(error)})",
            path=path,
            advice="get the file again",
        ) from error
    if provider not in session.get_providers():
        warnings.warn(_not_loaded(device, reason), DeviceWarning, stacklevel=2)
    _log.info("%s runs on %s", path or "the model", ", ".join(session.get_providers()))
    return session


def run_session(session: Session, outputs: Sequence[str], inputs: Mapping[str, Any], model: str) -> list[Any]:
    """Run a network once.

    Args:
        session: from `open_session`.
        outputs: names of the outputs to return.
        inputs: input name → array.
        model: name of the model for error messages.

    Returns:
        One array per name in ``outputs``.

    Raises:
        ModelError: the network cannot be computed.
    """
    try:
        return session.run(outputs, inputs)
    except _onnxruntime_errors() as error:
        raise ModelError(
            f"model {model!r} cannot be computed ({_one_sentence(error)})", advice="export it again"
        ) from error


def _not_loaded(device: Device, reason: str) -> str:
    return (
        f"device {device} did not load{reason}, so networks run on the processor; it needs {device.info.needs} "
        "(`mien doctor` lists what loads)"
    )


def _one_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _onnxruntime_errors() -> tuple[type[Exception], ...]:
    """The exceptions of ONNX Runtime; they have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        ValueError,  # raised by its Python layer, for example where an input is missing
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )
