"""The network that puts the landmarks of detected faces right.

Commands:
    python -m mien.recipes.landmarks photos.parquet --faces fairface/train.parquet --out runs/landmarks/weights.pt
        one processor core, ten minutes; 3.6 % of the eye distance off on portraits whose points were set by hand
    python -m mien.recipes.landmarks … --start weights.pt --seed 1 --out longer.pt
        once more from there, with other crops

Nothing of the sources that the detector's recipe holds out is trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mien.recipes.detector import prepare
from mien.training.detection.refinement import RefinementConfig, train_refinement

CONFIG = RefinementConfig(steps=3000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the recipe."""
    import torch

    parser = argparse.ArgumentParser(description="Train the network that puts landmarks right.")
    parser.add_argument("photos", type=Path, help="Parquet file of photos with boxes and landmarks")
    parser.add_argument("--faces", type=Path, help="Parquet file of faces")
    parser.add_argument("--out", type=Path, required=True, help="file of the weights")
    parser.add_argument("--cache", type=Path, help="folder for decoded photos (default: beside the weights)")
    parser.add_argument("--steps", type=int, default=CONFIG.steps, help="length of the run")
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--seed", type=int, default=CONFIG.seed, help="seed of the weights and of the crops")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data, _ = prepare(options.photos, options.faces, options.cache or options.out.parent / "cache")
    config = replace(CONFIG, steps=options.steps, seed=options.seed)
    train_refinement(data.photos, data.store, data.tiles, config, options.out, start=options.start)


if __name__ == "__main__":
    main()
