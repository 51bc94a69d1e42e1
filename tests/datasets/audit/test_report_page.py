from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.audits import changed
from mien.datasets.audit import audit_dataset
from mien.datasets.audit.report_page import write_audit_page
from mien.datasets.dataset import Dataset
from mien.errors import InputError


def test_page_shows_faces_only_where_asked(clean: Dataset, tmp_path: Path) -> None:
    data = changed(replace(clean, info=replace(clean.info, name="<fer>")), {5: clean.images[0]})
    report = audit_dataset(data, ["exact", "balance", "agreement", "faceless"])
    text = write_audit_page(report, tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "http" not in text.replace('http-equiv="Content', "")
    assert "&lt;fer&gt;" in text
    assert "<fer>" not in text
    shown = write_audit_page(report, tmp_path / "faces.html", thumbnails=True).read_text(encoding="utf-8")
    assert shown.count('<img src="data:image/png;base64,') == 1  # two equal pictures are shown once
    assert "do not publish it" in shown
    with pytest.raises(InputError, match="is a folder"):
        write_audit_page(report, tmp_path)
