"""The rebuilt networks compute the same as the files that they are built from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from helpers.pictures import astronaut
from mien.detect.mtcnn import ONET, PNET, RNET
from mien.detect.mtcnn_graphs import INPUT, build_onet, build_pnet, build_rnet
from mien.models.onnx_graph import OnnxGraph, read_constants
from mien.models.session import open_session


def as_trained(file, outputs, pixels):
    """The outputs of a file as it is, for pictures that were not transposed: channels last."""
    session = open_session(file.read(), threads=1)
    transposed = (pixels.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128
    return session.run(outputs, {session.inputs[0].name: transposed})


def run_rebuilt(model, pixels):
    return open_session(model, threads=1).run(None, {INPUT: pixels})[0]


def probability(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("size", [(12, 12), (13, 40), (154, 97)])
def test_pnet(size):
    pixels = np.asarray(cv2.resize(astronaut(), size, interpolation=cv2.INTER_AREA), np.uint8)[None]
    scores, shifts = as_trained(PNET, ["softmax", "conv2d_4"], pixels)
    output = run_rebuilt(build_pnet(PNET.read()), pixels)
    assert output.shape == (1, 5, *scores.shape[1:3][::-1])
    np.testing.assert_allclose(probability(output[:, 0]), scores[..., 1].transpose(0, 2, 1), atol=1e-5)
    np.testing.assert_allclose(output[:, 1:], shifts.transpose(0, 3, 2, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("file", "make", "side", "outputs"),
    [(RNET, build_rnet, 24, ["softmax_1", "dense_2"]), (ONET, build_onet, 48, ["softmax_2", "dense_5", "dense_6"])],
)
def test_rnet_and_onet(file, make, side, outputs):
    squares = [astronaut()[y : y + 96, x : x + 96] for y in (0, 60, 90) for x in (150, 180, 210)]
    pixels = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in squares])
    scores, *others = as_trained(file, outputs, pixels)
    output = run_rebuilt(make(file.read()), pixels)
    assert scores[:, 1].max() > 0.1
    np.testing.assert_allclose(probability(output[:, 0]), scores[:, 1], atol=1e-5)
    np.testing.assert_allclose(output[:, 1:], np.concatenate(others, axis=1), atol=1e-5)


@pytest.mark.parametrize("slopes", [(0.3, -0.4), (1.0, 0.0), (1.5, -2.0), (2.5, 3.0)])
def test_any_slopes(slopes):
    """Slopes above 1, where PReLU is concave, and negative ones, where it decreases."""
    from mien.detect import mtcnn_graphs

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 6, 8, 3), np.uint8)
    kernel, bias = rng.normal(size=(2, 3, 3, 3)).astype(np.float32), rng.normal(size=2).astype(np.float32)
    a = np.asarray(slopes, np.float32)
    pool = {"auto_pad": "SAME_UPPER", "kernel_shape": [2, 2], "strides": [2, 2]}

    def compute(add):
        graph = OnnxGraph({INPUT: ["n", "height", "width", 3]})
        x = graph.add("Cast", graph.add("Transpose", INPUT, perm=[0, 3, 1, 2]), to=1)
        return run_rebuilt(graph.to_bytes(add(graph, x), ["n", "channels", "rows", "columns"]), pixels)

    def plain(graph, x):
        x = graph.add("PRelu", graph.add("Conv", x, kernel, bias), a.reshape(2, 1, 1))
        return graph.add("MaxPool", x, **pool)

    def in_order(graph, x):
        return graph.add("MaxPool", mtcnn_graphs._add_prelu(graph, graph.add("Conv", x, kernel, bias), a), **pool)

    expected = compute(plain)
    np.testing.assert_allclose(compute(in_order), expected, rtol=1e-5, atol=1e-3)
    first = compute(lambda graph, x: mtcnn_graphs._add_pooled_first(graph, x, kernel, bias, a, pool))
    np.testing.assert_allclose(first[:, :2], expected, rtol=1e-5, atol=1e-3)
    assert not first[:, 2:].any()


def test_what_is_written_is_onnx_and_is_read_again():
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    for file, make in ((PNET, build_pnet), (RNET, build_rnet), (ONET, build_onet)):
        written = make(file.read())
        onnx.checker.check_model(written, full_check=True)
        for content in (written, file.read()):
            known = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(content).graph.initializer}
            read = read_constants(content)
            assert read.keys() == known.keys()
            for name, array in known.items():
                np.testing.assert_array_equal(read[name], array)
