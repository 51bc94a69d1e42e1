"""Library code logs what a user would want to know, and prints nothing where no one has set up logging."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mien.predict.model_set import ModelSet

LOGS = "from mien.logger import get_logger; get_logger('mien.media.live').warning('frames were lost')"


def stderr_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_nothing_is_printed_where_logging_is_not_set_up() -> None:
    assert stderr_of(LOGS) == ""


def test_a_program_that_sets_up_logging_gets_the_records() -> None:
    assert stderr_of(f"import logging; logging.basicConfig(); {LOGS}") == "WARNING:mien.media.live:frames were lost\n"


def test_a_loaded_model_and_its_provider_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "mien"):
        ModelSet.open(["age"], threads=1)
    assert "runs on CPUExecutionProvider" in caplog.text
    assert re.search(r"loaded model age \S+ as 'age'", caplog.text)
