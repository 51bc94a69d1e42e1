"""The code of docs/statistics.md runs as printed, and answers what the made data is made of."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.faces import HEADS
from helpers.videos import report_of
from mien.draw.overview_page import write_overview
from mien.labels import FERPLUS
from mien.results.face_columns import FaceTable, empty_records, record_dtype
from mien.results.row_writers import CsvRows

pytest.importorskip("scipy")
pytest.importorskip("pandas")
PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
FPS, SECONDS, VIDEOS, LAG = 10, 40, 12, 0.5


def made(number: int, rng: np.random.Generator) -> FaceTable:
    """Two people: the second follows the smiles of the first after `LAG`; in odd videos there are more smiles."""
    n = FPS * SECONDS
    happy, neutral, sad = (FERPLUS.names.index(name) for name in ("happy", "neutral", "sad"))
    level = 0.7 if number % 2 else 0.35
    moods = np.repeat(rng.random(n // 10 + 2) < level, 10)[: n + FPS]
    records = empty_records(2 * n, record_dtype(HEADS, video=True))
    records["frame"], records["time"] = np.repeat(np.arange(n), 2), np.repeat(np.arange(n) / FPS, 2)
    records["track"] = np.tile([1, 2], n)
    records["face"], records["score"], records["detected"] = records["track"] - 1, 0.9, True
    records["box"], records["age"] = [10, 10, 50, 60], 1 / 9
    for k, shift in ((0, 0), (1, round(LAG * FPS))):
        smiles = moods[FPS - shift : FPS - shift + n]
        sorrow = ~smiles & (np.repeat(rng.random(n // 10 + 1) < 0.3, 10)[:n])
        p = np.full((n, len(FERPLUS.names)), 0.01)
        p[:, happy] = np.where(smiles, 0.9, 0.1) + rng.normal(0, 0.02, n)
        p[:, neutral], p[:, sad] = np.where(smiles | sorrow, 0.05, 0.8), np.where(sorrow, 0.8, 0.02)
        p /= p.sum(axis=1, keepdims=True)
        records["emotion"][k::2] = records["emotion/smoothed"][k::2] = p
        records["emotion/label"][k::2] = records["emotion/vote"][k::2] = p.argmax(axis=1)
    return FaceTable(records, HEADS, f"videos/talk {number}.mp4", video=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("statistics")
    rng = np.random.default_rng(4)
    summaries = []
    with CsvRows(folder / "rows.csv") as rows:
        for number in range(VIDEOS):
            table = made(number, rng)
            rows.write(table)
            report = report_of(table)
            summaries.append(folder / "report" / f"{number}" / "summary.json")
            replace(report).save(summaries[-1])
    write_overview(folder / "report", summaries)
    lines = [f"videos/talk {n}.mp4,{'story' if n % 2 else 'control'}" for n in range(VIDEOS)]
    (folder / "conditions.csv").write_text("\n".join(["source,condition", *lines]) + "\n")
    return folder


def run(title: str, folder: Path) -> str:
    (code,) = [c for c in CODE if title in c]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_is_run() -> None:
    assert len(CODE) == 4


def test_time_budgets(folder: Path) -> None:
    out = run("budget = ", folder)
    means = {}
    for condition in ("control", "story"):
        part = out.split(f"{condition} {VIDEOS} people")[1]
        mean, low, high = (float(v) for v in re.search(r"emotion_share_happy +(\S+) +(\S+) +(\S+)", part).groups())
        assert low < mean < high
        means[condition] = mean
    assert means["control"] == pytest.approx(0.35, abs=0.12)
    assert means["story"] == pytest.approx(0.7, abs=0.12)


def test_the_t_test_finds_the_difference(folder: Path) -> None:
    out = run("ttest_ind", folder)
    happy, sad = (
        [float(v) for v in re.search(rf"emotion_share_{label} +(.*)", out)[1].split()] for label in ("happy", "sad")
    )
    assert happy[0] == pytest.approx(0.35, abs=0.12)
    assert happy[1] < happy[0] < happy[2]
    assert happy[5] < 0.001
    assert happy[4] > 1
    # people who smile more have less time for anything else
    assert sad[0] < 0
    assert happy[3] <= happy[5] <= 3 * happy[3] + 1e-4


def test_synchrony_finds_the_lag(folder: Path) -> None:
    out = run("def lagged", folder)
    correlation, lag = re.search(r"correlation (\S+) at a lag of (\S+) s", out).groups()
    assert float(lag) == pytest.approx(LAG, abs=0.11)
    assert float(correlation) > 0.8
    assert float(re.search(r"p = (\S+)", out)[1]) < 0.01


def test_the_heat_map_shows_every_person(folder: Path) -> None:
    run("heat_map.png", folder)
    with Image.open(folder / "heat_map.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # as many dark and bright cells as people smile and do not
    assert (pixels[..., 1] > 150).mean() > 0.2
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
