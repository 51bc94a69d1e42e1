"""Checkpoints of torch, written whole or not at all.

Written by torch itself, a checkpoint that does not fit on the disk replaces the last good one by a part of a file.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mien.files import write_bytes


def save_checkpoint(content: Any, path: Path) -> None:
    """Write what `torch.load` reads; `OutputError` where that fails, with the old file kept."""
    stream = io.BytesIO()
    torch.save(content, stream)
    write_bytes(path, stream.getvalue())


class AtomicCheckpointIO(TorchCheckpointIO):
    """The checkpoints of Lightning, by `save_checkpoint`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write one."""
        save_checkpoint(checkpoint, Path(path))
