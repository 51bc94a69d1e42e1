"""The table of exchange formats: one row each, from which ``--export``, `VideoReport.export` and readers follow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import DataError, InputError, MissingFileError, choose_one
from mien.exchange.bids import write_bids
from mien.exchange.boris import boris_file, boris_observations, read_boris
from mien.exchange.coding import Coding, Interval, Tier, report_coding, subject_name
from mien.exchange.elan import elan_file, read_elan
from mien.exchange.openface import write_openface
from mien.exchange.praat import is_textgrid, read_textgrid, textgrid_file
from mien.exchange.tables import read_table, table_file, table_observations
from mien.files import is_special, output_errors, write_bytes
from mien.output_checks import refuse_inputs
from mien.results.video import VideoReport

BIDS_FOLDER = "bids"


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How a report is written for another tool.

    Attributes:
        summary: what it is, in a line.
        suffix: of the file of a video, added to the video's name; empty for a folder that all videos share.
        write: from the report, the file (or the folder) and the video's name, to the files that were written.

    Examples:
        >>> FORMATS["eaf"].suffix, FORMATS["eaf"].summary
        ('.eaf', 'ELAN annotations: a tier per face and head')
    """

    summary: str
    suffix: str
    write: Callable[[VideoReport, Path, str], Sequence[Path]]


def _of_coding(render: Callable[[Coding, Path], bytes]) -> Callable[[VideoReport, Path, str], Sequence[Path]]:
    return lambda report, path, name: [_write_new(render(report_coding(report), path), path)]


def _write_new(content: bytes, path: Path) -> Path:
    """Write a file that people correct: one that is there already is never replaced by another content."""
    with output_errors(path):
        if path.is_file() and path.read_bytes() == content:
            return path
    refuse_corrected(path)
    return write_bytes(path, content)


def refuse_corrected(path: Path) -> None:
    """Raise where a file that people correct would be replaced.

    Raises:
        InputError: with the code "output-exists".
    """
    if path.suffix.lower() in CODING_FILES and os.path.lexists(path) and path.suffix.lower() != ".csv":
        raise InputError(
            "exists already, and may hold a person's corrections",
            path=path,
            advice="move it, or choose another folder",
            code="output-exists",
        )


FORMATS: Mapping[str, ExportFormat] = {
    "boris": ExportFormat("BORIS project: subjects are faces, state events are episodes", ".boris",
                          _of_coding(boris_file)),
    "eaf": ExportFormat("ELAN annotations: a tier per face and head", ".eaf", _of_coding(elan_file)),
    "textgrid": ExportFormat("Praat TextGrid: a tier per face and head", ".TextGrid", _of_coding(textgrid_file)),
    "bids": ExportFormat("BIDS dataset: time series and events of each face", "", write_bids),
    "openface": ExportFormat("table with the column names of OpenFace 2", "-openface.csv",
                             lambda report, path, name: [write_openface(report, path)]),
}  # fmt: skip
"""Name of a format → how it is written.

Examples:
    >>> list(FORMATS)
    ['boris', 'eaf', 'textgrid', 'bids', 'openface']
"""

CODING_FILES: Mapping[str, Callable[[Coding, Path], bytes]] = {
    ".boris": boris_file,
    ".eaf": elan_file,
    ".textgrid": textgrid_file,
    ".csv": table_file,
}
"""Suffix → the content of the file of a coding.

Examples:
    >>> list(CODING_FILES)
    ['.boris', '.eaf', '.textgrid', '.csv']
"""


def parse_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The names of formats, each once.

    Raises:
        InputError: one is unknown, or there is none.
    """
    if isinstance(names, str):
        raise InputError(f"formats is a list of formats, got the string {names!r}", advice=f"give [{names!r}]")
    found = tuple(dict.fromkeys(names))
    if not found:
        raise InputError("no format to export", advice=f"there are {', '.join(FORMATS)}")
    for name in found:
        if name not in FORMATS:
            raise InputError(f"no export format {name!r}", advice=choose_one(name, FORMATS))
    return found


def export_paths(folder: Path, formats: Iterable[str], name: str) -> dict[str, Path]:
    """Format → the file of the video of this name, or the folder that all videos share."""
    return {
        one: folder / f"{name}{FORMATS[one].suffix}" if FORMATS[one].suffix else folder / BIDS_FOLDER for one in formats
    }


def export_report(report: VideoReport, folder: Path, formats: Iterable[str], name: str | None = None) -> list[Path]:
    """Write a report for other tools and return the files.

    Args:
        report: of one video.
        folder: where the files go; it is made.
        formats: names of `FORMATS`.
        name: of the files; None takes that of the video.

    Raises:
        InputError: an unknown format; a file that is the video itself; one that exists and people may have corrected.
        OutputError: a file cannot be written.

    Examples:
        >>> sorted(path.name for path in export_report(report, Path("coding"), ["boris", "openface"]))
        ['clip-openface.csv', 'clip.boris']
    """
    chosen = parse_formats(formats)
    stem = name or (Path(report.source).stem if report.source is not None else "") or "video"
    paths = export_paths(folder, chosen, stem)
    inputs = [] if report.source is None else [report.source]
    for path in paths.values():
        refuse_inputs(path, inputs)
    written: list[Path] = []
    for one, path in paths.items():
        written += FORMATS[one].write(report, path, stem)
    return written


def write_coding(coding: Coding, path: Path) -> Path:
    """Write a coding; the suffix is the format: .boris, .eaf, .TextGrid or .csv, and .csv for a device.

    Args:
        coding: what is written.
        path: the file; an existing one is replaced.

    Raises:
        InputError: another suffix.
        OutputError: it cannot be written.

    Examples:
        >>> write_coding(report_coding(report), Path("clip.eaf")).name
        'clip.eaf'
    """
    render = CODING_FILES.get(".csv" if not path.suffix and is_special(path) else path.suffix.lower())
    if render is None:
        raise InputError(
            f"no coding has the suffix {path.suffix!r}", path=path, advice="use .boris, .eaf, .TextGrid or .csv"
        )
    return write_bytes(path, render(coding, path))


def observations(path: Path) -> tuple[str, ...]:
    """The names of the observations of a BORIS project, or of the recordings of a table; none for other codings.

    Raises:
        DataError: the file is damaged or of another kind.

    Examples:
        >>> observations(write_coding(report_coding(report), Path("clip.boris")))
        ('clip',)
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        return ()
    if suffix == ".boris" or path.name.lower().endswith(".boris.gz"):
        return boris_observations(path)
    return table_observations(path) if suffix in (".csv", ".tsv", ".txt") and not is_textgrid(path) else ()


def _report_in(folder: Path) -> Path:
    """The folder of a report: this one, or the only one in the folder of all reports of a call.

    Raises:
        InputError: there are several.
        MissingFileError: there is none.
    """
    if (folder / "summary.json").is_file():
        return folder
    inside = sorted(path.parent for path in folder.glob("*/summary.json"))
    if len(inside) > 1:
        raise InputError(
            f"holds {len(inside)} reports", path=folder, advice=f"give the folder of one of them, such as {inside[0]}"
        )
    if not inside:
        raise MissingFileError(
            "no report in it",
            path=folder,
            advice="give the folder that --report wrote, or a file: .boris, .eaf, .TextGrid, .csv or .tsv",
        )
    return inside[0]


def read_coding(path: Path, observation: str | None = None) -> Coding:
    """A coding of people or a report of Mien, by its suffix.

    ``.boris``, ``.eaf``, ``.TextGrid``, a table (``.csv``, ``.tsv``, ``.txt``), ``summary.json`` of a report or the
    folder with it.

    Args:
        path: the file or the folder.
        observation: which one of a BORIS project, or of a table, with several.

    Raises:
        MissingFileError: there is no such file.
        InputError: another suffix; an observation that does not exist.
        DataError: the file is damaged or of another kind.

    Examples:
        >>> _ = write_coding(report_coding(report), Path("clip.TextGrid"))
        >>> [interval.label for interval in read_coding(Path("clip.TextGrid")).tiers[0].intervals]
        ['happy']
    """
    if path.is_dir():
        path = _report_in(path) / "summary.json"
    if not path.is_file():
        raise MissingFileError("no such file", path=path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".boris" or path.name.lower().endswith(".boris.gz"):
            return read_boris(path, observation)
        if suffix == ".json":
            return _read_summary(path)
        readers: Mapping[str, Callable[[Path], Coding]] = {".eaf": read_elan, ".textgrid": read_textgrid}
        if suffix == ".txt" and is_textgrid(path):
            return read_textgrid(path)
        if suffix in (".csv", ".tsv", ".txt"):
            return read_table(path, observation)
        if suffix in readers:
            return readers[suffix](path)
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read ({error.strerror or error})", path=path) from None
    raise InputError(
        f"no coding has the suffix {path.suffix!r}",
        path=path,
        advice="give .boris, .eaf, .TextGrid, .csv or .tsv, or a report: its folder or summary.json",
    )


def _read_summary(path: Path) -> Coding:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        heads = document["heads"]
        tiers: dict[tuple[str, str], list[Interval]] = {
            (subject_name(int(track["track"])), head): []
            for track in document["tracks"]
            for head, one in heads.items()
            if not one["ordered"]
        }
        for track in document["tracks"]:
            for one in track.get("episodes", ()):
                key = subject_name(int(track["track"])), str(one["head"])
                tiers[key].append(Interval(float(one["start"]), float(one["end"]), str(one["label"])))
        end = max([float(track["end"]) for track in document["tracks"]], default=0.0)
        return Coding(
            document.get("source"),
            tuple(Tier(*key, tuple(sorted(found))) for key, found in tiers.items()),
            0.0,
            max(end, float(document["coverage"]["seconds"])),
            {head: tuple(one["labels"]) for head, one in heads.items()},
            frozenset(head for head, one in heads.items() if one["ordered"]),
        )
    except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"is no summary of a report ({error!r})", path=path) from None
