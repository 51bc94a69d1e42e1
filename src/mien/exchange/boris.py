"""BORIS projects: JSON in the format 7.0. Subjects are faces, behaviours are labels, episodes are state events.

BORIS (Behavioral Observation Research Interactive Software) keeps times in milliseconds; each lies in its frame.
"""

from __future__ import annotations

import gzip
import json
import math
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import DataError, InputError
from mien.exchange.coding import Coding, Interval, Tier, ceil_time, choose_observation
from mien.results.columns import readable

VERSION = "7.0"
_KEYS = string.ascii_lowercase + string.digits + string.ascii_uppercase
_NO_SUBJECT = "No focal subject"
_PLAYERS = 8
_STATE = "State event"
_DAMAGED = (
    ArithmeticError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError,
)  # fmt: skip
"""What damaged projects raise."""


def boris_file(coding: Coding, path: Path) -> bytes:
    """A project with one observation, named as ``path``, so that the coding can be corrected in BORIS."""
    text = json.dumps(boris_project(coding, readable(path.stem) or ""), ensure_ascii=False, indent=1) + "\n"
    return text.encode("utf-8", "backslashreplace")


def boris_project(coding: Coding, name: str) -> dict[str, Any]:
    """The project as JSON-ready values."""
    codes = _codes(coding)
    keys = iter(_KEYS)
    behaviours = [
        {
            "type": _STATE,
            "key": next(keys, ""),
            "code": code,
            "description": f"{head}: {label}" if head else label,
            "color": "",
            "category": head,
            "modifiers": {},
            # a new state of a head ends the others
            "excluded": ",".join(other for (h, _), other in codes.items() if h == head and other != code),
            "coding map": "",
        }
        for (head, label), code in codes.items()
    ]
    subjects = [
        {"key": str(number) if number < 10 else "", "name": subject, "description": ""}
        for number, subject in enumerate(coding.subjects, 1)
    ]
    return {
        "time_format": "hh:mm:ss",
        "project_date": "",
        "project_name": name,
        "project_description": "Coded by Mien: how faces look to raters.",
        "project_format_version": VERSION,
        "subjects_conf": {str(i): one for i, one in enumerate(subjects)},
        "behaviors_conf": {str(i): one for i, one in enumerate(behaviours)},
        "observations": {name: _observation(coding, codes)},
        "behavioral_categories": list(dict.fromkeys(head for head, _ in codes if head)),
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _observation(coding: Coding, codes: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    media = [] if coding.source is None else [str(Path(coding.source).absolute())]
    length = ceil_time(coding.end, 3)
    events = []
    for tier in coding.tiers:
        for one in tier.intervals:
            code = codes[tier.head, one.label]
            start, end = ceil_time(one.start, 3), ceil_time(one.end, 3)
            # where a state ends and the next one begins, the end comes first
            events.append((start, 1, tier.subject, code, _frame(one.start, coding.rate)))
            events.append((end, 0, tier.subject, code, _frame(one.end, coding.rate)))
    return {
        "file": {str(player): (media if player == 1 else []) for player in range(1, _PLAYERS + 1)},
        "type": "MEDIA",
        "date": "",
        "description": "",
        "time offset": 0.0,
        "events": [[time, subject, code, "", "", frame] for time, _, subject, code, frame in sorted(events)],
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": dict.fromkeys(media, length),
            "fps": {one: round(coding.rate, 6) for one in media},
            "hasVideo": dict.fromkeys(media, True),
            "hasAudio": dict.fromkeys(media, False),
            "offset": {"1": 0.0},
        },
    }


def _frame(seconds: float, rate: float) -> int | str:
    return math.floor(seconds * rate + 1e-3) if rate else "NA"


def _codes(coding: Coding) -> dict[tuple[str, str], str]:
    """(head, label) → code; the head stands before labels that two heads share. A comma would separate codes."""
    heads = dict.fromkeys([*coding.labels, *(tier.head for tier in coding.tiers)])
    pairs = [(head, label) for head in heads for label in coding.head_labels(head)]
    labels = [label for _, label in pairs]
    return {
        (head, label): _without_commas(f"{head} {label}" if labels.count(label) > 1 and head else label)
        for head, label in pairs
    }


def read_boris(path: Path, observation: str | None = None) -> Coding:
    """One observation of a project.

    A behaviour's category is its head. State events are paired in order of time; one that never ends, ends with the
    media. Point events are intervals without length.

    Raises:
        DataError: the file is no BORIS project, or one that is damaged.
        InputError: it has several observations, or none of this name.
    """
    project = _project(path)
    try:
        held = project["observations"]
        return _read_observation(held[choose_observation(list(held), observation, path)], project)
    except _DAMAGED as error:
        if isinstance(error, InputError):
            raise
        raise DataError(f"is no BORIS project that can be read ({error!r})", path=path) from None


def boris_observations(path: Path) -> tuple[str, ...]:
    """The names of the observations of a project.

    Raises:
        DataError: the file is no BORIS project, or one that is damaged.
    """
    return tuple(_project(path)["observations"])


def _project(path: Path) -> Mapping[str, Any]:
    content = path.read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        project: Mapping[str, Any] = json.loads(content.decode("utf-8-sig"))
        list(project["observations"])
    except _DAMAGED as error:
        raise DataError(f"is no BORIS project that can be read ({error!r})", path=path) from None
    return project


def _read_observation(observation: Mapping[str, Any], project: Mapping[str, Any]) -> Coding:
    behaviours = {one["code"]: one for one in project["behaviors_conf"].values()}
    events = sorted((float(event[0]), number, event) for number, event in enumerate(observation["events"]))
    lengths = [float(n) for n in observation.get("media_info", {}).get("length", {}).values()]
    end = max([*lengths, *(time for time, _, _ in events)], default=0.0)
    files = observation.get("file", {}).get("1", [])
    tiers: dict[tuple[str, str], list[Interval]] = {}
    labels: dict[str, list[str]] = {}
    for code, one in behaviours.items():
        head = one.get("category") or ""
        labels.setdefault(head, []).append(_label(code, one))
    for subject, code, start, stop in _paired(events, behaviours, end):
        behaviour = behaviours.get(code, {})
        label, head = _label(code, behaviour), behaviour.get("category") or ""
        tiers.setdefault((subject, head), []).append(Interval(start, stop, label))
    return Coding(
        files[0] if files else None,
        tuple(Tier(subject, head, tuple(sorted(found))) for (subject, head), found in tiers.items()),
        0.0,
        end,
        {head: tuple(found) for head, found in labels.items()},
    )


def _label(code: str, behaviour: Mapping[str, Any]) -> str:
    """The label of a code: without its head, and with the commas that Mien's description keeps."""
    head = behaviour.get("category") or ""
    described = str(behaviour.get("description", "")).removeprefix(f"{head}: ")
    label = code.removeprefix(f"{head} ") if head else code
    return described if _without_commas(described) == label else label


def _without_commas(label: str) -> str:
    """A label as BORIS can hold it: a comma would separate codes."""
    return label.replace(",", ";").strip()


def _paired(
    events: Iterable[tuple[float, int, Sequence[Any]]], behaviours: Mapping[str, Any], end: float
) -> Iterator[tuple[str, str, float, float]]:
    """Subject, code, start and end of each event."""
    running: dict[tuple[str, str], float] = {}
    for time, _, event in events:
        subject = "" if event[1] == _NO_SUBJECT else str(event[1])
        code = str(event[2])
        if not str(behaviours.get(code, {}).get("type", _STATE)).startswith("State"):
            yield subject, code, time, time
        elif (subject, code) in running:
            yield subject, code, running.pop((subject, code)), time
        else:
            running[subject, code] = time
    for (subject, code), start in running.items():
        yield subject, code, start, end
