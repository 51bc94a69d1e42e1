from __future__ import annotations

import hashlib
import json

import pytest
from click.testing import CliRunner

from mien import provenance
from mien.cli import cli
from mien.dataset_terms import DATASET_TERMS
from mien.detect import DETECTORS
from mien.models.catalog import FILES, MODELS


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["licence", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def found() -> dict:
    return json.loads(run("--json"))


def test_every_file_in_the_package_is_listed_with_its_hash(found):
    listed = {}
    for row in found["weights"]:
        if row["comes_with"] == provenance.SHIPPED:
            listed |= row["sha256"]
    shipped = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES.glob("*.onnx")}
    assert listed == shipped


def test_every_model_and_detector_has_a_row(found):
    names = {row["name"] for row in found["weights"]}
    assert {*MODELS, *(f"detector {name}" for name in DETECTORS)} <= names


def test_every_row_names_its_licence_and_known_data(found):
    for row in found["weights"]:
        assert row["licence"]
        assert row["trained_on"]
        for key in (*row["trained_on"], *row["labels_from"]):
            assert found["datasets"][key]["licence"] == DATASET_TERMS[key].licence


def test_shipped_networks_state_their_data_and_limits(found):
    cards = [row for row in found["weights"] if row["name"] in MODELS]
    assert len(cards) == len(MODELS)
    assert all("AI Act" in row["limits"] and row["data"] for row in cards)


def test_the_catalog_names_what_the_card_names(found):
    for row in found["weights"]:
        for key in row["trained_on"] if row["name"] in MODELS else ():
            assert DATASET_TERMS[key].title.split(" (")[0].removesuffix(" votes") in row["data"]


def test_people_get_tables():
    text = run()
    parts = ("weights", "emotion-int8", "detector mien", "FER2013", "CC BY 4.0", "open questions", "No legal advice")
    for part in parts:
        assert part in text
