"""An annotated video with blurred faces, written after the analysis: the video is decoded a second time.

Only then is it known where a face is just before it is first detected, and where while the detector misses it: boxes
are interpolated over gaps, and kept for a moment before the first and after the last frame of a track, within a scene.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.draw.annotated_video import AnnotatedVideo
from mien.draw.blur import Blur, boxes_to_hide
from mien.media.decoder_pool import DecoderPool
from mien.media.frame import Frame
from mien.media.open import open_source
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.results.face_columns import FaceTable, Records
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.results.track import NO_VOTE
from mien.results.video import SmoothedPredictions, VideoFrame, VideoReport


def write_blurred_video(
    report: VideoReport,
    clip: Path,
    path: str | os.PathLike[str],
    blur: Blur,
    *,
    selection: FrameSelection = ALL_FRAMES,
    decoders: DecoderPool | None = None,
) -> Path | None:
    """Write the annotated video of a report with blurred faces; returns the path, None without a frame.

    Args:
        report: of the video, with its rows.
        clip: the video.
        path: MP4 file.
        blur: which faces, and how.
        selection: the frames that were analysed.
        decoders: decode the video, in processes that can be ended; None decodes it in this one.

    Raises:
        VideoError: the video cannot be read any more.
        OutputError: the file cannot be written.

    Examples:
        >>> write_blurred_video(report, Path("clip.mp4"), "blurred.mp4", Blur()).name
        'blurred.mp4'
    """
    boxes = boxes_to_hide(report, blur)
    rows = rows_by_frame(report.rows.records)
    with open_source(clip, selection, decoders=decoders) as source, AnnotatedVideo(path) as video:
        for frame in source:
            hidden = blur.apply(frame.rgb, boxes.get(frame.index, ()))
            first, last = rows.get(frame.index, (0, 0))
            video.write(video_frame(replace(frame, rgb=hidden), report.rows.rows(first, last)))
        return video.close(audio_from=clip)


def rows_by_frame(records: Records) -> dict[int, tuple[int, int]]:
    """Number of a frame → its rows, first and behind the last."""
    if not len(records):
        return {}
    starts = np.flatnonzero(np.diff(records["frame"], prepend=records["frame"][0] - 1))
    stops = np.append(starts[1:], len(records))
    frames = records["frame"][starts].tolist()
    return {frame: (int(a), int(b)) for frame, a, b in zip(frames, starts, stops, strict=True)}


def video_frame(frame: Frame, table: FaceTable) -> VideoFrame:
    """The analysed frame of these rows, with everything that is drawn; votes are not."""
    rows = table.records
    there = rows[rows["face"] >= 0]
    predictions: Mapping[str, Predictions] = {
        name: Predictions(head, np.ascontiguousarray(there[name])) for name, head in table.heads.items()
    }
    faces = Faces.detected(there["box"], there["score"], there["landmarks"], frame.size)
    faces = replace(
        faces,
        source=frame.source,
        measures=np.ascontiguousarray(there["measures"]),
        tracks=there["track"].astype(np.int64),
        predictions=predictions,
    )
    smoothed = {
        name: SmoothedPredictions(
            head,
            np.ascontiguousarray(there[f"{name}/smoothed"]),
            tuple(None if i < 0 else head.labels[i] for i in there[f"{name}/label"].tolist()),
            (NO_VOTE,) * len(there),
        )
        for name, head in table.heads.items()
        if not head.ordered
    }
    detected = bool(len(rows) and rows["detected"][0])
    return VideoFrame(frame, faces, smoothed, detected=detected, cut=bool(len(rows) and rows["cut"][0]))
