"""The camera tab of the page, in the browser: what ``mien live`` opens where Python has no Tk."""

from __future__ import annotations

import contextlib
import os
import webbrowser
from typing import TYPE_CHECKING

import click

from mien import defaults
from mien.cli.serve import require_packages, run_service
from mien.errors import MissingExtraError

if TYPE_CHECKING:
    from mien.detect.options import DetectionOptions

PAGE_OPTIONS = frozenset(
    {
        "--detector", "--detector-model", "--min-face", "--threshold", "--models", "--prior", "--coverage",
        "--by-class", "--device", "--threads",
    }
)  # fmt: skip
"""Options of ``mien live`` that the service takes as well."""
_TAB = "/#camera"


def page_problem() -> str | None:
    """What is missing for the page to be opened; None where nothing is."""
    try:
        require_packages("the page with the camera")
    except MissingExtraError as error:
        return f"install it (python3-tk), or pip install 'mien[{error.extra}]' for the page in the browser"
    try:
        webbrowser.get()
    except webbrowser.Error:
        return "no browser was found either"
    return None


def open_camera_page(
    *,
    detection: DetectionOptions,
    models: tuple[str, ...],
    prior: str,
    coverage: float | None,
    by_class: bool,
    device: str,
    threads: int | None,
) -> None:
    """Serve the page on a free port of this machine and open its camera tab, until Ctrl-C."""
    from mien.server.access import AccessPolicy
    from mien.server.limits import load_limits
    from mien.server.open_files import fit_open_files
    from mien.server.run import listen

    def open_tab(url: str) -> None:
        if not webbrowser.open(url + _TAB):
            click.echo(f"mien: the browser did not start; open {url}{_TAB}", err=True)

    limits, _ = fit_open_files(load_limits(os.environ, {}))
    access = AccessPolicy(defaults.HOST)
    click.echo("mien: no window, for this Python has no Tk; the page's camera opens in the browser", err=True)
    with contextlib.closing(listen(access, 0)) as listener:
        run_service(
            listener, access, limits, detection=detection, models=models, prior=prior, coverage=coverage,
            by_class=by_class, device=device, threads=threads, quiet=True, on_started=open_tab,
        )  # fmt: skip
