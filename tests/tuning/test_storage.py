"""Databases that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import InputError, TrainingError
from mien.tuning.storage import database_url, hide_password, open_storage


def test_databases_that_cannot_be_used(tmp_path: Path) -> None:
    url = database_url("postgresql://me:secret@127.0.0.1:1/searches", tmp_path)
    assert "secret" not in hide_password(url)
    with pytest.raises(TrainingError, match=r"127\.0\.0\.1:1/searches: the database cannot be used") as caught:
        open_storage(url, heartbeat=1)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    (tmp_path / "text.db").write_text("this is no database, and long enough to look at")
    with pytest.raises(TrainingError, match="not a database"):
        open_storage(database_url(f"sqlite:///{tmp_path}/text.db", tmp_path), heartbeat=1)
    for wrong in ("mysql://host/base", "nonsense", "sqlite://"):
        with pytest.raises(InputError, match="give sqlite"):
            database_url(wrong, tmp_path)
