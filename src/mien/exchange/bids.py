"""BIDS 1.11: one dataset of all videos, with a subject per face, time series on a regular grid, and episodes as events.

``sub-LABEL/beh/`` holds ``_physio.tsv.gz`` with its JSON, and ``_events.tsv`` with its own. The columns of the time
series are the numbers of `mien.results.face_columns`; their descriptions stand in the JSON.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.exchange.coding import ceil_time, frame_rate, frame_times, span
from mien.files import make_folder, output_file, write_bytes, write_text
from mien.results.columns import readable
from mien.results.face_columns import FaceTable
from mien.results.track import Track
from mien.results.video import VideoReport

VERSION = "1.11.1"
DATASET = "dataset_description.json"
MISSING = "n/a"
_PEOPLE = "participants"
_README = """Facial expressions as Mien predicts them from videos: how faces look to raters, not what people feel.

Each subject is one face of one video, tracked from frame to frame; participants.tsv has the video and the number of the
face. Faces of two videos are not known to be of the same person.
"""
_LONGEST_LABEL = 96
_EVENT_COLUMNS: Mapping[str, str] = {
    "trial_type": "label that the face shows",
    "head": "what the label belongs to, such as emotion",
    "peak": "greatest smoothed probability of the label, 0-1",
    "mean": "time-weighted mean of the smoothed probability, 0-1",
}


def write_bids(report: VideoReport, folder: Path, name: str) -> list[Path]:
    """Add the faces of a video to a dataset in ``folder``, which is made where it does not exist; returns its files.

    Args:
        report: of one video.
        folder: the dataset.
        name: of the video; its letters and digits are part of the subjects' labels.

    Raises:
        DataError: ``participants.tsv`` of the dataset cannot be read.
        OutputError: a file cannot be written.
    """
    make_folder(folder)
    label, people = _add_people(report, folder, name)
    written = [*_write_dataset(folder), people]
    for track in report.tracks:
        subject = _subject(label, track)
        place = folder / subject / "beh"
        base = f"{subject}_task-{label}"
        written += _write_series(report, track, place, base)
        written += _write_events(track, place, base)
    return written


def _letters(name: str) -> str:
    """BIDS labels have letters and digits alone; the names of files have them twice."""
    return re.sub(r"[^a-zA-Z0-9]", "", name)[:_LONGEST_LABEL] or "video"


def _subject(label: str, track: Track) -> str:
    return f"sub-{label}face{track.id:02d}"


def _write_dataset(folder: Path) -> list[Path]:
    description = {
        "Name": "Facial expressions predicted by Mien",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "mien", "Version": metadata.version("mien")}],
    }
    files = {
        DATASET: json.dumps(description, indent=1) + "\n",
        "README": _README,
        f"{_PEOPLE}.json": json.dumps(
            {
                "video": {"Description": "name of the video"},
                "track": {"Description": "number of the face in the video, in order of appearance"},
            },
            indent=1,
        )
        + "\n",
    }
    # a dataset that people have described stays as it is
    return [write_text(folder / name, text) for name, text in files.items() if not (folder / name).exists()]


def _add_people(report: VideoReport, folder: Path, name: str) -> tuple[str, Path]:
    """Write the faces of a video into the table of participants; returns the label of the video, and the table."""
    path = folder / f"{_PEOPLE}.tsv"
    columns = ["participant_id", "video", "track"]
    rows: list[dict[str, str]] = []
    video = _cell(readable(name) or "")
    if path.exists():
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                rows = [{key: value or MISSING for key, value in row.items() if key} for row in reader]
                columns = list(dict.fromkeys([*(reader.fieldnames or []), *columns]))
        except (UnicodeDecodeError, csv.Error, TypeError) as error:
            raise DataError(f"cannot be read ({error})", path=path) from None
    kept = [row for row in rows if row.get("video") != video]
    others = [row.get("participant_id", "") for row in kept]
    numbered = (f"{_letters(name)}{'' if n == 1 else f'v{n}'}" for n in itertools.count(1))
    label = next(one for one in numbered if not any(other.startswith(f"sub-{one}face") for other in others))
    ours = {_subject(label, track): track for track in report.tracks}
    # what people added to the row of a face stays
    before = {row["participant_id"]: row for row in rows if row.get("participant_id") in ours}
    new = [
        before.get(one, {}) | {"participant_id": one, "video": video, "track": str(track.id)}
        for one, track in ours.items()
    ]
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row.get(column, MISSING)) for column in columns) for row in (*kept, *new)]
    return label, write_text(path, "\n".join(lines) + "\n")


def _cell(value: str) -> str:
    return re.sub(r"[\t\r\n]", " ", value) or MISSING


def _write_series(report: VideoReport, track: Track, place: Path, base: str) -> list[Path]:
    """The time series of one face on the grid of the frames, from the first frame of the video to the last."""
    rate = frame_rate(report.rows.records) or 1.0
    at = rows_on_grid(report, track.id)
    columns = {one.name: one for one in report.rows.columns if one.flat and one.dtype == "float64"}
    del columns["time"]
    table = FaceTable(report.rows.records[at[at >= 0]], report.rows.heads, report.rows.source, video=True)
    values = {name: column.values(table, column.digits) for name, column in columns.items()}
    rows = ("\t".join(MISSING if v is None else str(v) for v in row) for row in zip(*values.values(), strict=True))
    empty = "\t".join([MISSING] * len(values))
    text = "".join((next(rows) if row >= 0 else empty) + "\n" for row in at.tolist())
    compressed = io.BytesIO()
    with gzip.GzipFile(fileobj=compressed, mode="wb", mtime=0) as file:
        file.write(text.encode())
    sidecar: dict[str, Any] = {
        "SamplingFrequency": round(rate, 9),
        "StartTime": ceil_time(span(report)[0], 6),
        "Columns": list(values),
        "PhysioType": "generic",
        **{
            name: {"Description": column.description} | ({"Units": _unit(column.unit)} if column.unit else {})
            for name, column in columns.items()
        },
    }
    data = write_bytes(output_file(place / f"{base}_physio.tsv.gz"), compressed.getvalue())
    return [data, write_text(place / f"{base}_physio.json", json.dumps(sidecar, indent=1) + "\n")]


def _unit(unit: str) -> str:
    return {"seconds": "s", "pixels": "px"}.get(unit, unit)


def rows_on_grid(report: VideoReport, track: int) -> NDArray[np.intp]:
    """Indices of the rows of a face at regular times, −1 where it is not visible.

    The grid begins with the first frame and has as many samples per second as the video has analysed frames; each
    sample is the frame that is shown at the middle of its step.
    """
    records = report.rows.records
    times, rate = frame_times(records), frame_rate(records) or 1.0
    start, end = span(report)
    count = max(1, round((end - start) * rate)) if len(times) else 0
    middles = start + (np.arange(count) + 0.5) / rate
    frames = np.searchsorted(times, middles, side="right") - 1
    mine = np.flatnonzero(records["track"] == track)
    row_of = np.full(len(times), -1, np.intp)
    row_of[np.searchsorted(times, records["time"][mine])] = mine
    found = row_of[frames]
    # a frame is not shown for longer than a few steps: what follows was not analysed
    late = middles - times[frames] > 3 / rate
    found[late] = -1
    return found


def _write_events(track: Track, place: Path, base: str) -> list[Path]:
    lines = ["\t".join(["onset", "duration", *_EVENT_COLUMNS])]
    for one in track.episodes:
        onset, end = ceil_time(one.start, 6), ceil_time(one.end, 6)
        numbers = [f"{one.peak:.4f}", f"{one.mean:.4f}"]
        lines.append("\t".join([f"{onset:.6f}", f"{end - onset:.6f}", _cell(one.label), _cell(one.head), *numbers]))
    described = {name: {"Description": text} for name, text in _EVENT_COLUMNS.items()}
    return [
        write_text(place / f"{base}_events.tsv", "\n".join(lines) + "\n"),
        write_text(place / f"{base}_events.json", json.dumps(described | _levels(track), indent=1) + "\n"),
    ]


def _levels(track: Track) -> dict[str, Any]:
    labels: Sequence[str] = [
        label for one in track.predictions.values() if not one.head.ordered for label in one.head.labels
    ]
    levels = {label: f"the face looks {label} to raters" for label in labels}
    return {"trial_type": {"Description": _EVENT_COLUMNS["trial_type"], "Levels": levels}} if levels else {}
