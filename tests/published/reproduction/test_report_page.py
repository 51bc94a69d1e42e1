from __future__ import annotations

import re
from pathlib import Path

from helpers.reproduction_results import fabricated
from mien.published.reproduction.published_results import ROWS
from mien.published.reproduction.report_page import (
    learning_curve_images,
    our_figures,
    published_figures,
    reproduction_page,
)
from mien.published.reproduction.results import (
    write_curve,
    write_result,
)


def test_a_page_without_results_has_no_figures_of_ours(tmp_path: Path) -> None:
    text = reproduction_page(tmp_path)
    rows = [line for line in text.partition("## Results that are missing")[0].splitlines() if line.startswith("| `")]
    assert len(rows) == len([row for row in ROWS.values() if row.improves is None])
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[4].startswith("not run yet"), line
        assert cells[5] in ("not run yet", "–")
        assert not re.search(r"\d %", "".join(cells[4:]))
    assert learning_curve_images(tmp_path) == {}


def test_the_page_has_the_figures_of_the_files(tmp_path: Path) -> None:
    own, better = ROWS["stack-final"], ROWS["stack-final-improved"]
    write_result(tmp_path, fabricated(own, (0.5, 0.6)))
    write_result(tmp_path, fabricated(better, (0.7123,)))
    write_curve(tmp_path, own.name, 0, [{"epoch": 1.0, "val_loss": 2.0, "train_loss": 1.5, "val_x_accuracy": 0.3}] * 2)
    text = reproduction_page(tmp_path)
    line = next(line for line in text.splitlines() if line.startswith("| `stack-final` |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "1,234,567"
    assert cells[3] == "60.37 % validation, 61.05 % test"
    assert cells[4].startswith("55.0 % validation, 56.0 % (57.0 %) test (2 of 4 runs, standard deviation 7.1")
    assert cells[5] == "71.2 % (72.2 %)"
    assert cells[6] == "73.2 %"
    assert "| `mien reproduce stack-final` | 1 | epoch 9 of 10 | 10 | 12 | A processor, 1 thread | float32 |" in text
    assert "| angry | 0 | 1 | 2 |" in text
    assert reproduction_page(tmp_path) == text
    assert list(learning_curve_images(tmp_path)) == ["stack-final.svg"]
    assert "not run yet" in our_figures(ROWS["fusion-a"], None)
    assert published_figures(ROWS["fusion-a"]) == "72.4 % test"


def test_the_page_lists_what_has_not_run_and_what_it_would_cost(tmp_path: Path) -> None:
    own = ROWS["stack-final"]
    result = fabricated(own, (0.5, 0.6))
    write_result(tmp_path, result)
    write_result(tmp_path, fabricated(ROWS["small-cnn"], (0.6,)))
    text = reproduction_page(tmp_path).partition("## Results that are missing")[2]
    table = {
        line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")][1:]
        for line in text.splitlines()
        if line.startswith("| `")
    }
    assert "small-cnn" not in table
    assert table["stack-final"][:2] == ["2", "--data"]
    assert table["fusion-b-landmarks"][1] == "--data with features landmarks"
    assert table["compact-vgg-rafdb"][1] == "--rafdb-data"
    # two rows ran on a core for ten epochs of 10.1 seconds; each lends its rate to the networks of its size
    for name, cost, measured in (
        ("stack-final", own.cost / 2, "stack-final"),
        ("stack-final-improved", ROWS["stack-final-improved"].cost, "stack-final"),
        ("small-cnn-improved", ROWS["small-cnn-improved"].cost, "small-cnn"),
    ):
        rate = 101.0 / (ROWS[measured].cost / len(ROWS[measured].seeds))
        assert table[name][3:] == [f"{cost * rate / 3600:,.1f}", "–"]
    # a row that was begun counts with its own epoch: 60 of 509 seconds
    assert table["age-cnn-small"][3] == "8.5"
