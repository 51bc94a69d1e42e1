"""``mien web``."""

from __future__ import annotations

from pathlib import Path

import click

from mien import defaults
from mien.cli.options import OUTPUT, OUTPUT_FOLDER, PATH, OutputCommand, coverage_options, prior_option

EPILOG = """\b
Examples:
  mien web site/
  mien web --single mien.html
  mien web site/ --models emotion,age,mood=mood.onnx
  mien web actors/ --prior balanced
  mien web site/ --runtime onnxruntime-web-1.30.0.tgz --runtime mediabunny-1.61.0.tgz
"""


@click.command("web", cls=OutputCommand, epilog=EPILOG)
@click.argument("out", required=False, type=OUTPUT_FOLDER)
@click.option("--single", type=OUTPUT, help="Write one self-contained HTML file, which opens with a double click.")
@click.option(
    "--models",
    default="emotion=emotion-int8,age",
    show_default=True,
    help="Models of the page, as names or ONNX files, each with an optional NAME=.",
)
@click.option(
    "--min-face",
    type=click.IntRange(min=1),
    default=defaults.MIN_FACE,
    help=f"Height of the smallest face to detect, pixels; by default {defaults.SMALLEST_FACE}, more in large photos.",
)
@prior_option
@coverage_options
@click.option(
    "--runtime",
    type=PATH,
    multiple=True,
    help="Archive or folder of an npm package that the page needs; repeatable; by default npm downloads them.",
)
def command(
    out: Path | None,
    single: Path | None,
    models: str,
    min_face: int | None,
    prior: str,
    coverage: float | None,
    by_class: bool,
    runtime: tuple[Path, ...],
) -> None:
    """Write the page as static files into OUT: detector and networks run in the browser, for photos, camera and clips.

    Any static host can serve the page, pictures stay on the device, and after the first visit it also opens offline.
    Once, npm downloads ONNX Runtime for browsers and mediabunny, which reads videos, into the cache; from then on,
    `mien serve` offers analysis in the browser too.
    """
    from mien.web.runtime import read_runtime
    from mien.web.site import build_site, parse_models, write_folder, write_single

    if out is None and single is None:
        raise click.UsageError("give OUT, a folder, or --single FILE.html")
    site = build_site(
        read_runtime(runtime),
        parse_models(models),
        prior=prior,
        coverage=coverage,
        by_class=by_class,
        min_face=min_face,
    )
    if out is not None:
        write_folder(site, out)
        click.echo(f"{out}: {site.size / 1e6:.1f} MB; for example: python -m http.server --directory {out}", err=True)
    if single is not None:
        write_single(site, single)
        click.echo(f"{single}: {single.stat().st_size / 1e6:.1f} MB", err=True)
