"""What the service answers when it does not do what it was asked: problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_URN = "urn:mien:problem:"


class ProblemError(Exception):
    """An answer that is no result.

    Args:
        status: of HTTP.
        kind: short name that programs can tell apart, such as "image-unreadable".
        detail: for people; says what to do next.
        retry_after: seconds after which the same request may succeed, None where waiting does not help.
        headers: further headers of the answer.
        more: further members of the JSON object.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after)))
        self.more = dict(more or {})

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        told = {
            "type": _URN + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return told | self.more

    def response(self) -> Response:
        """The answer."""
        content = json.dumps(self.to_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace")
        return Response(content, self.status, self.headers, MEDIA_TYPE)


def too_large(detail: str) -> ProblemError:
    """413."""
    return ProblemError(413, "too-large", detail)


def busy(detail: str, seconds: float) -> ProblemError:
    """503: come again after so many seconds."""
    return ProblemError(503, "busy", detail, retry_after=seconds)


INTERNAL = ProblemError(500, "internal", "something went wrong inside the service; its log says where")
