"""How much of what the processor can multiply the networks use, in float32 and in 8 bits.

    python benchmarks/networks.py --json docs/results/networks.json

The peak is the best rate of a float32 matrix product, of square matrices of 256 to 2,048, in ONNX Runtime or NumPy; of
8 bits, ONNX Runtime's MatMulInteger. Multiply-adds are counted in the graph (convolutions and dense layers). One thread
everywhere; each time is the least processor time of many runs, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from onnx import TensorProto, helper

from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.models.session import open_session
from mien.quantize import multiply_adds

SIDES = (256, 384, 512, 1024, 2048)


def least(work: Callable[[], object], seconds: float = 3.0) -> float:
    """Least processor seconds of one run."""
    work()
    best, stop = float("inf"), time.process_time() + seconds
    while time.process_time() < stop:
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def product(kind: str, side: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    if kind == "numpy":
        a, b = (random.random((side, side), np.float32) for _ in range(2))
        return lambda: a @ b
    eight = kind == "int8"
    types = (TensorProto.UINT8, TensorProto.INT8) if eight else (TensorProto.FLOAT, TensorProto.FLOAT)
    out = TensorProto.INT32 if eight else TensorProto.FLOAT
    shape = [side, side]
    # the second matrix is a constant, as weights are, so that it is packed once
    given = random.integers(-64, 64, shape).astype(np.int8 if eight else np.float32)
    weights = helper.make_tensor("b", types[1], shape, given.tobytes(), raw=True)
    node = helper.make_node("MatMulInteger" if eight else "MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph(
        [node], "product", [helper.make_tensor_value_info("a", types[0], shape)],
        [helper.make_tensor_value_info("c", out, shape)], [weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = open_session(model.SerializeToString(), threads=1)
    a = random.integers(0, 128, shape).astype(np.uint8 if eight else np.float32)
    return lambda: session.run(None, {"a": a})


def measured(name: str, content: bytes, adds: int, peak: float) -> dict[str, Any]:
    model = Model(content, threads=1)
    side, channels = model.card.size, model.card.n_channels
    crops = np.random.default_rng(0).integers(0, 256, (64, side, side, channels), np.uint8)
    session, row = model._session, {"name": name, "mb": len(content) / 1e6, "multiply_adds": adds, "batches": {}}
    for n in (1, 64):
        given = model.network_inputs(crops[:n])
        seconds = least(lambda given=given: session.run(None, given))
        rate = 2 * adds * n / seconds
        row["batches"][n] = {"ms_per_face": 1000 * seconds / n, "gflops": rate / 1e9, "of_peak": rate / peak}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rates = {
        kind: max(2 * side**3 / least(product(kind, side)) for side in SIDES)
        for kind in ("onnxruntime", "numpy", "int8")
    }
    peak, peak8 = max(rates["onnxruntime"], rates["numpy"]), rates["int8"]
    rows = []
    for name in MODELS:
        # the same network: what 8 bits leave in float32 is counted as well
        counted = read_model(name.removesuffix("-int8"))
        adds = sum(multiply_adds(counted).values())
        rows.append(measured(name, read_model(name), adds, peak8 if name.endswith("-int8") else peak))
    document = {"peak_gflops": {kind: rate / 1e9 for kind, rate in rates.items()}, "networks": rows}
    text = json.dumps(document, indent=1)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
