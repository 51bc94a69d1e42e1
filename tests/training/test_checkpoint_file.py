"""Weights and checkpoints on a full disk."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mien.errors import OutputError
from mien.training.checkpoint_file import AtomicCheckpointIO, save_checkpoint
from mien.training.run_folder import save_weights

resource = pytest.importorskip("resource", reason="limits of POSIX")
WRITERS: list[Callable[[dict[str, Any], Path], None]] = [
    save_checkpoint,
    save_weights,
    lambda content, path: AtomicCheckpointIO().save_checkpoint(content, path),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_an_error_of_ours_and_the_old_file_stays(
    write: Callable[[dict[str, Any], Path], None], tmp_path: Path
) -> None:
    """torch left a part of a file in the place of the last good one, and both libraries raise errors of their own."""
    path = tmp_path / "last"
    write({"a": torch.zeros(2)}, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write({"a": torch.zeros(10_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["last"]
