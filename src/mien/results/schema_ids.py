"""Names of the schemas of results. Every JSON result has the name of its own under ``schema``.

`mien.results.json_schema` describes the results of the command line and the library, the OpenAPI description of the
service its responses.
"""

from __future__ import annotations

VERSION = 2
"""Increased when a key is removed or changes its meaning, but not for new keys: readers ignore unknown keys."""


def schema_id(kind: str) -> str:
    """The name of one kind's schema at this version, such as ``urn:mien:schema:photo:2``."""
    return f"urn:mien:schema:{kind}:{VERSION}"


PHOTO, FRAME, REPORT = map(schema_id, ("photo", "frame", "report"))
