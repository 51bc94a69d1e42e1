"""Are the maps of the shipped emotion model faithful, and do they depend on what it learned? And a picture of them.

    python benchmarks/explain.py --data fer2013.parquet --json docs/results/explain.json
    python benchmarks/explain.py --picture docs/images/explain.png

The first takes a seeded sample of FER2013's validation images and does what `mien explain --faithfulness --sanity`
does: deletion and insertion curves of every method, and the likeness of maps before and after weights are shuffled. The
second draws the maps of two public-domain portraits, found and cropped by the photo pipeline, for the class that is
predicted.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from public_portraits import PORTRAITS

from mien.explain import draw
from mien.explain.faithfulness import faithfulness_curves
from mien.explain.methods import METHODS, attribution_maps, is_signed
from mien.explain.model import open_network
from mien.explain.sampling import read_split, sample_rows
from mien.explain.sanity import randomisation_test
from mien.media.image import load_image
from mien.pipeline.analyzer import Analyzer
from mien.predict.align import align_faces
from mien.training.resize import resize_images

SIDE = 128


def measure(data: Path, images: int, shuffled: int, threads: int) -> dict[str, object]:
    model = open_network("emotion", threads)
    head = model.head()
    part = read_split(data, "validation")
    faces = resize_images(part.images[sample_rows(len(part), images, seed=0)], model.size, model.channels)
    targets = model.probabilities(model.input(faces), head).argmax(axis=1)
    found = {name: attribution_maps(model, head, faces, targets, name) for name in METHODS}
    return {
        "model": "emotion",
        "head": head.name,
        "dataset": part.info.name,
        "split": "validation",
        "faithfulness": faithfulness_curves(model, head, faces, targets, found),
        "sanity": randomisation_test(model, head, faces[:shuffled], targets[:shuffled], tuple(METHODS)),
    }


def portraits() -> list[Path]:
    found = []
    for module, file, _ in PORTRAITS:
        spec = find_spec(module)
        for folder in (spec.submodule_search_locations if spec is not None else None) or ():
            found.append(Path(folder) / file)
    return found


def picture(out: Path) -> None:
    model = open_network("emotion", 1)
    head = model.head()
    analyzer = Analyzer(models=(), threads=1)
    rows = []
    for path in portraits():
        frame = load_image(path)
        crop = align_faces(frame.rgb, analyzer.analyze(frame), model.size, "gray", model.frame, "mtcnn")[:1]
        p = model.probabilities(model.input(crop), head)[0]
        row = [draw.CaptionedPicture(draw.enlarge_face(crop[0], SIDE), (f"{head.labels[p.argmax()]} {p.max():.0%}",))]
        for name in METHODS:
            values = attribution_maps(model, head, crop, np.array([p.argmax()]), name)[0]
            row.append(
                draw.CaptionedPicture(draw.overlay_map(crop[0], values, signed=is_signed(name), side=SIDE), (name,))
            )
        rows.append(row)
    draw.save_png(draw.tile_grid(rows), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=64, help="for the curves")
    parser.add_argument("--shuffled", type=int, default=16, help="images for the check with shuffled weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.picture is not None:
        picture(options.picture)
    if options.data is not None:
        document = measure(options.data, options.images, options.shuffled, options.threads)
        text = json.dumps(document, indent=1) + "\n"
        if options.json is not None:
            options.json.write_text(text, encoding="utf-8")
        else:
            print(text)


if __name__ == "__main__":
    main()
