"""`mien.batch.inputs`: what a source names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.batch.inputs import list_inputs


def test_patterns_and_lists(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    given = str(photos / "p000.jpg")
    assert len(list_inputs("p00[0-2].jpg")) == 3
    assert len(list_inputs("**/*")) == 9
    names = tmp_path / "names.txt"
    names.write_text(f"{given}\n\np000.jpg\nnowhere.jpg\nmemory://far/away.jpg\n")
    found = list_inputs(str(names))
    assert [entry.path for entry in found] == [str(photos / "nowhere.jpg"), given, "memory://far/away.jpg"]
    assert [entry.size is None for entry in found] == [True, False, True]
