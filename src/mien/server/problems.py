"""Problem details (RFC 9457): what the service answers instead of a result, and the one table of their codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from mien.errors import MienError, one_line
from mien.logger import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
DEEPFACE_STATUSES = frozenset({413, 415, 422})
"""Statuses of problems with the content of a request, in whose place deepface's operation answers 400."""
_URN = "urn:mien:problem:"
_REQUEST_URN = "urn:mien:request:"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What the problems of one code have in common.

    Attributes:
        status: of HTTP.
        title: the same for every problem of this code.
        subject: what the reason of an error of the package is about; it begins the detail.
        advice: what the client can do next, where an error of the package is answered; the error's own advice is for
            users of Python and the command line.
        detail: shown instead of the reason of an error, which may hold facts of this machine; None shows the reason.
        facts: keys of the error's details that are passed on.
    """

    status: int
    title: str
    subject: str = ""
    advice: str = ""
    detail: str | None = None
    facts: tuple[str, ...] = ()


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    # errors of the package, by their codes
    "input-invalid": ProblemType(422, "Invalid parameter"),
    "image-unreadable": ProblemType(422, "Unreadable image", "the image", "check the file, or save it as JPEG or PNG"),
    "image-too-large": ProblemType(413, "Image too large", "the image", "shrink it", facts=("pixels", "limit")),
    "image-too-complex": ProblemType(
        422, "Image too complex", "the image", "save it again as an ordinary JPEG or PNG", facts=("limit",)
    ),
    "extra-missing": ProblemType(
        422, "Unsupported format", "the image", "this service does not read that format: save it as JPEG or PNG"
    ),
    "video-too-complex": ProblemType(
        422, "Video too complex", "the video", "convert it to H.264 in MP4", facts=("limit",)
    ),
    "video-unreadable": ProblemType(422, "Unreadable video", "the video", "check the file, or convert it to MP4"),
    "output-unwritable": ProblemType(
        507, "Insufficient storage", detail="the video or its results cannot be stored; the disk may be full"
    ),
    # the request: head, sender, body
    "head-malformed": ProblemType(400, "Malformed request head"),
    "head-too-large": ProblemType(431, "Request head too large"),
    "head-slow": ProblemType(408, "Request head timed out"),
    "host-unknown": ProblemType(421, "Unknown host name"),
    "origin-refused": ProblemType(403, "Origin refused"),
    "key-missing": ProblemType(401, "API key missing or wrong"),
    "not-found": ProblemType(404, "Not found"),
    "method-not-allowed": ProblemType(405, "Method not allowed"),
    "upgrade-required": ProblemType(426, "Upgrade required"),
    "request-invalid": ProblemType(400, "Invalid request"),
    "media-type": ProblemType(415, "Unsupported media type"),
    "too-large": ProblemType(413, "Request too large"),
    "upload-slow": ProblemType(408, "Upload timed out"),
    "form-malformed": ProblemType(400, "Malformed form"),
    "json-malformed": ProblemType(422, "Malformed JSON"),
    "base64-malformed": ProblemType(422, "Malformed base64"),
    "address-refused": ProblemType(422, "Addresses are not fetched"),
    "image-missing": ProblemType(422, "Image missing"),
    "video-missing": ProblemType(422, "Video missing"),
    "message-unknown": ProblemType(422, "Unknown message"),
    # deepface's interface
    "action-unsupported": ProblemType(422, "Unsupported action"),
    "no-face": ProblemType(400, "No face detected"),
    # videos
    "video-unknown": ProblemType(404, "Unknown video"),
    "video-exists": ProblemType(409, "Video exists"),
    "client-unknown": ProblemType(400, "Unknown client"),
    "video-not-done": ProblemType(409, "Video not analysed yet"),
    "video-too-large": ProblemType(413, "Video too large"),
    "video-too-long": ProblemType(413, "Video too long"),
    "not-annotated": ProblemType(409, "No annotated video"),
    # load
    "too-many-requests": ProblemType(429, "Too many requests"),
    "too-many-videos": ProblemType(429, "Too many videos"),
    "busy": ProblemType(503, "Service busy"),
    "workdir-missing": ProblemType(503, "Temporary folder missing"),
    "too-slow": ProblemType(503, "Analysis timed out"),
    "live-idle": ProblemType(408, "Live connection idle"),
    "live-over": ProblemType(503, "Live connection ended"),
    "internal": ProblemType(500, "Internal error", detail="an error inside the service; its log has the place"),
}
"""Code → status, title, and what of an error's reason is shown. Codes are stable."""


class ProblemError(Exception):
    """A request that is answered with problem details.

    Args:
        code: a key of `PROBLEM_TYPES`, or the code of an error of the package whose class has a key there.
        detail: for people, with what to do next.
        kind: what problems of this code have in common; by default that of the code.
        facts: for programs, such as ``{"pixels": 200_000_000}``; JSON-ready.
        retry_after: seconds after which the same request may succeed, None where waiting does not help.
        headers: further headers of the answer.
        extensions: further members of the JSON object.

    Attributes:
        code: as above.
        detail: as above.
        kind: as above.
        headers: of the answer.
        extensions: members of the JSON object beyond those of every problem.
    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        kind: ProblemType | None = None,
        facts: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = PROBLEM_TYPES[code] if kind is None else kind
        self.code, self.detail = code, detail or self.kind.detail or self.kind.title
        super().__init__(self.detail)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after)))
        self.extensions = ({"details": dict(facts)} if facts else {}) | dict(extensions or {})

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.kind.status

    def to_dict(self, request_id: str | None = None) -> dict[str, Any]:
        """The JSON object.

        Args:
            request_id: of the request that it answers; None leaves ``instance`` out.
        """
        members = {
            "type": _URN + self.code,
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return members | ({"instance": f"{_REQUEST_URN}{request_id}"} if request_id else {}) | self.extensions

    def response(self, request_id: str | None = None) -> Response:
        """The HTTP response; arguments as of `to_dict`."""
        content = json.dumps(self.to_dict(request_id), ensure_ascii=False).encode("utf-8", "backslashreplace")
        return Response(content, self.status, self.headers, MEDIA_TYPE)


def problem_from(error: MienError) -> ProblemError:
    """What a client is answered after an error of the package; its path and its advice stay here.

    An error whose code is not in the table is answered like its class; where that is not in it either, as internal.
    """
    codes = [error.code, *(kind.default_code for kind in type(error).__mro__ if issubclass(kind, MienError))]
    kind = next((PROBLEM_TYPES[code] for code in codes if code in PROBLEM_TYPES), None)
    if kind is None:
        log.error("%s (%s) was answered as an internal error", type(error).__name__, error.code)
        return ProblemError("internal")
    detail = kind.detail
    if detail is None:
        detail = f"{kind.subject} {one_line(error.reason)}".strip()
        detail += f"; {kind.advice}" if kind.advice else ""
    facts = {name: error.details[name] for name in kind.facts if name in error.details}
    return ProblemError(error.code, detail, kind=kind, facts=facts)
