"""What an output must not replace: inputs, under whatever name, and files that Mien need not have written."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mien.errors import InputError
from mien.files import OUTPUT_MARKER, is_file, marked_folder, output_errors, output_folder

OUTPUT_IS_INPUT = "output-is-input"
"""Code of the error where an output would overwrite an input."""
_END_BYTES, _MARK = 1 << 16, b"mien."
"""Bytes at the end of a file in which Parquet and ONNX files of Mien have a key, and how that begins."""
_RUN_FILES = frozenset({"config.json", "environment.json", "metrics.csv", "result.json"})
"""Files of a run folder that state what it is; figures and exports beside them are written again."""


def refuse_inputs(
    output: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]], *, folder: bool = False
) -> None:
    """Raise where writing ``output`` would overwrite one of ``inputs``, under whatever name or link.

    Args:
        output: a file, or with ``folder`` a folder that files are written into.
        inputs: files and folders that are read; missing ones are ignored.
        folder: ``output`` is a folder: it must not be an input, nor hold one.

    Raises:
        InputError: with the code "output-is-input".
    """
    identity = _identity(output)
    if identity is None:
        return
    for given in inputs:
        same = identity == _identity(given)
        if same or (folder and identity == _identity(Path(given).parent)):
            raise _would_overwrite(
                "is an input: it would be overwritten" if same else "holds an input, which must not be overwritten",
                output,
                given,
                advice="choose another folder for the output" if folder else "choose another name for the output",
            )


def refuse_foreign_files(folder: Path, names: Sequence[str]) -> None:
    """Raise where a file of a folder would be replaced that Mien need not have written.

    Args:
        folder: the folder to write into. One that Mien made has `OUTPUT_MARKER`: what it holds are results.
        names: the files to write into it.

    Raises:
        InputError: with the code "output-exists".
    """
    if is_file(folder / OUTPUT_MARKER):
        return
    for name in names:
        if os.path.lexists(folder / name):
            raise InputError(
                "exists already, and need not be a result of mien",
                path=folder / name,
                advice="choose a new or an empty folder, or move the file",
                code="output-exists",
            )


def refuse_originals(output: str | os.PathLike[str], inputs: Iterable[Path]) -> None:
    """Raise where ``output`` is a file below a folder that is read, and Mien need not have written it.

    Args:
        output: a file to write. Where there is none yet, it is no original.
        inputs: files and folders that are read; files are ignored.

    Raises:
        InputError: with the code "output-is-input".
    """
    if not is_file(output) or _is_written_by_mien(Path(output)):
        return
    above = set(Path(output).resolve().parents)
    for given in inputs:
        if given.resolve() in above:
            raise _would_overwrite(
                "exists in a folder that is read, and need not be a result of mien",
                output,
                given,
                advice="choose a new name, or a place outside that folder",
            )


def _is_written_by_mien(path: Path) -> bool:
    """Whether a file is a result that is written again: beside a run, or with the mark of Mien in its end."""
    if path.name in _RUN_FILES or path.suffix in (".safetensors", ".ckpt", ".skops"):
        return False
    if is_file(path.parent / "config.json") and is_file(path.parent / "environment.json"):
        return True
    with output_errors(path), path.open("rb") as file:
        file.seek(max(path.stat().st_size - _END_BYTES, 0))
        return _MARK in file.read()


def refuse_inside(output: str | os.PathLike[str], folders: Iterable[Path]) -> None:
    """Raise where ``output`` would lie inside one of these folders, whose whole content is read.

    Args:
        output: a file or folder to write.
        folders: folders that are read; files among them are ignored.

    Raises:
        InputError: with the code "output-is-input".
    """
    above = set(Path(output).resolve().parents)
    for folder in folders:
        if folder.resolve() in above and folder.is_dir():
            raise _would_overwrite("lies inside an input", output, folder, advice="choose a place beside it")


def _would_overwrite(
    problem: str, output: str | os.PathLike[str], given: str | os.PathLike[str], *, advice: str
) -> InputError:
    return InputError(
        problem,
        path=output,
        advice=advice,
        code=OUTPUT_IS_INPUT,
        details={"input": os.fspath(given).encode("utf-8", "backslashreplace").decode()},
    )


@contextlib.contextmanager
def result_folder(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """A `marked_folder` in which files of these names, or of these patterns, are results and replace no others.

    Raises:
        InputError: with the code "output-exists" where one of them exists and need not be a result of Mien; that it is
            a file, or that another run writes into it.
        OutputError: it cannot be made.
    """
    existing = output_folder(folder)
    patterns = [re.compile(fnmatch.translate(name)) for name in names]
    found = [path.name for path in existing.iterdir()] if existing.is_dir() else []
    refuse_foreign_files(existing, [name for name in found if any(pattern.match(name) for pattern in patterns)])
    with marked_folder(existing):
        yield


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Device and inode of a file or folder; None where there is none, or it is a device or a pipe."""
    try:
        status = os.stat(path)  # noqa: PTH116 - names from results need not be paths
    except (OSError, ValueError):
        return None
    kind = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return (status.st_dev, status.st_ino) if kind else None
