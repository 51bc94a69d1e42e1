"""The trained networks as ONNX: float32 with batch statistics folded, and 8 bits with ranges from training crops.

The graph's input ``images`` is RGB uint8 ``(n, h, w, 3)``, h and w multiples of 32: no caller has to normalise or to
transpose. The detector's outputs ``stride8``, ``stride16``, ``stride32`` are what `mien.networks.detector` describes.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.detect.landmark_refinement import SIDE
from mien.detect.mien import OUTPUTS
from mien.errors import ExportError
from mien.networks.detector import PIXEL_MEAN, PIXEL_SCALE, FaceDetector
from mien.networks.landmarks import LandmarkNetwork
from mien.training.onnx_export import export_program, quantize_content

INPUT = "images"
METADATA_KEY = "mien.detector"


class _FromBytes(nn.Module):
    """A network with its preprocessing."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        pixels = (images.float() - PIXEL_MEAN) * (1 / PIXEL_SCALE)
        outputs: Tensor | tuple[Tensor, ...] = self.module(pixels.permute(0, 3, 1, 2))
        return outputs


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch statistics are part of the convolutions."""
    folded = copy.deepcopy(module).float().eval()
    for parent in list(folded.modules()):
        names = [name for name, _ in parent.named_children()]
        for first, second in itertools.pairwise(names):
            convolution, norm = getattr(parent, first), getattr(parent, second)
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, first, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, second, nn.Identity())
    return folded


def export_detector(module: FaceDetector) -> bytes:
    """The detector as an ONNX file in float32.

    Raises:
        ExportError: torch could not export it, or the file computes something else.
    """
    rows, columns = torch.export.Dim("rows"), torch.export.Dim("columns")
    return _export(module, (64, 96), {1: 32 * rows, 2: 32 * columns}, OUTPUTS, [(1, 64, 64), (2, 96, 160)])


def export_landmarks(module: LandmarkNetwork) -> bytes:
    """The network of landmarks as an ONNX file in float32: ``images`` ``(n, 48, 48, 3)`` → ``points`` ``(n, 10)``.

    Raises:
        ExportError: torch could not export it, or the file computes something else.
    """
    return _export(module, (SIDE, SIDE), {}, ("points",), [(1, SIDE, SIDE), (5, SIDE, SIDE)])


def _export(
    module: nn.Module,
    size: tuple[int, int],
    dynamic: dict[int, object],
    outputs: Sequence[str],
    checked: Sequence[tuple[int, int, int]],
) -> bytes:
    """ONNX bytes of a network with preprocessing, compared with it on noise of the sizes ``checked``."""
    wrapped = _FromBytes(fold_batch_norm(module)).eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8, generator=generator)
    model = export_program(
        wrapped,
        (example,),
        inputs=[INPUT],
        outputs=outputs,
        dynamic_shapes={"images": {0: torch.export.Dim("n"), **dynamic}},
    )
    content = bytes(model.SerializeToString(deterministic=True))
    difference = _difference(wrapped, content, checked)
    if difference > 1e-3:
        raise ExportError(f"the exported network differs from the trained one by {difference:.2g}")
    return content


def _difference(wrapped: nn.Module, content: bytes, shapes: Sequence[tuple[int, int, int]]) -> float:
    """Largest absolute difference between the outputs of a network and of its export."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for shape in shapes:
        images = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        with torch.inference_mode():
            expected = wrapped(torch.from_numpy(images))
        expected = expected if isinstance(expected, tuple) else (expected,)
        for ours, theirs in zip(expected, session.run(None, {INPUT: images}), strict=True):
            largest = max(largest, float(np.abs(ours.numpy() - theirs).max()))
    return largest


def quantize_detector(content: bytes, pictures: Iterable[NDArray[np.uint8]]) -> bytes:
    """An exported detector in 8 bits; the layers that predict stay in float32.

    Args:
        content: what `export_detector` returned.
        pictures: RGB uint8 ``(side, side, 3)`` on which ranges are measured: training crops.
    """

    def predicting(graph: onnx.ModelProto) -> list[str]:
        return [node.name for node in graph.graph.node if set(node.output) & set(OUTPUTS)]

    quantized = quantize_content(
        content, _CalibrationPictures(pictures), exclude=predicting, operators=("Conv", "Relu", "Add", "Resize")
    )
    _take_bytes(quantized)
    onnx.checker.check_model(quantized)
    return bytes(quantized.SerializeToString(deterministic=True))


def describe(content: bytes, description: Mapping[str, object]) -> bytes:
    """The same ONNX file with a description as JSON in its metadata, under `METADATA_KEY`."""
    model = onnx.load_from_string(content)
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(description, ensure_ascii=False, sort_keys=True)
    return bytes(model.SerializeToString(deterministic=True))


def _take_bytes(model: onnx.ModelProto) -> None:
    """Let the first convolution take the picture's bytes as its 8-bit input.

    A pixel ``p`` is ``(p - 128) / 128`` to the network: byte ``p`` with scale 1/128 and zero point 128. So the way over
    float32 and back is not needed.
    """
    graph = model.graph
    readers = {name: node for node in graph.node for name in node.input}
    node, chain = readers[INPUT], []
    while node.op_type != "DequantizeLinear":
        chain.append(node)
        node = readers[node.output[0]]
    transposes = [each for each in chain if each.op_type == "Transpose"]
    if len(transposes) != 1 or chain[-1].op_type != "QuantizeLinear":
        raise ExportError(f"unexpected preprocessing in the graph: {', '.join(each.op_type for each in chain)}")
    for each in chain:
        graph.node.remove(each)
    transpose = onnx.helper.make_node("Transpose", [INPUT], ["bytes_first"], name="bytes_first", perm=[0, 3, 1, 2])
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(1 / PIXEL_SCALE, np.float32), "bytes_scale"),
            onnx.numpy_helper.from_array(np.array(PIXEL_MEAN, np.uint8), "bytes_zero_point"),
        ]
    )
    del node.input[:]
    node.input.extend(["bytes_first", "bytes_scale", "bytes_zero_point"])
    graph.node.insert(0, transpose)
    used = {name for each in graph.node for name in each.input}
    for unused in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(unused)


class _CalibrationPictures:
    """Hands out pictures one by one, in the form that ONNX Runtime's calibration asks for."""

    def __init__(self, pictures: Iterable[NDArray[np.uint8]]) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next input, None after the last."""
        picture = next(self._pictures, None)
        return None if picture is None else {INPUT: picture[None]}

    def __iter__(self) -> Iterator[dict[str, NDArray[np.uint8]]]:
        while (entry := self.get_next()) is not None:
            yield entry
