"""``mien analyze``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.options import analyzer_options, follow_options, frame_options
from mien.cli.output import Failures, unique_name

if TYPE_CHECKING:
    from mien.media.frame import Frame
    from mien.pipeline.analyzer import Analyzer
    from mien.results.faces import Faces

BATCH = 16
"""Pictures in memory at once."""
MANY = 5
"""More pictures than this get a progress bar."""

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
A video gives one row a face and frame, also for frames without a face.
Ctrl-C or a kill leaves what was analysed; with --report, --resume goes on.

\b
Exit codes: 0 every input was analysed (also when it shows no face);
1 some could not be, each with one line on stderr; 2 wrong call;
130 interrupted.
"""


@click.command("analyze", epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="PHOTO|VIDEO|FOLDER|GLOB...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a picture or frame and line, no table.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write one row a face (and frame) here.")
@click.option(
    "--parquet", "parquet_file", type=click.Path(path_type=Path), help="Write one row a face (and frame) here."
)
@click.option("--save", type=click.Path(path_type=Path), help="Annotated picture or video, or a folder for several.")
@analyzer_options
@click.option("--abstain", type=click.FloatRange(0, 1), default=0.0, help="Below this probability: 'uncertain'.")
@click.option("--top", type=click.IntRange(1, 8), default=3, show_default=True, help="Emotions shown a face.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads.  [default: all, at most 4]")
@click.option("--report", type=click.Path(path_type=Path), help="Videos: write pages, timelines and tables here.")
@click.option("--resume", is_flag=True, help="Videos: go on with a run that --report has the progress of.")
@click.option("--thumbnails", is_flag=True, help="Videos: show one picture of each face in the report.")
@frame_options
@click.option("--sequence", type=click.FloatRange(0, min_open=True), help="Folders are videos of F pictures a second.")
@follow_options
def command(
    inputs: tuple[str, ...],
    as_json: bool,
    csv_file: Path | None,
    parquet_file: Path | None,
    save: Path | None,
    detector: str,
    detector_model: Path | None,
    min_face: int,
    emotion: str,
    age: str,
    flip: bool,
    abstain: float,
    top: int,
    threads: int | None,
    sequence: float | None,
    **video: Any,
) -> None:
    """Find the faces in photos and videos; tell the emotions and the age range of each.

    The output is how a face looks to raters, not what a person feels.
    """
    from mien.cli.videos import VideoCall, analyse_videos
    from mien.pipeline.analyzer import Analyzer

    _check_writable(csv_file, parquet_file)
    call = VideoCall(**video)
    failures = Failures()
    stream = inputs == ("-",)
    photos, clips = ([Path("-")], []) if stream else _sorted_out(inputs, sequence, failures)
    if call.asks and photos and not clips:
        raise click.UsageError(
            "--report, --resume, --every, --fps, --start and --end are for videos, and none was given"
        )
    if photos and clips and (csv_file or parquet_file):
        raise click.UsageError("photos and videos have different columns: write their tables in two calls")
    if photos or clips:
        analyzer = Analyzer(
            detector=detector,
            detector_model=detector_model,
            emotion=None if emotion == "none" else emotion,
            age=None if age == "none" else age,
            min_face=min_face,
            threads=threads,
            flip=flip,
        )
    if photos:
        target = None if save is None else Saver(save, single=len(photos) == 1 and len(inputs) == 1 and not clips)
        results = []
        for faces in _results(analyzer, photos, stream, failures, target):
            if as_json:
                click.echo(faces.to_json())
            results.append(faces)
        _write(results, csv_file, parquet_file)
        if not as_json and results:
            from mien.cli.photo_table import print_table

            print_table(results, top=top, abstain=abstain)
    if clips:
        analyse_videos(
            analyzer,
            clips,
            replace(call, fps=sequence) if sequence else call,
            failures,
            as_json=as_json,
            csv_file=csv_file,
            parquet_file=parquet_file,
            save=save,
        )
    if failures.count:
        raise click.exceptions.Exit(1)


def _sorted_out(inputs: tuple[str, ...], sequence: float | None, failures: Failures) -> tuple[list[Path], list[Path]]:
    """The photos and the videos that the inputs name; what names nothing is a failure."""
    from mien.media.image import image_suffixes
    from mien.media.paths import VIDEO_SUFFIXES, expand_paths, is_video_file

    if sequence is not None:
        return [], [Path(given) for given in inputs]
    paths, errors = expand_paths(inputs, suffixes=image_suffixes() | VIDEO_SUFFIXES)
    for error in errors:
        failures.add(error)
    return [path for path in paths if not is_video_file(path)], [path for path in paths if is_video_file(path)]


class Saver:
    """Where annotated pictures go: one file for one picture, else a folder."""

    def __init__(self, target: Path, *, single: bool) -> None:
        self.file = target if single and target.suffix and not target.is_dir() else None
        self.folder = target
        self._used: set[str] = set()

    def save(self, faces: Faces) -> None:
        """Write one annotated picture."""
        if self.file is not None:
            faces.save(self.file)
            return
        source = Path(faces.source or "picture")
        suffix = source.suffix if source.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") else ".png"
        faces.save(self.folder / unique_name(source.stem, suffix, self._used))


def _results(
    analyzer: Analyzer, paths: list[Path], stream: bool, failures: Failures, target: Saver | None
) -> Iterator[Faces]:
    """The faces of every picture that can be read, in order; pictures are held a batch at a time."""
    from concurrent.futures import ThreadPoolExecutor

    from mien.errors import MienError
    from mien.media.image import load_image

    def load(path: Path) -> Frame:
        given = sys.stdin.buffer.read() if stream else path
        # what is drawn on has to be whole
        frame = load_image(given, reduce=1 if target is not None else analyzer.reduction)
        return replace(frame, source="stdin") if stream else frame

    progress, show_done = _progress(len(paths))
    with progress, ThreadPoolExecutor(analyzer.threads, "mien-load") as pool:
        for start in range(0, len(paths), BATCH):
            frames = []
            for loading in [pool.submit(load, path) for path in paths[start : start + BATCH]]:
                try:
                    frames.append(loading.result())
                except MienError as error:
                    failures.add(error)
            for frame, faces in zip(frames, analyzer.analyze_batch(frames), strict=True):
                if target is not None:
                    try:
                        target.save(replace(faces, image=frame.rgb))
                    except (MienError, OSError) as error:
                        failures.add(error)
                yield faces
            show_done(min(start + BATCH, len(paths)))


def _progress(total: int) -> tuple[AbstractContextManager[object], Callable[[int], None]]:
    if total <= MANY:
        nothing: AbstractContextManager[object] = nullcontext()
        return nothing, lambda done: None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("analysing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    task = progress.add_task("", total=total)
    return progress, lambda done: progress.update(task, completed=done)


def _check_writable(*files: Path | None) -> None:
    """Say now, not after an hour of work, that a result cannot be written."""
    from mien.errors import InputError

    for file in files:
        if file is not None and file.is_dir():
            raise InputError(f"{file}: is a folder; give the name of a file")


def _write(results: list[Faces], csv_file: Path | None, parquet_file: Path | None) -> None:
    if csv_file is not None:
        from mien.results.tables import write_csv

        write_csv(results, csv_file)
    if parquet_file is not None:
        from mien.results.tables import write_parquet

        write_parquet(results, parquet_file)
