"""Readings relative to a person's own resting face: the distribution at rest, the change from it, episodes of change.

Some faces look angry or sad at rest. Their most probable label means little; how far a frame lies from their resting
distribution does. Everything follows from the rows of a video, so it can be computed during an analysis or afterwards.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import defaults
from mien.errors import InputError, MissingFileError, choose_one
from mien.models.card import Head
from mien.results.face_columns import FaceTable, Heads, nominal_heads
from mien.results.track import Episode
from mien.smoothing.episodes import EpisodeLog

NEUTRAL = "neutral"
_FIRST = re.compile(r"first:(\d+(?:\.\d+)?)s?")
_EVERYONE = "all"
"""Key of a file for the resting distribution of everyone."""
_SUM = 0.02
"""How far the probabilities of a file may sum from 1."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Where the resting distribution of each person comes from.

    Attributes:
        first: the first seconds in which each track is observed; None for another way.
        label: the frames whose stable label is this one, such as "neutral"; None for another way.
        given: track number, as text, or "all" → label → probability; empty for another way.

    Examples:
        >>> Baseline.parse("first:10s").first, Baseline.parse("neutral").label
        (10.0, 'neutral')
    """

    first: float | None = None
    label: str | None = None
    given: Mapping[str, Mapping[str, float]] | None = None

    @classmethod
    def parse(cls, text: str) -> Baseline:
        """``first:10s``, ``neutral``, or the path of a JSON file.

        The file maps the numbers of tracks, or "all", to label → probability; ``changes.json`` of an earlier report,
        which `PersonChanges.to_dict` makes, is such a file, too.

        Raises:
            InputError: another form, seconds that are not above 0, or a file that holds no distributions.
            MissingFileError: no such file.
        """
        found = _FIRST.fullmatch(text)
        if found:
            seconds = float(found[1])
            if not 0 < seconds < math.inf:
                raise InputError(f"a baseline of {text!r} has no length", advice="use for example first:10s")
            return cls(first=seconds)
        if text == NEUTRAL:
            return cls(label=NEUTRAL)
        path = Path(text)
        if path.suffix.lower() != ".json":
            raise InputError(
                f"no baseline {text!r}", advice="use first:10s, neutral, or a .json file", code="baseline-unknown"
            )
        if not path.is_file():
            raise MissingFileError("no such file", path=path, advice="check the path")
        return cls(given=_read(path))


@dataclass(frozen=True, slots=True, eq=False)
class PersonChanges:
    """How the faces of a video differ from their own resting faces.

    Attributes:
        head: name of the head.
        labels: its k labels.
        resting: track → ``(k,)`` resting distribution; tracks without one, such as those that are never neutral, are
            missing.
        changes: ``(n, k)`` smoothed probability minus resting probability of each row of the table, -1 to 1; NaN where
            there is no face or no resting distribution.
        episodes: stretches in which one label lies at least `mien.defaults.CHANGE` above rest, by time. ``peak`` and
            ``mean`` are those of the change.

    Examples:
        >>> changes = person_changes(report.rows, Baseline(first=0.5))
        >>> changes.head, sorted(changes.resting), changes.changes.shape, len(changes.episodes)
        ('emotion', [1, 2], (50, 8), 0)
        >>> list(changes.to_dict()), list(changes.to_columns(report.rows))[:4]
        (['head', 'resting', 'episodes'], ['frame', 'time', 'track', 'change_neutral'])
    """

    head: str
    labels: tuple[str, ...]
    resting: Mapping[int, NDArray[np.float64]]
    changes: NDArray[np.float64]
    episodes: tuple[Episode, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: ``head``, ``resting`` (track → label → probability) and ``episodes``."""
        resting = {
            str(track): {label: round(float(p), 5) for label, p in zip(self.labels, row, strict=True)}
            for track, row in self.resting.items()
        }
        return {"head": self.head, "resting": resting, "episodes": [one.to_dict() for one in self.episodes]}

    def to_columns(self, table: FaceTable) -> dict[str, list[Any]]:
        """Frame, time, track of each row of a face, and a column ``change_LABEL`` per label; None without a change."""
        rows = np.flatnonzero(table.is_face)
        records = table.records[rows]
        columns: dict[str, list[Any]] = {name: records[name].tolist() for name in ("frame", "time", "track")}
        for i, label in enumerate(self.labels):
            values = (self.changes[rows, i].round(5) + 0.0).tolist()  # no -0.0
            columns[f"change_{label}"] = [None if math.isnan(value) else value for value in values]
        return columns


def person_changes(table: FaceTable, baseline: Baseline, *, head: str | None = None) -> PersonChanges:
    """Resting distribution of each track, change from it in each row, and episodes of change.

    Args:
        table: the rows of a video.
        baseline: where resting distributions come from.
        head: name of a head without an order; None for the first one.

    Raises:
        InputError: photos, no such head, or a baseline of other labels.

    Examples:
        >>> changes = person_changes(report.rows, Baseline(first=0.5))
        >>> changes.labels[changes.resting[1].argmax()]
        'happy'
    """
    if not table.video:
        raise InputError("a baseline is for videos: a photo has no course")
    name = _head(table.heads, head)
    one = table.heads[name]
    records = table.records
    smoothed = np.asarray(records[f"{name}/smoothed"], np.float64)
    tracks = np.where(table.is_face, records["track"], -1)
    lengths = _lengths(np.asarray(records["time"], np.float64))
    changes = np.full(smoothed.shape, np.nan)
    resting: dict[int, NDArray[np.float64]] = {}
    episodes: list[Episode] = []
    for track in sorted(set(tracks[tracks >= 0].tolist())):
        rows = np.flatnonzero(tracks == track)
        rest = _resting(baseline, one, track, records[rows], name, lengths[rows])
        if rest is None:
            continue
        resting[track] = rest
        changes[rows] = smoothed[rows] - rest
        episodes += _episodes(track, name, one.labels, changes[rows], records["time"][rows], lengths[rows])
    ordered = tuple(sorted(episodes, key=lambda episode: (episode.start, episode.track)))
    return PersonChanges(name, one.labels, resting, changes, ordered)


def _head(heads: Heads, name: str | None) -> str:
    known = nominal_heads(heads)
    chosen = name or next(iter(known), None)
    if chosen is None or chosen not in known:
        raise InputError(
            "there is no head without an order, which a baseline is for" if chosen is None else f"no head {chosen!r}",
            advice=choose_one(chosen or "", known) if known else "analyse with a model of emotions",
            code="head-unknown",
        )
    return chosen


def _lengths(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n,)`` seconds that the frame of each row lasts: until the next frame; the last as long as the one before."""
    frames, at = np.unique(times, return_inverse=True)
    if len(frames) < 2:
        return np.zeros(len(times))
    steps = np.diff(frames)
    # a gap in the frames, such as a lost stretch, is not a long frame
    steps = np.minimum(steps, 2 * np.median(steps))
    return np.asarray(np.append(steps, steps[-1])[at])


def _resting(
    baseline: Baseline, head: Head, track: int, records: NDArray[np.void], name: str, lengths: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """``(k,)`` resting distribution of one track, None where the track has none."""
    if baseline.given is not None:
        row = baseline.given.get(str(track), baseline.given.get(_EVERYONE))
        if row is None:
            return None
        if set(row) != set(head.labels):
            raise InputError(
                f"the baseline has the labels {', '.join(row)}, and the video {', '.join(head.labels)}",
                advice="make it with the same model",
            )
        return np.array([row[label] for label in head.labels])
    raw = np.asarray(records[name], np.float64)
    known = ~np.isnan(raw).any(axis=1)
    if baseline.first is not None:
        before = np.cumsum(lengths) - lengths
        chosen = known & (before < baseline.first - 1e-9)
    else:
        if baseline.label not in head.labels:
            raise InputError(f"the labels have no {baseline.label!r}", advice="use first:10s or a .json file")
        chosen = known & (records[f"{name}/label"] == head.labels.index(str(baseline.label)))
    weights = lengths[chosen]
    if not chosen.any():
        return None
    mean: NDArray[np.float64] = np.average(raw[chosen], axis=0, weights=weights if weights.sum() > 0 else None)
    return mean


def _episodes(
    track: int,
    head: str,
    labels: tuple[str, ...],
    changes: NDArray[np.float64],
    times: NDArray[np.float64],
    lengths: NDArray[np.float64],
) -> tuple[Episode, ...]:
    """Stretches in which the label that has risen most lies far enough above rest."""
    log = EpisodeLog(shortest=defaults.MIN_EPISODE, bridge=defaults.BRIDGE)
    for row, time, seconds in zip(changes.tolist(), times.tolist(), lengths.tolist(), strict=True):
        most = max(row)
        label = row.index(most) if most >= defaults.CHANGE else -1  # NaN is no change
        value = most if label >= 0 else 0.0
        log.add_frame(label, time, value)
        log.close_frame(value, time + seconds, seconds)
    return log.episodes(track, head, labels)


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        table = document.get("resting", document)
        given = {str(key): {str(label): float(p) for label, p in row.items()} for key, row in table.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"holds no resting distributions ({error})", path=path, advice=_FORM) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    for key, row in given.items():
        if not row or min(row.values()) < 0 or abs(sum(row.values()) - 1) > _SUM:
            raise InputError(f"the probabilities of {key!r} do not sum to 1", path=path, advice=_FORM)
    if not given:
        raise InputError("holds no resting distributions", path=path, advice=_FORM)
    return given


_FORM = 'give {"all": {LABEL: probability, …}} or {"1": …} by track'
