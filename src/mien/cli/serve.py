"""``mien serve``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.cli.options import (
    PATH,
    coverage_options,
    detector_options,
    device_option,
    models_option,
    prior_option,
    threads_option,
)
from mien.server.limits import ENVIRONMENT_PREFIX, describe_limits

if TYPE_CHECKING:
    import socket

    from mien.detect.options import DetectionOptions
    from mien.server.access import AccessPolicy
    from mien.server.limits import ServiceLimits

EPILOG = f"""\b
Examples:
  mien serve
  mien serve --port 9000 --min-face 60 --threads 1
  mien serve --host 0.0.0.0 --key-file key.txt
  mien serve --coverage 0.9
  mien serve --max-video-seconds 60 --max-requests 8

\b
Every limit is an environment variable too: {ENVIRONMENT_PREFIX}VIDEO_SECONDS=60.
The key can be in MIEN_SERVE_KEY. After SIGTERM or Ctrl-C, requests in flight
are finished.

\b
Exit codes: 0 stopped; 1 it could not start (address in use, no key for an
address that other machines can reach); 2 wrong usage.
"""


_MEASURES = ("bytes", "seconds", "ms", "pixels")
"""Units that the help of a limit names; the others count what its text says."""


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for every limit."""
    for limit in reversed(describe_limits()):
        measure = f", in {limit.unit}" if limit.unit in _MEASURES and limit.unit not in limit.text else ""
        text = f"{limit.text[0].upper()}{limit.text[1:]}{measure}."
        kind: Any = int if limit.whole else float
        option = click.option(
            f"--max-{limit.name.replace('_', '-')}",
            f"limit_{limit.name}",
            type=kind,
            help=text,
            show_default=f"{limit.default:,}",
        )
        command = option(command)
    return command


@click.command("serve", epilog=EPILOG)
@click.option("--host", default=defaults.HOST, show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=defaults.PORT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--key-file", type=PATH, help="File that holds the key that clients have to send.")
@click.option("--insecure-no-key", is_flag=True, help="Let other machines use it without a key.")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="Host name that requests may use; '*' for any; repeatable."
)
@click.option("--allow-origin", multiple=True, metavar="ORIGIN", help="Site whose pages may use it (CORS); repeatable.")
@click.option("--proxy", metavar="ADDRESS", help="Address of a proxy whose X-Forwarded-For header is trusted.")
@detector_options()
@models_option
@prior_option
@coverage_options
@device_option
@threads_option()
@click.option("--quiet", is_flag=True, help="Print no line per request.")
@_limit_options
def command(
    host: str,
    port: int,
    key_file: Path | None,
    insecure_no_key: bool,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    proxy: str | None,
    detection: DetectionOptions,
    models: tuple[str, ...],
    prior: str,
    coverage: float | None,
    by_class: bool,
    device: str,
    threads: int | None,
    quiet: bool,
    **limit_values: float | None,
) -> None:
    """A web page and an HTTP interface for photos, videos and cameras, on this machine.

    Nothing leaves the machine. Only videos are stored, for an hour or until they are deleted. It listens on localhost
    only; remote access needs --host and an API key.
    """
    import contextlib
    import os

    from mien.cli.error_output import VARIABLE as JSON_ERRORS_VARIABLE
    from mien.errors import display_path
    from mien.files import check_temporary_folder
    from mien.models.file_cache import CACHE_VARIABLE

    require_packages("mien serve")
    check_temporary_folder()

    from mien.server.access import KEY_VARIABLE, AccessPolicy, read_key
    from mien.server.limits import load_limits, unread_variables
    from mien.server.open_files import fit_open_files
    from mien.server.run import listen

    limits = load_limits(os.environ, {name.removeprefix("limit_"): value for name, value in limit_values.items()})
    others = [KEY_VARIABLE, CACHE_VARIABLE, JSON_ERRORS_VARIABLE]
    for variable, meant in unread_variables(os.environ, others).items():
        advice = f"; did you mean {meant}?" if meant else "; `mien serve --help` lists those that are"
        click.echo(f"mien: {display_path(variable)} is not read{advice}", err=True)
    limits, shortage = fit_open_files(limits)
    if shortage:
        click.echo(f"mien: {shortage}", err=True)
    hosts = tuple(name.lower() for name in allow_host)
    access = AccessPolicy(host, read_key(key_file, os.environ), hosts, allow_origin, insecure_no_key, proxy)
    with contextlib.closing(listen(access, port)) as listener:
        run_service(
            listener, access, limits, detection=detection, models=models, prior=prior, coverage=coverage,
            by_class=by_class, device=device, threads=threads, quiet=quiet,
        )  # fmt: skip


def require_packages(what: str) -> None:
    """`MissingExtraError` where a package of the extra ``serve`` is missing."""
    from mien.errors import MissingExtraError

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", what) from None


def run_service(
    listener: socket.socket,
    access: AccessPolicy,
    limits: ServiceLimits,
    *,
    detection: DetectionOptions,
    models: tuple[str, ...],
    prior: str,
    coverage: float | None,
    by_class: bool,
    device: str,
    threads: int | None,
    quiet: bool,
    on_started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve on an open socket until a signal; ``on_started`` gets the address of the page."""
    import logging

    from mien.server.app import create_app
    from mien.server.engine import InferenceEngine
    from mien.server.run import base_url, log_to_stderr, serve
    from mien.web.device_offer import DeviceOffer

    engine = InferenceEngine.load(
        limits,
        detection=detection,
        models=models,
        prior=prior,
        coverage=coverage,
        by_class=by_class,
        threads=threads,
        device=device,
    )
    engine.warm_up()
    log_to_stderr(logging.WARNING if quiet else logging.INFO)
    url = base_url(listener)

    offer = DeviceOffer(models, prior=prior, coverage=coverage, by_class=by_class, min_face=detection.min_face)

    def started() -> None:
        click.echo(f"mien: serving on {url} – Ctrl-C stops it", err=True)
        on_started(url)

    serve(
        create_app(engine, access, limits, device=offer),
        listener,
        limits,
        on_started=started,
        proxy=access.proxy,
    )
    click.echo("mien: stopped", err=True)
