from __future__ import annotations

import re

from mien.published.reproduction.learning_curves import curves_svg


def test_curves_stay_inside_the_image() -> None:
    rows = [{"epoch": float(i), "train_loss": 3.0 - i, "val_loss": 2.0, "val_a_accuracy": 0.1 * i} for i in range(1, 4)]
    svg = curves_svg(rows, "a row")
    assert svg == curves_svg(rows, "a row")
    assert svg.count("<polyline") == 3
    for points in re.findall(r'points="([^"]+)"', svg):
        for x, y in (pair.split(",") for pair in points.split()):
            assert 0 <= float(x) <= 744
            assert 0 <= float(y) <= 220
    assert curves_svg(rows[:1], "one epoch").count("<polyline") == 3
