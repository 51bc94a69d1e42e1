"""The description of the interface (OpenAPI): what FastAPI derives from the endpoints, and keys and problems.

Which problems an operation answers with stands here once, by their codes; statuses, titles and examples follow from the
table of `mien.server.problems`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mien.server.clients import CHOSEN_ID, OWNER_HEADER
from mien.server.problems import DEEPFACE_STATUSES, MEDIA_TYPE, PROBLEM_TYPES, ProblemError
from mien.server.v1.schemas import ProblemDetails

_EVERY = ("head-malformed", "head-too-large", "head-slow", "host-unknown", "internal")
_METERED = ("too-many-requests",)
_WITH_KEY = ("key-missing",)
_WITH_PARAMETERS = ("input-invalid",)
_WITH_BODY = ("origin-refused", "too-large", "media-type", "upload-slow", "form-malformed", "busy")
_OF_PHOTOS = (
    "image-unreadable", "image-too-large", "image-too-complex", "extra-missing", "image-missing", "json-malformed",
    "base64-malformed", "address-refused", "too-slow",
)  # fmt: skip
_OF_A_VIDEO = ("video-unknown",)
_OF_A_RESULT = (
    *_OF_A_VIDEO, "video-not-done", "video-unreadable", "video-too-large", "video-too-long", "video-too-complex",
    "output-unwritable",
)  # fmt: skip
OPERATION_PROBLEMS: Mapping[str, tuple[str, ...]] = {
    "analyzePhotos": (*_WITH_BODY, *_OF_PHOTOS),
    "renderPhoto": (*_WITH_BODY, *_OF_PHOTOS),
    "analyzeAsDeepface": (*_WITH_BODY, *_OF_PHOTOS, "action-unsupported", "no-face"),
    "uploadVideo": (*_WITH_BODY, "video-missing", "video-exists", "too-many-videos", "output-unwritable"),
    "listVideos": ("client-unknown",),
    "deleteVideos": ("client-unknown", "origin-refused"),
    "getVideo": _OF_A_VIDEO,
    "getVideoResult": _OF_A_RESULT,
    "getAnnotatedVideo": (*_OF_A_RESULT, "not-annotated"),
    "deleteVideo": (*_OF_A_VIDEO, "origin-refused"),
    "getLimits": (),
    "getModels": (),
    "getHealth": (),
    "getReadiness": ("busy", "workdir-missing"),
    "getMetrics": (),
}
"""Operation → codes of problems beyond those that every operation has."""
_DEEPFACE = "analyzeAsDeepface"
_BY_OWNER = frozenset({"uploadVideo", "listVideos", "deleteVideos"})
_CLIENT_ERROR, _SERVER_ERROR = "the request cannot be answered", "not now, or not at all"
WILDCARDS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": _CLIENT_ERROR},
    "5XX": {"description": _SERVER_ERROR},
}
"""What every operation declares, so that FastAPI adds no schema of its own; `complete_description` fills it in."""
SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_SCHEMA = {"$ref": "#/components/schemas/ProblemDetails"}
_RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}


def complete_description(
    document: dict[str, Any], *, key_required: bool, public: Collection[str], unmetered: Collection[str]
) -> None:
    """Add keys, problems and headers to what FastAPI derived.

    Args:
        document: is changed.
        key_required: whether the service has a key.
        public: paths that need none.
        unmetered: paths without a limit of rate.
    """
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    components.setdefault("schemas", {})["ProblemDetails"] = _problem_schema()
    either: list[dict[str, list[str]]] = [{name: []} for name in SECURITY_SCHEMES]
    document["security"] = either if key_required else [{}, *either]
    for path, operation in _operations(document):
        codes = [*_EVERY, *OPERATION_PROBLEMS[operation["operationId"]]]
        if path not in unmetered:
            codes += _METERED
        if path in public:
            operation["security"] = []
        elif key_required:
            codes += _WITH_KEY
        if operation.get("parameters") or "requestBody" in operation:
            codes += _WITH_PARAMETERS
        if operation["operationId"] in _BY_OWNER:
            operation.setdefault("parameters", []).append(_owner_parameter())
        responses = operation["responses"]
        for status, of_status in sorted(_by_status(codes, operation["operationId"] == _DEEPFACE).items()):
            responses[str(status)] = _response(status, of_status)
        for name in WILDCARDS:
            responses[str(name)]["content"] = {MEDIA_TYPE: {"schema": _SCHEMA}}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _by_status(codes: Collection[str], deepface: bool) -> dict[int, list[str]]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        status = PROBLEM_TYPES[code].status
        by_status[400 if deepface and status in DEEPFACE_STATUSES else status].append(code)
    return by_status


def _response(status: int, codes: list[str]) -> dict[str, Any]:
    examples = {code: {"value": ProblemError(code).to_dict() | {"status": status}} for code in codes}
    described: dict[str, Any] = {
        "description": "; ".join(f"{code}: {PROBLEM_TYPES[code].title}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": examples}},
    }
    return described | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})


def _problem_schema() -> dict[str, Any]:
    schema = ProblemDetails.model_json_schema()
    # codes of the package's errors may come as well: those of the table are the usual ones
    schema["properties"]["code"]["examples"] = list(PROBLEM_TYPES)
    schema["properties"]["type"]["format"] = "uri"
    return schema


def _owner_parameter() -> dict[str, Any]:
    return {
        "name": OWNER_HEADER,
        "in": "header",
        "required": False,
        "description": "sets this client apart from others of its address; best random",
        "schema": {"type": "string", "pattern": f"^{CHOSEN_ID.pattern}$"},
    }
