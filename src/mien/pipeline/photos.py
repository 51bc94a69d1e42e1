"""Photos → files, written during the analysis: tables and annotated pictures; resumes after a kill.

Beside the first table, ``<name>.progress`` lists the pictures whose rows are on the disk, until the run is complete. A
run that resumes truncates the tables to those rows and analyses the other pictures, so that no row is lost or doubled.
Tables without such a list are complete: a run that resumes leaves them as they are.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mien import defaults
from mien.draw.blur import Blur
from mien.errors import InputError, MienError, OutputError
from mien.files import FULL, AppendFile, companion, is_special, marked_folder, output_errors, unique_name
from mien.media.decoder_pool import DecoderPool
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.output_checks import refuse_foreign_files, refuse_inputs
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.executors import abandoned_on_error
from mien.results.columns import readable
from mien.results.face_columns import FaceTable
from mien.results.faces import Faces
from mien.results.row_writers import CsvRows, ParquetRows, RowWriter
from mien.results.tables import table_sources
from mien.run_differences import difference_error, differences, list_differences
from mien.signals import defer_interrupts

BATCH = 16
"""Pictures in memory at once."""
PROGRESS = ".progress"
"""End of the name of the file that lists the pictures of an unfinished run."""
_VERSION = 1
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Pictures of these kinds are annotated as such, all others as PNG."""


@dataclass(frozen=True, slots=True)
class PhotoOutputs:
    """The files to write, for all photos of a run.

    Attributes:
        csv: one row per face.
        parquet: one row per face.
        annotated: the annotated picture, or a folder for those of several.
        one_picture: whether ``annotated`` is the picture itself.
        blur: which faces are made unrecognisable in annotated pictures; None for none.
        mixed: the tables have the columns of photos and of videos, and stay open for a `VideoJob`.

    Examples:
        >>> outputs = PhotoOutputs(csv=Path("faces.csv"), annotated=Path("annotated"))
        >>> outputs.blur is None
        True
    """

    csv: Path | None = None
    parquet: Path | None = None
    annotated: Path | None = None
    one_picture: bool = False
    blur: Blur | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class _AnalysedPicture:
    """A picture whose rows are written.

    Attributes:
        source: absolute path.
        size, time: bytes, and nanoseconds of the last change.
        rows: rows of each table up to and with those of this picture.
        saved: name of the annotated picture; None for none.
    """

    source: str
    size: int
    time: int
    rows: int
    saved: str | None


class PhotoJob:
    """The analysis of photos into files. A context manager; use it once.

    Args:
        analyzer: analyses the pictures.
        photos: the pictures, in order.
        outputs: the files to write.
        resume: continue the run whose progress lies beside the first table; start one where there is no table.
        load: reads a picture; by default from its path.
        decoders: decode pictures, in processes that can be ended; None decodes them in this one.
        flush_seconds: seconds between two flushes.

    Attributes:
        skipped: number of pictures that an earlier run had analysed.
        analysed: number of pictures that this run has analysed.
        left_out: the errors of tables that cannot be opened; the others are written.
        tables: the tables; after a complete run of mixed ones they are still open, else none is left.

    Raises:
        InputError: ``resume`` without a table, with other options than before, or of a complete run of other pictures;
            an output that is an input, that another run writes to, or a folder with files that the annotated pictures
            would replace.

    Examples:
        >>> outputs = PhotoOutputs(csv=Path("faces.csv"))
        >>> with PhotoJob(analyzer, [Path("photo.jpg"), Path("other.jpg")], outputs) as job:
        ...     print([len(faces) for faces in job.results()], job.analysed)
        [1, 1] 2
        >>> len(Path("faces.csv").read_text().splitlines())
        3
    """

    def __init__(
        self,
        analyzer: Analyzer,
        photos: Sequence[Path],
        outputs: PhotoOutputs,
        *,
        resume: bool = False,
        load: Callable[[Path], Frame] | None = None,
        decoders: DecoderPool | None = None,
        flush_seconds: float = defaults.FLUSH_SECONDS,
    ) -> None:
        self._analyzer, self._photos, self._outputs = analyzer, list(photos), outputs
        self._load, self._flush_seconds = load or self._load_image, flush_seconds
        self._decode = load_image if decoders is None else decoders.load_image
        files = _files_of(outputs)
        if resume and not files:
            raise InputError("only a run with a table in a file can be resumed", advice="add --csv or --parquet")
        for table in (outputs.csv, outputs.parquet):
            if table is not None:
                refuse_inputs(table, self._photos)
        self._progress_path = companion(files[0], PROGRESS) if files else None
        self._progress: AppendFile | None = None
        self._progress_end = 0
        self._call = self._describe()
        self._before: dict[str, _AnalysedPicture] = {}
        self._pending: list[_AnalysedPicture] = []
        self._complete = self._was_complete = False
        if resume and has_progress(outputs):
            self._read_progress()
        elif resume and not outputs.mixed:
            self._find_complete_run(files)
        self.skipped, self.analysed = len(self._before), 0
        self._keep = max((one.rows for one in self._before.values()), default=0)
        self.left_out: list[OutputError] = []
        self._stack = contextlib.ExitStack()
        self._full = False
        self._names = self._annotated_names()
        self.tables = self._open_tables()

    def __enter__(self) -> PhotoJob:
        try:
            if self._outputs.annotated is not None and not self._outputs.one_picture:
                self._stack.enter_context(marked_folder(self._outputs.annotated))
            if self._progress_path is not None and not self._before:
                with output_errors(self._progress_path):
                    self._progress_path.unlink(missing_ok=True)  # of a run that is not continued
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack:
            nothing = not (self.analysed or self._before or self._hand_over)
            if isinstance(error, OutputError) or nothing:
                with contextlib.suppress(OutputError):
                    self._flush()
                self._stop()
                if nothing:
                    self._close_progress(remove=True)
                return
            try:
                self._flush()
                if self._hand_over:
                    self._close_progress(remove=True)
                    return
                for table in self.tables:
                    table.close()
                self._close_progress(remove=kind is None and self._complete)
            finally:
                if not self._hand_over:
                    self._stop()

    @property
    def _hand_over(self) -> bool:
        return self._complete and self._outputs.mixed

    def results(self, watch: Callable[[int], None] | None = None) -> Iterator[Faces | MienError]:
        """The faces of every picture, in order, after their rows are written; an error for one that cannot be read.

        An annotated picture that cannot be written is an error after the faces; after a full disk no other is written.

        Args:
            watch: called after every batch with the number of pictures so far, those of an earlier run included.

        Raises:
            OutputError: a table cannot be written.
        """
        left = [photo for photo in self._photos if _key(photo) not in self._before]
        if self._was_complete:
            yield from self._errors_of(left)
            return
        flushed = time.monotonic()
        done = len(self._photos) - len(left)
        with abandoned_on_error(ThreadPoolExecutor(self._analyzer.threads, "mien-load")) as pool:
            for start in range(0, len(left), BATCH):
                photos, frames = [], []
                for photo, loading in [(p, pool.submit(self._load, p)) for p in left[start : start + BATCH]]:
                    try:
                        frames.append(loading.result())
                        photos.append(photo)
                    except MienError as error:
                        yield error
                results = self._analyzer.analyze_batch(frames)
                failed: OutputError | None = None
                for photo, frame, faces in zip(photos, frames, results, strict=True):
                    problem = self._save_annotated(photo, frame, faces)
                    try:
                        if failed is None:
                            self._write(photo, faces)
                    except OutputError as error:
                        failed = error  # what was computed is still returned
                    yield faces
                    if problem is not None:
                        yield problem
                if failed is not None:
                    raise failed
                if time.monotonic() - flushed >= self._flush_seconds:
                    self._flush()
                    flushed = time.monotonic()
                if watch is not None:
                    watch(min(done + start + BATCH, len(self._photos)))
        self._complete = True

    def _errors_of(self, photos: Iterable[Path]) -> Iterator[MienError]:
        """Why pictures have no rows in a complete table: they cannot be read, or came later, of which one is named."""
        later: list[Path] = []
        for photo in photos:
            try:
                self._load(photo)
            except MienError as error:
                yield error
            else:
                later.append(photo)
        if later:
            others = f" (nor are {len(later) - 1:,} more photos)" if len(later) > 1 else ""
            yield InputError(
                f"is not in the table, which was complete before{others}",
                path=later[0],
                advice="analyse what came later into another table, or run without --resume to write all again",
                code="run-differs",
            )
        self._complete = True

    def _load_image(self, photo: Path) -> Frame:
        # annotations are drawn on the picture at its full size
        return self._decode(photo, reduce=1 if self._outputs.annotated is not None else self._analyzer.reduction)

    def _write(self, photo: Path, faces: Faces) -> None:
        rows = faces.to_table(self._analyzer.heads)
        with defer_interrupts():
            self._open_progress()
            for table in self.tables:
                table.write(rows)
            self.analysed += 1
            if self._progress_path is not None:
                written = max((table.rows for table in self.tables), default=0)
                name = self._names.get(photo)
                self._pending.append(_AnalysedPicture(_key(photo), *_size_and_time(photo), written, name))

    def _save_annotated(self, photo: Path, frame: Frame, faces: Faces) -> MienError | None:
        if self._outputs.annotated is None or self._full:
            return None
        target = self._outputs.annotated
        try:
            path = target if self._outputs.one_picture else target / self._names[photo]
            replace(faces, image=frame.rgb).save(path, blur=self._outputs.blur)
        except OutputError as error:
            self._full = error.details.get("errno") in FULL
            return error
        except MienError as error:
            return error
        return None

    def _annotated_names(self) -> dict[Path, str]:
        """Picture → name of its annotated picture in the folder; names of an earlier run stay."""
        folder = self._outputs.annotated
        if folder is None or self._outputs.one_picture:
            return {}
        names = {p: one.saved for p in self._photos if (one := self._before.get(_key(p))) and one.saved}
        used = set(names.values())
        for photo in self._photos:
            if photo not in names:
                suffix = photo.suffix if photo.suffix.lower() in _SUFFIXES else ".png"
                names[photo] = unique_name(photo.stem or "picture", suffix, used)
                used.add(names[photo])
        refuse_foreign_files(folder, [name for photo, name in names.items() if _key(photo) not in self._before])
        return names

    def _open_tables(self) -> list[RowWriter]:
        if self._was_complete:
            return []
        empty = FaceTable.empty(self._analyzer.heads, None, video=False)
        tables: list[RowWriter] = []
        try:
            for kind, path in ((CsvRows, self._outputs.csv), (ParquetRows, self._outputs.parquet)):
                if path is not None:
                    try:
                        tables.append(kind(path, keep=self._keep or None, empty=empty, mixed=self._outputs.mixed))
                    except OutputError as error:
                        self.left_out.append(error)
        except BaseException:
            for table in tables:
                table.stop()
            raise
        return tables

    def _flush(self) -> None:
        """Write everything to the disk, then the progress."""
        if not self.analysed:
            return  # the tables of an earlier run stay until there are other rows
        with defer_interrupts():
            self._flush_tables_and_progress()

    def _flush_tables_and_progress(self) -> None:
        for table in self.tables:
            table.flush()
        if not self._pending or self._progress is None:
            return
        lines = [_line([one.source, one.size, one.time, one.rows, one.saved]) for one in self._pending]
        self._progress.append(b"".join(lines))
        self._progress.sync()
        self._pending = []

    def _open_progress(self) -> None:
        """Begin the list before the first row: a table with rows and without a list is complete."""
        if self._progress is not None or self._progress_path is None or self.left_out:
            return
        self._progress = AppendFile(self._progress_path, self._progress_end)
        if not self._progress_end:
            self._progress.append(_line({"version": _VERSION, "call": self._call}))
            self._progress.sync()

    def _close_progress(self, *, remove: bool) -> None:
        if self._progress is not None:
            self._progress.close()
        if remove and self._progress_path is not None:
            with output_errors(self._progress_path):
                self._progress_path.unlink(missing_ok=True)

    def _stop(self) -> None:
        for table in self.tables:
            table.stop()
        self.tables = []
        if self._progress is not None:
            self._progress.close()

    def _describe(self) -> dict[str, Any]:
        """What must be equal in two calls for one to resume the other; JSON-ready."""
        tables = (self._outputs.csv, self._outputs.parquet)
        return {
            "analyzer": self._analyzer.describe(),
            "tables": [None if path is None else _key(path) for path in tables],
            "blur": None if self._outputs.blur is None else self._outputs.blur.describe(),
            "annotated": None if self._outputs.annotated is None else _key(self._outputs.annotated),
            "columns": "photos and videos" if self._outputs.mixed else "photos",
        }

    def _find_complete_run(self, files: Sequence[Path]) -> None:
        """Leave complete tables of these pictures as they are; refuse those of others."""
        held = {path: {_key(Path(one)) for one in table_sources(path)} for path in files if _has_content(path)}
        if not any(held.values()):
            return
        given = {readable(_key(photo)): photo for photo in self._photos}
        for path in files:
            if path not in held:
                reason = f"does not exist, while {next(iter(held))} is complete"
            elif others := sorted(held[path] - set(given)):
                reason = f"is a complete table of other photos ({list_differences(others)})"
            else:
                continue
            raise InputError(
                reason,
                path=path,
                advice="choose another table, or run without --resume to write all again",
                code="run-differs",
            )
        self._was_complete = True
        common = set.intersection(*held.values())
        before = [_key(photo) for name, photo in given.items() if name in common]
        self._before = {key: _AnalysedPicture(key, *_size_and_time(Path(key)), 0, None) for key in before}

    def _read_progress(self) -> None:
        path = self._progress_path
        if path is None:
            return
        try:
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            header, *lines = [json.loads(line) for line in whole.splitlines()] or [{}]
            before = [_AnalysedPicture(*line) for line in lines]
            version, call = header["version"], header["call"]
            if any(not isinstance(number, int) for one in before for number in (one.size, one.time, one.rows)):
                raise ValueError("rows")
        except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
            raise InputError(
                f"is damaged ({error})",
                path=path,
                advice="run without --resume to start again",
                code="checkpoint-damaged",
            ) from None
        found = differences({"version": version, **call}, {"version": _VERSION, **self._call})
        given = {_key(photo): _size_and_time(photo) for photo in self._photos}
        for one in before:
            if one.source not in given:
                found.append(f"{one.source}: was analysed, is not in this call")
            elif given[one.source] != (one.size, one.time):
                found.append(f"{one.source}: was changed after its analysis")
        if found:
            raise difference_error(
                InputError,
                "belongs to a call with other photos, models or options",
                found,
                path=path,
                advice="repeat that call, or run without --resume to start again",
            )
        self._before = {one.source: one for one in before}
        self._progress_end = len(whole) if before else 0


def has_progress(outputs: PhotoOutputs) -> bool:
    """Whether a run into these files was interrupted and can be resumed."""
    files = _files_of(outputs)
    return bool(files) and companion(files[0], PROGRESS).is_file()


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _files_of(outputs: PhotoOutputs) -> list[Path]:
    return [path for path in (outputs.csv, outputs.parquet) if path is not None and not is_special(path)]


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - a link keeps the name it was given by


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
