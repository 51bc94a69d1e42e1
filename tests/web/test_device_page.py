"""The page without a server in a real browser: the same results as in Python, from a folder, from a file, offline."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from helpers.browser import SECONDS, Media, Watch, browser
from helpers.clips import Pan, clip, side_by_side
from helpers.pictures import astronaut, hopper, noise, small_turned
from helpers.static_host import StaticHost
from helpers.tiny_models import write_model
from mien.errors import DownloadError, MissingFileError
from mien.web.page_files import page_files
from mien.web.runtime import read_runtime
from mien.web.site import DEFAULT_MODELS, Site, build_site, write_folder, write_single

pytestmark = pytest.mark.browser

BOX, PROBABILITY = 0.5, 0.001
"""Largest differences that are allowed where the pixels are the same: pixels, and 0–1."""
DECODED = 0.05
"""The same of probabilities where the browser decodes otherwise than Python: JPEG, WebP and videos."""

DIFFERENCES = os.environ.get("MIEN_PAGE_DIFFERENCES")
"""The file that the table of differences in the docs is made of, where it is to be written."""


def publish(rows: list[dict[str, Any]]) -> None:
    """Print differences, and put them in place of those of the same names in the file."""
    for row in rows:
        print(f"{row['name']}: boxes differ by {row['box']:.2f} pixels, probabilities by {row['probability']:.4f}")
    if DIFFERENCES:
        path = Path(DIFFERENCES)
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        names = {row["name"] for row in rows}
        kept = [row for row in before if row["name"] not in names]
        path.write_text(json.dumps([*kept, *rows], indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def site() -> Site:
    try:
        return build_site(read_runtime())
    except (MissingFileError, DownloadError) as error:
        pytest.skip(f"ONNX Runtime for browsers is not to be had here: {error}")


@pytest.fixture
def host(site: Site, tmp_path: Path) -> Iterator[StaticHost]:
    write_folder(site, tmp_path / "site")
    running = StaticHost(tmp_path / "site")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chrome(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    media = Media.made(tmp_path_factory.mktemp("media"))
    with browser(chromium, media.camera) as running:
        yield running


@pytest.fixture(autouse=True)
def no_page_is_left(chrome: Any) -> Iterator[None]:
    """What one test opened computes nothing during the next."""
    yield
    for context in chrome.contexts:
        context.close()


def visit(chrome: Any, url: str, own: str | None = None, **how: Any) -> tuple[Any, Watch]:
    """A page that has loaded its networks, and what it did wrong."""
    context = chrome.new_context(**({"viewport": {"width": 1200, "height": 900}} | how))
    context.set_default_timeout(1000 * SECONDS)
    page, watch = context.new_page(), Watch(own or url)
    watch.on(page)
    page.goto(url)
    page.wait_for_selector("#server[data-state=ready]")
    return page, watch


def pictures(folder: Path) -> list[Path]:
    """Portraits, made scenes, orientations, gray, palettes, transparency, sizes, and none with a face: 22 files."""
    face, other = astronaut(), hopper()
    exif = Image.Exif()
    made: dict[str, Any] = {
        "portrait.png": face,
        "portrait.jpg": face,
        "portrait.webp": face,
        "glasses.png": other,
        "glasses.jpg": other,
        "gray.png": Image.fromarray(other).convert("L"),
        "gray.jpg": Image.fromarray(face).convert("L"),
        "palette.png": Image.fromarray(other).convert("P"),
        "transparent.png": np.dstack([face, np.full(face.shape[:2], 160, np.uint8)]),
        "small.png": Image.fromarray(face).resize((180, 180)),
        "tiny.png": Image.fromarray(face).resize((90, 90)),
        "large.png": Image.fromarray(other).resize((2401, 2813)),
        "close.png": other[150:450, 150:380],
        "beyond.png": other[185:400, 210:330],
        "odd.png": other[3:590, 1:500],
        "tilted.png": Image.fromarray(other).rotate(25, expand=True, fillcolor=(128, 128, 128)),
        "upside-down.png": face[::-1, ::-1],
        "small-sideways.png": small_turned(1),
        "sideways.png": np.rot90(other),
        "crowd.png": np.tile(face[20:220, 120:330], (3, 4, 1)),
        "nobody.png": noise(240, 320, blur=8),
    }
    files = []
    for name, picture in made.items():
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
        image.save(folder / name, quality=92)
        files.append(folder / name)
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(other))).save(folder / "turned.jpg", quality=92, exif=exif)
    return [*files, folder / "turned.jpg"]


def saved(page: Any, button: str) -> Path:
    """The file that a button saves."""
    with page.expect_download() as download:
        page.locator(button).click()
    return Path(download.value.path())


def difference(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> tuple[float, float]:
    """The largest of boxes and of probabilities, of faces in one order."""
    box = probability = 0.0
    for a, b in zip(ours, theirs, strict=True):
        box = max(box, float(np.abs(np.subtract(a["box"], b["box"])).max()))
        assert a["predictions"].keys() == b["predictions"].keys()
        for head in a["predictions"]:
            pairs = zip(*(each["predictions"][head]["probabilities"].items() for each in (a, b)), strict=True)
            for (label, x), (same, y) in pairs:
                assert label == same
                probability = max(probability, abs(x - y))
    return box, probability


def test_the_same_faces_as_python(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    files = pictures(tmp_path)
    page, watch = visit(chrome, host.url)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if request.method != "GET" else None)
    page.context.set_offline(True)
    page.set_input_files("#photo-files", [str(file) for file in files])
    page.wait_for_selector(f"#photos-list > li:nth-child({len(files)})")
    page.wait_for_selector(".tile[data-state=busy]", state="detached", timeout=15_000 * SECONDS)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save JSON").click()
    results = {one["source"]: one for one in json.loads(Path(download.value.path()).read_text())["results"]}
    analyzer = mien.Analyzer(detector="mien", models=DEFAULT_MODELS)
    differences, rows = {}, []
    for file in files:
        expected = analyzer.analyze(file)
        result = results[file.name]
        assert (result["width"], result["height"]) == expected.image_size, file.name
        faces = expected.to_dicts()
        assert len(result["faces"]) == len(faces), file.name
        box, probability = differences[file.name] = difference(result["faces"], faces)
        size = f"{result['width']} × {result['height']}"
        rows.append({"name": file.name, "size": size, "faces": len(faces), "box": box, "probability": probability})
        for a, b in zip(result["faces"], faces, strict=True):
            assert a.keys() == b.keys()
            assert a["emotion"] == b["emotion"], file.name
            assert a["predictions"]["age"].keys() == b["predictions"]["age"].keys()
            assert a["view"] == pytest.approx(b["view"], abs=0.5), file.name
            assert a["flags"] == b["flags"], file.name
    publish(rows)
    assert max(box for box, _ in differences.values()) <= BOX
    same = {name for name in differences if name.endswith(".png")}
    assert len(same) >= 15
    assert max(probability for name, (_, probability) in differences.items() if name in same) <= PROBABILITY
    assert max(probability for _, probability in differences.values()) <= DECODED
    # pictures stay on the device
    assert sent == []
    assert all((host.folder / path.lstrip("/")).exists() for path in host.requests), "something else is asked for"
    assert watch.problems == []


def test_the_table_is_that_of_python(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "portrait.png")
    page, _ = visit(chrome, host.url)
    page.set_input_files("#photo-files", str(tmp_path / "portrait.png"))
    page.wait_for_selector(".photo[data-state=done]")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV").click()
    header, row = Path(download.value.path()).read_text().splitlines()
    expected = mien.Analyzer(detector="mien", models=DEFAULT_MODELS).analyze(tmp_path / "portrait.png")
    assert header.split(",") == list(expected.to_rows()[0])
    assert row.count(",") == header.count(",")


def test_a_clip_has_the_times_tracks_and_columns_of_python(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    pair = side_by_side(Pan.astronaut((240, 180), step=(0.5, 0.1)), Pan.hopper((240, 180), step=(-0.5, 0.1)))
    times = [0.04 * i + (0.3 if i >= 20 else 0.0) for i in range(30)]
    file = clip(tmp_path / "pair.webm", frames=30, codec="libvpx", draw=pair, times=times)
    page, watch = visit(chrome, f"{host.url}#clip", own=host.url)
    page.set_input_files("#clip-file", str(file))
    page.wait_for_selector("#clip-result:not([hidden])", timeout=15_000 * SECONDS)
    result = json.loads(saved(page, "#clip-json").read_text())
    report = mien.Analyzer(detector="mien", models=DEFAULT_MODELS).video(file)
    header, *rows = saved(page, "#clip-csv").read_text().splitlines()
    assert header.split(",") == list(report.rows.to_columns())
    assert len(rows) == len(report.rows)
    expected = report.to_dict()
    assert [track["track"] for track in result["tracks"]] == [track["track"] for track in expected["tracks"]]
    assert result["summary"]["coverage"] == expected["coverage"]
    assert [row["time"] for row in result["rows"]] == sorted(set(report.rows.to_columns()["time"]))
    largest = farthest = 0.0
    columns = report.rows.to_columns()
    places = {at: i for i, at in enumerate(zip(columns["frame"], columns["track"], strict=True))}
    faces = {(row["frame"], face["track"]): face for row in result["rows"] for face in row["faces"]}
    assert faces.keys() == places.keys()
    for at, face in faces.items():
        i = places[at]
        apart = np.abs(np.subtract(face["box"], [columns[name][i] for name in ("x1", "y1", "x2", "y2")])).max()
        farthest = max(farthest, float(apart))
        for label, probability in face["predictions"]["emotion"]["probabilities"].items():
            largest = max(largest, abs(probability - columns[f"emotion_{label}"][i]))
        assert face["predictions"]["emotion"]["stable"] == columns["emotion_stable"][i]
    name = f"{file.name}, {len(result['rows'])} frames"
    clip_row = {"name": name, "size": "480 × 180", "faces": len(result["tracks"])}
    publish([{**clip_row, "box": farthest, "probability": largest}])
    assert farthest <= BOX
    # the browser turns YUV into RGB otherwise
    assert largest <= DECODED
    assert saved(page, "#clip-picture").read_bytes().startswith(b"\xff\xd8")
    assert watch.problems == []


def test_a_clip_without_a_whole_frame_is_refused(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.webm", frames=2, codec="libvpx", draw=lambda i: noise(240, 320, seed=i))
    cut = tmp_path / "cut.webm"
    cut.write_bytes(whole.read_bytes()[:1500])
    page, watch = visit(chrome, f"{host.url}#clip", own=host.url)
    (tmp_path / "text.mp4").write_text("no video")
    for file, line in ((cut, "No frame of the clip can be read"), (tmp_path / "text.mp4", "cannot read the clip")):
        page.set_input_files("#clip-file", str(file))
        page.locator("#clip-notice", has_text=line).wait_for()
        assert page.locator("#clip-result").is_hidden()
    assert watch.problems == []


def test_a_camera_is_followed(chrome: Any, host: StaticHost) -> None:
    page, watch = visit(chrome, f"{host.url}#camera", own=host.url, permissions=["camera"])
    page.locator("#camera-start").click()
    page.wait_for_selector("#camera-faces .face", timeout=15_000 * SECONDS)
    assert page.locator("#camera-faces h3").first.text_content().endswith("happy")
    assert page.locator("#camera-history").is_visible()
    page.locator("#camera-start").click()
    assert page.locator("#camera-faces .face").count() == 0
    assert watch.problems == []


def test_a_model_of_ones_own_predicts_as_in_python(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    own = write_model(tmp_path / "mood.onnx", "mood", ("calm", "20-29", "tense"))
    Image.fromarray(astronaut()).save(tmp_path / "portrait.png")
    page, watch = visit(chrome, host.url)
    page.set_input_files("#own-model", str(own))
    page.locator("#own-notice", has_text="predicts mood now").wait_for()
    page.set_input_files("#photo-files", str(tmp_path / "portrait.png"))
    page.wait_for_selector(".photo[data-state=done]")
    models = {"mood": str(own), **DEFAULT_MODELS}
    expected = mien.Analyzer(detector="mien", models=models).analyze(tmp_path / "portrait.png")
    (result,) = json.loads(saved(page, "#photos-json").read_text())["results"]
    assert difference(result["faces"], expected.to_dicts())[1] <= PROBABILITY
    assert (
        page.locator(".photo .face h4").text_content()
        == f"Face 1: {expected.to_dicts()[0]['predictions']['mood']['label']}"
    )
    columns = saved(page, "#photos-csv").read_text().splitlines()[0].split(",")
    assert set(columns) == set(expected.to_rows()[0])

    for name, content, line in (
        ("notes.onnx", b"no network", "no ONNX file"),
        ("bare.onnx", b"", "holds no card"),
    ):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#own-model", str(tmp_path / name))
        page.locator("#own-notice", has_text=line).wait_for()
    assert watch.problems == []


def test_several_threads_where_the_page_is_isolated(chrome: Any, site: Site, tmp_path: Path) -> None:
    write_folder(site, tmp_path / "site")
    headers = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
    isolated = StaticHost(tmp_path / "site", headers)
    isolated.start()
    try:
        page, watch = visit(chrome, isolated.url)
        threads = "import(new URL('static/networks.js', document.baseURI).href).then((one) => one.threads())"
        assert page.evaluate(threads) == min(page.evaluate("navigator.hardwareConcurrency"), 4)
        page.get_by_role("button", name="Two faces").click()
        page.wait_for_selector(".photo[data-state=done]")
        assert page.locator(".photo .face").count() == 2
        assert watch.problems == []
    finally:
        isolated.stop()


def test_another_page_embeds_it_and_sends_a_picture(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "portrait.png")
    (tmp_path / "index.html").write_text(
        f"""<!doctype html><title>Another page</title><script type="module" src="mien_faces.js"></script>
        <mien-faces src="{host.url}"></mien-faces>"""
    )
    (tmp_path / "mien_faces.js").write_bytes(page_files()["mien_faces.js"])
    other = StaticHost(tmp_path)
    other.start()
    try:
        context = chrome.new_context()
        context.set_default_timeout(1000 * SECONDS)
        page = context.new_page()
        page.goto(other.url)
        result = page.evaluate("""async () => {
          await customElements.whenDefined("mien-faces");
          const picture = await (await fetch("portrait.png")).blob();
          const element = document.querySelector("mien-faces");
          const refused = await element.analyse("no picture").catch((error) => error.message);
          return { refused, ...(await element.analyse(picture)) };
        }""")
    finally:
        other.stop()
    assert result["refused"] == "picture is a Blob, such as a File."
    expected = mien.Analyzer(detector="mien", models=DEFAULT_MODELS).analyze(tmp_path / "portrait.png").to_dicts()
    assert difference(result["faces"], expected)[1] <= PROBABILITY


def test_it_opens_again_without_a_network(chrome: Any, host: StaticHost) -> None:
    page, watch = visit(chrome, host.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    host.stop()
    page.reload()
    page.wait_for_selector("#server[data-state=ready]")
    # the service worker isolates the page, so that it may have several threads on any host
    assert page.evaluate("crossOriginIsolated")
    page.get_by_role("button", name="Two faces").click()
    page.wait_for_selector(".photo[data-state=done]")
    assert page.locator(".photo .face").count() == 2
    assert watch.problems == []


def test_one_file_opens_from_a_double_click(chrome: Any, site: Site, tmp_path: Path) -> None:
    write_single(site, tmp_path / "mien.html")
    page, watch = visit(chrome, (tmp_path / "mien.html").as_uri())
    page.get_by_role("button", name="Two faces").click()
    page.wait_for_selector(".photo[data-state=done]")
    headings = page.locator(".photo .face h4").all_text_contents()
    assert headings == ["Face 1: happy", "Face 2: neutral"]
    file = clip(tmp_path / "short.webm", frames=6, codec="libvpx", draw=Pan.astronaut((240, 180)))
    page.get_by_role("link", name="Clip").click()
    page.set_input_files("#clip-file", str(file))
    page.wait_for_selector("#clip-result:not([hidden])", timeout=15_000 * SECONDS)
    assert "6 frames analysed" in page.locator("#clip-count").text_content()
    assert watch.problems == []


def test_states_are_clear_and_no_rule_of_accessibility_is_broken(chrome: Any, host: StaticHost, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, watch = visit(chrome, host.url)
    (tmp_path / "notes.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    for name, line in (("notes.jpg", "cannot decode the file"), ("empty.jpg", "The file is empty.")):
        page.set_input_files("#photo-files", str(tmp_path / name))
        page.locator(".photo .notice", has_text=line).wait_for()
    page.locator(".sample").nth(2).evaluate("(button) => button.click()")
    page.wait_for_selector(".photo[data-state=done]")
    page.get_by_text("About the models").click()
    cards = json.loads((host.folder / "assets" / "settings.json").read_text())["models"]["cards"]
    score = cards["emotion"]["scores"]["results"]["ferplus"]
    line = f"Accuracy on FER+ majority{100 * score['accuracy']:.0f} % of {score['n']:,} faces"
    assert line in page.locator("#model-cards-list").text_content()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert watch.problems == []

    # a file that is damaged on its way is named, and nothing is computed with it
    assets = host.folder / "assets"
    (damaged,) = assets.glob("landmarks-*.gz")
    damaged.write_bytes(next(assets.glob("detector-*.gz")).read_bytes())
    context = chrome.new_context()
    context.set_default_timeout(1000 * SECONDS)
    broken = context.new_page()
    broken.goto(host.url)
    broken.wait_for_selector("#server[data-state=away]")
    assert f"{damaged.name} is damaged" in broken.locator("#device-notice").text_content()
