"""``mien analyze``."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.faces import Faces

BATCH = 16
"""Pictures in memory at once."""
MANY = 5
"""More pictures than this get a progress bar."""
# the names of mien.detect.DETECTORS, written out because importing that would load NumPy for --help; a test compares
DETECTORS = ("mtcnn", "res10", "haar", "yunet")

EPILOG = """\b
Examples:
  mien analyze photo.jpg
  mien analyze photo.jpg --json | jq '.faces[].emotion'
  mien analyze holiday/ --csv faces.csv --save annotated/
  mien analyze 'party/*.jpg' --min-face 24 --parquet faces.parquet
  cat photo.jpg | mien analyze -

\b
Exit codes: 0 every picture was analysed (also when it shows no face);
1 some could not be, each with one line on stderr; 2 wrong call.
"""


@click.command("analyze", epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="PHOTO|FOLDER|GLOB...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a picture and line on stdout, no table.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write one row a face here.")
@click.option("--parquet", "parquet_file", type=click.Path(path_type=Path), help="Write one row a face here.")
@click.option("--save", type=click.Path(path_type=Path), help="Annotated picture, or a folder for several.")
@click.option("--detector", type=click.Choice(DETECTORS), default="mtcnn", show_default=True)
@click.option(
    "--detector-model", type=click.Path(path_type=Path), help="Weights of a detector that ships none (yunet)."
)
@click.option("--min-face", type=click.IntRange(8), default=40, show_default=True, help="Smallest face, pixels.")
@click.option("--emotion", default="emotion", show_default=True, help="Model name or .onnx file; 'none' for none.")
@click.option("--age", default="age", show_default=True, help="Model name or .onnx file; 'none' for none.")
@click.option("--flip", is_flag=True, help="Average with the mirrored face: a little better, slower.")
@click.option("--abstain", type=click.FloatRange(0, 1), default=0.0, help="Below this probability: 'uncertain'.")
@click.option("--top", type=click.IntRange(1, 8), default=3, show_default=True, help="Emotions shown a face.")
@click.option("--threads", type=click.IntRange(1), help="Processor threads.  [default: all, at most 4]")
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
) -> None:
    """Find the faces in photos; tell the emotions and the age range of each.

    The output is how a face looks to raters, not what a person feels.
    """
    from mien.analyzer import Analyzer
    from mien.sources.paths import expand

    _check_writable(csv_file, parquet_file)
    failures = Failures()
    stream = inputs == ("-",)
    paths: list[Path] = [Path("-")]
    if not stream:
        paths, errors = expand(inputs)
        for error in errors:
            failures.add(error)
    if paths:
        analyzer = Analyzer(
            detector=detector,
            detector_model=detector_model,
            emotion=None if emotion == "none" else emotion,
            age=None if age == "none" else age,
            min_face=min_face,
            threads=threads,
            flip=flip,
        )
        target = None if save is None else Saver(save, single=len(paths) == 1 and len(inputs) == 1)
        results = []
        for faces in _results(analyzer, paths, stream, failures, target):
            if as_json:
                click.echo(faces.to_json())
            results.append(faces)
        _write(results, csv_file, parquet_file)
        if not as_json and results:
            from mien.report.tables import print_table

            print_table(results, top=top, abstain=abstain)
    if failures.count:
        raise click.exceptions.Exit(1)


class Failures:
    """Prints each failure as one line and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: Exception) -> None:
        """One more."""
        self.count += 1
        click.echo(f"mien: {error}", err=True)


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
        names = itertools.chain([source.stem], (f"{source.stem}-{i}" for i in itertools.count(2)))
        name = next(name for name in names if name + suffix not in self._used)
        self._used.add(name + suffix)
        faces.save(self.folder / (name + suffix))


def _results(
    analyzer: Analyzer, paths: list[Path], stream: bool, failures: Failures, target: Saver | None
) -> Iterator[Faces]:
    """The faces of every picture that can be read, in order; pictures are held a batch at a time."""
    from dataclasses import replace

    from mien.errors import MienError
    from mien.sources.image import load_image

    progress, show_done = _progress(len(paths))
    with progress:
        for start in range(0, len(paths), BATCH):
            frames = []
            for path in paths[start : start + BATCH]:
                try:
                    if stream:
                        frames.append(replace(load_image(sys.stdin.buffer.read()), source="stdin"))
                    else:
                        frames.append(load_image(path))
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
        from mien.report.tables import write_csv

        write_csv(results, csv_file)
    if parquet_file is not None:
        from mien.report.tables import write_parquet

        write_parquet(results, parquet_file)
