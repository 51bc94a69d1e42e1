"""docs/http.md and docs/openapi.json: the HTTP interface as the service describes it."""

from __future__ import annotations

import json
from typing import Any

from markdown_tables import table

from mien.server.app import create_app
from mien.server.engine import InferenceEngine
from mien.server.limits import ServiceLimits

INTRODUCTION = """# HTTP

The interface of `mien serve`, as its own description states it: [openapi.json](openapi.json), which the service answers with at
`/openapi.json` and which tools read. How to run it, its limits and its answers to attacks are in [the service](serve.md); the
same results as files are in [results](results.md).

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Where a key is set it is sent as `X-API-Key` or
`Authorization: Bearer`. `WS /v1/live` takes frames (binary: JPEG, PNG, WebP) and returns one JSON object per frame; it is described
in [the service](serve.md), because OpenAPI has no WebSockets.
"""


def describe_service() -> dict[str, Any]:
    """The OpenAPI document of a service with its defaults."""
    engine = InferenceEngine.load(ServiceLimits(), threads=1)
    try:
        return create_app(engine).openapi()
    finally:
        engine.close(0.0)


def openapi_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def http_page(document: dict[str, Any]) -> str:
    lines = [INTRODUCTION]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += [
                f"## {method.upper()} {path}",
                "",
                operation["description"].replace("\n", " ").replace("  ", "\n\n"),
                "",
            ]
            lines += _parameters(operation)
            lines += _body(operation)
            lines += _answers(operation)
    lines += ["## Values", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if schema.get("properties"):
            lines += [f"### {name}", "", schema.get("description", ""), ""]
            lines += table(["key", "type", "meaning"], _rows(schema["properties"], set(schema.get("required", ()))))
    return "\n".join(lines).rstrip() + "\n"


def _parameters(operation: dict[str, Any]) -> list[str]:
    rows = [
        [
            f"`{one['name']}`",
            one["in"],
            _type(one["schema"]),
            _cell(one.get("description", "")) + _default(one["schema"]),
        ]
        for one in operation.get("parameters", ())
    ]
    return table(["parameter", "in", "type", "meaning"], rows) if rows else []


def _body(operation: dict[str, Any]) -> list[str]:
    body = operation.get("requestBody")
    if body is None:
        return []
    kinds = ", ".join(f"`{kind}`" for kind in body["content"])
    lines = [f"Body ({kinds}): {_cell(body.get('description', 'see the description above.'))}", ""]
    form = body["content"].get("multipart/form-data", {}).get("schema", {}).get("properties", {})
    return lines + (table(["field of the form", "type", "meaning"], _rows(form)) if form else [])


def _answers(operation: dict[str, Any]) -> list[str]:
    rows = []
    for status, answer in sorted(operation["responses"].items()):
        if not status.isdigit():
            continue
        contents = [
            f"`{kind}`" + (f": {_type(one['schema'])}" if "$ref" in one.get("schema", {}) else "")
            for kind, one in answer.get("content", {}).items()
            if kind != "application/problem+json"
        ]
        rows.append([status, _cell(answer["description"]) if int(status) >= 400 else ", ".join(contents) or "nothing"])
    return table(["status", "answer"], rows)


def _rows(properties: dict[str, Any], required: set[str] | None = None) -> list[list[str]]:
    return [
        [
            f"`{name}`" + ("" if required is None or name in required else " (may be missing)"),
            _type(one),
            _cell(one.get("description", "")) + _default(one),
        ]
        for name, one in properties.items()
    ]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != "JsonValue" else "any"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if schema.get("items") else "list"
    if schema.get("format") == "binary":
        return "file"
    inner = schema.get("additionalProperties")
    return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else str(schema.get("type", "any"))


def _default(schema: dict[str, Any]) -> str:
    return f" (default {json.dumps(schema['default'])})" if schema.get("default") is not None else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
