"""Pictures are resized and sampled in the browser as in Python; run in Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.pictures import astronaut
from mien import geometry
from mien.web.page_files import page_files

pytestmark = pytest.mark.browser

Picture = NDArray[np.uint8]
SQUARE = 40
SIZES = {
    "halved": ((200, 140), (100, 70)),
    "a third": ((303, 201), (101, 67)),
    "one side halved": ((160, 120), (80, 120)),
    "small, shrunk": ((150, 111), (97, 40)),
    "small, enlarged": ((60, 90), (96, 144)),
    "small, shrunk and enlarged": ((60, 90), (96, 50)),
    "large, hardly shrunk": ((400, 300), (320, 240)),
    "large, shrunk": ((512, 400), (175, 137)),
    "large, shrunk to a line": ((512, 77), (300, 1)),
    "large, enlarged": ((230, 180), (345, 270)),
    "large, shrunk along one side": ((500, 200), (201, 190)),
    "large, shrunk to a third": ((511, 401), (160, 130)),
}
"""Width and height before and after, one per way of computing."""
RUN = """
import { readFile, writeFile } from "node:fs/promises";
import { resize, sample, warp } from "./pixels.js";
const [bytes, cases] = await Promise.all([readFile("pictures"), readFile("cases.json")]);
let at = 0;
const made = JSON.parse(cases).map(({ before: [width, height], after, matrix, side }) => {
  const image = { data: new Uint8Array(bytes.subarray(at, at + 3 * width * height)), width, height };
  at += 3 * width * height;
  const squares = [sample(image, matrix, side), warp(image, matrix, side), warp(image, matrix, side, true)];
  const all = [resize(image, ...after), resize(image, ...after, true), ...squares];
  return Buffer.concat(all.map(({ data }) => data));
});
await writeFile("made", Buffer.concat(made));
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Picture, NDArray[np.float64], list[Picture]]]:
    """Per case the picture, the matrix, and what the browser's modules make of them."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("pixels")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "pixels.js").write_bytes(page_files()["pixels.js"])
    (folder / "run.js").write_text(RUN)
    rng = np.random.default_rng(5)
    pictures, cases = [], []
    for i, ((width, height), after) in enumerate(SIZES.values()):
        noise = rng.integers(0, 256, (height, width, 3), np.uint8)
        pictures.append(noise if i % 2 else np.ascontiguousarray(astronaut()[:height, :width]))
        angle, scale = rng.uniform(-3, 3), rng.uniform(0.2, 2)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        matrix = [cos, -sin, *rng.uniform(-20, 60, 1), sin, cos, *rng.uniform(-20, 60, 1)]
        cases.append({"before": (width, height), "after": after, "matrix": matrix, "side": SQUARE})
    (folder / "pictures").write_bytes(b"".join(picture.tobytes() for picture in pictures))
    (folder / "cases.json").write_text(json.dumps(cases))
    subprocess.run([node, "run.js"], cwd=folder, check=True, timeout=300)
    made = np.fromfile(folder / "made", np.uint8)
    found: dict[str, Any] = {}
    for name, picture, case in zip(SIZES, pictures, cases, strict=True):
        width, height = case["after"]
        shapes = [*[(height, width, 3)] * 2, *[(SQUARE, SQUARE, 3)] * 3]
        results = []
        for shape in shapes:
            results.append(made[: np.prod(shape)].reshape(shape))
            made = made[np.prod(shape) :]
        found[name] = picture, np.reshape(case["matrix"], (2, 3)), results
    assert not len(made)
    return found


@pytest.mark.parametrize("name", SIZES)
def test_resized_as_in_python(computed: Any, name: str) -> None:
    picture, _, (resized, rough, *_) = computed[name]
    np.testing.assert_array_equal(resized, geometry.resize(picture, SIZES[name][1], enlarge="linear"))
    np.testing.assert_array_equal(rough, geometry.resize(picture, SIZES[name][1], enlarge="linear", rough=True))


@pytest.mark.parametrize("name", SIZES)
def test_sampled_as_in_python(computed: Any, name: str) -> None:
    picture, matrix, (*_, sampled, warped, gray) = computed[name]
    np.testing.assert_array_equal(sampled, geometry.sample(picture, matrix, SQUARE))
    np.testing.assert_array_equal(warped, geometry.warp(picture, matrix, SQUARE))
    expected = geometry.warp(picture, matrix, SQUARE, gray=True)
    # single and double precision round a luma in the middle of two levels differently
    assert np.abs(gray - expected[..., None].astype(np.int64)).max() <= 1
    assert (gray != expected[..., None]).mean() < 0.002
