from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from helpers.commands import runner
from helpers.datasets import fer2013_csv, fer2013_rows, ferplus_csv, hf_parquet, made, noise, votes_for
from helpers.features import needs_dlib
from mien.cli import cli
from mien.cli import data as module
from mien.datasets import DATASET_FORMATS
from mien.datasets.detection_layouts import DETECTION_LAYOUTS
from mien.datasets.ferplus import TARGET_RULES
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.errors import DataError, InputError
from mien.published.features import compute_features


def call(*arguments: object) -> Result:
    return runner().invoke(module.command, ["prepare", *map(str, arguments)])


@pytest.fixture
def fer2013(tmp_path: Path) -> Path:
    return fer2013_csv(tmp_path / "fer2013.csv", fer2013_rows(20))


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    table = votes_for(np.arange(20) % 7)
    table[5] = [3, 3, 3, 0, 0, 0, 0, 0, 1, 0]
    return ferplus_csv(tmp_path / "fer2013new.csv", table)


def test_choices_are_those_of_the_tables() -> None:
    assert tuple(DETECTION_LAYOUTS) == module.DETECTION_KINDS
    assert ("auto", *DATASET_FORMATS, *DETECTION_LAYOUTS) == module.KINDS
    assert module.RULES == TARGET_RULES


def test_prepare_prints_tables_to_stdout_and_the_rest_to_stderr(fer2013: Path, votes: Path, tmp_path: Path) -> None:
    result = call(fer2013, "--ferplus", votes, "--out", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    assert "fer2013: 20 images, 48×48 gray" in result.stdout
    assert "majority, 8 classes: kept" in result.stdout
    assert "dropped: no majority" in result.stdout
    assert "wrote" in result.stderr
    data = read_prepared(tmp_path / "out.parquet")
    assert len(data) == 20
    assert data.votes is not None


def test_targets_and_expressions_leave_rows_out(fer2013: Path, votes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    result = call(fer2013, "--ferplus", votes, "--targets", "majority", "--classes", "7", "--out", out)
    assert result.exit_code == 0, result.output
    data = read_prepared(out)
    assert 5 not in data.row
    assert data.info.dropped == (("no majority", 1),)
    assert "dropped 1: no majority" in result.stdout
    assert data.info.notes == ("rows kept by the FER+ rule majority with 7 classes",)
    result = call(out, "--expressions", "happiness, sad", "--out", tmp_path / "two.parquet")
    assert result.exit_code == 0, result.output
    two = read_prepared(tmp_path / "two.parquet")
    assert set(two.emotion.tolist()) == {3, 4}
    assert dict(two.info.dropped)["no majority"] == 1


def test_size_and_labels(tmp_path: Path) -> None:
    path = hf_parquet(tmp_path / "train.parquet", noise(3, 20, 20), {"label": [0, 1, 1]})
    result = call(path, "--labels", "happy, angry", "--size", "24", "--out", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    data = read_prepared(tmp_path / "out.parquet")
    assert data.size == (24, 24)
    assert data.emotion.tolist() == [3, 0, 0]


def test_wrong_calls(fer2013: Path, votes: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out.parquet"]
    assert call(fer2013).exit_code == 2
    assert call(fer2013, "--classes", "7", *out).exit_code == 2
    assert call(fer2013, "--kind", "ck", *out).exit_code == 2
    assert isinstance(call(fer2013, "--targets", "majority", *out).exception, InputError)
    assert isinstance(call(fer2013, "--expressions", "contempt", *out).exception, InputError)
    assert isinstance(call(fer2013, "--kind", "rafdb", *out).exception, FileNotFoundError)
    assert isinstance(call(fer2013, "--ferplus", fer2013, *out).exception, DataError)
    assert not (tmp_path / "out.parquet").exists()


def test_an_error_is_one_line_and_exit_code_1(fer2013: Path, tmp_path: Path) -> None:
    fer2013.write_text(fer2013.read_text().replace("Training", "Trainig", 1))
    command = [
        sys.executable,
        "-m",
        "mien.cli",
        "data",
        "prepare",
        str(fer2013),
        "--out",
        str(tmp_path / "out.parquet"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("mien: ")
    assert "row 1 (line 2): unknown Usage 'Trainig'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from mien.cli.data import command; "
        "r = CliRunner().invoke(command, ['prepare', '--help']); assert r.exit_code == 0; "
        "print(sorted(m for m in ('cv2', 'numpy', 'pyarrow', 'rich') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@needs_dlib
def test_features_are_computed_cached_and_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    source = write_prepared(made(40, side=48), tmp_path / "a.parquet")
    arguments = ["data", "prepare", str(source), "--expressions", "happy,angry", "--features", "hog,landmarks"]
    out = ["--out", str(tmp_path / "b.parquet"), "--images", str(tmp_path / "faces"), "--per-class", "2"]
    result = runner().invoke(cli, [*arguments, *out, "--workers", "1"], catch_exceptions=False)
    assert result.exit_code == 0
    data = read_prepared(tmp_path / "b.parquet")
    assert {data.taxonomy.names[i] for i in data.emotion} == {"happy", "angry"}
    np.testing.assert_array_equal(data.features["hog"], compute_features("hog", data.images))
    np.testing.assert_array_equal(data.features["landmarks"], compute_features("landmarks", data.images))
    header = (tmp_path / "faces" / "train" / "labels.csv").read_text().splitlines()[0]
    assert header == "file,row,emotion,happy,angry"
    assert np.load(tmp_path / "faces" / "train" / "landmarks.npy").shape == ((data.split == "train").sum(), 136)
    assert {path.name.partition("-")[0] for path in (tmp_path / "cache" / "features").iterdir()} == {"hog", "landmarks"}
    assert f"wrote {len(data)} pictures" in result.stderr
    with_more = [*arguments[:2], str(tmp_path / "b.parquet"), "--features", "hog-sliding", "--no-cache"]
    runner().invoke(cli, [*with_more, "--out", str(tmp_path / "c.parquet")], catch_exceptions=False)
    assert list(read_prepared(tmp_path / "c.parquet").features) == ["hog", "hog_sliding", "landmarks"]
    nothing = runner().invoke(cli, ["data", "prepare", str(source)])
    assert nothing.exit_code == 2
    assert "give --out FILE, --images FOLDER, or both" in nothing.stderr
