"""Decoding starts where it must and loses no whole frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.clips import clip, scrambled
from helpers.video_files import read_clip
from mien.media.decoder import find_seek_point
from mien.media.probe import probe_video
from mien.media.selection import ALL_FRAMES, FrameSelection
from mien.media.video import open_video


def test_resuming_reads_far_but_decodes_little(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", frames=400, bframes=2, gop=10)
    probe = probe_video(path)
    start = find_seek_point(probe, ALL_FRAMES, after=299)
    assert start is not None
    assert (start.packet, start.rank, start.target) == (290, 290, 300)
    assert read_clip(path, after=299) == read_clip(path)[300:]
    assert find_seek_point(probe, FrameSelection(start=12.0)) == start
    assert find_seek_point(probe, ALL_FRAMES, after=399) is None


def test_damage_near_the_end_costs_no_whole_frame(
    tmp_path: Path, long: Callable[[str, Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scrambled(long("a.mp4", tmp_path), 0.97, 0.974)
    got = []
    for threads in (1, 4):  # threads that decode a frame each lose the whole ones beside a damaged one at the end
        monkeypatch.setattr("mien.media.decoder.thread_count", lambda given, threads=threads: given or threads)
        with open_video(path) as video:
            got.append([(frame.index, frame.rgb.tobytes()) for frame in video])
        assert len(got[-1]) + video.lost == 100
    assert 0 < len(got[0]) < 100
    assert got[0] == got[1]
