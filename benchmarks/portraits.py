"""Whole pictures to look at: two public-domain portraits as they are, mirrored, tilted, gray, small and soft.

    python benchmarks/portraits.py --json docs/results/portraits.json --picture docs/images/evaluation/portraits.webp

The portraits of Eileen Collins (scikit-image) and Grace Hopper (matplotlib), smiling and serious, go through the whole
way that a photo takes, under every prior: what the networks answer, and whether it stays when the picture is only
taken in another way. The picture shows both under the default prior. Other expressions are in no public-domain portrait
that packages ship.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from beside.photos import PORTRAITS, portrait
from numpy.typing import NDArray
from PIL import Image

from mien import Analyzer
from mien.models.priors import DEFAULT, PRIORS

Picture = NDArray[np.uint8]
SHOWN = 3
"""Emotions that are reported."""
SIDE = 512
"""Height of the picture, pixels."""


def tilted(picture: Picture) -> Picture:
    """Turned by 20 degrees about its centre."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def gray(picture: Picture) -> Picture:
    """Without colour."""
    return np.asarray(np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, 2))


VIEWS: Mapping[str, Callable[[Picture], Picture]] = {
    "as it is": lambda picture: picture,
    "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    "tilted by 20°": tilted,
    "gray": gray,
    "half as large": lambda picture: np.asarray(
        cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ),
    "soft": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 3)),
}


def answers(analyzer: Analyzer, picture: Picture) -> list[dict[str, Any]]:
    """What is reported per face: the likeliest emotions, and the age."""
    rows = []
    for face in analyzer.analyze(picture, color="rgb"):
        ranked = sorted(face.emotions.items(), key=lambda item: -item[1])[:SHOWN]
        age = face.predictions["age"]
        rows.append({"emotions": dict(ranked), "age_range": age.label, "age": age.expected})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    options = parser.parse_args()
    analyzers = {prior: Analyzer(prior=prior, threads=1) for prior in PRIORS}
    rows, drawn = [], []
    for name in PORTRAITS:
        picture = portrait(name)
        for view, change in VIEWS.items():
            seen = change(picture)
            rows.append({"portrait": name, "view": view, "faces": {p: answers(a, seen) for p, a in analyzers.items()}})
        shown = Image.fromarray(np.asarray(analyzers[DEFAULT].analyze(picture, color="rgb").draw()))
        drawn.append(shown.resize((round(shown.width * SIDE / shown.height), SIDE)))
    sheet = Image.new("RGB", (sum(one.width for one in drawn), SIDE))
    for i, one in enumerate(drawn):
        sheet.paste(one, (sum(each.width for each in drawn[:i]), 0))
    sheet.save(options.picture, quality=85)
    options.json.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
