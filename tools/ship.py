"""Put network files in the place of the shipped ones, and their SHA-256 into the table that is verified on load.

python tools/ship.py emotion=calibrated.onnx emotion-int8=int8.onnx age=aged.onnx

Afterwards: `python tools/make_goldens.py`, `make networks-page`.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from mien.models import catalog
from mien.models.catalog import FILES, MODELS
from mien.models.model import Model


def ship(name: str, file: Path, table: Path = Path(catalog.__file__), files: Path = FILES) -> str:
    """Copy the file and write its hash into the table; returns the hash.

    Raises:
        SystemExit: no such name, or the file's card is of another task.
        MienError: not an ONNX file with a card.
    """
    if name not in MODELS:
        raise SystemExit(f"no shipped model {name!r}: choose among {', '.join(MODELS)}")
    row = MODELS[name]
    card = Model(file, threads=1).card
    if card.task != row.task or card.name != name:
        raise SystemExit(f"{file} is {card.name!r} with the task {card.task!r}, not {name!r} with {row.task!r}")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    text = table.read_text(encoding="utf-8")
    if text.count(row.sha256) != 1:
        raise SystemExit(f"{table} does not hold {row.sha256} once")
    shutil.copyfile(file, files / row.filename)
    table.write_text(text.replace(row.sha256, sha256), encoding="utf-8")
    return sha256


def main(arguments: list[str]) -> None:
    """Ship every NAME=FILE."""
    if not arguments or not all("=" in argument for argument in arguments):
        raise SystemExit(__doc__)
    for argument in arguments:
        name, _, file = argument.partition("=")
        print(f"{name}: {ship(name, Path(file))}")


if __name__ == "__main__":
    main(sys.argv[1:])
