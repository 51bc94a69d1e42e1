"""How far the results on a device are from those on the processor, for every shipped network.

    python benchmarks/devices.py openvino
    python benchmarks/devices.py openvino --out docs/results/devices.json

The environment has to hold the ONNX Runtime of that device (`mien doctor` lists what loads). Crops are those of the
portrait of `mien demo` and made ones; what counts is the largest difference of a probability, a score or a coordinate.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from mien.detect import make_detector
from mien.detect.mien import LANDMARKS, NETWORK
from mien.models.catalog import MODELS, read_model
from mien.models.devices import DEVICES, parse_device
from mien.models.model import Model
from mien.models.session import open_session

LIMIT = 1e-3
"""Largest difference of a probability that counts as equal."""


def made_crops(card, count: int = 64) -> np.ndarray:
    """Smooth and noisy crops."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 6, 6, card.n_channels), dtype=np.uint8)
    smooth = np.stack([np.kron(each, np.ones((card.size // 6 + 1,) * 2 + (1,))) for each in coarse])
    smooth = smooth[:, : card.size, : card.size]
    noise = random.normal(0, 12, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def compare(device: str) -> dict[str, dict[str, float]]:
    """Network → largest difference, and of how many values."""
    rows: dict[str, dict[str, float]] = {}
    for name in MODELS:
        on_cpu, on_device = (Model(read_model(name), threads=1, name=name, device=d) for d in ("cpu", device))
        crops = made_crops(on_cpu.card)
        a, b = on_cpu(crops), on_device(crops)
        rows[name] = {
            "largest": max(float(np.abs(a[head] - b[head]).max()) for head in a),
            "labels_that_differ": sum(int((a[head].argmax(1) != b[head].argmax(1)).sum()) for head in a),
            "values": sum(each.size for each in a.values()),
        }
    random = np.random.default_rng(1)
    for file, shape in ((NETWORK, (1, 480, 640, 3)), (LANDMARKS, None)):
        cpu, other = (open_session(file.read(), threads=1, name=file.filename, device=d) for d in ("cpu", device))
        wanted = shape or tuple(side if isinstance(side, int) else 16 for side in cpu.inputs[0].shape)
        images = random.integers(0, 256, wanted, dtype=np.uint8)
        pairs = list(zip(cpu.run(None, {"images": images}), other.run(None, {"images": images}), strict=True))
        rows[Path(file.filename).stem] = {
            "largest": max(float(np.abs(a - b).max()) for a, b in pairs),
            "values": sum(a.size for a, _ in pairs),
        }
    try:
        from skimage import data
    except ImportError:
        return rows
    picture = data.astronaut()
    a, b = (make_detector("mien", threads=1, device=d).detect(picture) for d in ("cpu", device))
    rows["faces of the portrait"] = {
        "faces": len(a),
        "faces_on_device": len(b),
        "largest_pixels": float(np.abs(a.boxes - b.boxes).max()) if len(a) == len(b) else float("nan"),
        "largest": float(np.abs(a.scores - b.scores).max()) if len(a) == len(b) else float("nan"),
    }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", choices=[name for name in DEVICES if name != "cpu"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    import onnxruntime

    probe = open_session(LANDMARKS.read(), threads=1, device=options.device)
    if parse_device(options.device).info.provider not in probe.providers:
        sys.exit(f"{options.device} did not load")
    rows = compare(options.device)
    for name, row in rows.items():
        print(f"{name:24s} " + "  ".join(f"{key} {value:.3g}" for key, value in row.items()))
    networks = [rows[name]["largest"] for name in MODELS]
    print(f"networks within {LIMIT:g}: {sum(each <= LIMIT for each in networks)} of {len(networks)}")
    if options.out is not None:
        known = json.loads(options.out.read_text()) if options.out.is_file() else {}
        known[options.device] = {"onnxruntime": onnxruntime.__version__, "rows": rows}
        options.out.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
