"""The service as an ASGI app: `create_app` connects its parts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from mien.errors import MienError
from mien.server import deepface, web_page
from mien.server.access import AccessPolicy
from mien.server.admission import PUBLIC_PATHS, REQUEST_ID, UNMETERED_PATHS, AdmissionMiddleware, request_id
from mien.server.clients import OWNER_HEADER
from mien.server.compression import CompressionMiddleware
from mien.server.engine import InferenceEngine
from mien.server.job_queue import JobQueue
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.openapi import WILDCARDS, complete_description
from mien.server.problems import ProblemError, problem_from
from mien.server.query_parameters import refuse_unknown_parameters
from mien.server.service_state import ServiceState
from mien.server.uploads import ClientGoneError
from mien.server.v1 import info, live, photos, videos
from mien.server.workdir import temporary_workdir
from mien.web.device_offer import DeviceOffer

_DESCRIPTION = (
    "How faces look to raters, not what people feel: photos, videos and live frames. Nothing leaves the machine that "
    "this runs on. Do not use it to decide about people; emotion recognition at work and in education is banned in the "
    "EU."
)
_STOP_SECONDS = 5.0
_HTTP_CODES = {404: "not-found", 405: "method-not-allowed"}
_HTTP_DETAILS = {
    404: "there is nothing here: /docs lists what there is",
    405: "this address does not have this method: see Allow",
}


def create_app(
    engine: InferenceEngine,
    access: AccessPolicy | None = None,
    limits: ServiceLimits | None = None,
    *,
    device: DeviceOffer | None = None,
) -> FastAPI:
    """The service as an ASGI app.

    Args:
        engine: analyses photos and frames; the app closes it when it ends.
        access: who may use the service; by default every program on this machine.
        limits: what is allowed; by default those of the engine.
        device: the files with which the page computes in the browser; None for a page that cannot.

    Examples:
        >>> from mien.server.engine import InferenceEngine
        >>> from starlette.testclient import TestClient
        >>> app = create_app(InferenceEngine.load(ServiceLimits(), threads=1))
        >>> with TestClient(app, base_url="http://127.0.0.1") as client:
        ...     answer = client.post("/v1/analyze", files={"image": Path("photo.jpg").read_bytes()})
        >>> answer.status_code, answer.json()["results"][0]["faces"][0]["emotion"]
        (200, 'happy')
    """
    limits, access, metrics = limits or engine.limits, access or AccessPolicy(), ServiceMetrics()
    app = _DescribedApp(
        access,
        title="Mien",
        version=version("mien"),
        description=_DESCRIPTION,
        servers=[{"url": "."}],  # relative to the description's own address, which may lie below any path
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        responses=WILDCARDS,
    )
    engine.on_batch = metrics.batches.observe
    engine.on_stage = lambda stage, seconds: metrics.inference.labels(stage).observe(seconds)
    for pool in engine.pools:
        pool.on_start = lambda kind, seconds: metrics.waits.labels(kind.value).observe(seconds)
    metrics.set_build(engine.describe())
    # the work folder and the videos are made when the app starts
    app.state.parts = engine, access, limits, metrics
    app.state.device, app.state.device_files = device, {}
    for router in (photos.router, videos.router, live.router, info.router, deepface.router):
        app.include_router(router, dependencies=[Depends(refuse_unknown_parameters)])
    app.include_router(web_page.router)
    app.add_exception_handler(ProblemError, _answer_problem)
    app.add_exception_handler(MienError, _answer_error)
    app.add_exception_handler(ClientGoneError, _answer_gone)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(AdmissionMiddleware, access=access, limits=limits, metrics=metrics)
    if access.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(access.allow_origins),
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Content-Type", "X-API-Key", "Authorization", OWNER_HEADER, REQUEST_ID, "If-None-Match"],
            expose_headers=["Location", "Retry-After", "ETag", REQUEST_ID],
        )
    return app


class _DescribedApp(FastAPI):
    """FastAPI's, whose description holds keys and problems too.

    Args:
        access: who may use the service.
        options: of `fastapi.FastAPI`.
    """

    def __init__(self, access: AccessPolicy, **options: Any) -> None:
        self._access = access
        super().__init__(**options)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            key_required = self._access.key is not None
            complete_description(document, key_required=key_required, public=PUBLIC_PATHS, unmetered=UNMETERED_PATHS)
        assert self.openapi_schema is not None
        return self.openapi_schema


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine, access, limits, metrics = app.state.parts
    with temporary_workdir() as workdir:
        jobs = JobQueue(engine, limits, metrics, workdir)
        service = ServiceState(engine, limits, access, metrics, jobs, workdir)
        metrics.set_gauges(lambda kind: sum(pool.waiting(kind) for pool in engine.pools), lambda: len(jobs))
        app.state.service = service
        app.openapi()  # built now and not while a client waits
        service.ready = True
        expiring = jobs.start_expiring()
        try:
            yield
        finally:
            service.ready = False
            expiring.cancel()
            await jobs.close()
            engine.close(_STOP_SECONDS)


async def _answer_problem(request: Request, problem: Exception) -> Response:
    if not isinstance(problem, ProblemError):
        raise problem
    request.app.state.service.metrics.problems.labels(problem.code).inc()
    return problem.response(request_id(request.scope))


async def _answer_error(request: Request, error: Exception) -> Response:
    """An error of the package that no endpoint handled."""
    if not isinstance(error, MienError):
        raise error
    return await _answer_problem(request, problem_from(error))


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """Parameters that FastAPI rejected; what the client sent is not repeated."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {"in": str(one["loc"][0]), "name": ".".join(map(str, one["loc"][1:]))[:80], "detail": one["msg"]}
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['name']}: {one['detail']}" for one in errors[:5])
    return await _answer_problem(request, ProblemError("input-invalid", detail, extensions={"errors": errors}))


async def _answer_http(request: Request, error: Exception) -> Response:
    """404 and 405, which the router raises."""
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    headers = dict(error.headers or {})
    described = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", ""))
    if status == 405 and described:
        # the router names the methods of the first route alone
        methods = {method.upper() for method in described}
        headers["Allow"] = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    code = _HTTP_CODES.get(status, "request-invalid" if status < 500 else "internal")
    detail = _HTTP_DETAILS.get(status, HTTPStatus(status).phrase)
    return await _answer_problem(request, ProblemError(code, detail, headers=headers))


async def _answer_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)
