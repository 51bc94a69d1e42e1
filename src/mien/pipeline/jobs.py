"""Videos → files, written during the analysis: tables, annotated videos, reports; resumes after a kill.

With a report folder, a checkpoint is written after every flush: the state of trackers and filters, and the number of
rows and frames in each file. A run that resumes truncates the files to those numbers and analyses from the next frame
on, so that no row is lost or duplicated. A video whose frames were analysed while its report could not be written
gets the report alone; one that could not be read to its end stays in the tables as far as it was read.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mien import defaults
from mien.csv_cells import csv_cells, csv_text
from mien.draw.blur import Blur
from mien.draw.overview_page import OVERVIEW_FILES, write_overview
from mien.errors import InputError, MienError, MissingExtraError, OutputError, VideoError
from mien.exchange.formats import export_paths, export_report, parse_formats, refuse_corrected
from mien.extras import require_for_videos
from mien.file_lock import FileLock, lock_folder
from mien.files import (
    OUTPUT_MARKER,
    make_folder,
    output_errors,
    output_folder,
    temporary_folder,
    unique_name,
    write_text,
)
from mien.media.decoder_pool import DecoderPool
from mien.media.open import open_source
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.output_checks import refuse_foreign_files, refuse_inputs, refuse_inside
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.video import Progress, VideoPipeline, VideoStream
from mien.results.row_writers import CsvRows, JsonlRows, ParquetRows, RawRows, RowWriter
from mien.results.video import VideoFrame, VideoReport
from mien.run_differences import difference_error, differences
from mien.signals import defer_interrupts
from mien.smoothing import SmoothingOptions
from mien.smoothing.baseline import Baseline, person_changes
from mien.tracking.options import TrackingOptions

if TYPE_CHECKING:
    from mien.draw.annotated_video import AnnotatedVideo

_EXPORT_ROOM = 64
"""Bytes that formats add to the name of a video."""
MAX_TIMELINES = 40
"""Tracks with a timeline picture of their own, the longest ones; page and tables have all."""
_PROGRESS, _RAW_ROWS, _SUMMARY = "progress.json", "rows.bin", "summary.json"
_CHANGES, _CHANGES_TABLE = "changes.json", "changes.csv"
_VERSION = 5
_CALL_NAMES = {
    "videos": "the videos, their sizes or times",
    "photos": "the photos, their sizes or times",
    "tables": "the tables",
    "baseline": "the baseline",
    "annotated": "the annotated videos",
    "exports": "the exports",
    "blur": "the blurred faces",
}
"""Parts of a call → how a message names them."""


@dataclass(frozen=True, slots=True)
class VideoOutputs:
    """The files to write, for all videos of a run.

    Attributes:
        csv: one table of all videos.
        jsonl: one JSON object per frame.
        parquet: one table of all videos.
        report: folder with one folder per video (page, timelines, table) and tables of all tracks and episodes.
        annotated: video → path of its annotated video; None for none.
        thumbnails: whether reports show one picture of each face.
        baseline: reports also have the changes from each person's resting face; None for none.
        blur: which faces are made unrecognisable in annotated videos and thumbnails; None for none.
        exports: names of formats of other tools, see `mien.exchange.formats.FORMATS`.
        export_folder: where their files go; None for none.
        photos: photos whose rows come before those of the videos in ``csv`` and ``parquet``, which then have the
            columns of both.

    Examples:
        >>> outputs = VideoOutputs(csv=Path("rows.csv"), report=Path("reports"))
        >>> outputs.needs_rows
        False
    """

    csv: Path | None = None
    jsonl: Path | None = None
    parquet: Path | None = None
    report: Path | None = None
    annotated: Callable[[Path], Path] | None = None
    thumbnails: bool = False
    baseline: Baseline | None = None
    blur: Blur | None = None
    exports: tuple[str, ...] = ()
    export_folder: Path | None = None
    photos: tuple[Path, ...] = ()

    @property
    def needs_rows(self) -> bool:
        """Whether something is written from all rows of a video, when it is analysed."""
        return self.export_folder is not None or (self.annotated is not None and self.blur is not None)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The part of a checkpoint about a video that is not finished.

    Attributes:
        progress: how much of it was analysed.
        pipeline: state of the stages; see `VideoPipeline.state`.
        rows: number of its rows that were written.
        complete: whether its last frame was analysed, so that only the report was missing.
    """

    progress: Progress
    pipeline: Mapping[str, Any]
    rows: int
    complete: bool


class VideoJob:
    """The analysis of one or more videos into files. A context manager; use it once.

    Args:
        analyzer: analyses the frames.
        clips: the videos, in order.
        outputs: the files to write.
        selection: which frames are analysed.
        tracking: how faces are tracked.
        smoothing: how predictions are smoothed over time.
        resume: continue from the checkpoint in the report folder, where there is one.
        flush_seconds: seconds between two flushes.
        decoders: decode the videos, in processes that can be ended; None decodes them in this one.
        tables: the tables of ``outputs``, open behind the rows of its photos, as `PhotoJob` leaves them. They are
            closed with the job, and a checkpoint is not loaded.

    Attributes:
        skipped: number of videos that an earlier run had finished.
        left_out: why reports lack something, such as a package that is not installed.

    Raises:
        MissingExtraError: a package is missing without which nothing could be read or written; no file was opened.
        InputError: ``resume`` without a report folder, one that holds the progress of another call, an output that is
            one of the videos or lies in a folder of numbered pictures, or one that another run writes to.
        OutputError: a file cannot be written.

    Examples:
        >>> outputs = VideoOutputs(csv=Path("rows.csv"))
        >>> with VideoJob(analyzer, [Path("clip.mp4")], outputs, selection=FrameSelection(end=0.8)) as job:
        ...     for report in job.reports():
        ...         print(report, job.skipped)
        VideoReport('clip.mp4', 320x144, 0.8 s, 20 frames, 2 tracks) 0
        >>> Path("rows.csv").read_text().startswith("source,")
        True
    """

    def __init__(
        self,
        analyzer: Analyzer,
        clips: Sequence[Path],
        outputs: VideoOutputs,
        *,
        selection: FrameSelection = ALL_FRAMES,
        tracking: TrackingOptions | None = None,
        smoothing: SmoothingOptions | None = None,
        resume: bool = False,
        flush_seconds: float = defaults.FLUSH_SECONDS,
        decoders: DecoderPool | None = None,
        tables: Sequence[RowWriter] | None = None,
    ) -> None:
        require_for_videos(clips, annotated=outputs.annotated is not None, parquet=outputs.parquet is not None)
        if resume and outputs.report is None:
            raise InputError(
                "a run can only resume with a report folder, which holds its checkpoint", advice="add --report DIR"
            )
        self._analyzer, self._outputs = analyzer, outputs
        self._clips, self._flush_seconds, self._resume = list(clips), flush_seconds, resume
        self._selection, self._decoders = selection, decoders
        self._tracking, self._smoothing = tracking or TrackingOptions(), smoothing or SmoothingOptions()
        self._folders = _folders(outputs.report, self._clips)
        if outputs.export_folder is not None:
            parse_formats(outputs.exports)
        used: set[str] = set()
        self._export_names = [unique_name(clip.stem, "", used, room=_EXPORT_ROOM) for clip in self._clips]
        self._refuse_inputs()
        self._checkpoint_path = None if outputs.report is None else outputs.report / _PROGRESS
        self._call = self._fingerprint()
        self.left_out: list[MienError] = []
        self._finished: list[int] = []
        self._unreadable: dict[int, MienError] = {}
        self._keep: int | None = None
        self._unfinished: dict[int, _Checkpoint] = {}
        self._lock = self._lock_report()
        try:
            if resume and tables is None:
                self._load()
            elif self._checkpoint_path is not None:
                with output_errors(self._checkpoint_path):
                    self._checkpoint_path.unlink(missing_ok=True)  # of a run that is not continued
            self.skipped = len(self._finished)
            self._tables = self._open_tables() if tables is None else list(tables)
            if tables:
                self._save()
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> VideoJob:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            for table in self._tables:
                if kind is None or self._checkpoint_path is None:
                    table.close()
                else:
                    table.stop()
        finally:
            self._release()

    def reports(self, watch: Watch | None = None) -> Iterator[VideoReport | MienError]:
        """Analyse the videos one after the other; one that cannot be read yields its error, and the next one follows.

        Args:
            watch: called after every batch with the stream and the frames of the batch.

        Raises:
            OutputError: a file cannot be written.
        """
        for number, clip in enumerate(self._clips):
            if number in self._finished:
                continue
            if number in self._unreadable:
                yield self._unreadable[number]
                continue
            try:
                yield self._analyse_clip(number, clip, watch or _ignore)
            except OutputError:
                raise
            except MienError as error:
                self._keep_rows_of(number, error)
                yield error

    def _keep_rows_of(self, number: int, error: MienError) -> None:
        """After an error: rows of a video that was not read to its end are kept, and it is not analysed again."""
        saved = self._unfinished.get(number)
        if saved is not None and not saved.complete:
            del self._unfinished[number]
            self._unreadable[number] = error
            self._save()

    def _analyse_clip(self, number: int, clip: Path, watch: Watch) -> VideoReport:
        saved = self._unfinished.get(number)
        # faces are propagated from the previous frame, so the last frame is decoded again
        after = saved.progress.before if saved is not None and saved.progress.before >= 0 else None
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(open_source(clip, self._selection, after=after, decoders=self._decoders))
            pipeline = self._analyzer.pipeline(self._tracking, self._smoothing, interval=source.info.interval)
            if saved is not None:
                self._restore(pipeline, saved)
            progress = saved.progress if saved else None
            stream = stack.enter_context(self._analyzer.resume(source, pipeline, progress=progress))
            raw_rows = video = None
            if self._folders is not None:
                raw_rows = stack.enter_context(
                    RawRows(self._folders[number] / _RAW_ROWS, keep=saved.rows if saved else None)
                )
            elif self._outputs.needs_rows:
                raw_rows = stack.enter_context(RawRows(stack.enter_context(temporary_folder()) / _RAW_ROWS))
            if self._outputs.annotated is not None and self._outputs.blur is None:
                keep = saved.progress.frames if saved else None
                video = stack.enter_context(_open_annotated(self._outputs.annotated(clip), keep))
            if saved is None or not saved.complete:
                self._write_frames(number, stream, raw_rows, video, watch)
            report = stream.report(stream.rows([]) if raw_rows is None else raw_rows.read())
            if video is not None:
                video.close(audio_from=clip)
            if self._folders is not None:
                self._write_report(self._folders[number], report, clip)
            if self._outputs.export_folder is not None:
                name = self._export_names[number]
                export_report(report, self._outputs.export_folder, self._outputs.exports, name)
            if self._outputs.annotated is not None and self._outputs.blur is not None:
                self._write_blurred(report, clip, self._outputs.annotated(clip), self._outputs.blur)
        self._unfinished.pop(number, None)
        self._finished.append(number)
        self._save()
        return report

    def _write_blurred(self, report: VideoReport, clip: Path, path: Path, blur: Blur) -> None:
        from mien.draw.blurred_video import write_blurred_video

        write_blurred_video(report, clip, path, blur, selection=self._selection, decoders=self._decoders)

    def _write_frames(
        self, number: int, stream: VideoStream, raw_rows: RawRows | None, video: AnnotatedVideo | None, watch: Watch
    ) -> None:
        tables: list[RowWriter] = [*self._tables, *([] if raw_rows is None else [raw_rows])]
        flushed = time.monotonic()
        try:
            for batch in stream.batches():
                rows = stream.rows(batch)
                with defer_interrupts():
                    for table in tables:
                        table.write(rows)
                if video is not None:
                    for frame in batch:
                        video.write(frame)
                if time.monotonic() - flushed >= self._flush_seconds:
                    self._flush(number, stream, raw_rows, video)
                    flushed = time.monotonic()
                watch(stream, batch)
        except VideoError:
            self._flush(number, stream, raw_rows, video)
            raise
        self._flush(number, stream, raw_rows, video, complete=True)

    def _flush(
        self,
        number: int,
        stream: VideoStream,
        raw_rows: RawRows | None,
        video: AnnotatedVideo | None,
        *,
        complete: bool = False,
    ) -> None:
        """Write everything to the disk, then the checkpoint."""
        with defer_interrupts():
            for table in self._tables:
                table.flush()
            if video is not None:
                video.flush()
            if raw_rows is not None:
                raw_rows.flush()
                progress = stream.total_progress()
                self._unfinished[number] = _Checkpoint(progress, stream.pipeline.state(), raw_rows.rows, complete)
                self._save()

    def _save(self) -> None:
        if self._checkpoint_path is None:
            return
        document = {
            "version": _VERSION,
            "call": self._call,
            "finished": self._finished,
            "rows": self._tables[0].rows if self._tables else 0,
            "unfinished": {number: asdict(checkpoint) for number, checkpoint in self._unfinished.items()},
            "unreadable": {number: error.to_dict() for number, error in self._unreadable.items()},
        }
        write_text(self._checkpoint_path, json.dumps(document))

    def _load(self) -> None:
        if self._checkpoint_path is None or not self._checkpoint_path.is_file():
            return
        try:
            document = json.loads(self._checkpoint_path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged_error(error) from error
        if not isinstance(document, dict):
            raise self._damaged_error("not an object")
        if document.get("version") != _VERSION:
            raise InputError(
                "was written by another version of mien",
                path=self._checkpoint_path,
                advice="run without --resume to start again",
                code="run-differs",
            )
        if found := differences(document.get("call"), self._call, _CALL_NAMES):
            raise difference_error(
                InputError,
                "belongs to a call with other videos, models or options",
                found,
                path=self._checkpoint_path,
                advice="repeat that call, or run without --resume to start again",
            )
        try:
            self._finished, self._keep = [int(n) for n in document["finished"]], int(document["rows"])
            self._unreadable = {int(n): _failed_before(error) for n, error in document["unreadable"].items()}
            for number, unfinished in document["unfinished"].items():
                progress = unfinished.pop("progress")
                progress |= {name: tuple(progress[name]) for name in ("size", "problems")}
                checkpoint = _Checkpoint(progress=Progress(**progress), **unfinished)
                size = checkpoint.progress.size
                if len(size) != 2 or not all(isinstance(side, int) for side in size):
                    raise ValueError(f"size is {size}")
                self._unfinished[int(number)] = checkpoint
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._damaged_error(error) from error

    def _restore(self, pipeline: VideoPipeline, saved: _Checkpoint) -> None:
        try:
            pipeline.restore(saved.pipeline)
        except MienError:
            raise
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise self._damaged_error(error) from error

    def _damaged_error(self, reason: object) -> InputError:
        return InputError(
            f"is damaged ({reason})",
            path=self._checkpoint_path,
            advice="run without --resume to start again",
            code="checkpoint-damaged",
        )

    def _refuse_inputs(self) -> None:
        """Raise before anything is opened where an output is one of the videos, or a report would lie among them."""
        outputs = self._outputs
        files = [path for path in (outputs.csv, outputs.jsonl, outputs.parquet) if path is not None]
        if outputs.annotated is not None:
            files += [outputs.annotated(clip) for clip in self._clips]
        for file in files:
            refuse_inputs(file, self._clips)
        folders = list(self._folders or ())
        if outputs.export_folder is not None:
            folders.append(output_folder(outputs.export_folder))
            for name in self._export_names:
                for path in export_paths(outputs.export_folder, outputs.exports, name).values():
                    refuse_inputs(path, self._clips)
                    if not self._resume:
                        refuse_corrected(path)
        for folder in self._folders or ():
            refuse_inputs(folder, self._clips, folder=True)
        for output in (*files, *folders):
            # numbered pictures: a file among them would be a frame of the next run
            refuse_inside(output, self._clips)
        if outputs.report is not None:
            output_folder(outputs.report)
            if self._folders is not None and not (outputs.report / _PROGRESS).exists():
                refuse_foreign_files(outputs.report, [*OVERVIEW_FILES, *(folder.name for folder in self._folders)])

    def _open_tables(self) -> list[RowWriter]:
        outputs = self._outputs
        kinds = ((CsvRows, outputs.csv), (JsonlRows, outputs.jsonl), (ParquetRows, outputs.parquet))
        tables: list[RowWriter] = []
        try:
            for writer, path in kinds:
                if path is not None:
                    tables.append(writer(path, keep=self._keep, mixed=bool(outputs.photos)))
        except BaseException:
            for table in tables:
                table.stop()
            raise
        return tables

    def _lock_report(self) -> FileLock | None:
        if self._outputs.report is None:
            return None
        folder = make_folder(self._outputs.report)
        with output_errors(folder):
            return lock_folder(folder)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _fingerprint(self) -> dict[str, Any]:
        """What must be equal in two calls for one to resume the other; JSON-ready."""
        return {
            "videos": [[str(clip), *_size_and_time(clip)] for clip in self._clips],
            "photos": [[str(photo), *_size_and_time(photo)] for photo in self._outputs.photos],
            "analyzer": self._analyzer.describe(),
            "selection": asdict(self._selection),
            "tracking": asdict(self._tracking),
            "smoothing": asdict(self._smoothing),
            "tables": [str(path) for path in (self._outputs.csv, self._outputs.jsonl, self._outputs.parquet)],
            "baseline": None if self._outputs.baseline is None else asdict(self._outputs.baseline),
            "blur": None if self._outputs.blur is None else self._outputs.blur.describe(),
            "exports": [*self._outputs.exports, str(self._outputs.export_folder or "")],
            "annotated": [str(self._outputs.annotated(clip)) for clip in self._clips if self._outputs.annotated],
        }

    def _write_report(self, folder: Path, report: VideoReport, clip: Path) -> None:
        from mien.draw.thumbnails import crop_thumbnails
        from mien.draw.video_page import write_html

        with output_errors(folder):
            (folder / OUTPUT_MARKER).touch()  # its pictures are no photos of a later run
        write_text(folder / _SUMMARY, report.to_json() + "\n")
        try:
            _save_timelines(report, folder)
        except MissingExtraError as error:
            # the page draws its own timelines
            if not self.left_out:
                self.left_out.append(error)
        if self._outputs.baseline is not None:
            _save_changes(report, self._outputs.baseline, folder)
        faces = crop_thumbnails(report, clip, blur=self._outputs.blur) if self._outputs.thumbnails else None
        write_html(report, folder / "report.html", thumbnails=faces)
        if self._outputs.report is not None and self._folders is not None:
            write_overview(self._outputs.report, [f / _SUMMARY for f in self._folders])


def has_checkpoint(report: Path) -> bool:
    """Whether a report folder holds the progress of a run."""
    return (report / _PROGRESS).is_file()


Watch = Callable[[VideoStream, Sequence[VideoFrame]], None]
"""Called after every batch with the stream and the frames of the batch."""


def _ignore(stream: VideoStream, frames: Sequence[VideoFrame]) -> None:
    """A `Watch` that does nothing."""


def _save_changes(report: VideoReport, baseline: Baseline, folder: Path) -> None:
    """Changes from each person's resting face: a row per face and frame, and the resting faces and episodes."""
    found = person_changes(report.rows, baseline)
    columns = {name: csv_cells(values) for name, values in found.to_columns(report.rows).items()}
    write_text(folder / _CHANGES_TABLE, csv_text(columns))
    write_text(folder / _CHANGES, json.dumps(found.to_dict(), ensure_ascii=False, indent=1) + "\n")


def _save_timelines(report: VideoReport, folder: Path) -> None:
    from mien.draw.timeline import save_timeline

    save_timeline(report, folder / "timeline.png")
    for track in sorted(report.tracks, key=lambda track: -track.seen)[:MAX_TIMELINES]:
        save_timeline(report, folder / f"timeline-{track.id}.png", track=track.id)


def _failed_before(error: Mapping[str, Any]) -> VideoError:
    """The error of a video that an earlier run could not read to its end."""
    return VideoError(
        f"{error['reason']} (in an earlier run)",
        path=error.get("path"),
        advice="its rows until then are in the tables; run without --resume to analyse it again",
        code=error["code"],
    )


def _open_annotated(path: Path, keep: int | None) -> AnnotatedVideo:
    from mien.draw.annotated_video import AnnotatedVideo

    return AnnotatedVideo(path, keep=keep)


def _folders(report: Path | None, clips: Sequence[Path]) -> list[Path] | None:
    """One folder per video, with the name of the video; equal names are numbered."""
    if report is None:
        return None
    used: set[str] = set()
    return [report / unique_name(clip.stem, "", used) for clip in clips]


def _size_and_time(clip: Path) -> tuple[int, int]:
    try:
        status = clip.stat()
    except OSError:  # reported when the video is opened
        return 0, 0
    return status.st_size, status.st_mtime_ns
