"""Problem details: one table of codes, and no path of the service's disk in any answer."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import mien.server
from mien import errors
from mien.errors import DownloadError, ImageError, ImageTooLargeError, InputError, MienError, OutputError, VideoError
from mien.server.problems import PROBLEM_TYPES, ProblemError, problem_from

SECRET = "/srv/secret/upload.mp4"


def test_a_problem_has_the_members_of_the_rfc_and_its_code() -> None:
    problem = ProblemError("too-many-videos", "8 videos are kept", retry_after=2.4, facts={"limit": 8})
    assert problem.to_dict() == {
        "type": "urn:mien:problem:too-many-videos",
        "title": "Too many videos",
        "status": 429,
        "detail": "8 videos are kept",
        "code": "too-many-videos",
        "details": {"limit": 8},
    }
    response = problem.response()
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes(response.body)) == problem.to_dict()


def test_every_code_that_the_service_raises_stands_in_the_table() -> None:
    raised = set()
    for file in Path(mien.server.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ProblemError":
                code = node.args[0]
                raised |= {code.value} if isinstance(code, ast.Constant) else set()
    assert len(raised) > 30
    assert raised <= set(PROBLEM_TYPES)


def test_titles_are_of_the_code_and_statuses_are_errors() -> None:
    titles = [kind.title for kind in PROBLEM_TYPES.values()]
    assert len(set(titles)) == len(titles)
    assert all(400 <= kind.status < 600 for kind in PROBLEM_TYPES.values())


@pytest.mark.parametrize(
    ("error", "status", "code", "detail"),
    [
        (ImageError("is empty (0 bytes)", path=SECRET, advice="pip install x"), 422, "image-unreadable",
         "the image is empty (0 bytes); check the file, or save it as JPEG or PNG"),
        (ImageTooLargeError("declares 9 pixels", path=SECRET, details={"pixels": 9, "limit": 4, "folder": SECRET}), 413,
         "image-too-large", "the image declares 9 pixels; shrink it"),
        (VideoError("holds sound but no video", path=SECRET), 422, "video-unreadable",
         "the video holds sound but no video; check the file, or convert it to MP4"),
        (VideoError("is encrypted", path=SECRET, code="video-encrypted"), 422, "video-encrypted",
         "the video is encrypted; check the file, or convert it to MP4"),
        (InputError("end lies after start", path=SECRET), 422, "input-invalid", "end lies after start"),
        (OutputError(f"{SECRET} is full", path=SECRET), 507, "output-unwritable",
         "the video or its results cannot be stored; the disk may be full"),
        (DownloadError(f"{SECRET} has another hash"), 500, "internal",
         "an error inside the service; its log has the place"),
    ],
)  # fmt: skip
def test_errors_of_the_package_become_problems_by_their_code(
    error: MienError, status: int, code: str, detail: str
) -> None:
    problem = problem_from(error).to_dict()
    assert (problem["status"], problem["code"], problem["detail"]) == (status, code, detail)
    assert "secret" not in json.dumps(problem)
    assert problem.get("details", {}) == ({"pixels": 9, "limit": 4} if code == "image-too-large" else {})


def test_what_is_answered_as_internal_is_logged_without_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    problem_from(errors.ModelError(f"{SECRET} is damaged"))
    assert "ModelError (model-invalid)" in caplog.text
    assert "secret" not in caplog.text
