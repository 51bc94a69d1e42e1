"""`mien.batch.shard_analysis`: a shard in, its tables out."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helpers.batch import table
from helpers.clips import Pan, clip
from helpers.photos import write_photos
from helpers.pictures import astronaut
from mien import Analyzer
from mien.batch.plan import encode_plan, make_plan
from mien.batch.settings import AnalysisSettings
from mien.batch.shard_analysis import RetryPolicy, analyse_shard, read_items
from mien.batch.tables import read_counts
from mien.batch.types import ResultCounts
from mien.media.selection import FrameSelection
from mien.results.tables import write_parquet


def test_a_shard_of_files(photos: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    (shard,) = make_plan(str(photos)).shards
    done = analyse_shard(analyzer, AnalysisSettings(), shard)
    rows = table(done.tables["inputs"])
    assert [row["source"] for row in rows] == list(shard.files)
    assert [Path(row["source"]).name for row in rows if row["error"]] == ["damaged.jpg", "empty.png"]
    assert all(row["error"].startswith(row["source"]) for row in rows if row["error"])
    assert {row["error_code"] for row in rows} == {"image-unreadable", None}
    assert all(row["error_reason"] in row["error"] for row in rows if row["error"])
    assert [row["faces"] for row in rows] == [None, *[1] * 6, 0, None]
    assert done.counts == ResultCounts(inputs=9, errors=2, faces=6)
    assert read_counts(done.tables["inputs"], 0, "part") == done.counts
    # the faces are those, and have the columns, of `mien analyze --parquet`
    results = analyzer.analyze_batch(list(shard.files[1:7]))
    write_parquet(results, tmp_path / "faces.parquet")
    assert pq.read_table(io.BytesIO(done.tables["faces"])).equals(pq.read_table(tmp_path / "faces.parquet"))


def test_one_torn_parquet_file_does_not_stop_the_photos_beside_it(tmp_path: Path, analyzer: Analyzer) -> None:
    write_photos(tmp_path, 1)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    done = [analyse_shard(analyzer, AnalysisSettings(), shard) for shard in make_plan(str(tmp_path)).shards]
    rows = [row for one in done for row in table(one.tables["inputs"])]
    assert sorted((row["kind"], row["error"] is None) for row in rows) == [("file", False), ("photo", True)]


def test_a_file_name_that_is_no_text(tmp_path: Path, analyzer: Analyzer) -> None:
    write_photos(tmp_path, 1)
    try:
        (tmp_path / "p000.jpg").rename(tmp_path / os.fsdecode(b"\xff.jpg"))
    except OSError:
        pytest.skip("this disk takes text only")
    plan = make_plan(str(tmp_path))
    assert table(encode_plan(plan))[0]["files"] == [f"{tmp_path}/\\udcff.jpg"]
    done = analyse_shard(analyzer, AnalysisSettings(), plan.shards[0])
    assert [table(done.tables[name])[0]["source"] for name in ("inputs", "faces")] == [f"{tmp_path}/\\udcff.jpg"] * 2


def test_large_photos_have_boxes_in_their_own_pixels(tmp_path: Path) -> None:
    large = np.asarray(cv2.resize(astronaut(), (1600, 1600), interpolation=cv2.INTER_CUBIC), np.uint8)
    Image.fromarray(large).save(tmp_path / "large.jpg", quality=92)
    rows = {}
    for min_face in (100, 150):
        (shard,) = make_plan(str(tmp_path)).shards
        done = analyse_shard(Analyzer(threads=1, min_face=min_face), AnalysisSettings(), shard)
        (about,) = table(done.tables["inputs"])
        assert (about["width"], about["height"], about["faces"]) == (1600, 1600, 1)
        rows[min_face] = table(done.tables["faces"])[0]
    for name in ("x1", "y1", "x2", "y2"):
        assert rows[150][name] == pytest.approx(rows[100][name], abs=25)


def test_a_video(analyzer: Analyzer, tmp_path: Path) -> None:
    path = clip(tmp_path / "100%d.mp4", size=(160, 120), frames=12, draw=Pan.astronaut((160, 120)))
    (tmp_path / "torn.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(64))
    plan = make_plan(str(tmp_path))
    good, torn = (
        analyse_shard(analyzer, AnalysisSettings(selection=FrameSelection(fps=12.5)), shard) for shard in plan.shards
    )
    (row,), (failed,) = table(good.tables["inputs"]), table(torn.tables["inputs"])
    frames = table(good.tables["frames"])
    assert (row["kind"], row["frames"], row["width"], row["error"]) == ("video", 6, 160, None)
    assert {frame["source"] for frame in frames} == {str(path)}
    assert [frame["frame"] for frame in frames] == [0, 2, 4, 6, 8, 10]
    assert {"track", "emotion_happy", "emotion_smoothed_happy"} <= set(frames[0])
    assert good.counts == ResultCounts(1, 0, 0, 6)
    assert "moov" in failed["error"]
    assert "frames" not in torn.tables


def test_an_input_that_killed_a_worker_is_not_analysed_again(photos: Path, analyzer: Analyzer) -> None:
    (shard,) = make_plan(str(photos / "p*.jpg")).shards
    positions: list[int] = []
    retry = RetryPolicy(one_by_one=True, deaths={2: "the worker process was killed (SIGSEGV)"}, stop=4)
    done = analyse_shard(analyzer, AnalysisSettings(), shard, retry=retry, on_position=positions.append)
    rows = table(done.tables["inputs"])
    assert [row["error"] is None for row in rows] == [True, True, False, True, False, False, False]
    assert rows[2]["error"].endswith("killed (SIGSEGV)")
    assert rows[2]["error_code"] == rows[4]["error_code"] == "worker-killed"
    assert "too many inputs" in rows[4]["error"]
    assert sorted(set(positions)) == list(range(7))


def test_one_by_one_gives_what_a_batch_gives(photos: Path, analyzer: Analyzer) -> None:
    (shard,) = make_plan(str(photos)).shards
    batched = analyse_shard(analyzer, AnalysisSettings(), shard)
    single = analyse_shard(analyzer, AnalysisSettings(), shard, retry=RetryPolicy(one_by_one=True))
    before = analyse_shard(analyzer, AnalysisSettings(), shard, items=list(read_items(shard)))
    assert before == batched
    assert single.tables["inputs"] == batched.tables["inputs"]
    for one, other in zip(table(single.tables["faces"]), table(batched.tables["faces"]), strict=True):
        assert {k: v for k, v in one.items() if not isinstance(v, float)} == {
            k: v for k, v in other.items() if not isinstance(v, float)
        }
        assert [v for v in one.values() if isinstance(v, float)] == pytest.approx(
            [v for v in other.values() if isinstance(v, float)], abs=2e-5
        )
