"""MTCNN's three networks put together anew from their weights: the same numbers in less time.

Run as they are, the files of `mien.detect.mtcnn` spend much of the time on what is not arithmetic. Here, with the same
weights:

- pixels go in as they are: that ``(v - 127.5) / 128`` comes first is folded into the first convolution, and that the
  networks were trained on transposed pictures into all of them;
- PReLU, for which ONNX Runtime has no fast kernel, is ``a·x + relu((1 - a)·x)``: two depthwise convolutions, which keep
  the layout of their neighbours, so that nothing is reordered between layers;
- channels are padded with zeros to whole blocks of that layout;
- in P-Net, which sees the most pixels, max pooling comes before the first PReLU, over a quarter of the values;
- the heads are one product, and the difference of the two logits comes out instead of a softmax over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.models.onnx_graph import Floats, OnnxGraph, constants

_BLOCK = 16
"""Channels that ONNX Runtime keeps side by side on processors with AVX-512; 8 elsewhere."""
INPUT = "pixels"
"""uint8 ``(n, height, width, 3)`` RGB."""


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


def pnet(file: bytes) -> bytes:
    """P-Net's file → a network from pixels to a float32 map ``(n, 5, rows, columns)`` of cells two pixels apart.

    The five are a face's logit and the shifts of x1, y1, x2, y2 in cells of 12 pixels.
    """
    weights = constants(file)
    graph = OnnxGraph({INPUT: ["n", "height", "width", 3]})
    x = _convolved(graph, weights, _PNET, pool_first=True)
    score, score_bias = _turned(weights["conv2d_3/kernel:0"]), weights["conv2d_3/bias:0"]
    heads = [score[1:] - score[:1], _turned(weights["conv2d_4/kernel:0"])]
    biases = [score_bias[1:] - score_bias[:1], weights["conv2d_4/bias:0"]]
    x = graph.add("Conv", x, np.concatenate(heads), np.concatenate(biases))
    return graph.model(x, ["n", 5, "rows", "columns"])


def rnet(file: bytes) -> bytes:
    """R-Net's file → a network from pixels ``(n, 24, 24, 3)`` to float32 ``(n, 5)``: logit, four shifts as P-Net's."""
    return _judge(file, 24, _RNET, "dense", ("dense_1", "dense_2"))


def onet(file: bytes) -> bytes:
    """O-Net's file → a network from pixels ``(n, 48, 48, 3)`` to float32 ``(n, 15)``: those, then five x, five y."""
    return _judge(file, 48, _ONET, "dense_3", ("dense_4", "dense_5", "dense_6"))


def _judge(file: bytes, side: int, layers: tuple[_Layer, ...], dense: str, heads: tuple[str, ...]) -> bytes:
    weights = constants(file)
    graph = OnnxGraph({INPUT: ["n", side, side, 3]})
    x = _convolved(graph, weights, layers)
    channels = len(weights[f"{layers[-1].weights}/bias:0"])
    kernel = weights[f"{dense}/kernel:0"]
    across = round((len(kernel) // channels) ** 0.5)
    # its rows are for (column, row, channel) of the transposed picture, what comes in is (channel, row, column)
    kernel = kernel.reshape(across, across, channels, -1).transpose(2, 1, 0, 3).reshape(kernel.shape)
    x = graph.add("Gemm", graph.add("Flatten", x), kernel, weights[f"{dense}/bias:0"])
    x = graph.add("PRelu", x, weights["slope"])
    kernels = [weights[f"{head}/kernel:0"] for head in heads]
    biases = [weights[f"{head}/bias:0"] for head in heads]
    kernels[0], biases[0] = kernels[0][:, 1:] - kernels[0][:, :1], biases[0][1:] - biases[0][:1]
    x = graph.add("Gemm", x, np.concatenate(kernels, axis=1), np.concatenate(biases))
    return graph.model(x, ["n", sum(map(len, biases))])


def _convolved(
    graph: OnnxGraph, weights: dict[str, Floats], layers: tuple[_Layer, ...], *, pool_first: bool = False
) -> str:
    x = graph.add("Cast", graph.add("Transpose", INPUT, perm=[0, 3, 1, 2]), to=1)
    channels = 3
    for i, layer in enumerate(layers):
        kernel, bias = _turned(weights[f"{layer.weights}/kernel:0"]), weights[f"{layer.weights}/bias:0"]
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
            x = _pooled_first(graph, x, kernel, bias, slopes, pool)
            continue
        kernel = np.pad(kernel, ((0, more), (0, 0), (0, 0), (0, 0)))
        x = _prelu(graph, graph.add("Conv", x, kernel, np.pad(bias, (0, more))), np.pad(slopes, (0, more)))
        if layer.pool:
            x = graph.add("MaxPool", x, **pool)
    return x


def _turned(kernel: Floats) -> Floats:
    """A convolution's weights for the picture that was not transposed."""
    return kernel.transpose(0, 1, 3, 2)


def _prelu(graph: OnnxGraph, x: str, slopes: Floats) -> str:
    """``a·x + relu((1 - a)·x)``, or ``x - relu((1 - a)·x)`` where a is above 1."""
    above = slopes > 1
    channels = len(slopes)

    def each(x: str, factors: NDArray[np.floating]) -> str:
        return graph.add("Conv", x, factors.reshape(-1, 1, 1, 1), np.zeros(channels), group=channels)

    bent = graph.add("Relu", each(x, 1 - slopes))
    if above.any():
        bent = each(bent, np.where(above, -1.0, 1.0))
    return graph.add("Add", each(x, np.where(above, 1.0, slopes)), bent)


def _pooled_first(
    graph: OnnxGraph, x: str, kernel: Floats, bias: Floats, slopes: Floats, pool: dict[str, str | list[int]]
) -> str:
    """Convolution, max pooling, PReLU; the same as with the last two the other way round.

    Where a slope a is not negative, PReLU never falls and may come after the maximum. Where it is, ``prelu(y)`` is
    ``max(y, a·y)``, so that both are convolved and pooled: ``max(m, n) = n + relu(m - n)``.
    """
    channels = len(slopes)
    filled = channels + -channels % _BLOCK
    falling = np.flatnonzero(slopes < 0)
    factors = slopes[falling]
    kernel = np.concatenate([kernel, kernel[falling] * factors[:, None, None, None]])
    bias = np.concatenate([bias, bias[falling] * factors])
    x = graph.add("MaxPool", graph.add("Conv", x, kernel, bias), **pool)
    above = np.pad(slopes, (0, filled - channels)) > 1
    straight, bent = np.zeros((2, filled, len(bias), 1, 1))
    for to in range(channels):
        straight[to, to] = 1.0 if above[to] else slopes[to]
        bent[to, to] = 1 - slopes[to]
    for at, to in enumerate(falling.tolist(), start=channels):
        straight[to, to], straight[to, at] = 0.0, 1.0
        bent[to, to], bent[to, at] = 1.0, -1.0
    none = np.zeros(filled)
    risen = graph.add("Relu", graph.add("Conv", x, bent, none))
    if above.any():
        risen = graph.add("Conv", risen, np.where(above, -1.0, 1.0).reshape(-1, 1, 1, 1), none, group=filled)
    return graph.add("Add", graph.add("Conv", x, straight, none), risen)
