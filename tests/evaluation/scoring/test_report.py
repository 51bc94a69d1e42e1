"""The document of several models, and the folder with the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.datasets import votes_for
from helpers.scoring import SEVEN, labelled_faces, pixel_reader
from mien.errors import InputError
from mien.evaluation.scoring import compare_models, from_callable, predict_split, write_report
from mien.evaluation.scoring.report import to_json, unique_names


def test_a_report_holds_everything_and_loads_nothing(tmp_path: Path) -> None:
    data = labelled_faces(100)
    document = compare_models(
        [
            predict_split(pixel_reader(name="<good>"), data),
            predict_split(pixel_reader(wrong_every=2, name="half"), data),
        ],
        samples=50,
    )
    one = document["comparisons"][0]
    assert (one["a"], one["b"], one["only_b"]) == ("<good>", "half", 0)
    assert one["only_a"] == 10
    assert one["p"] == pytest.approx(2 / 2**10)
    page = write_report(document, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "&lt;good&gt;" in text
    assert "<good>" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("data:image/png;base64,") == 6
    pictures = sorted(path.name for path in page.parent.glob("*.png"))
    assert "good-emotion-confusion.png" in pictures
    assert len(pictures) == 6
    for name in pictures:
        with Image.open(BytesIO((page.parent / name).read_bytes())) as image:
            assert min(image.size) > 200
    loaded = json.loads((page.parent / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert loaded["models"][0]["results"]["emotion"]["accuracy"] == 1.0
    with pytest.raises(InputError, match="is a file"):
        write_report(document, page)


def test_documents_are_short_and_the_same_when_read_back() -> None:
    value = {"a": [1, -2.5, None], "b": [[1, 2], [3, 4]], "c": ["x, 1", "y"], "d": [], "e": 1e-07}
    assert json.loads(to_json(value)) == value
    assert "[1, -2.5, null]" in to_json(value)
    long = {"a": list(range(100)), "b": {"c": 1, "d": [2]}}
    assert json.loads(to_json(long)) == long
    assert max(map(len, to_json(long).splitlines())) <= 120
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": float("nan")})
    assert unique_names(["m", "m", "n", "m"]) == ["m", "m #2", "n", "m #3"]


def test_models_without_a_protocol_in_common_are_paired_by_their_truth() -> None:
    data = labelled_faces()
    other = from_callable(lambda images: np.full((len(images), 7), 1 / 7), {"fer2013": SEVEN}, size=12, name="other")
    found = compare_models([predict_split(pixel_reader(), data), predict_split(other, data)], samples=20)["comparisons"]
    assert [one["protocol"] for one in found] == ["emotion / fer2013"]
    votes = from_callable(lambda images: np.full((len(images), 7), 1 / 7), {"ferplus": SEVEN}, size=12, name="other")
    changed = replace(data, votes=votes_for((data.emotion + 1) % 7))  # type: ignore[operator]
    assert (
        compare_models([predict_split(pixel_reader(), changed), predict_split(votes, changed)], samples=20)[
            "comparisons"
        ]
        == []
    )
