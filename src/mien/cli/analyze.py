"""``mien analyze``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.cli.options import (
    OUTPUT_FOLDER,
    PATH,
    TABLE,
    OutputCommand,
    detector_options,
    flip_option,
    frame_options,
    models_option,
    threads_option,
    tracking_options,
)
from mien.cli.output import Failures, one_file, progress_bar, unique_name
from mien.files import STDOUT, marked_folder, refuse_inputs

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from mien.detect.options import DetectionOptions
    from mien.media.frame import Frame
    from mien.pipeline.analyzer import Analyzer
    from mien.results.faces import Faces

BATCH = 16
"""Pictures in memory at once."""
PROGRESS_FROM = 6
"""Number of pictures from which on there is a progress bar."""

EPILOG = """\b
Examples:
  mien analyze photo.jpg
  mien analyze photo.jpg --json | jq '.faces[].emotion'
  mien analyze holiday/ --csv faces.csv --save annotated/
  mien analyze 'party/*.jpg' --min-face 24 --parquet faces.parquet
  cat photo.jpg | mien analyze -
  mien analyze clip.mp4 --save annotated.mp4 --csv rows.csv
  mien analyze interviews/ --report reports/ --resume
  mien analyze clip.mp4 --start 60 --end 90 --detect-every 5 --json
  mien analyze frames/ --sequence 25 --report report/

\b
A video gives one row per face and frame, also for frames without a face.
After Ctrl-C or a kill, what was analysed is kept; with --report, --resume
continues the run.

\b
Exit codes: 0 every input was analysed (also when it shows no face);
1 some could not be, one line each on stderr; 2 wrong call;
130 interrupted.
"""


@click.command("analyze", cls=OutputCommand, epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="PHOTO|VIDEO|FOLDER|GLOB...")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object per line, for each picture or frame, instead of a table.",
)
@click.option("--csv", "csv_file", type=TABLE, help="Write one row per face (and frame) to this CSV file.")
@click.option("--parquet", "parquet_file", type=TABLE, help="Write one row per face (and frame) to this Parquet file.")
@click.option("--save", type=PATH, help="Write the annotated picture or video here; for several inputs, a folder.")
@detector_options()
@models_option
@flip_option
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
@click.option("--resume", is_flag=True, help="Continue the run whose progress is in the --report folder (videos).")
@click.option("--thumbnails", is_flag=True, help="Show one picture of each face in the report (videos).")
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
    detection: DetectionOptions,
    models: tuple[str, ...],
    flip: bool,
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
    from mien.pipeline.analyzer import Analyzer

    _check_stdout(as_json, csv_file, parquet_file)
    options = VideoOptions(**video)
    failures = Failures()
    stream = inputs == ("-",)
    photos, clips = ([Path("-")], []) if stream else _split_inputs(inputs, sequence, failures)
    if options.any_set and photos and not clips:
        raise click.UsageError(
            "--report, --resume, --every, --fps, --start and --end are for videos, and none was given"
        )
    if photos and clips and (csv_file or parquet_file):
        raise click.UsageError("photos and videos have different columns: write their tables in two calls")
    _refuse_inputs([*photos, *clips, *map(Path, inputs)], save, csv_file, parquet_file)
    if photos or clips:
        analyzer = Analyzer(
            models=models,
            **asdict(detection),
            threads=threads,
            flip=flip,
        )
    if photos:
        annotated = (
            None
            if save is None
            else AnnotatedPictures(
                save, [*photos, *map(Path, inputs)], single=len(photos) == 1 and len(inputs) == 1 and not clips
            )
        )
        results = []
        with nullcontext() if annotated is None else annotated:
            for faces in _analyse_photos(analyzer, photos, stream, failures, annotated):
                if as_json:
                    click.echo(faces.to_json())
                results.append(faces)
        if not as_json and results and STDOUT not in (csv_file, parquet_file):
            from mien.cli.photo_table import print_table

            print_table(results, top=top, abstain=abstain)
        _write(results, csv_file, parquet_file, failures)
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
        )
    if failures.count:
        raise click.exceptions.Exit(1)


def _split_inputs(inputs: tuple[str, ...], sequence: float | None, failures: Failures) -> tuple[list[Path], list[Path]]:
    """The photos and the videos that the inputs name; an input that names nothing is a failure."""
    from mien.media.image import image_suffixes
    from mien.media.paths import VIDEO_SUFFIXES, expand_paths, is_video_file

    if sequence is not None:
        return [], [Path(given) for given in inputs]
    paths, errors = expand_paths(inputs, suffixes=image_suffixes() | VIDEO_SUFFIXES)
    for error in errors:
        failures.add(error)
    return [path for path in paths if not is_video_file(path)], [path for path in paths if is_video_file(path)]


class AnnotatedPictures:
    """Writes annotated pictures: to one file for one picture, else into a folder; a context manager.

    Nothing more is written after an error that every other picture would meet too, such as a full disk.
    """

    def __init__(self, target: Path, inputs: Sequence[Path], *, single: bool) -> None:
        self._file = target if one_file(target, single=single) else None
        self._folder = target
        self._used: set[str] = set()
        self._marked: AbstractContextManager[None] = nullcontext() if self._file else marked_folder(target, inputs)
        self._full = False

    def __enter__(self) -> None:
        self._marked.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._marked.__exit__(*error)

    def save(self, faces: Faces) -> None:
        """Write one annotated picture; `MienError` where that fails."""
        from mien.errors import OutputError
        from mien.files import FULL

        if self._full:
            return
        target = self._file
        if target is None:
            source = Path(faces.source or "picture")
            suffix = source.suffix if source.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") else ".png"
            target = self._folder / unique_name(source.stem, suffix, self._used)
        try:
            faces.save(target)
        except OutputError as error:
            self._full = error.details.get("errno") in FULL
            raise


def _analyse_photos(
    analyzer: Analyzer, paths: list[Path], stream: bool, failures: Failures, annotated: AnnotatedPictures | None
) -> Iterator[Faces]:
    """The faces of every picture that can be read, in order; one batch of pictures is in memory at a time."""
    from concurrent.futures import ThreadPoolExecutor

    from mien.errors import MienError
    from mien.media.image import load_image

    def load(path: Path) -> Frame:
        given = sys.stdin.buffer.read() if stream else path
        # annotations are drawn on the picture at its full size
        frame = load_image(given, reduce=1 if annotated is not None else analyzer.reduction)
        return replace(frame, source="stdin") if stream else frame

    progress, show_progress = _progress(len(paths))
    with progress, _abandoned_on_error(ThreadPoolExecutor(analyzer.threads, "mien-load")) as pool:
        for start in range(0, len(paths), BATCH):
            frames = []
            for loading in [pool.submit(load, path) for path in paths[start : start + BATCH]]:
                try:
                    frames.append(loading.result())
                except MienError as error:
                    failures.add(error)
            for frame, faces in zip(frames, analyzer.analyze_batch(frames), strict=True):
                if annotated is not None:
                    try:
                        annotated.save(replace(faces, image=frame.rgb))
                    except MienError as error:
                        failures.add(error)
                yield faces
            show_progress(min(start + BATCH, len(paths)))


@contextmanager
def _abandoned_on_error(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """A pool whose work is waited for, but not after an error or Ctrl-C."""
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _progress(total: int) -> tuple[AbstractContextManager[object], Callable[[int], None]]:
    if total < PROGRESS_FROM:
        nothing: AbstractContextManager[object] = nullcontext()
        return nothing, lambda done: None
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    progress = progress_bar(TextColumn("analysing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    task = progress.add_task("", total=total)
    return progress, lambda done: progress.update(task, completed=done)


def _check_stdout(as_json: bool, *tables: Path | None) -> None:
    if as_json + tables.count(STDOUT) > 1:
        raise click.UsageError("only one of --json, --csv - and --parquet - can go to stdout")


def _refuse_inputs(inputs: list[Path], save: Path | None, *tables: Path | None) -> None:
    """Raise before anything is opened where an output is one of the inputs, or would lie among them."""
    for table in tables:
        if table is not None:
            refuse_inputs(table, inputs)
    if save is not None:
        refuse_inputs(save, inputs)
        refuse_inputs(save, [path for path in inputs if path.is_file()], folder=True)


def _write(results: list[Faces], csv_file: Path | None, parquet_file: Path | None, failures: Failures) -> None:
    """Write the tables; one that cannot be written does not keep the other from being written."""
    from mien.errors import OutputError
    from mien.results.tables import write_csv, write_parquet

    for write, file in ((write_csv, csv_file), (write_parquet, parquet_file)):
        if file is not None:
            try:
                write(results, file)
            except OutputError as error:
                failures.add(error)
