"""JSON Schema of the results, made from the tables of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.models.card import Head
from mien.results.columns import json_schema
from mien.results.face_columns import AGE, EMOTION, face_columns
from mien.results.schema_ids import FRAME, PHOTO, REPORT, schema_id
from mien.results.track_columns import EPISODE_COLUMNS, track_columns

_HEADS: Mapping[str, Head] = {EMOTION: Head(EMOTION, ("a", "b")), AGE: Head(AGE, ("0-2", "3-9"), ordered=True)}
"""A nominal and an ordered head: what the columns of any other head look like follows from them."""


def results_schema(kind: str | None = None, *, closed: bool = False) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one kind of result, or of any.

    Args:
        kind: "photo", "frame" or "report"; None for any of them.
        closed: forbid keys that the schema does not name.

    Examples:
        >>> list(results_schema("photo")["$defs"])
        ['Face', 'Photo']
    """
    shapes = _shapes()
    if closed:
        for shape in shapes.values():
            _close(shape)
    wanted = ["Photo", "Frame", "Report"] if kind is None else [kind.capitalize()]
    refs = [_ref(name) for name in wanted]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_id("results" if kind is None else kind),
        "title": "A result of Mien" if kind is None else f"A result of Mien: {kind}",
        **(refs[0] if len(refs) == 1 else {"anyOf": refs}),
        "$defs": dict(sorted(_needed(wanted, shapes).items())),
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _text(description: str, *, null: bool = False) -> dict[str, Any]:
    return {"type": ["string", "null"] if null else "string", "description": description}


def _number(description: str, kind: str = "number") -> dict[str, Any]:
    return {"type": kind, "minimum": 0, "description": description}


def _list(items: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"type": "array", "items": items} | ({"description": description} if description else {})


def _object(description: str, properties: Mapping[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": dict(properties), "required": required}


def _shapes() -> dict[str, dict[str, Any]]:
    """Name → schema of every object of the results."""
    version = {"description": "kind of result and version of its schema"}
    photo = [column for column in face_columns(_HEADS, video=False) if column.path]
    video = [column for column in face_columns(_HEADS, video=True) if column.path]
    track = json_schema(track_columns(_HEADS))
    track["properties"]["episodes"] = _list(_ref("Episode"), "of all heads without an order, by time")
    return {
        "Face": {"description": "One face of a photo. Keys of models that did not run are left out."}
        | json_schema(photo),
        "TrackedFace": {
            "description": "One face of a frame. Predictions of heads without an order are those of the frame alone, "
            "those of ordered heads are pooled over the track so far."
        }
        | json_schema(video),
        "Track": {"description": "One face followed through a video."} | track,
        "Episode": {"description": "A stretch of time in which one face shows one label."}
        | json_schema(EPISODE_COLUMNS),
        "Photo": _object(
            "One photo, with its faces: a line of `mien analyze PHOTO --json`.",
            {
                "schema": {"const": PHOTO} | version,
                "source": _text("path or name; null for a picture from memory", null=True),
                "width": _number("pixels", "integer"),
                "height": _number("pixels", "integer"),
                "faces": _list(_ref("Face"), "empty where there is no face"),
            },
        ),
        "Frame": _object(
            "One frame of a video or a camera: a line of `mien analyze VIDEO --json` and `mien live --json`.",
            {
                "schema": {"const": FRAME} | version,
                "source": _text("path or address"),
                "frame": _number("number of the frame in the video, from 0", "integer"),
                "time": {"type": "number", "description": "seconds from the start of the video"},
                "detected": {
                    "type": "boolean",
                    "description": "whether faces were detected in this frame, or propagated from the one before",
                },
                "cut": {"const": True, "description": "a new scene starts here; left out elsewhere"},
                "faces": _list(_ref("TrackedFace"), "empty where there is no face"),
            },
            optional=("source", "cut"),
        ),
        "Coverage": _object(
            "What was analysed, and what was not.",
            {
                "frames": _number("frames analysed", "integer"),
                "without_face": _number("of these, frames without a face", "integer"),
                "lost": _number("frames that could not be decoded", "integer"),
                "dropped": _number("frames that a live source dropped because the analysis was busy", "integer"),
                "seconds": _number("length of the stretch that was analysed, seconds"),
                "problems": _list({"type": "string"}, "one line each: what went wrong and what it cost"),
            },
        ),
        "Head": _object(
            "What a model predicts.",
            {
                "labels": _list({"type": "string"}, "in order"),
                "ordered": {"type": "boolean", "description": "whether the labels have an order"},
            },
        ),
        "Report": _object(
            "What a video shows: `summary.json` of `mien analyze VIDEO --report`, `VideoReport.to_json`.",
            {
                "schema": {"const": REPORT} | version,
                "source": _text("path or address", null=True),
                "width": _number("pixels of the first frame", "integer"),
                "height": _number("pixels of the first frame", "integer"),
                "coverage": _ref("Coverage"),
                "heads": {"type": "object", "additionalProperties": _ref("Head")},
                "tracks": _list(_ref("Track")),
            },
        ),
    }


def _close(schema: dict[str, Any]) -> None:
    """Forbid further keys in all objects inside."""
    if schema.get("type") == "object" and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            _close(inner)


def _needed(wanted: list[str], shapes: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The wanted shapes and all shapes that they refer to."""
    needed: dict[str, dict[str, Any]] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = shapes[name]
            waiting += [ref.rpartition("/")[2] for ref in _refs(shapes[name])]
    return needed


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if "$ref" in schema else []
        return own + [ref for value in schema.values() for ref in _refs(value)]
    return [ref for value in schema for ref in _refs(value)] if isinstance(schema, list) else []
