"""JSON Schema of the results, made from the types in `mien.results.json_types`."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from mien.results.json_types import Bounds, FrameJson, PhotoJson, ReportJson
from mien.results.schema_ids import schema_id

RESULTS: Mapping[str, type] = {"photo": PhotoJson, "frame": FrameJson, "report": ReportJson}
"""Kind of result → its shape."""
_PLAIN: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
_LOW: Mapping[str, str] = {"array": "minItems", "number": "minimum", "integer": "minimum"}
_HIGH: Mapping[str, str] = {"array": "maxItems", "number": "maximum", "integer": "maximum"}


def results_schema(kind: str | None = None, *, closed: bool = False) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one kind of result, or of any.

    Args:
        kind: a key of `RESULTS`; None for any of them.
        closed: forbid keys that the schema does not name.
    """
    shapes: dict[str, Any] = {}
    wanted = list(RESULTS.values()) if kind is None else [RESULTS[kind]]
    for shape in wanted:
        _add(shape, shapes, closed)
    refs = [_ref(shape) for shape in wanted]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_id("results" if kind is None else kind),
        "title": "A result of Mien" if kind is None else f"A result of Mien: {kind}",
        **(refs[0] if len(refs) == 1 else {"anyOf": refs}),
        "$defs": dict(sorted(shapes.items())),
    }


def _ref(shape: type) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{shape.__name__.removesuffix('Json')}"}


def _add(shape: Any, shapes: dict[str, Any], closed: bool) -> None:
    """Define a shape, and those that it is made of."""
    name = shape.__name__.removesuffix("Json")
    if name in shapes:
        return
    shapes[name] = {}
    hints = get_type_hints(shape, include_extras=True)
    shapes[name] = {
        "type": "object",
        "description": " ".join((shape.__doc__ or "").split()),
        "properties": {key: _schema(hint, shapes, closed) for key, hint in hints.items()},
        "required": [key for key in hints if key in shape.__required_keys__],
        **({"additionalProperties": False} if closed else {}),
    }


def _schema(hint: Any, shapes: dict[str, Any], closed: bool) -> dict[str, Any]:
    """The schema of one type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        schema = _schema(args[0], shapes, closed)
        for said in args[1:]:
            schema |= {"description": said} if isinstance(said, str) else _bounds(schema["type"], said)
        return schema
    if is_typeddict(hint):
        _add(hint, shapes, closed)
        return _ref(hint)
    if origin in (Union, UnionType):
        return {"type": [_PLAIN[one] for one in args]}
    if origin is list:
        return {"type": "array", "items": _schema(args[0], shapes, closed)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(args[1], shapes, closed)}
    if origin is Literal:
        return {"const": args[0]}
    return {"type": _PLAIN[hint]}


def _bounds(kind: str, bounds: Bounds) -> dict[str, Any]:
    told = {_LOW[kind]: bounds.low}
    return told if bounds.high is None else told | {_HIGH[kind]: bounds.high}
