"""``mien analyze``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.cli.error_output import INTERRUPTED, error_output
from mien.cli.options import (
    OUTPUT_FOLDER,
    PATH,
    TABLE,
    OutputCommand,
    coverage_options,
    detector_options,
    device_option,
    flip_option,
    frame_options,
    models_option,
    prior_option,
    refuse_json_file,
    split_names,
    threads_option,
    tracking_options,
)
from mien.cli.output import FailureReport, one_file, progress_bar
from mien.errors import ImageError, InputError, MissingExtraError
from mien.extras import require_for_videos
from mien.files import STDOUT, is_special
from mien.output_checks import refuse_inputs

if TYPE_CHECKING:
    from mien.cli.videos import VideoOptions
    from mien.detect.options import DetectionOptions
    from mien.media.decoder_pool import DecoderPool
    from mien.media.frame import Frame
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.photos import PhotoOutputs
    from mien.results.faces import Faces
    from mien.results.row_writers import RowWriter

PROGRESS_FROM = 6
"""Number of pictures from which on there is a progress bar."""

EPILOG = """\b
Examples:
  mien analyze photo.jpg
  mien analyze photo.jpg --json | jq '.faces[].emotion'
  mien analyze holiday/ --csv faces.csv --save annotated/
  mien analyze holiday/ --csv faces.csv --save annotated/ --resume
  mien analyze 'party/*.jpg' --min-face 24 --parquet faces.parquet
  cat photo.jpg | mien analyze -
  mien analyze clip.mp4 --save annotated.mp4 --csv rows.csv
  mien analyze interviews/ --report reports/ --resume
  mien analyze clip.mp4 --start 60 --end 90 --detect-every 5 --json
  mien analyze frames/ --sequence 25 --report report/
  mien analyze interview.mp4 --baseline first:10s --report report/
  mien analyze clip.mp4 --save shared.mp4 --blur others --keep 2
  mien analyze clip.mp4 --export boris,eaf --export-to coding/

\b
A video gives one row per face and frame, also for frames without a face.
A table of photos and videos has the columns of both, photos first.
After Ctrl-C or a kill, what was analysed is kept; --resume continues the
run: of photos with --csv or --parquet, of videos with --report.

\b
Exit codes: 0 every input was analysed (also when it shows no face);
1 some could not be, one line each on stderr; 2 wrong usage;
130 interrupted (143 by SIGTERM, 129 by SIGHUP).
"""


WHOSE, STYLES = ("all", "others"), ("mosaic", "solid")
"""Those of `mien.draw.blur`, written out so that --help loads nothing; a test compares."""


def _numbers(context: click.Context, option: click.Parameter, value: str) -> frozenset[int]:
    """``"1, 3"`` → ``{1, 3}``."""
    names = split_names(value) or ()
    if not names or not all(name.isdecimal() and int(name) > 0 for name in names):
        raise click.BadParameter(f"{value!r} is not a list of numbers from 1, such as 1,3.")
    return frozenset(map(int, names))


def _export_formats(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    names = split_names(value) or ()
    if not names:
        return ()
    from mien.exchange.formats import parse_formats

    return parse_formats(names)


@click.command("analyze", cls=OutputCommand, epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="PHOTO|VIDEO|FOLDER|GLOB...")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per line, for each picture or frame, instead of a table.",
)
@click.option(
    "--csv", "csv_file", type=TABLE, help="Write one row per face (and frame) to this CSV file; '-' is stdout."
)
@click.option(
    "--parquet",
    "parquet_file",
    type=TABLE,
    help="Write one row per face (and frame) to this Parquet file; '-' is stdout.",
)
@click.option("--save", type=PATH, help="Write the annotated picture or video here; for several inputs, a folder.")
@click.option(
    "--blur",
    type=click.Choice(WHOSE),
    help="Make faces unrecognisable in --save and --thumbnails: all, or all except those of --keep.",
)
@click.option(
    "--keep",
    default="1",
    show_default=True,
    metavar="N,…",
    callback=_numbers,
    help="Numbers of the faces that --blur others does not blur (as in tables; for videos, track numbers).",
)
@click.option(
    "--blur-style",
    type=click.Choice(STYLES),
    default=STYLES[0],
    show_default=True,
    help="How --blur hides faces: with a coarse, noisy mosaic, or with a grey area.",
)
@detector_options()
@models_option
@flip_option
@prior_option
@coverage_options
@device_option
@click.option(
    "--abstain",
    type=click.FloatRange(0, 1),
    default=defaults.ABSTAIN,
    show_default=True,
    help="Show an emotion below this probability as 'uncertain'.",
)
@click.option(
    "--top",
    type=click.IntRange(1, 8),
    default=defaults.TOP,
    show_default=True,
    help="Number of emotions to show per face.",
)
@threads_option()
@click.option("--report", type=OUTPUT_FOLDER, help="Folder for pages, timelines and tables (videos).")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue an interrupted run: for photos, that of --csv or --parquet; for videos, that of --report.",
)
@click.option(
    "--baseline",
    metavar="first:10s|neutral|FILE",
    help="Report changes from each person's resting face: that of their first seconds, their neutral frames, or "
    "of a JSON file (videos, --report).",
)
@click.option("--thumbnails", is_flag=True, help="Show one picture of each face in the report (videos).")
@click.option(
    "--export",
    metavar="FORMAT,…",
    default="",
    callback=_export_formats,
    help="Write files for other tools: boris, eaf, textgrid, bids, openface (videos).",
)
@click.option(
    "--export-to",
    type=OUTPUT_FOLDER,
    show_default=defaults.EXPORTS,
    help="Folder for the files of --export (videos).",
)
@frame_options
@click.option(
    "--sequence",
    type=click.FloatRange(0, min_open=True),
    help="Read folders of numbered pictures as videos of F pictures per second.",
)
@tracking_options()
def command(
    inputs: tuple[str, ...],
    as_json: bool,
    csv_file: Path | None,
    parquet_file: Path | None,
    save: Path | None,
    blur: str | None,
    keep: frozenset[int],
    blur_style: str,
    detection: DetectionOptions,
    models: tuple[str, ...],
    flip: bool,
    prior: str,
    coverage: float | None,
    by_class: bool,
    device: str,
    abstain: float,
    top: int,
    threads: int | None,
    sequence: float | None,
    **video: Any,
) -> None:
    """Detect the faces in photos and videos and report the emotions and the age range of each.

    The output is how a face looks to raters, not what a person feels.
    """
    from mien.cli.videos import VideoOptions, analyse_videos
    from mien.draw.blur import Blur
    from mien.media.decoder_pool import DecoderPool
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.photos import PhotoOutputs

    _check_stdout(as_json, csv_file, parquet_file)
    options = VideoOptions(**video)
    _check_inputs(inputs, sequence, options, as_json=as_json)
    if blur is not None and save is None and not options.thumbnails:
        raise click.UsageError("--blur is for the pictures of --save and --thumbnails, and neither was given")
    hidden = None if blur is None else Blur(blur, keep, blur_style)
    failures = FailureReport()
    stream = inputs == ("-",)
    photos, clips = ([Path("stdin")], []) if stream else _split_inputs(inputs, sequence, failures)
    clips = _readable_videos(photos, clips, options, failures, save=save is not None, parquet=parquet_file is not None)
    mixed = bool(photos and clips and (csv_file or parquet_file))
    _check_combination(options, photos, clips, mixed=mixed)
    _refuse_inputs([*photos, *clips, *map(Path, inputs)], save, csv_file, parquet_file)
    if photos or clips:
        analyzer = Analyzer(
            models=models,
            **asdict(detection),
            threads=threads,
            flip=flip,
            prior=prior,
            coverage=coverage,
            by_class=by_class,
            device=device,
        )
        # Ctrl-C ends them, whatever they decode
        decoders = click.get_current_context().with_resource(
            DecoderPool(analyzer.threads, seconds=defaults.DECODE_SECONDS, memory_bytes=defaults.DECODE_BYTES)
        )
    tables: list[RowWriter] | None = None
    single = len(inputs) == len(photos) == 1 and not clips
    outputs = PhotoOutputs(
        csv_file, parquet_file, save, save is not None and one_file(save, single=single), hidden, mixed
    )
    if mixed and options.resume and options.report and _photos_done(options.report, outputs):
        click.echo(f"mien: {len(photos):,} of {len(photos):,} photos were analysed before", err=True)
    elif photos:
        tables = _analyse_photos(
            analyzer,
            photos,
            outputs,
            failures,
            PhotoTable(as_json=as_json, shown=STDOUT not in (csv_file, parquet_file), top=top, abstain=abstain),
            resume=options.resume and not (clips and options.report and not (csv_file or parquet_file)),
            load=functools.partial(_read_stdin, decoders) if stream else None,
            decoders=decoders,
        )
    if clips:
        analyse_videos(
            analyzer,
            clips,
            replace(options, selection=replace(options.selection, fps=sequence)) if sequence else options,
            failures,
            as_json=as_json,
            csv_file=csv_file,
            parquet_file=parquet_file,
            save=save,
            blur=hidden,
            photos=photos if mixed else (),
            tables=tables if mixed else None,
            decoders=decoders,
        )
    if failures.count:
        raise click.exceptions.Exit(1)


def _readable_videos(
    photos: list[Path], clips: list[Path], options: VideoOptions, failures: FailureReport, *, save: bool, parquet: bool
) -> list[Path]:
    """The videos, or none where the package that reads them is missing and only photos are needed."""
    try:
        require_for_videos(clips, annotated=bool(clips and save), parquet=parquet)
    except MissingExtraError as error:
        # photos of a folder that holds videos too need no PyAV; a table and options of videos are not written in part
        if not photos or parquet or options.for_videos:
            raise
        failures.add(error)
        return []
    return clips


def _check_combination(options: VideoOptions, photos: list[Path], clips: list[Path], *, mixed: bool) -> None:
    """Raise for options of videos that have no video, or no report to write into."""
    if options.for_videos and photos and not clips:
        raise click.UsageError(
            "--report, --baseline, --thumbnails, --export, --every, --fps, --start and --end are for videos, "
            "and none was given"
        )
    if options.baseline is not None and options.report is None:
        raise click.UsageError("--baseline writes changes.csv and changes.json into the report folder: give --report.")
    if mixed and options.resume and options.report is None:
        raise click.UsageError("one table of photos and videos can only be resumed with --report")


def _photos_done(report: Path, outputs: PhotoOutputs) -> bool:
    """Whether the run that is resumed had come to its videos."""
    from mien.pipeline.jobs import has_checkpoint
    from mien.pipeline.photos import has_progress

    return has_checkpoint(report) and not has_progress(outputs)


def _split_inputs(
    inputs: tuple[str, ...], sequence: float | None, failures: FailureReport
) -> tuple[list[Path], list[Path]]:
    """The photos and the videos that the inputs name; an input that names nothing is a failure."""
    from mien.media.image import image_suffixes
    from mien.media.paths import VIDEO_SUFFIXES, expand_paths, is_video_file

    if sequence is not None:
        return [], [Path(given) for given in inputs]
    paths, errors = expand_paths(inputs, suffixes=image_suffixes() | VIDEO_SUFFIXES)
    for error in errors:
        failures.add(error)
    return [path for path in paths if not is_video_file(path)], [path for path in paths if is_video_file(path)]


@dataclass(frozen=True, slots=True)
class PhotoTable:
    """How the results of photos are printed.

    Attributes:
        as_json: one JSON object per picture, as soon as it is analysed, instead of a table at the end.
        shown: whether a table is printed; not where stdout has another one.
        top: number of emotions per face.
        abstain: an emotion below this probability is uncertain.
    """

    as_json: bool
    shown: bool
    top: int
    abstain: float

    def print(self, results: Sequence[Faces]) -> None:
        """Print the table of all results."""
        if results and self.shown and not self.as_json:
            from mien.cli.photo_table import print_table

            print_table(results, top=self.top, abstain=self.abstain)


def _analyse_photos(
    analyzer: Analyzer,
    photos: list[Path],
    outputs: PhotoOutputs,
    failures: FailureReport,
    table: PhotoTable,
    *,
    resume: bool,
    load: Callable[[Path], Frame] | None,
    decoders: DecoderPool,
) -> list[RowWriter]:
    """Analyse photos as `mien.pipeline.photos.PhotoJob` does, and print their results; returns its open tables."""
    from mien.errors import MienError, OutputError
    from mien.pipeline.photos import PhotoJob

    job = PhotoJob(analyzer, photos, outputs, resume=resume, load=load, decoders=decoders)
    for unwritable in job.left_out:
        failures.add(unwritable)
    if job.skipped:
        nothing = "; nothing is left" if job.skipped == len(photos) else ""
        click.echo(f"mien: {job.skipped:,} of {len(photos):,} photos were analysed before{nothing}", err=True)
    results: list[Faces] = []
    progress, show_progress = _progress(len(photos))
    try:
        with progress, job:
            for result in job.results(show_progress):
                if isinstance(result, MienError):
                    failures.add(result)
                    continue
                if table.as_json:
                    click.echo(result.to_json())
                results.append(result)
    except OutputError as error:
        failures.add(error)
    except KeyboardInterrupt:
        table.print(results)
        in_file = [file for file in (outputs.csv, outputs.parquet) if file is not None and not is_special(file)]
        error_output().print(
            MienError(
                f"interrupted: {job.skipped + job.analysed:,} of {len(photos):,} photos are analysed"
                + (f"; their rows are in {in_file[0]}" if in_file and job.analysed else ""),
                advice="the same call with --resume continues the run" if in_file else None,
                code=INTERRUPTED,
            )
        )
        raise click.exceptions.Exit(130) from None
    table.print(results)
    return job.tables


def _read_stdin(decoders: DecoderPool, _: Path) -> Frame:
    if sys.stdin is None:
        raise InputError("is closed", path="stdin", advice="pass a picture: mien analyze - < photo.jpg")
    try:
        content = sys.stdin.buffer.read()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}", path="stdin") from None
    try:
        return replace(decoders.load_image(content), source="stdin")
    except ImageError as error:
        raise error.with_path("stdin") from None


def _progress(total: int) -> tuple[AbstractContextManager[object], Callable[[int], None]]:
    if total < PROGRESS_FROM:
        nothing: AbstractContextManager[object] = nullcontext()
        return nothing, lambda done: None
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    progress = progress_bar(TextColumn("analysing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    task = progress.add_task("", total=total)
    return progress, lambda done: progress.update(task, completed=done)


def _check_inputs(inputs: Sequence[str], sequence: float | None, options: VideoOptions, *, as_json: bool) -> None:
    """Raise for inputs that were meant otherwise: the file of --json, numbered pictures without their rate."""
    from mien.files import is_file
    from mien.media.numbered_pictures import is_counter
    from mien.media.paths import is_video_file

    if sequence is not None:
        if options.selection.fps is not None:
            raise click.UsageError("--sequence is the rate of the pictures: give --every N to take fewer, not --fps.")
        if films := [given for given in inputs if is_file(given) and is_video_file(Path(given))]:
            raise click.UsageError(f"--sequence is for folders of numbered pictures, and {films[0]} is a video.")
        return
    for given in inputs:
        if is_file(given):
            continue
        if is_counter(given):
            raise click.UsageError(f"{given} names numbered pictures: give their rate with --sequence F.")
        if as_json:
            refuse_json_file(given)


def _check_stdout(as_json: bool, *tables: Path | None) -> None:
    if as_json + tables.count(STDOUT) > 1:
        raise click.UsageError("only one of --json, --csv - and --parquet - can go to stdout")


def _refuse_inputs(inputs: list[Path], save: Path | None, *tables: Path | None) -> None:
    """Raise before anything is opened where an output is one of the inputs, or would lie among them."""
    from mien.draw.mark import refuse_originals

    for table in tables:
        if table is not None:
            refuse_inputs(table, inputs)
            refuse_originals(table, table=True)
    if save is not None:
        refuse_inputs(save, inputs)
        refuse_originals(save)
        refuse_inputs(save, [path for path in inputs if path.is_file()], folder=True)
