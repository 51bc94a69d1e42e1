"""ONNX Runtime sessions on the CPU, with the settings this package relies on."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cpus import thread_count
from mien.errors import MissingFileError, ModelError

if TYPE_CHECKING:
    import onnxruntime

_log = logging.getLogger(__name__)
_ERRORS_ONLY = 3


def open_session(model: bytes | Path, *, threads: int | None = None, name: str = "") -> onnxruntime.InferenceSession:
    """Load an ONNX model for the CPU. The session's ``run`` may be called from several threads.

    Args:
        model: the file, or its content.
        threads: threads inside one operator; None takes the available CPUs, at most 4.
        name: what messages call it; by default its path.

    Raises:
        MissingFileError: there is no such file.
        ModelError: the file is not an ONNX model, or one this ONNX Runtime cannot run.
        InputError: ``threads`` is below 1.
    """
    # ONNX Runtime (1.29 and later, on Windows all) tells Microsoft about models and machine unless both are said: the
    # variable before it is loaded, or it writes a number for this machine into the home folder
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = thread_count(threads)
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    # threads that spin between calls take the CPU from OpenCV, decoding and the other sessions
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    name = name or ("the model" if isinstance(model, bytes) else str(model))
    if isinstance(model, Path) and not model.is_file():
        raise MissingFileError(f"{model}: no such model file; check the path")
    try:
        session = ort.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except _refusals() as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{name} cannot be loaded by ONNX Runtime {ort.__version__}: get the file again ({reason.rstrip('.')})"
        ) from error
    _log.info("%s runs on %s", name, ", ".join(session.get_providers()))
    return session


def run(session: onnxruntime.InferenceSession, names: Sequence[str], given: Mapping[str, Any], who: str) -> list[Any]:
    """The outputs of these names; `ModelError` where the network cannot be computed."""
    try:
        outputs: list[Any] = session.run(list(names), dict(given))
    except _refusals() as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"model {who!r} cannot be computed: export it again ({reason.rstrip('.')})") from error
    return outputs


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its classes have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        ValueError,  # of the Python layer: an input is missing
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    )
