"""The benchmark beside other packages: its arithmetic, its processes, and pages that say what the JSON holds."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.datasets import made, votes_for
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.models.priors import DEFAULT

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("benchmarks", "tools"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


@pytest.fixture
def measured() -> Any:
    return json.loads((RESULTS / "peers.json").read_text(encoding="utf-8"))


@pytest.fixture
def robust() -> Any:
    return json.loads((RESULTS / "robustness.json").read_text(encoding="utf-8"))


def cells(page: str, first: str) -> list[str]:
    """The cells of the first row that begins so."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_spread_and_pairs() -> None:
    from beside.serving import pairs, spread

    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == {
        "median": 3.0, "least": 1.0, "quarter": 2.0, "three_quarters": 4.0, "greatest": 5.0, "n": 5,
    }  # fmt: skip
    # the load doubles half-way: every pair saw one load, so the ratio stays
    assert pairs([1.0, 2.0], [10.0, 20.0])["median"] == 10
    with pytest.raises(ValueError, match="zip"):
        pairs([1.0], [1.0, 2.0])


def test_pairs_turn_their_order() -> None:
    from peers import Cost, costs, paired

    order: list[str] = []

    def ask(name: str, cost: Cost) -> Cost:
        order.append(name)
        return cost

    ours, theirs = paired(lambda: ask("b", Cost(2.0, 9.0)), lambda: ask("a", Cost(1.0, 3.0)), 3)
    assert "".join(order) == "abbaab"
    times = costs(ours, theirs, "ms", 1000.0)
    assert times["ms"]["median"] == 2000
    assert times["ratio"]["median"] == 2
    assert times["cpu_ms"]["median"] == 9000
    assert times["cpu_ratio"]["median"] == 3


RUNNER = """
import sys, numpy as np
sys.path.insert(0, {runners!r})
import serve

class Toy:
    labels = {{"emotion": ("happy", "sad")}}
    def bring(self): print("talk on standard output")
    def load(self):
        if sys.argv[2] == "broken": raise RuntimeError("no weights\\nat all")
    def read(self, path): return open(path, "rb").read()
    def analyze(self, picture):
        if not picture: raise ValueError("empty")
        return len(picture)
    def batch(self, paths): return sum(self.analyze(self.read(path)) for path in paths)
    def find(self, rgb, min_face): return [(0, 0, rgb.shape[1], rgb.shape[0])]
    def score(self, faces):
        bright = faces.mean(axis=(1, 2)) / 255
        return {{"emotion": np.stack([bright, 1 - bright], axis=1)}}

serve.main(Toy())
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    runner = tmp_path / "toy.py"
    runner.write_text(RUNNER.format(runners=str(ROOT / "benchmarks" / "beside" / "runners")))
    return runner


def test_a_served_package_answers(toy: Path, tmp_path: Path) -> None:
    from beside.serving import Failed, Served

    photo, empty = tmp_path / "photo", tmp_path / "empty"
    photo.write_bytes(b"abc")
    empty.write_bytes(b"")
    given = tmp_path / "faces.raw"
    np.stack([np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)]).tofile(given)
    with Served([sys.executable, str(toy), ".", "whole", "serve"], tmp_path, core=0) as one:
        answer = one.ask(op="photo", path=str(photo), times=2)
        assert answer["faces"] == 3
        assert len(answer["read_ms"]) == len(answer["analyze_ms"]) == 2
        assert one.ask(op="batch", paths=[str(photo)] * 4)["faces"] == 12
        reported = one.ask(op="score", faces=str(given), n=2, side=4, out=str(tmp_path / "reported"))
        assert reported == {"heads": {"emotion": ["happy", "sad"]}}
        assert np.fromfile(tmp_path / "reported.emotion", np.float32).tolist() == [0, 1, 1, 0]
        (tmp_path / "rgb").write_bytes(bytes(2 * 6 * 3))
        found = one.ask(op="find", photo=str(tmp_path / "rgb"), height=2, width=6, min_face=1)
        assert found == {"centres": [[3.0, 1.0]]}
        assert one.peak_mb() > 1
        with pytest.raises(Failed, match="ValueError: empty"):
            one.ask(op="photo", path=str(empty), times=1)


def test_a_package_that_cannot_reports_why(toy: Path, tmp_path: Path) -> None:
    from beside.serving import Failed, Served, whole

    photo = tmp_path / "photo"
    photo.write_bytes(b"ab")
    seen = whole([sys.executable, str(toy), ".", "whole", "once", str(photo)], tmp_path)
    assert seen.answer == {"faces": 2}
    assert seen.peak_mb > 1
    for run in (
        lambda: whole([sys.executable, str(toy), ".", "broken", "once", str(photo)], tmp_path),
        lambda: Served([sys.executable, str(toy), ".", "broken", "serve"], tmp_path),
    ):
        with pytest.raises(Failed, match=r"^RuntimeError: no weights at all$"):
            run()
    with pytest.raises(Failed, match="NameError"):
        whole([sys.executable, "-c", "not python"], tmp_path)
    with pytest.raises(Failed, match="no result after"):
        whole([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, limit=0.5)


def test_sizes_of_an_environment(tmp_path: Path) -> None:
    from beside.environments import python_sizes

    for name, size in (("torch", 3_000_000), ("nvidia_cublas", 2_000_000), ("fer_package", 1_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(bytes(size))
        (tmp_path / f"{name}-1.5.dist-info").mkdir()
        (tmp_path / f"{name}-1.5.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n"
        )
    (tmp_path / "link").symlink_to(tmp_path / "torch")
    about = python_sizes(tmp_path, ("fer-package", "absent"))
    assert about["mb"] == pytest.approx(6, abs=0.01)
    assert about["cuda_mb"] == pytest.approx(2, abs=0.01)
    assert about["packages"] == 3
    assert about["versions"] == {"fer-package": "1.5"}
    assert next(iter(about["largest"])) == "torch"


SEVEN = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")


def _with_contempt() -> Any:
    """Forty faces, eight of nothing but contempt; half are test images."""
    votes = votes_for(np.arange(40) % 7).copy()
    votes[:8] = 0
    votes[:8, 7] = 10
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 48, 48, 1), np.uint8)
    split = np.array(["test", "validation"])[np.arange(40) % 2]
    return replace(made(40, votes=votes, side=48), images=images, split=split)


def _knows(data: Any, labels: tuple[str, ...]) -> Any:
    """A classifier that has every face right whose label it has, and gives the first label to the others."""
    from mien.evaluation.scoring.scored_model import ScoredModel

    def predict(images: Any, features: Any, flip: bool) -> Any:
        right = data.votes[images[:, 0, 0, 0], :8].argmax(axis=1)
        p = np.zeros((len(images), len(labels)), np.float32)
        p[np.arange(len(images)), np.where(right < len(labels), right, 0)] = 1
        return dict.fromkeys(("ferplus", "fer2013"), p)

    names = ("ferplus", "fer2013")
    return ScoredModel(
        "knows", 48, 1, {"ferplus": labels, "fer2013": labels} if len(labels) == 7 else {names[0]: labels}, predict
    )


def test_contempt_is_wrong_for_a_package_without_that_label() -> None:
    from scoreboard import score

    data = _with_contempt()
    seven = score(_knows(data, SEVEN), data, "test", flip=False)
    assert (seven["ferplus majority"]["n"], seven["ferplus majority"]["accuracy"]) == (20, 0.8)
    assert seven["ferplus majority"]["balanced_accuracy"] == pytest.approx(7 / 8)
    assert (seven["ferplus majority-7"]["n"], seven["ferplus majority-7"]["accuracy"]) == (16, 1.0)
    eight = score(_knows(data, (*SEVEN, "contempt")), data, "test", flip=False)
    assert (eight["ferplus majority"]["n"], eight["ferplus majority"]["accuracy"]) == (20, 1.0)


def test_answers_of_a_package_are_compared_without_it() -> None:
    from scoreboard import against, answers

    data = _with_contempt()
    text = answers(_knows(data, SEVEN), data, "test", flip=False)
    assert len(text) == 20
    right = {"model": "right", "split": "test", "flip": False, "answers": text}
    wrong = {**right, "model": "wrong", "answers": text[:-1] + str((int(text[-1]) + 1) % 7)}
    flipped = {**right, "flip": True}
    rows = against(_knows(data, (*SEVEN, "contempt")), data, {"rows": [right, wrong, flipped]})
    assert [(row["package"], row["n"], row["only_a"], row["only_b"]) for row in rows] == [
        ("right", 16, 0, 0),
        ("wrong", 16, 0, 1),
    ]


def test_weights_alone_are_installed_without_a_file_of_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import peers
    from beside.table import WEIGHTS

    made_ones: list[str] = []
    monkeypatch.setattr(peers, "make", lambda environment, *_, weights_only: made_ones.append(environment.name))
    monkeypatch.setattr(sys, "argv", ["peers.py", "--weights-only", "--environments", str(tmp_path)])
    peers.main()
    assert made_ones == list(dict.fromkeys(environment for _, environment, _ in WEIGHTS.values()))


def test_all_packages_are_scored_on_the_emotions_that_they_share() -> None:
    from beside.scores import scored

    data = _with_contempt()
    perfect = np.eye(7, dtype=np.float32)[data.votes[:, :7].argmax(axis=1)]
    eight = np.eye(8, dtype=np.float32)[data.votes[:, :8].argmax(axis=1)]
    table = scored({"emotion": (list(SEVEN), perfect)}, data)
    assert table["ferplus7"].correct.all()
    assert len(table["fer2013"]) == 40
    both = {"ferplus": ([*SEVEN, "contempt"], eight), "fer2013": (list(SEVEN), perfect)}
    assert scored(both, data)["ferplus7"].correct.all()
    assert scored(both, data)["ferplus"].correct.all()


def test_the_peers_page_holds_the_figures(measured: Any) -> None:
    from generate_peers import peers_section

    page = peers_section(measured)
    for one in measured["environments"].values():
        row = cells(page, one["title"])
        assert row[2] == f"{one['mb']:,.0f}"
        assert row[5] == str(one["packages"])
    able = [one for one in measured["peers"].values() if "cold" in one]
    for one in able:
        rows = [line for line in page.splitlines() if line.startswith(f"| {one['title']} |")]
        reported = iter([[c.strip() for c in row.strip("|").split("|")] for row in rows])
        start = next(reported)
        assert start[2].startswith(f"{one['cold']['cpu_s']['median']:.2f} ")
        assert start[4].startswith(f"{one['cold']['s']['median']:.2f} ")
        assert start[6] == f"{one['cold']['peak_mb']:,.0f}"
        for mode, kind in (("one", "cpu_"), ("all", "")):
            if mode in one["warm"]:
                row = next(reported)
                for place, name in ((1, "astronaut"), (3, "hopper"), (5, "crowd")):
                    seen = one["warm"][mode][name]
                    assert row[place].startswith(f"{seen[f'{kind}ms']['median']:,.1f} ")
                    assert row[place + 1].startswith(f"**{seen[f'{kind}ratio']['median']:.2f}**")
        if "batch" in one:
            assert next(reported)[1] == f"{one['batch']['faces'] / one['batch']['s']['median']:.1f}"
        assert not list(reported)
    for one in measured["peers"].values():
        if "cannot" in one:
            assert one["cannot"] in page


def test_a_missed_aim_is_reported(measured: Any) -> None:
    from generate_peers import FIRST, peers_section

    slow, quick = copy.deepcopy(measured), copy.deepcopy(measured)
    for document, ratio in ((slow, 9.99), (quick, 10.01)):
        for one in document["peers"].values():
            if "cold" in one and one["environment"] != "mien":
                one["warm"]["one"]["astronaut"]["cpu_ratio"]["median"] = ratio
    assert cells(peers_section(slow), FIRST)[2] == "10 times: missed"
    assert cells(peers_section(quick), FIRST)[2] == "10 times: reached"


def test_every_figure_of_the_results_is_plausible(measured: Any) -> None:
    assert measured["peers"]["mien"]["warm"]["one"]["astronaut"]["faces"] == 1
    assert measured["peers"]["mien"]["warm"]["one"]["crowd"]["faces"] == 16
    # Mien beside itself: what pairing cannot take out
    for mode in measured["peers"]["mien"]["warm"].values():
        assert 0.8 < mode["astronaut"]["cpu_ratio"]["median"] < 1.25


def test_the_scoreboard_is_of_the_networks_that_are_shipped() -> None:
    """The same file, and the figures of its card; the other packages' figures hang on no network of Mien's."""
    scoreboard = json.loads((RESULTS / "scoreboard.json").read_text(encoding="utf-8"))
    for name, sha256 in scoreboard["sha256"].items():
        assert sha256 == MODELS[name].sha256, "run `make networks-page`"
        results = Model(read_model(name), threads=1).card.scores["results"]
        row = next(
            row
            for row in scoreboard["rows"]
            if (row["model"], row["prior"], row["flip"], row["split"]) == (name, DEFAULT, False, "test")
        )
        for protocol, own in (("ferplus majority", "ferplus"), ("fer2013", "fer2013")):
            one = row["results"][protocol]
            assert one["n"] == results[own]["n"]
            # the 8-bit network answers a little differently on processors without 8-bit dot products
            assert one["accuracy"] == pytest.approx(results[own]["accuracy"], abs=0.002)
    peers = json.loads((RESULTS / "scoreboard_peers.json").read_text(encoding="utf-8"))
    compared = {one["package"] for one in scoreboard["against"]}
    assert compared in (set(), {row["model"] for row in peers["rows"]})
    for row in peers["rows"]:
        assert len(row.get("answers", "0" * 3589)) == 3589
        assert row["results"]["ferplus majority"]["n"] == {"test": 3153, "validation": 3199}[row["split"]]


def test_the_robustness_page_holds_the_figures(robust: Any) -> None:
    from generate_robustness import robustness_page

    page = robustness_page(robust)
    names = list(robust["classifiers"])
    tables = page.split("\n### ")[1:]
    for text, key in zip(tables, ("ferplus7", "fer2013"), strict=True):
        lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| ")][1:]
        assert len(lines) == len(robust["classification"])
        for line, row in zip(lines, robust["classification"], strict=True):
            reported = [cell.strip().split(" ")[0] for cell in line.strip("|").split("|")][2:]
            assert reported == [f"{100 * row['classifiers'][name][key]['share']:.1f}" for name in names]
    if "detection" not in robust:
        assert "Not measured" in page
        return
    finders = list(robust["detectors"])
    lines = [line for line in page.split("\n## Faces found")[1].splitlines() if line.startswith("| ")][1:]
    for line, row in zip(lines, robust["detection"], strict=True):
        reported = [cell.strip().split(" ")[0] for cell in line.strip("|").split("|")][2:]
        assert reported == [f"{100 * row['detectors'][name]['share']:.1f}" for name in finders]


def test_curves_are_where_the_figures_are(robust: Any) -> None:
    import re

    from generate_robustness import BOTTOM, HEIGHT, TOP, pictures

    for name, rows, key in (("accuracy.svg", "classification", "classifiers"), ("found.svg", "detection", "detectors")):
        if rows not in robust:
            continue
        lines = re.findall(r'<polyline points="([^"]+)"', pictures(robust)[name])
        assert len(lines) == len(robust["disturbances"]) * len(robust[key])
        points = [[float(v) for v in point.split(",")] for point in lines[0].split()]
        first = next(iter(robust[key]))
        clean = next(row for row in robust[rows] if row["disturbance"] == "clean")[key][first]
        share = clean["share"] if rows == "detection" else clean["ferplus7"]["share"]
        assert points[0][1] == pytest.approx(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, abs=0.06)
        assert len(points) == 6


def test_intervals_of_shares() -> None:
    from robustness import wilson

    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)
    assert wilson(45, 100) == pytest.approx((0.35606, 0.54758), abs=1e-4)


def test_what_was_not_measured_is_reported(measured: Any) -> None:
    from generate_peers import peers_section

    for one in measured["peers"].values():
        one.pop("batch", None)
    assert "Not measured: `python benchmarks/peers.py … --steps batch`." in peers_section(measured)
