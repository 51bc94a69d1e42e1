from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mien.detect.mtcnn import RNET
from mien.errors import InputError, MissingFileError, ModelError
from mien.models.session import open_session


def test_a_model_opens_from_bytes_and_from_its_file_alike():
    feed = {"input_2": np.random.default_rng(0).uniform(-1, 1, (3, 24, 24, 3)).astype(np.float32)}
    first = open_session(RNET.read(), threads=1).run(None, feed)
    second = open_session(RNET.path(), threads=1).run(None, feed)
    for a, b in zip(first, second, strict=True):
        assert len(a) == 3
        np.testing.assert_array_equal(a, b)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"nowhere\.onnx"):
        open_session(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" + bytes(100)])
def test_what_is_no_model_is_one_line(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    for model, name in ((path, "bad.onnx"), (content, "the model")):
        with pytest.raises(ModelError, match=name) as caught:
            open_session(model)
        assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused():
    with pytest.raises(ModelError):
        open_session(RNET.read()[:-1000])


def test_threads_are_checked():
    with pytest.raises(InputError):
        open_session(RNET.read(), threads=-1)


def test_importing_the_module_loads_no_runtime():
    code = "import sys, mien.models.session; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "code",
    [
        "from mien.detect.mien import LANDMARKS as L; from mien.models.session import open_session as o; o(L.read())",
        "import mien.server.metrics",  # a module of Mien's that loads ONNX Runtime before any network
        "import mien, onnxruntime; onnxruntime.get_available_providers()",
    ],
)
def test_nothing_is_revealed_about_the_machine(tmp_path, code):
    """ONNX Runtime's telemetry begins with a number for the machine in the home folder."""
    quiet = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    subprocess.run([sys.executable, "-c", code], env=environment | {"HOME": str(tmp_path)}, check=True, timeout=240)
    assert list(tmp_path.iterdir()) == []
