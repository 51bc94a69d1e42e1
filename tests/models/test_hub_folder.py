from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from huggingface_hub import ModelCard

from mien import Analyzer
from mien.cli import cli
from mien.errors import InputError
from mien.models.card import Card
from mien.models.catalog import MODELS, read_model
from mien.models.hub_folder import write_hub_folder, yaml_head
from mien.models.model import Model


@pytest.mark.parametrize("name", MODELS)
def test_the_loader_of_hugging_face_reads_what_the_card_states(name, tmp_path):
    result = CliRunner().invoke(cli, ["models", name, "--out", str(tmp_path / name)], catch_exceptions=False)
    assert result.exit_code == 0
    found = ModelCard.load(tmp_path / name / "README.md").data
    card = Model(read_model(name), threads=1).card
    assert (found.license, found.library_name, found.pipeline_tag) == ("apache-2.0", "mien", "image-classification")
    assert card.task in found.tags
    accuracies = {one.dataset_name: one.metric_value for one in found.eval_results if one.metric_type == "accuracy"}
    assert accuracies == {key: round(row["accuracy"], 4) for key, row in card.scores["results"].items()}


def test_the_folder_holds_the_model_its_card_and_the_limits(tmp_path):
    content = read_model("age")
    card = Model(content, threads=1).card
    folder = write_hub_folder(content, card, "age", tmp_path / "age")
    assert (folder / "model.onnx").read_bytes() == content
    assert Card.from_json((folder / "card.json").read_text(encoding="utf-8")) == card
    assert card.limits in (folder / "README.md").read_text(encoding="utf-8")
    assert list(Analyzer(models=[f"age={folder / 'model.onnx'}"], threads=1).models.models) == ["age"]
    # again over its own files, not over those of others
    write_hub_folder(content, card, "age", folder)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError):
        write_hub_folder(content, card, "age", tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_another_licence_and_a_model_without_scores():
    card = replace(Model(read_model("age"), threads=1).card, licence="CC-BY-NC-4.0", scores={})
    head = dict(line.split(": ", 1) for line in yaml_head(card, "mine").splitlines())
    assert json.loads(head["license"]) == "other"
    assert json.loads(head["license_name"]) == "CC-BY-NC-4.0"
    assert "model-index" not in head


def test_out_needs_a_name(tmp_path):
    assert CliRunner().invoke(cli, ["models", "--out", str(tmp_path / "x")]).exit_code == 2
