"""What follows when other weights are shipped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mien.evaluation.scoring.calibration import rewrite_card
from mien.models import catalog
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("benchmarks", "tools"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


def test_shipping_puts_the_file_and_its_hash_into_place(tmp_path: Path) -> None:
    from dataclasses import replace

    from ship import ship

    table = tmp_path / "catalog.py"
    table.write_text(Path(catalog.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    new = tmp_path / "new.onnx"
    rewrite_card("age", lambda card: replace(card, data="other data"), new)
    sha256 = ship("age", new, table, tmp_path)
    assert sha256 == hashlib.sha256((tmp_path / "age.onnx").read_bytes()).hexdigest()
    assert sha256 in table.read_text(encoding="utf-8")
    assert MODELS["age"].sha256 not in table.read_text(encoding="utf-8")
    assert MODELS["emotion"].sha256 in table.read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match="is 'age' with the task 'age'"):
        ship("emotion", new, table, tmp_path)
    with pytest.raises(SystemExit, match="no shipped model"):
        ship("mood", new, table, tmp_path)


def test_a_network_that_is_new_joins_those_before_it() -> None:
    from refresh import HISTORY, with_network

    entries = json.loads(HISTORY.read_text(encoding="utf-8"))
    results: dict[str, Any] = Model(read_model("age"), threads=1).card.scores["results"]
    before = entries["age"]
    # the same network in a file with another card
    renamed = with_network(before, "age", "another card", "1" * 64, results)
    assert [one["name"] for one in renamed] == [*(one["name"] for one in before[:-1]), "another card"]
    results = {**results, "age": {**results["age"], "accuracy": 0.6}}
    added = with_network(before, "age", "next", "0" * 64, results)
    assert [one["name"] for one in added] == [*(one["name"] for one in before), "next"]
    again = with_network(added, "age", "the same", "0" * 64, results)
    assert again == added
    for name in ("emotion", "age"):
        assert entries[name][-1]["sha256"] == MODELS[name].sha256, "run `make networks-page`"
        figures = [json.dumps(one["results"]) for one in entries[name]]
        assert len(set(figures)) == len(figures)


def test_the_page_has_the_networks_before_and_after() -> None:
    page = (ROOT / "docs" / "scoreboard.md").read_text(encoding="utf-8")
    entries = json.loads((ROOT / "docs" / "results" / "confusion.json").read_text(encoding="utf-8"))
    for name, each in entries.items():
        part = page.split(f"## Earlier networks: `{name}`")[1].split("\n## ")[0]
        for one in (each[0], each[-1]):
            assert f"`{name}`, {one['name']}" in part
            for protocol in one["results"].values():
                assert f"{100 * protocol['balanced_accuracy']:.1f} %" in part


def test_steps_run_in_the_order_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import refresh

    done: list[str] = []
    for name in refresh.STEPS:
        monkeypatch.setitem(refresh.STEPS, name, lambda options, name=name: done.append(name))
    refresh.main(["--steps", "pages,history"])
    assert done == ["pages", "history"]
    assert "processor minutes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        refresh.main(["--steps", "scoreboard", "--fer2013", str(tmp_path / "none.parquet")])
    with pytest.raises(SystemExit):
        refresh.main(["--steps", "nonsense"])


def test_both_portraits_are_read_alike_in_every_view() -> None:
    """Smiling and serious, found once in each; the page states what the file holds."""
    rows = json.loads((ROOT / "docs" / "results" / "portraits.json").read_text(encoding="utf-8"))["rows"]
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    expected = {"astronaut": "happy", "hopper": "neutral"}
    assert {row["portrait"] for row in rows} == expected.keys()
    for row in rows:
        for faces in row["faces"].values():
            assert len(faces) == 1
            assert next(iter(faces[0]["emotions"])) == expected[row["portrait"]]
            assert sum(faces[0]["emotions"].values()) <= 1 + 1e-6
        assert f"| {row['portrait']} | {row['view']} |" in page
