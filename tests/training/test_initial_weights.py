"""A run that starts from an exported model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mien.models
from mien.errors import InputError, MissingFileError
from mien.networks.catalog import get_network
from mien.training.initial_weights import load_exported

FILES = Path(mien.models.__file__).parent / "files"


def test_the_network_computes_what_the_shipped_model_computes() -> None:
    torch.manual_seed(0)
    path = FILES / "emotion.onnx"
    images = torch.randn(256, 1, 48, 48)
    module = get_network("emotion-fast").build({"ferplus": 8, "fer2013": 7})
    load_exported(module, path, images)  # compares logits itself
    module.train()
    trained = module(images)["ferplus"].softmax(1)
    module.eval()
    # batch statistics are those that the norms hold, so training goes on where the export stands
    difference = (trained - module(images)["ferplus"].softmax(1)).abs().mean()
    assert difference < 0.05


def test_another_network_is_refused(tmp_path: Path) -> None:
    module = get_network("emotion-fast").build({"ferplus": 8, "fer2013": 7})
    images = torch.randn(32, 1, 48, 48)
    with pytest.raises(MissingFileError):
        load_exported(module, tmp_path / "absent.onnx", images)
    with pytest.raises(InputError, match="no weights"):
        load_exported(module, FILES / "age.onnx", images)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="cannot be read"):
        load_exported(module, tmp_path / "text.onnx", images)
