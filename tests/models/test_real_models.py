"""The shipped models on the real datasets: the figures on their cards, and the way through detector and crop."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mien.datasets import ferplus
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.fairface import open_fairface
from mien.datasets.fer2013 import read_fer2013
from mien.detect import DetectionOptions, make_detector
from mien.evaluation.scoring.evaluate import evaluate
from mien.evaluation.scoring.scored_model import open_model, predict
from mien.models.catalog import read_model
from mien.models.crop_frames import AGE_FRAME
from mien.models.model import Model
from mien.predict.face_cropper import FaceCropper

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def fer2013(real_data: Path) -> Dataset:
    data = read_fer2013(real_data / "fer2013" / "fer2013.csv.gz")
    return ferplus.join_votes(data, ferplus.read_votes(real_data / "fer2013" / "fer2013new.csv"))


def benchmark(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_emotion_card_states_what_the_file_scores(fer2013: Dataset) -> None:
    card = Model(read_model("emotion"), threads=1).card
    stated = card.scores["results"]
    found = evaluate(open_model("emotion"), fer2013)["results"]
    assert set(stated) == set(found) == {"ferplus", "ferplus leak-free", "fer2013", "fer2013 leak-free"}
    for protocol, scores in stated.items():
        assert found[protocol]["n"] == scores["n"]
        assert found[protocol]["accuracy"] == pytest.approx(scores["accuracy"], abs=1e-3)
        assert found[protocol]["macro_f1"] == pytest.approx(scores["macro_f1"], abs=2e-3)
        assert found[protocol]["ece"] == pytest.approx(scores["ece"], abs=2e-3)
    assert found["ferplus"]["n"] == 3153
    assert found["ferplus"]["accuracy"] >= 0.845
    assert found["fer2013"]["n"] == 3589
    assert found["fer2013"]["accuracy"] >= 0.68
    assert found["fer2013 leak-free"]["n"] == 3589 - 288


@pytest.mark.slow
def test_the_way_through_detector_and_crop_costs_little(fer2013: Dataset) -> None:
    """On every fourth face, where chance alone moves the gap by 1.5 points; `benchmarks/end_to_end.py` measures all."""
    module = benchmark("end_to_end")
    part, model = fer2013.select("test")[::4], open_model("emotion", threads=1)
    detector = make_detector(DetectionOptions("mtcnn", 30), threads=1)
    row = module.measure(part, model, predict(model, part), detector, 96, 10)
    assert row["found"] / row["faces"] > 0.85
    assert row["ferplus_end_to_end"] > row["ferplus_direct"] - 0.03
    assert row["fer2013_end_to_end"] > row["fer2013_direct"] - 0.03


@pytest.mark.slow
def test_age_on_crops_that_the_pipeline_makes(real_data: Path) -> None:
    """On every twelfth validation face; the card has the figure over all of them."""
    source = open_fairface(real_data / "fairface")
    rows = np.flatnonzero(source.split == "validation")[::12]
    cropper = FaceCropper(make_detector(DetectionOptions("mtcnn", 40), threads=1), 64, "rgb", AGE_FRAME)
    crops = [cropper(source.image(int(i))) for i in rows]
    found = np.array([crop is not None for crop in crops])
    assert found.mean() > 0.95
    data = Dataset(
        np.stack([np.zeros((64, 64, 3), np.uint8) if crop is None else crop for crop in crops]),
        source.split[rows],
        rows.astype(np.int32),
        DatasetInfo("fairface"),
        age=source.age[rows],
        gender=source.gender[rows],
        race=source.race[rows],
        found=found,
    )
    document = evaluate(open_model("age"), data, split="validation")
    scores = document["results"]["age found"]
    assert scores["accuracy"] > 0.45
    assert scores["one_off"] > 0.88
    assert sum(group["n"] for group in document["groups"]["age"]["race"].values()) == len(rows)


def test_the_age_card_reports_every_group() -> None:
    card = Model(read_model("age"), threads=1).card
    scores = card.scores["results"]["age"]
    assert scores["n"] == 5000
    assert scores["accuracy"] >= 0.5
    assert scores["one_off"] >= 0.91
    groups = card.scores["groups"]["age"]
    assert len(groups["race"]) == 7
    assert len(groups["gender"]) == 2
    assert len(groups["race and gender"]) == 14
