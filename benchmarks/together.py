"""Train with one and with two processes on this machine's processor, several seeds each, and write what they score.

    python benchmarks/together.py --data fer2013.parquet --json together.json

The emotion-cpu recipe on a part of FER2013 and for a few epochs: not to train well, but to see whether two processes
(gloo, `torchrun --nproc-per-node 2`) end within the noise of one, which the spread over seeds shows.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mien.datasets.prepared_file import read_prepared, write_prepared

TRAIN, VALIDATION, EPOCHS, BATCH = 6000, 1500, 5, 64
RECIPE = "emotion-cpu"
FIGURES = ("train_loss", "val_loss", "val_score")
TOGETHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def part(data: Path, target: Path) -> None:
    prepared = read_prepared(data)
    rng = np.random.default_rng(0)
    rows = [
        rng.choice(np.flatnonzero(prepared.split == name), n, replace=False)
        for name, n in (("train", TRAIN), ("validation", VALIDATION))
    ]
    write_prepared(prepared[np.sort(np.concatenate(rows))], target)


def train(processes: int, seed: int, data: Path, out: Path) -> list[dict[str, float]]:
    start = [] if processes == 1 else [*TOGETHER, str(processes)]
    call = [sys.executable, *start, "-m", "mien", "train", RECIPE, "--data", str(data), "--out", str(out)]
    call += [
        "--epochs",
        str(EPOCHS),
        "--batch-size",
        str(BATCH),
        "--seed",
        str(seed),
        "--threads",
        "1",
        "--no-progress",
    ]
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    subprocess.run(call, env=env, check=True, timeout=1800)
    with (out / "metrics.csv").open() as file:
        return [
            {name: float(row[name]) for name in (*FIGURES, "seconds", "cpu_seconds")} for row in csv.DictReader(file)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    runs: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "part.parquet"
        part(options.data, data)
        for seed in range(options.seeds):
            for processes in (1, 2):
                epochs = train(processes, seed, data, Path(folder) / f"{processes}-{seed}")
                runs.append({"processes": processes, "seed": seed, "epochs": epochs})
                print(processes, seed, epochs[-1], flush=True)
    facts = {"recipe": RECIPE, "train": TRAIN, "validation": VALIDATION, "epochs": EPOCHS, "batch_size": BATCH}
    written = {"machine": platform.platform(), "cpus": os.cpu_count(), **facts, "runs": runs}
    options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
