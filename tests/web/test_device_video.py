"""Tracking and smoothing in the browser: of the same pixels and times the same tracks, table and episodes as Python."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mien
from helpers.browser import SECONDS, Media, browser
from helpers.clips import Pan, side_by_side
from helpers.static_host import StaticHost
from mien import defaults
from mien.errors import DownloadError, MissingFileError
from mien.media.frame import Frame
from mien.tracking.options import TrackingOptions
from mien.web.runtime import read_runtime
from mien.web.site import DEFAULT_MODELS, build_site, write_folder

pytestmark = pytest.mark.browser

RATE = 25
SIZE = (480, 180)
COVERAGE = 0.9
TOLERANCES = {
    "box": 0.5,
    "landmarks": 0.5,
    "expected": 0.2,
    "age": 0.2,
    "score": 0.01,
    "entropy": 0.02,
    "low": 0.001,
    "high": 0.001,
    "share": 0.0001,
}
"""Largest differences that are allowed, by the last name that leads to a number; 0.02 of all others."""
PEAK = 1e-4
"""Largest difference of the heights of two frames that are both the peak of an episode."""
PAGE = """
async ({ frames, options }) => {
  const at = (name) => new URL(`static/${name}`, document.baseURI).href;
  const { content, settings } = await import(at("assets.js"));
  const ort = await import(at("ort.wasm.bundle.min.mjs"));
  const { Pipeline } = await import(at("pipeline.js"));
  const { VideoPipeline } = await import(at("video_pipeline.js"));
  const { config, files } = await settings();
  const open = async (name) => content(files[name].file, files[name].sha256);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await open("runtime");
  const sessions = {};
  for (const name of ["detector", "landmarks", ...Object.keys(config.models)]) {
    const file = new Uint8Array(await open(name));
    sessions[name] = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  }
  const pipeline = new Pipeline(config, (name, data, dims) => {
    const type = data instanceof Float32Array ? "float32" : "uint8";
    return sessions[name].run({ [sessions[name].inputNames[0]]: new ort.Tensor(type, data, dims) });
  });
  const video = new VideoPipeline(pipeline, options);
  const rows = [];
  for (const [index, { file, width, height, time }] of frames.entries()) {
    const data = new Uint8Array(await (await fetch(file)).arrayBuffer());
    rows.push(...(await video.step({ data, width, height }, index, time)));
  }
  const report = video.finish();
  return { ...report, frames: [...rows, ...report.frames] };
}
"""


def scene() -> list[NDArray[np.uint8]]:
    """Two people, of whom one is hidden for a while; then, after a cut, another picture."""
    pair = side_by_side(Pan.astronaut((240, 180), step=(0.5, 0.1)), Pan.hopper((240, 180), step=(-0.5, 0.1)))
    alone = Pan.astronaut(SIZE, step=(2, 0.4))
    frames = [np.array(pair(i) if i < 24 else alone(i)) for i in range(36)]
    for frame in frames[10:14]:
        frame[:, SIZE[0] // 2 :] = 90
    return frames


@pytest.fixture(scope="module")
def page(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    try:
        site = build_site(read_runtime(), coverage=COVERAGE)
    except (MissingFileError, DownloadError) as error:
        pytest.skip(f"ONNX Runtime for browsers is not to be had here: {error}")
    folder = tmp_path_factory.mktemp("site")
    write_folder(site, folder)
    for i, frame in enumerate(scene()):
        (folder / f"{i}.rgb").write_bytes(frame.tobytes())
    host = StaticHost(folder)
    host.start()
    media = Media.made(tmp_path_factory.mktemp("media"))
    try:
        with browser(chromium, media.camera) as running:
            context = running.new_context()
            context.set_default_timeout(5000 * SECONDS)
            page = context.new_page()
            page.goto(host.url)
            yield page
    finally:
        host.stop()


def in_browser(page: Any, **options: Any) -> Any:
    frames = [{"file": f"{i}.rgb", "width": SIZE[0], "height": SIZE[1], "time": i / RATE} for i in range(len(scene()))]
    return page.evaluate(PAGE, {"frames": frames, "options": {"interval": 1 / RATE, **options}})


def differences(ours: Any, theirs: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """(path, difference) of every number; everything else must be equal."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), path
        for key in theirs:
            yield from differences(ours[key], theirs[key], (*path, key))
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), path
        for a, b in zip(ours, theirs, strict=True):
            yield from differences(a, b, path)
    elif isinstance(theirs, float) and not isinstance(theirs, bool):
        yield path, abs(ours - theirs)
    else:
        assert ours == theirs, path


def check(ours: Any, theirs: Any) -> None:
    for path, difference in differences(ours, theirs):
        allowed = next((TOLERANCES[name] for name in reversed(path) if name in TOLERANCES), 0.02)
        assert difference <= allowed, (path, difference)


def settle_ties(tracks: Any, expected: Any, frames: Any) -> None:
    """A peak may be any frame as high, to the decimals of frames: the episode then has the expected time."""
    for one in expected:
        (ours,) = (track for track in tracks if track["track"] == one["track"])
        for episode, theirs in zip(ours["episodes"], one["episodes"], strict=True):
            heights = {
                frame["time"]: face["predictions"][theirs["head"]]["smoothed"][theirs["label"]]
                for frame in frames
                for face in frame["faces"]
                if face["track"] == one["track"]
            }
            if heights[episode["peak_time"]] >= heights[theirs["peak_time"]] - PEAK:
                episode["peak_time"] = theirs["peak_time"]


def test_a_clip_has_the_same_tracks_table_and_episodes(page: Any) -> None:
    ours = in_browser(page, live=False)
    analyzer = mien.Analyzer(detector="mien", models=DEFAULT_MODELS, coverage=COVERAGE)
    stream = analyzer.stream(np.stack(scene()), color="rgb", fps=RATE)
    theirs = [frame.to_dict() for frame in stream]
    for frame, expected in zip(ours["frames"], theirs, strict=True):
        assert [frame.pop("width"), frame.pop("height")] == list(SIZE)
        del expected["source"]
    report = stream.report(stream.rows([])).to_dict()
    assert [frame["frame"] for frame in theirs if frame.get("cut")] == [14, 24]
    assert len(report["tracks"]) >= 2
    check(ours["frames"], theirs)
    settle_ties(ours["tracks"], report["tracks"], theirs)
    check(ours["tracks"], report["tracks"])
    del report["tracks"], report["schema"], report["source"]
    check(ours["summary"], report)


def test_a_camera_has_the_same_tracks_and_stable_labels(page: Any) -> None:
    ours = in_browser(page, live=True, detectEvery=defaults.LIVE_DETECT_EVERY)
    analyzer = mien.Analyzer(detector="mien", models=DEFAULT_MODELS, min_face=defaults.LIVE_MIN_FACE, coverage=COVERAGE)
    pipeline = analyzer.pipeline(TrackingOptions(detect_every=defaults.LIVE_DETECT_EVERY), live=True)
    theirs = []
    for i, rgb in enumerate(scene()):
        frame = Frame(rgb, None, i, i / RATE)
        detect = functools.partial(pipeline.detect, frame) if pipeline.detects(0) else None
        theirs += [one.to_dict() for one in pipeline.step([frame], [detect])]
    for frame_object in ours["frames"]:
        del frame_object["width"], frame_object["height"]
    assert {frame["detected"] for frame in theirs} == {True, False}
    check(ours["frames"], json.loads(json.dumps(theirs)))
