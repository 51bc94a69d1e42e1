"""The calls of torch's exporter and of ONNX Runtime's quantiser, with the settings that all networks share."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from torch import nn

from mien.errors import ExportError
from mien.files import temporary_folder

OPSET = 18
"""Version of ONNX's operators in exported files."""
WEIGHT_PREFIX = "module."
"""What precedes the name of a weight in exported files: the network is wrapped, in its attribute ``module``."""
PERCENTILE = 99.999
"""Share of the activations, in per cent, that the range of a tensor in 8 bits covers."""


def export_program(
    wrapped: nn.Module,
    arguments: tuple[Any, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_shapes: Mapping[str, Any],
    kwargs: dict[str, Any] | None = None,
) -> onnx.ModelProto:
    """The network as ONNX, checked, without what depends on the machine.

    Args:
        wrapped: a network in evaluation mode whose attribute ``module`` is the network itself.
        arguments: example inputs of its ``forward``.
        inputs: names of the inputs.
        outputs: names of the outputs.
        dynamic_shapes: parameter of ``forward`` → axes of any size, as `torch.export.export` takes them.
        kwargs: example inputs by name.

    Raises:
        ExportError: torch could not export it.
    """
    with silence_libraries():
        program = torch.onnx.export(
            wrapped, arguments, kwargs=kwargs, dynamo=True, input_names=list(inputs), output_names=list(outputs),
            dynamic_shapes=dict(dynamic_shapes), opset_version=OPSET,
        )  # fmt: skip
    if program is None:
        raise ExportError("torch could not export this network", code="export-failed")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    return model


def quantize_content(
    content: bytes,
    calibration: object,
    *,
    exclude: Callable[[onnx.ModelProto], Sequence[str]],
    operators: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """A float32 network in 8 bits, with a scale per channel of the weights; without metadata.

    Args:
        content: the ONNX file.
        calibration: hands out inputs on which the ranges of activations are measured, as ONNX Runtime's
            ``CalibrationDataReader`` does.
        exclude: the network with constants and batch norms folded → names of the nodes that stay in float32.
        operators: kinds of nodes that are quantised; None for all that can be.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with temporary_folder() as folder, silence_libraries():
        source, prepared, quantized = (folder / f"{name}.onnx" for name in ("source", "prepared", "quantized"))
        source.write_bytes(content)
        # shapes are known already; the purpose is to fold constants and batch norms
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(quantized), calibration, quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
            op_types_to_quantize=None if operators is None else list(operators),
            nodes_to_exclude=list(exclude(onnx.load(prepared))), calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )  # fmt: skip
        model = onnx.load(quantized)
    del model.metadata_props[:]
    return model


@contextlib.contextmanager
def silence_libraries() -> Iterator[None]:
    """Without what exporter and quantiser print, log and warn of; errors are still raised."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            # torch's exporter uses what other parts of torch have deprecated
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _strip(model: onnx.ModelProto) -> None:
    """Remove what depends on the machine: source paths and stack traces that the exporter adds."""
    model.producer_version = ""
    model.doc_string = ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
