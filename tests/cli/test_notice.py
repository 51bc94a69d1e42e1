"""``mien notice``: text, sign and checklist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.commands import CommandRun
from mien.notice.texts import checklist_text


def test_command(mien: Callable[..., CommandRun], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = mien("notice", "--language", "de,en", "--operator", "Labor 3", "--sign", tmp_path / "sign.svg")
    assert run.code == 0
    assert "Verantwortlich für das System: Labor 3. [DSGVO, Art. 13 Abs. 1 lit. a]" in run.out
    assert "Responsible for the system: Labor 3." in run.out
    assert (tmp_path / "sign.svg").stat().st_size > 10_000
    run = mien("notice", "--language", "all", "--out", tmp_path / "notice.txt")
    assert (run.code, run.out) == (0, "")
    assert (tmp_path / "notice.txt").read_text(encoding="utf-8").count("____________") == 4 * 8
    run = mien("notice", "--checklist")
    assert run.out == checklist_text()
    run = mien("notice", "--language", "dee")
    assert run.code == 1
    assert "no notice in the language 'dee'; did you mean 'de'?" in run.err
    assert mien("notice", "--language", ",").code == 2


def test_a_full_disk_is_one_line(mien: Callable[..., CommandRun]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    run = mien("notice", "--out", "/dev/full")
    assert run.code == 1
    assert run.err.count("\n") == 1
