"""The page on releases, with what `tools/release_check.py` found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "release.json"


def release_parts() -> dict[str, str]:
    """Mark → text."""
    measured: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = [
        f"On {measured['platform']}; wheel {measured['wheel_bytes'] / 1e6:.1f} MB, sdist {measured['sdist_bytes'] / 1e6:.1f} MB.",
        "",
        "| Python | dependencies | set | test files | passed | failed | skipped | numpy, OpenCV, ONNX Runtime, Pillow, PyAV |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in sorted(measured["environments"].items()):
        version, age, part = name.split("-")
        if "not_installable" in one:
            lines.append(f"| {version} | {age} | {part} | – | – | – | – | {one['not_installable']} |")
            continue
        have = one.get("versions", {})
        names = ("numpy", "opencv-python-headless", "onnxruntime", "pillow", "av")
        bad = one.get("failed", 0) + one.get("error", 0) + one.get("errors", 0)
        counts = f"{one.get('passed', 0)} | {bad} | {one.get('skipped', 0)}"
        versions = ", ".join(have.get(each, "–") for each in names)
        lines.append(
            f"| {one.get('python', version)} | {age} | {part} | {len(one.get('tests', []))} | {counts} | {versions} |"
        )
    again = {
        name: one["passed_again"] for name, one in sorted(measured["environments"].items()) if one.get("passed_again")
    }
    if again:
        lines += ["", "Failed while the machine was busy with other work, and passed when run again alone:"]
        lines += [f"{name}: {', '.join(f'`{one}`' for one in tests)}." for name, tests in again.items()]
    return {"release": "\n".join(lines)}
