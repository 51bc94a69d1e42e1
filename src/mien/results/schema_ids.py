"""Names of the schemas that results keep to. Every JSON result says its own under ``schema``.

`mien.results.json_schema` describes the results of the command line and the library, the OpenAPI description of the
service its answers.
"""

from __future__ import annotations

VERSION = 2
"""Rises when a key goes or changes its meaning. New keys may come without it: readers pass over unknown keys."""


def schema_id(kind: str) -> str:
    """The name of one kind's schema at this version, such as ``urn:mien:schema:photo:2``."""
    return f"urn:mien:schema:{kind}:{VERSION}"


PHOTO, FRAME, REPORT = map(schema_id, ("photo", "frame", "report"))
