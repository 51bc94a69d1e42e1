"""MTCNN's three networks rebuilt from their weights: the same numbers in less time.

Run unchanged, the files of `mien.detect.mtcnn` spend much of their time on other things than arithmetic. With the same
weights, these graphs differ as follows:

- inputs are raw pixels: the normalisation ``(v - 127.5) / 128`` is folded into the first convolution, and the
  transposition of the pictures that the networks were trained on into all of them;
- PReLU, for which ONNX Runtime has no fast kernel, is ``a·x + relu((1 - a)·x)``: two depthwise convolutions, which keep
  the memory layout of their neighbours, so that nothing is reordered between layers;
- channels are padded with zeros to whole blocks of that layout;
- in P-Net, which processes the most pixels, max pooling comes before the first PReLU, which then covers a quarter of
  the values;
- the heads are one product, and the output is the difference of the two logits instead of a softmax over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.models.onnx_graph import Floats, OnnxGraph, read_constants

_BLOCK = 16
"""Channels in one block of ONNX Runtime's memory layout on processors with AVX-512; 8 elsewhere."""
INPUT = "pixels"
"""Name of the networks' input, uint8 ``(n, height, width, 3)`` RGB."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution without padding, its PReLU, and max pooling with stride 2."""

    weights: str
    slopes: str
    pool: int = 0
    padding: str = "SAME_UPPER"


_PNET = (
    _Layer("conv2d", "p_re_lu_initializer_8", 2),
    _Layer("conv2d_1", "p_re_lu_1_initializer_6"),
    _Layer("conv2d_2", "p_re_lu_2_initializer_3"),
)
_RNET = (
    _Layer("conv2d_5", "p_re_lu_3_initializer_14", 3),
    _Layer("conv2d_6", "p_re_lu_4_initializer_12", 3, "VALID"),
    _Layer("conv2d_7", "p_re_lu_5_initializer_10"),
)
_ONET = (
    _Layer("conv2d_8", "p_re_lu_7_initializer_22", 3),
    _Layer("conv2d_9", "p_re_lu_8_initializer_20", 3, "VALID"),
    _Layer("conv2d_10", "p_re_lu_9_initializer_18", 2),
    _Layer("conv2d_11", "p_re_lu_10_initializer_16"),
)


def build_pnet(file: bytes) -> bytes:
    """P-Net's ONNX file → one from pixels to a float32 map ``(n, 5, rows, columns)`` of cells two pixels apart.

    The five channels are a face's logit and the shifts of x1, y1, x2, y2 in cells of 12 pixels.
    """
    weights = read_constants(file)
    graph = OnnxGraph({INPUT: ["n", "height", "width", 3]})
    x = _add_convolutions(graph, weights, _PNET, pool_first=True)
    score, score_bias = _transpose_kernel(weights["conv2d_3/kernel:0"]), weights["conv2d_3/bias:0"]
    heads = [score[1:] - score[:1], _transpose_kernel(weights["conv2d_4/kernel:0"])]
    biases = [score_bias[1:] - score_bias[:1], weights["conv2d_4/bias:0"]]
    x = graph.add("Conv", x, np.concatenate(heads), np.concatenate(biases))
    return graph.to_bytes(x, ["n", 5, "rows", "columns"])


def build_rnet(file: bytes) -> bytes:
    """R-Net's ONNX file → one from pixels ``(n, 24, 24, 3)`` to float32 ``(n, 5)``: logit, four shifts as P-Net's."""
    return _build_classifier(file, 24, _RNET, "dense", ("dense_1", "dense_2"))


def build_onet(file: bytes) -> bytes:
    """O-Net's ONNX file → one from pixels ``(n, 48, 48, 3)`` to float32 ``(n, 15)``: those, then five x, five y."""
    return _build_classifier(file, 48, _ONET, "dense_3", ("dense_4", "dense_5", "dense_6"))


def _build_classifier(file: bytes, side: int, layers: tuple[_Layer, ...], dense: str, heads: tuple[str, ...]) -> bytes:
    weights = read_constants(file)
    graph = OnnxGraph({INPUT: ["n", side, side, 3]})
    x = _add_convolutions(graph, weights, layers)
    channels = len(weights[f"{layers[-1].weights}/bias:0"])
    kernel = weights[f"{dense}/kernel:0"]
    across = round((len(kernel) // channels) ** 0.5)
    # its rows are for (column, row, channel) of the transposed picture, its input here is (channel, row, column)
    kernel = kernel.reshape(across, across, channels, -1).transpose(2, 1, 0, 3).reshape(kernel.shape)
    x = graph.add("Gemm", graph.add("Flatten", x), kernel, weights[f"{dense}/bias:0"])
    x = graph.add("PRelu", x, weights["slope"])
    kernels = [weights[f"{head}/kernel:0"] for head in heads]
    biases = [weights[f"{head}/bias:0"] for head in heads]
    kernels[0], biases[0] = kernels[0][:, 1:] - kernels[0][:, :1], biases[0][1:] - biases[0][:1]
    x = graph.add("Gemm", x, np.concatenate(kernels, axis=1), np.concatenate(biases))
    return graph.to_bytes(x, ["n", sum(map(len, biases))])


def _add_convolutions(
    graph: OnnxGraph, weights: dict[str, Floats], layers: tuple[_Layer, ...], *, pool_first: bool = False
) -> str:
    x = graph.add("Cast", graph.add("Transpose", INPUT, perm=[0, 3, 1, 2]), to=1)
    channels = 3
    for i, layer in enumerate(layers):
        kernel, bias = _transpose_kernel(weights[f"{layer.weights}/kernel:0"]), weights[f"{layer.weights}/bias:0"]
        slopes = weights[layer.slopes].ravel()
        kernel = np.pad(kernel, ((0, 0), (0, channels - kernel.shape[1]), (0, 0), (0, 0)))
        more = -len(bias) % _BLOCK
        channels = len(bias) + more
        if i == 0:
            bias = bias - np.float32(127.5 / 128) * kernel.sum(axis=(1, 2, 3))
            kernel = kernel / np.float32(128)
        pool: dict[str, str | list[int]] = {
            "auto_pad": layer.padding, "kernel_shape": [layer.pool] * 2, "strides": [2, 2]
        }  # fmt: skip
        if i == 0 and pool_first:
            x = _add_pooled_first(graph, x, kernel, bias, slopes, pool)
            continue
        kernel = np.pad(kernel, ((0, more), (0, 0), (0, 0), (0, 0)))
        x = _add_prelu(graph, graph.add("Conv", x, kernel, np.pad(bias, (0, more))), np.pad(slopes, (0, more)))
        if layer.pool:
            x = graph.add("MaxPool", x, **pool)
    return x


def _transpose_kernel(kernel: Floats) -> Floats:
    """A convolution's weights for pictures that are not transposed."""
    return kernel.transpose(0, 1, 3, 2)


def _add_prelu(graph: OnnxGraph, x: str, slopes: Floats) -> str:
    """``a·x + relu((1 - a)·x)``, or ``x - relu((1 - a)·x)`` where a is above 1."""
    above = slopes > 1
    channels = len(slopes)

    def multiply(x: str, factors: NDArray[np.floating]) -> str:
        return graph.add("Conv", x, factors.reshape(-1, 1, 1, 1), np.zeros(channels), group=channels)

    bent = graph.add("Relu", multiply(x, 1 - slopes))
    if above.any():
        bent = multiply(bent, np.where(above, -1.0, 1.0))
    return graph.add("Add", multiply(x, np.where(above, 1.0, slopes)), bent)


def _add_pooled_first(
    graph: OnnxGraph, x: str, kernel: Floats, bias: Floats, slopes: Floats, pool: dict[str, str | list[int]]
) -> str:
    """Convolution, max pooling, PReLU; the same function as with the last two in the other order.

    Where a slope a is not negative, PReLU is monotonic and may come after the maximum. Where it is negative,
    ``prelu(y)`` is ``max(y, a·y)``, so both are convolved and pooled: ``max(m, n) = n + relu(m - n)``.
    """
    channels = len(slopes)
    padded = channels + -channels % _BLOCK
    falling = np.flatnonzero(slopes < 0)
    factors = slopes[falling]
    kernel = np.concatenate([kernel, kernel[falling] * factors[:, None, None, None]])
    bias = np.concatenate([bias, bias[falling] * factors])
    x = graph.add("MaxPool", graph.add("Conv", x, kernel, bias), **pool)
    above = np.pad(slopes, (0, padded - channels)) > 1
    # weights of the linear term and of the term inside the ReLU
    linear, rectified = np.zeros((2, padded, len(bias), 1, 1))
    for channel in range(channels):
        linear[channel, channel] = 1.0 if above[channel] else slopes[channel]
        rectified[channel, channel] = 1 - slopes[channel]
    for extra, channel in enumerate(falling.tolist(), start=channels):
        linear[channel, channel], linear[channel, extra] = 0.0, 1.0
        rectified[channel, channel], rectified[channel, extra] = 1.0, -1.0
    no_bias = np.zeros(padded)
    relu = graph.add("Relu", graph.add("Conv", x, rectified, no_bias))
    if above.any():
        relu = graph.add("Conv", relu, np.where(above, -1.0, 1.0).reshape(-1, 1, 1, 1), no_bias, group=padded)
    return graph.add("Add", graph.add("Conv", x, linear, no_bias), relu)
