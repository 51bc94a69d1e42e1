from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from helpers.svm_data import RECIPE
from mien.errors import ModelError
from mien.published.svm.model_file import load_svm_model, save_svm_model
from mien.published.svm.run_folder import load_svm
from mien.published.svm.training import train_svm


def test_untrusted_types_are_refused(data: Path, tmp_path: Path) -> None:
    folder = train_svm(RECIPE, data, tmp_path / "run")
    forest = Pipeline([("svm", RandomForestClassifier(2).fit([[0.0], [1.0]], [0, 1]))])
    save_svm_model(forest, folder / "model.skops")
    with pytest.raises(ModelError, match=r"names the type .*; do not use a file from a source you do not trust"):
        load_svm(folder)


def test_an_untrusted_type_deep_in_the_schema_is_refused(data: Path, tmp_path: Path) -> None:
    folder = train_svm(RECIPE, data, tmp_path / "run")
    changed = tmp_path / "changed.skops"
    with zipfile.ZipFile(folder / "model.skops") as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                deep = schema["content"]["content"]
                deep[sorted(deep)[0]] = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    with pytest.raises(ModelError, match=r"names the type os\.system"):
        load_svm_model(changed)


@pytest.mark.parametrize("content", [b"", b"no zip at all", None])
def test_damaged_models_give_an_error_of_one_line(data: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.skops"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", "{}")
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not a readable model .*train it again"):
        load_svm_model(path)
