"""One photo, one network of each published system: export, then the ordinary photo pipeline.

    python benchmarks/five_systems.py runs/compact-vgg runs/reproduce/stack-normed/seed-0 … \
        --json docs/results/five_systems.json

RUN is a folder that `mien train` or `mien reproduce` left; the weights of its last epoch are taken where the source
takes those, else the best. The photos are public-domain portraits that scikit-image and matplotlib ship.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from public_portraits import PORTRAITS

from mien import Analyzer
from mien.export import export
from mien.networks.catalog import get_network
from mien.published.reproduction.published_results import ROWS
from mien.training import run_folder as files
from mien.training.curves import read_epochs


def portraits() -> dict[str, Path]:
    found = {}
    for module, file, _ in PORTRAITS:
        spec = find_spec(module)
        for folder in (spec.submodule_search_locations if spec is not None else None) or ():
            found[Path(file).stem] = Path(folder) / file
    return found


def analysed(run: Path, pictures: dict[str, Path]) -> dict[str, Any]:
    row = ROWS.get(files.read_json(run / files.CONFIG)["name"])
    weights = run / (files.LAST if row is not None and row.keep == "last" else files.BEST)
    recipe, _, _ = files.load_run(weights)
    summary: dict[str, Any] = {
        "network": recipe.network,
        "source": get_network(recipe.network).source,
        "recipe": recipe.name,
        "epochs": len(read_epochs(run / files.METRICS)),
        "of": recipe.epochs,
        "commit": files.read_json(run / files.ENVIRONMENT)["commit"],
        "photos": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        summary["parameters"] = export(weights, model, name=recipe.name).parameters
        analyzer = Analyzer(models=(model,), threads=1)
        for name, path in pictures.items():
            summary["photos"][name] = [face.to_dict() for face in analyzer.analyze(path)]
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--json", type=Path, help="write the results here as well")
    options = parser.parse_args()
    pictures = portraits()
    rows = [analysed(run, pictures) for run in options.runs]
    for row in rows:
        print(f"{row['network']}, {row['parameters']:,} parameters, {row['epochs']} of {row['of']} epochs")
        for name, faces in row["photos"].items():
            for face in faces:
                top = sorted(face["emotions"].items(), key=lambda pair: -pair[1])[:3]
                print(f"    {name}: " + ", ".join(f"{label} {probability:.0%}" for label, probability in top))
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
