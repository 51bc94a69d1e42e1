"""Write tests/goldens again and print what changed: ``python tools/make_goldens.py`` in the repository's root.

Run it only when a result is meant to change, and say by how much in the commit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers import goldens  # noqa: E402


def flat(value: Any, name: str = "") -> dict[str, np.ndarray]:
    """Path in the nested tables → array."""
    if isinstance(value, dict):
        return {k: v for key, one in value.items() for k, v in flat(one, f"{name} / {key}".lstrip(" /")).items()}
    return {name: np.asarray(value, np.float64)}


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line per array that is new, gone or different."""
    before, after = flat(old), flat(new)
    lines = [f"  gone: {name}" for name in before.keys() - after.keys()]
    for name, now in after.items():
        then = before.get(name)
        if then is None:
            lines.append(f"  new: {name}")
        elif then.shape != now.shape:
            lines.append(f"  {name}: shape {then.shape} is now {now.shape}")
        elif (apart := np.abs(now - then)).any():
            lines.append(f"  {name}: greatest difference {apart.max():g}, mean {apart.mean():g}")
    return sorted(lines)


def main() -> None:
    """Compute, compare, write."""
    crops = goldens.model_crops()
    computed: dict[Path, dict[str, Any]] = {
        goldens.CROPS: crops,
        goldens.RESIZED: goldens.resized_pictures(),
        goldens.PROBABILITIES: goldens.probabilities(crops),
        goldens.DETECTIONS: goldens.detections(),
    }
    for path, new in computed.items():
        pictures = path.suffix == ".npz"
        old = (goldens.stored_pictures if pictures else goldens.stored_json)(path) if path.is_file() else {}
        if path == goldens.DETECTIONS:
            new = {name: row for name, row in old.items() if name in goldens.DETECTORS} | new  # weights not installed
        lines = changes(old, new)
        print("\n".join([f"{path.relative_to(ROOT)}: {'changed' if lines else 'as before'}", *lines]))
        if pictures and lines:
            np.savez_compressed(path, **new)
        elif lines:
            path.write_text(text(new) + "\n", encoding="utf-8")


def text(value: Any, indent: str = "") -> str:
    """JSON with one array per line."""
    if not isinstance(value, dict):
        return json.dumps(value)
    inner = indent + " "
    items = ",\n".join(f"{inner}{json.dumps(key)}: {text(one, inner)}" for key, one in value.items())
    return "{\n" + items + f"\n{indent}}}"


if __name__ == "__main__":
    main()
