"""The tables of what is known of a whole video: its tracks, their episodes, and how much of it was analysed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.models.card import Head
from mien.results.columns import AnyKey, Column, check_names, column_names, head_name, json_objects
from mien.results.face_columns import AGE, EMOTION, LIST_OF_LABELS, set_columns

if TYPE_CHECKING:
    from mien.results.track import Episode, Track, TrackPrediction

_SHARE: Mapping[str, Any] = {"digits": 4, "low": 0, "high": 1}


def _of(get: Callable[[Any], Any]) -> Any:
    """Reads one value of each track or episode; None where ``get`` finds nothing."""

    def values(rows: Sequence[Any], digits: int | None) -> list[Any]:
        read = [get(row) for row in rows]
        return read if digits is None else [None if value is None else round(value, digits) for value in read]

    return values


EPISODE_COLUMNS: tuple[Column[Sequence[Episode]], ...] = (
    Column("track", "int32", "number of the track", _of(lambda e: e.track), ("track",), low=1, required=True),
    Column("head", "category", "head that the label belongs to", _of(lambda e: e.head), ("head",), required=True),
    Column("label", "category", "the label shown, such as happy", _of(lambda e: e.label), ("label",), required=True),
    Column("start", "float64", "start of the episode", _of(lambda e: e.start), ("start",), "seconds", 3, required=True),
    Column("end", "float64", "end of the last frame", _of(lambda e: e.end), ("end",), "seconds", 3, required=True),
    Column("peak", "float64", "greatest smoothed probability", _of(lambda e: e.peak), ("peak",), required=True,
           **_SHARE),
    Column("peak_time", "float64", "time of the peak", _of(lambda e: e.peak_time), ("peak_time",), "seconds", 3,
           required=True),
    Column("mean", "float64", "time-weighted mean of the smoothed probability", _of(lambda e: e.mean), ("mean",),
           required=True, **_SHARE),
)  # fmt: skip
"""The columns of episodes.

Examples:
    >>> [column.name for column in EPISODE_COLUMNS]
    ['track', 'head', 'label', 'start', 'end', 'peak', 'peak_time', 'mean']
"""
_TRACK: tuple[Column[Sequence[Track]], ...] = (
    Column("track", "int32", "number of the face, in order of appearance", _of(lambda t: t.id), ("track",), low=1,
           required=True),
    Column("start", "float64", "its first frame", _of(lambda t: t.start), ("start",), "seconds", 3, required=True),
    Column("end", "float64", "end of its last frame", _of(lambda t: t.end), ("end",), "seconds", 3, required=True),
    Column("frames", "int64", "frames in which it was observed", _of(lambda t: t.frames), ("frames",), low=0,
           required=True),
    Column("seen", "float64", "time in which it was observed", _of(lambda t: t.seen), ("seen",), "seconds", 3, low=0,
           required=True),
)  # fmt: skip


def track_columns(heads: Mapping[str, Head]) -> tuple[Column[Sequence[Track]], ...]:
    """The columns of tracks with predictions of these heads.

    Examples:
        >>> [column.name for column in track_columns(report.heads)][:6]
        ['track', 'start', 'end', 'frames', 'seen', '']
    """
    columns = (*_TRACK, *(column for name, head in heads.items() for column in _head_columns(name, head)))
    check_names(columns)
    return columns


def _head_columns(name: str, head: Head) -> tuple[Column[Sequence[Track]], ...]:
    ranges = head.ranges is not None
    root = ("predictions", AnyKey(name))
    stem, parts = head_name(name), dict(zip(head.labels, column_names(head.labels), strict=True))
    label, column = f"{name}_range" if ranges else name, f"{stem}_range" if ranges else stem
    text = label.replace("_", " ")

    def of(get: Callable[[TrackPrediction], Any]) -> Any:
        return _of(lambda track: get(track.predictions[name]) if name in track.predictions else None)

    def probability(one: str) -> Any:
        return of(lambda p: p.probabilities[one])

    def vote(field: str) -> Any:
        return of(lambda p: None if p.vote is None else getattr(p.vote, field))

    def share(one: str) -> Any:
        return of(lambda p: p.shares.get(one))

    what = f"the most probable {text}"
    get_label = of(lambda p: p.label)
    columns = [Column(column, "category", what, get_label, (*root, "label"), any_description="the most probable label")]
    if (name, ranges) in ((EMOTION, False), (AGE, True)):  # views of the shipped heads
        columns.insert(0, Column("", "category", what, get_label, (label,), flat=False))
    if ranges:
        mean = of(lambda p: p.expected)
        columns.append(
            Column(stem, "float64", f"expected {name}", mean, (*root, "expected"), digits=1, low=0,
                   any_description="mean under the distribution, for labels that are ranges of numbers")
        )  # fmt: skip
        if name == AGE:
            columns.append(Column("", "float64", "expected age, years", mean, (name,), digits=1, low=0, flat=False))
    what = "pooled probability" if head.ordered else "time-weighted mean probability"
    columns += [
        Column(f"{stem}_{parts[one]}", "float64", f"{what} of {one}", probability(one),
               (*root, "probabilities", AnyKey(one)), any_description="probability of the label over the track",
               **_SHARE)
        for one in head.labels
    ]  # fmt: skip
    if head.rule is not None:
        columns += set_columns(name, head, lambda tracks: _distributions(tracks, name, head), LIST_OF_LABELS)
    if head.ordered:
        return tuple(columns)
    columns += [
        Column(f"{stem}_share_{parts[one]}", "float64", f"fraction of the observed time with {one} as stable label",
               share(one), (*root, "shares", AnyKey(one)),
               any_description="fraction of the observed time with this stable label", **_SHARE)
        for one in head.labels
    ]  # fmt: skip
    columns += [
        Column(f"{stem}_vote", "category", "label with the most votes of all frames",
               of(lambda p: p.vote and p.vote.label), (*root, "vote", "label"), null=True),
        *(
            Column(f"{stem}_vote_{end}", "float64", text, vote(end), (*root, "vote", end), **_SHARE)
            for end, text in (("share", "its share of the votes"), ("low", "lower end of the 95 % interval"),
                              ("high", "upper end of the interval"))
        ),
        Column(f"{stem}_vote_n", "int64", "frames that voted", of(lambda p: p.vote and p.vote.n), (*root, "vote", "n"),
               low=0),
        Column(f"{stem}_vote_decided", "bool", "whether the whole interval lies above one half",
               of(lambda p: p.vote and p.vote.decided), (*root, "vote", "decided")),
        Column(f"{stem}_episodes", "int32", "number of episodes", of(lambda p: len(p.episodes)),
               (*root, "episodes"), low=0),
    ]  # fmt: skip
    return tuple(columns)


def _distributions(tracks: Sequence[Track], name: str, head: Head) -> NDArray[np.float64]:
    """``(n, k)`` probabilities of each track, NaN where the head predicted nothing."""
    unknown = dict.fromkeys(head.labels, np.nan)
    rows = [track.predictions[name].probabilities if name in track.predictions else unknown for track in tracks]
    return np.array([[row[label] for label in head.labels] for row in rows], np.float64).reshape(-1, len(head.labels))


def track_objects(tracks: Sequence[Track]) -> list[dict[str, Any]]:
    """The JSON object of each track, with its episodes."""
    heads = {name: one.head for track in tracks for name, one in track.predictions.items()}
    columns = track_columns(heads)
    return [
        document | ({"episodes": episode_objects(track.episodes)} if _has_episodes(track) else {})
        for track, document in zip(tracks, json_objects(columns, tracks), strict=True)
    ]


def episode_objects(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """The JSON object of each episode."""
    return list(json_objects(EPISODE_COLUMNS, episodes))


def _has_episodes(track: Track) -> bool:
    return any(not one.head.ordered for one in track.predictions.values())
