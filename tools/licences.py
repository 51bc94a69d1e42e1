"""List the licences of the dependencies that an environment holds, and write a software bill of materials (SBOM).

    python tools/licences.py --python .venv/bin/python --json docs/results/licences.json --sbom dist/mien.cdx.json

The environment must hold mien with the extras to be listed (all, for the page in the documentation). Licences are
those that packages declare (pip-licenses); the SBOM is CycloneDX (cyclonedx-py). Packages that no extra of mien leads
to are left out of the list. `docs/licences.md` is made of the list by `python tools/generate.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

EXTRAS = (
    "video",
    "opencv",
    "tables",
    "data",
    "batch",
    "heif",
    "plots",
    "mtcnn",
    "res10",
    "landmarks",
    "train",
    "audit",
    "explain",
    "tune",
    "postgres",
    "serve",
)
_REQUIRED = """
import importlib.metadata as m, json, re, sys
from packaging.requirements import Requirement
def canonical(name): return re.sub(r"[-_.]+", "-", name).lower()
have = {canonical(d.metadata["Name"]): d for d in reversed(list(m.distributions()))}
def closure(name, extras, seen):
    for extra in ("", *extras):
        if (name, extra) in seen or name not in have: continue
        seen.add((name, extra))
        for text in have[name].requires or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                closure(canonical(need.name), tuple(need.extras), seen)
    return seen
core = {name for name, _ in closure("mien", (), set())}
extras = {extra: sorted({name for name, _ in closure("mien", (extra,), set())} - core) for extra in sys.argv[1:]}
print(json.dumps({"core": sorted(core - {"mien"})} | extras))
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def output(*call: str | Path) -> str:
    done = subprocess.run([str(one) for one in call], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        sys.exit(f"{call[0]}: {done.stderr.strip()}")
    return done.stdout


def licences(python: Path) -> list[dict[str, Any]]:
    """One entry a package: name, version, licence, and whether the core or which extras need it."""
    needed: dict[str, list[str]] = json.loads(output(python, "-c", _REQUIRED, *EXTRAS))
    tool = Path(sys.executable).with_name("pip-licenses")
    installed = json.loads(output(tool, "--python", python, "--format=json", "--from=mixed"))
    rows = []
    for one in installed:
        by = [part for part, names in needed.items() if canonical(one["Name"]) in names]
        if by:
            text = " ".join(one["License"].split())
            licence = text if len(text) < 200 else f"{text[:197]}…"
            rows.append({"name": one["Name"], "version": one["Version"], "licence": licence, "needed_by": by})
    return sorted(rows, key=lambda row: row["name"].lower())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter of the environment")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--sbom", type=Path)
    options = parser.parse_args()
    rows = licences(options.python)
    options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} packages in {options.json}")
    if options.sbom is not None:
        options.sbom.parent.mkdir(parents=True, exist_ok=True)
        tool = Path(sys.executable).with_name("cyclonedx-py")
        project = Path(__file__).parents[1] / "pyproject.toml"
        output(
            tool, "environment", options.python, "--pyproject", project, "--output-reproducible", "--of", "JSON", "-o",
            options.sbom,
        )  # fmt: skip
        parts = json.loads(options.sbom.read_text(encoding="utf-8"))["components"]
        print(f"{len(parts)} components in {options.sbom}")


if __name__ == "__main__":
    main()
