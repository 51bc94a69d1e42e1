from __future__ import annotations

import getpass
import json
import platform

import pytest
from click.testing import CliRunner

from mien.cli import cli
from mien.detect import DETECTORS
from mien.errors import ModelError
from mien.models.devices import DEVICES
from mien.pipeline import diagnosis


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(diagnosis, "_LEAST_RUNS", 1)
    monkeypatch.setattr(diagnosis, "_SECONDS", 0.0)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["doctor", "--threads", "1", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout


def test_all_is_reported_and_all_is_well(quick):
    found = json.loads(run("--json"))
    assert {each["name"]: each["reason"] for each in found["files"]} == dict.fromkeys(
        ["emotion.onnx", "age.onnx", "emotion-int8.onnx", "detector-int8.onnx", "detector.onnx", "landmarks.onnx"]
    )
    devices = {each["name"]: each for each in found["devices"]}
    assert set(devices) == set(DEVICES)
    assert devices["cpu"]["reason"] is None
    assert devices["migraphx"]["reason"] == "this ONNX Runtime was built without it"
    assert set(found["detectors"]) == set(DETECTORS)
    assert found["detectors"]["mien"] is None
    assert found["machine"]["packages"]["numpy"]
    assert found["threads"] == 1
    assert all(0 < each["least"] <= each["median"] for each in found["ms"].values())


def test_people_get_tables(quick):
    text = run()
    for part in ("installation", "devices", "shipped files", "verified, loads", "speed on cpu"):
        assert part in text


def test_a_damaged_file_is_exit_code_1_and_nothing_is_measured(quick, monkeypatch):
    def damaged(name):
        raise ModelError("SHA-256 is wrong")

    monkeypatch.setattr(diagnosis, "read_model", damaged)
    found = json.loads(run("--json", code=1))
    assert found["ms"] == {}
    assert [each["reason"] for each in found["files"] if each["name"] == "age.onnx"] == ["SHA-256 is wrong"]


@pytest.mark.filterwarnings("ignore::mien.models.devices.DeviceWarning")
def test_a_device_that_does_not_load_is_exit_code_1(quick):
    assert "this ONNX Runtime was built without it" in run("--device", "migraphx", code=1)


def test_a_row_of_a_benchmark_names_no_machine_and_no_user(quick, tmp_path):
    file = tmp_path / "row.json"
    assert run("--benchmark", str(file)) == ""
    row = json.loads(file.read_text())
    assert set(row) == {"machine", "device", "threads", "load", "ms"}
    assert row["machine"]["processor"]
    assert json.loads(run("--benchmark", "-"))["ms"].keys() == row["ms"].keys()
    for name in (platform.node(), getpass.getuser(), str(tmp_path)):
        if len(name) > 4:
            assert name not in file.read_text()


def test_options_that_exclude_each_other_are_refused():
    run("--json", "--benchmark", "-", code=2)
    run("--device", "gpu", code=2)
