from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from mien import Analyzer
from mien.detect.mien import LANDMARKS
from mien.errors import InputError
from mien.models import devices
from mien.models.catalog import read_model
from mien.models.devices import CPU_PROVIDER, DEVICES, Device, DeviceWarning, parse_device
from mien.models.model import Model
from mien.models.session import Session, open_session

ROOT = Path(__file__).parents[2]
ABSENT = "migraphx"
"""A device whose provider no ONNX Runtime of the tests was built with."""


@pytest.mark.parametrize(
    ("text", "device"),
    [("cpu", Device("cpu")), ("cuda:1", Device("cuda", "1")), ("openvino:GPU.0", Device("openvino", "GPU.0"))],
)
def test_a_device_is_a_name_with_its_unit(text, device):
    assert parse_device(text) == device
    assert str(device) == text


@pytest.mark.parametrize("text", ["gpu", "", "cpu:0", "cuda:", "cuda:first", "cuda:²", "CUDA", "directml:-1"])
def test_what_is_no_device_is_refused(text):
    with pytest.raises(InputError) as caught:
        parse_device(text)
    assert caught.value.code == "device-unknown"


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_takes_back_to_the_processor_what_it_cannot_run(name):
    *own, last = parse_device(name).providers(threads=2)
    assert last == CPU_PROVIDER
    assert [provider for provider, _ in own] == ([] if name == "cpu" else [DEVICES[name].provider])
    assert all(isinstance(value, str) for _, options in own for value in options.values())


def test_a_unit_reaches_the_provider():
    assert parse_device("cuda:3").providers(1)[0][1]["device_id"] == "3"
    assert parse_device("openvino:GPU").providers(1)[0][1] == {"device_type": "GPU"}
    assert parse_device("openvino").providers(3)[0][1]["num_of_threads"] == "3"


def test_a_device_that_does_not_load_is_a_warning_that_names_what_it_needs_and_the_processor_runs():
    images = np.zeros((1, 48, 48, 3), np.uint8)
    expected = open_session(LANDMARKS.read(), threads=1).run(None, {"images": images})
    with pytest.warns(DeviceWarning, match=r"device migraphx did not load.*onnxruntime-migraphx.*mien doctor"):
        session = open_session(LANDMARKS.read(), threads=1, device=ABSENT)
    assert session.providers == [CPU_PROVIDER]
    for a, b in zip(session.run(None, {"images": images}), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_provider_that_fails_to_start_is_a_warning_with_its_reason_and_prints_nothing(monkeypatch, capsys):
    """ONNX Runtime's own fallback would print on stdout, among the data."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    def fails(source, options, *, providers, **kwargs):
        if providers != [CPU_PROVIDER]:
            assert kwargs == {"enable_fallback": 0}
            raise ValueError("no such hardware.")
        return real(source, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [DEVICES[ABSENT].provider, CPU_PROVIDER])
    with pytest.warns(DeviceWarning, match=r"did not load \(no such hardware\), so networks run on the processor"):
        open_session(LANDMARKS.read(), threads=1, device=ABSENT)
    assert capsys.readouterr().out == ""


def test_libraries_that_a_provider_needs_are_loaded_without_a_word_on_stdout(monkeypatch, capsys):
    import onnxruntime

    called = []
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: called.append(print("loaded")), raising=False)
    devices.load_libraries(parse_device("cuda"))
    devices.load_libraries(parse_device("coreml"))
    out, err = capsys.readouterr()
    assert (len(called), out, err) == (1, "", "loaded\n")


def test_an_analyzer_takes_a_device_and_keeps_it_when_pickled():
    with pytest.warns(DeviceWarning):
        analyzer = Analyzer(models=("emotion",), device=ABSENT, threads=1)
    assert analyzer.describe()["device"] == ABSENT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeviceWarning)
        copy = pickle.loads(pickle.dumps(analyzer))
    assert copy.describe() == analyzer.describe()
    with pytest.raises(InputError, match="no device 'gpu'"):
        Analyzer(device="gpu")


@pytest.mark.parametrize(("name", "warned"), [("emotion-int8", True), ("emotion", False)])
def test_a_network_in_8_bits_is_a_warning_on_a_device_that_rounds_differently(monkeypatch, name, warned):
    # this ONNX Runtime has no OpenVINO: the session states that it runs there
    monkeypatch.setattr(Session, "providers", [DEVICES["openvino"].provider, CPU_PROVIDER])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Model(read_model(name), threads=1, name=name, device="openvino")
    # the other warning is true here: this ONNX Runtime does not load the device
    texts = [str(one.message) for one in caught if "8 bits" in str(one.message)]
    assert len(texts) == warned
    assert all("up to 0.023" in text for text in texts)


def test_the_difference_in_8_bits_is_the_measured_one():
    measured = json.loads((ROOT / "docs" / "results" / "devices.json").read_text(encoding="utf-8"))
    for device, found in measured.items():
        assert DEVICES[device].difference_in_8_bits == round(found["rows"]["emotion-int8"]["largest"], 3)
