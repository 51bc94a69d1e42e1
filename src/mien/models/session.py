"""ONNX Runtime sessions on the CPU, with the settings that this package relies on."""

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
        name: stands for the path in error messages; by default the path.

    Raises:
        MissingFileError: there is no such file.
        ModelError: the file is not an ONNX model, or one this ONNX Runtime cannot run.
        InputError: ``threads`` is below 1.
    """
    # ONNX Runtime (1.29 and later, on Windows all) sends data on models and machine to Microsoft unless both are off;
    # the variable has to be set before it is loaded, or it writes an identifier of the machine into the home folder
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

    path = name or (None if isinstance(model, bytes) else str(model))
    if isinstance(model, Path) and not model.is_file():
        raise MissingFileError("no such model file", path=model, advice="check the path")
    try:
        session = ort.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except _onnxruntime_errors() as error:
        raise ModelError(
            f"the model cannot be loaded by ONNX Runtime {ort.__version__} ({_one_sentence(error)})",
            path=path,
            advice="get the file again",
        ) from error
    _log.info("%s runs on %s", path or "the model", ", ".join(session.get_providers()))
    return session


def run_session(
    session: onnxruntime.InferenceSession, outputs: Sequence[str], inputs: Mapping[str, Any], model: str
) -> list[Any]:
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
        arrays: list[Any] = session.run(list(outputs), dict(inputs))
    except _onnxruntime_errors() as error:
        raise ModelError(
            f"model {model!r} cannot be computed ({_one_sentence(error)})", advice="export it again"
        ) from error
    return arrays


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
