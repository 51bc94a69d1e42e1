"""The page in a real browser against a real service: what people see, hear and save."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from helpers.browser import LARGEST, SECONDS, Media, Service, Watch, browser
from helpers.pictures import ASTRONAUT_EYES, astronaut
from helpers.serving import wait_until
from helpers.tiny_models import write_model

pytestmark = pytest.mark.browser

VIEWS = ("photos", "camera", "clip")
# a machine so busy that frames are seconds apart loses a face and gives it the next number
HAPPY = re.compile(r"Face \d+: happy")
KEY = "a-key-of-enough-characters"
TWO_CAMERAS = """
  const devices = navigator.mediaDevices, [list, open] = [devices.enumerateDevices, devices.getUserMedia];
  const another = { kind: "videoinput", deviceId: "another", label: "Another camera" };
  window.wanted = [];
  devices.enumerateDevices = async () => [...(await list.call(devices)), another];
  devices.getUserMedia = (constraints) => {
    window.wanted.push(constraints.video.deviceId?.exact ?? null);
    return open.call(devices, { video: true });
  };
"""
FAILS = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '?'); };"


# ---------------------------------------------------------------- what all tests use


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    return Media.made(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    running = Service()
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def chrome(chromium: Path, media: Media) -> Iterator[Any]:
    with browser(chromium, media.camera) as running:
        yield running


Open = Callable[..., Any]


@pytest.fixture
def visit(chrome: Any, service: Service) -> Iterator[Open]:
    yield from pages(chrome, service)


def pages(chrome: Any, service: Service) -> Iterator[Open]:
    """``visit("camera", camera=True, …)`` → a page of its own that is ready; what it did wrong fails the test."""
    watch, contexts = Watch(service.url), []

    def visit(view: str = "photos", *, camera: bool = False, script: str = "", wait: bool = True, **how: Any) -> Any:
        context = chrome.new_context(**({"viewport": {"width": 1200, "height": 900}} | how))
        contexts.append(context)
        context.set_default_timeout(1000 * SECONDS)
        if camera:
            context.grant_permissions(["camera"], origin=service.url)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        watch.on(page)
        page.goto(f"{service.url}#{view}")
        if wait:
            expect(page.locator("#server")).to_have_attribute("data-state", "ready")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert watch.problems == []


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as playwright_expect

    playwright_expect.set_options(timeout=1000 * SECONDS)
    return playwright_expect(locator)


def add_photos(page: Any, *files: Any) -> None:
    """Choose photos and wait until all are answered."""
    before = page.locator(".photo").count()
    page.set_input_files("#photo-files", list(files))
    expect(page.locator(".photo")).to_have_count(before + len(files))
    expect(page.locator(".photo[data-state=busy]")).to_have_count(0)


def saved(page: Any, button: str, within: str = "body") -> Path:
    with page.expect_download() as download:
        page.locator(within).get_by_role("button", name=button).click()
    return Path(download.value.path())


def analyse(page: Any, file: Path) -> None:
    page.set_input_files("#clip-file", str(file))
    expect(page.locator("#clip-result")).to_be_visible()


def start_camera(page: Any) -> None:
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#camera-faces .face").first).to_be_visible()


# ---------------------------------------------------------------- page


def test_the_page_shows_its_purpose_and_its_limits(visit: Open) -> None:
    page = visit()
    expect(page.get_by_role("complementary", name="Responsible use")).to_contain_text("not what a person feels")
    expect(page.locator(".use")).to_contain_text("banned in the EU")
    expect(page.locator("#photo-limits")).to_contain_text("1.9 MB")
    expect(page.locator("#models")).to_contain_text("emotion")
    page.get_by_role("link", name="Clip").click()
    expect(page.get_by_role("heading", name="Clip")).to_be_focused()
    expect(page.locator("#clip-limits")).to_contain_text("10 min")
    expect(page.locator("#view-photos")).to_be_hidden()
    page.go_back()
    expect(page.locator("#view-photos")).to_be_visible()
    assert page.title() == "Photos – Mien"


def test_keyboard_alone_reaches_everything(visit: Open) -> None:
    page = visit()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id || ''"))
        assert page.evaluate("getComputedStyle(document.activeElement).visibility") == "visible"
    assert reached[:4] == ["Skip to the content", "Photos", "Camera", "Clip"]
    assert "photo-files" in reached
    page.locator("input[name=theme][value=auto]").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_light_and_dark(visit: Open) -> None:
    page = visit(color_scheme="dark")

    def ground() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))

    assert ground() < 120
    page.get_by_role("radio", name="Light").check()
    assert ground() > 600
    page.reload()
    assert ground() > 600, "the choice is forgotten"
    page.get_by_role("radio", name="Auto").check()
    assert ground() < 120
    page.emulate_media(color_scheme="light")
    assert ground() > 600


# ---------------------------------------------------------------- photos


def test_a_photo_is_read_drawn_and_saved(visit: Open, media: Media) -> None:
    page = visit()
    add_photos(page, media.smiling)
    card = page.locator(".photo .face")
    expect(card).to_have_count(1)
    expect(card.get_by_role("heading")).to_have_text("Face 1: happy")
    expect(card.locator(".certainty")).to_contain_text("uncertainty")
    expect(card.locator(".scale")).to_have_attribute("data-head", "age")
    expect(card.locator(".scale strong")).to_have_text(re.compile(r"\d+–\d+"))
    expect(card.locator(".bars tr")).to_have_count(8)
    expect(page.locator("#photos-live")).to_have_text("smiling.png: 1 face: happy.")
    expect(page.locator("#photos-count")).to_have_text("1 photo, 1 face")

    # the box lies over the face as it is shown
    picture = page.locator(".photo img").bounding_box()
    box = page.locator(".boxes rect.over").bounding_box()
    for x, y in ASTRONAUT_EYES:
        shown = picture["x"] + x * picture["width"] / 512, picture["y"] + y * picture["height"] / 512
        assert box["x"] < shown[0] < box["x"] + box["width"]
        assert box["y"] < shown[1] < box["y"] + box["height"]
    card.hover()
    expect(page.locator(".boxes g.lit")).to_have_count(1)

    document = json.loads(saved(page, "Save JSON").read_text())["results"]
    assert [one["source"] for one in document] == ["smiling.png"]
    (face,) = document[0]["faces"]
    assert face["emotion"] == "happy"
    rows = list(csv.DictReader(saved(page, "Save CSV").read_text().splitlines()))
    assert [float(rows[0][name]) for name in ("x1", "y1", "x2", "y2")] == face["box"]
    assert float(rows[0]["emotion_happy"]) == face["predictions"]["emotion"]["probabilities"]["happy"]
    assert list(rows[0]) == list(mien.analyze(media.smiling).to_rows()[0])

    drawn = np.asarray(Image.open(saved(page, "Annotated picture")).convert("RGB"), int)
    changed = np.abs(drawn - astronaut()).sum(axis=2) > 60
    x1, y1, _, y2 = (round(value) for value in face["box"])
    assert drawn.shape == (512, 512, 3)
    assert changed[y1:y2, x1 - 1 : x1 + 2].any(axis=1).mean() > 0.9, "no left edge"
    assert not changed[y2 + 8 :].any()


def test_many_photos_and_warnings_about_hard_ones(visit: Open, media: Media) -> None:
    page = visit()
    add_photos(page, media.stern, media.dark, media.small, media.crowd, media.nobody, media.text)
    photo = [page.locator(".photo").nth(i) for i in range(6)]
    expect(photo[0].locator(".face h4")).to_have_text("Face 1: neutral")
    expect(photo[1].locator(".face .hint")).to_have_text("Low light: less certain.")
    expect(photo[2].locator(".face .hint")).to_contain_text("Small face")
    expect(photo[3].locator("summary")).to_have_text("4 more faces")
    expect(photo[3].locator(".photo-body > .cards > .face")).to_have_count(12)
    expect(photo[3].locator(".boxes g")).to_have_count(16)
    expect(photo[4].locator(".none")).to_contain_text("No face found")
    expect(photo[4].get_by_role("button", name="Annotated picture")).to_have_count(0)
    expect(photo[5].locator(".notice")).to_contain_text("not a picture")
    expect(photo[5].locator(".facts-line")).to_have_text("Not read")
    expect(page.locator("#photos-count")).to_have_text("6 photos, 19 faces")
    page.get_by_role("button", name="Remove nobody.png").click()
    expect(page.get_by_role("button", name="Remove text.jpg")).to_be_focused()
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator(".photo")).to_have_count(0)
    expect(page.locator("#photos-tools")).to_be_hidden()


def test_a_file_that_is_too_large_is_not_sent(visit: Open) -> None:
    page = visit()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "analyze" in request.url else None)
    expect(page.locator("#photo-limits")).to_contain_text("MB")
    add_photos(page, {"name": "huge.jpg", "mimeType": "image/jpeg", "buffer": bytes(LARGEST + 1)})
    expect(page.locator(".photo .notice")).to_contain_text("takes up to 1.9 MB")
    assert requests == []


def test_a_photo_is_dropped_or_pasted(visit: Open, media: Media) -> None:
    page = visit()
    give = """([kind, target, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], `<b>${kind}</b>.jpg`, { type: "image/jpeg" }));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.querySelector(target).dispatchEvent(event);
    }"""
    content = base64.b64encode(media.stern.read_bytes()).decode()
    page.evaluate(give, ["drop", "#photo-drop", content])
    page.evaluate(give, ["paste", "body", content])
    expect(page.locator(".photo[data-state=done]")).to_have_count(2)
    expect(page.locator(".photo h3")).to_have_text(["<b>drop</b>.jpg", "<b>paste</b>.jpg"])


# ---------------------------------------------------------------- camera


def test_camera_follows_a_face(visit: Open) -> None:
    page = visit("camera", camera=True)
    start_camera(page)
    expect(page.locator("#camera-faces .face h3")).to_have_text(HAPPY)
    expect(page.locator("#camera-timeline")).to_have_attribute("aria-label", HAPPY)
    expect(page.locator("#camera-delay")).to_contain_text(" ms")
    expect(page.locator("#camera-rate")).not_to_have_text("–")
    expect(page.locator("#camera-faces-count")).to_have_text("1")
    expect(page.locator("#camera-live-text")).to_contain_text("looks happy")
    painted = """(id) => {
      const canvas = document.getElementById(id);
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, i) => i % 4 === 3 && value > 0).length;
    }"""
    assert page.evaluate(painted, "camera-overlay") > 500
    assert page.evaluate(painted, "camera-timeline") > 500

    page.evaluate("window.shown = document.getElementById('camera-video').srcObject.getTracks()[0]")
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("window.shown.readyState") == "ended", "the camera stays on"
    expect(page.locator("#camera-empty")).to_be_visible()
    assert page.evaluate(painted, "camera-overlay") == 0
    start_camera(page)
    page.evaluate("window.shown = document.getElementById('camera-video').srcObject.getTracks()[0]")
    page.get_by_role("link", name="Photos").click()
    expect(page.locator("#view-camera")).to_be_hidden()
    assert page.evaluate("window.shown.readyState") == "ended", "the camera stays on behind another view"


def test_a_refused_camera_shows_what_to_do(visit: Open, media: Media) -> None:
    page = visit("camera")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("Allow it in the address bar")
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()
    page.get_by_role("link", name="Photos").click()
    add_photos(page, media.stern)
    expect(page.locator(".photo .face")).to_have_count(1)


def test_another_camera_is_chosen(visit: Open) -> None:
    page = visit("camera", camera=True, script=TWO_CAMERAS)
    start_camera(page)
    page.get_by_role("combobox", name="Camera").select_option("Another camera")
    expect(page.locator("#camera-faces .face").first).to_be_visible()
    assert page.evaluate("window.wanted") == [None, "another"]


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (FAILS.replace("?", "NotFoundError"), "No camera was found"),
        (FAILS.replace("?", "NotReadableError"), "another program"),
        ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined });", "only over HTTPS"),
    ],
    ids=["none", "taken", "insecure"],
)
def test_without_a_camera(visit: Open, script: str, line: str) -> None:
    page = visit("camera", script=script)
    page.get_by_role("button", name="Start the camera").click()
    expect(page.get_by_role("alert")).to_contain_text(line)


# ---------------------------------------------------------------- clip


def test_a_clip_is_read_and_its_timeline_seeks(visit: Open, media: Media) -> None:
    page = visit("clip")
    page.get_by_label("Also make a video").check()
    analyse(page, media.clip)
    expect(page.locator("#clip-count")).to_have_text("clip.webm: 2.0 s, 2 faces followed, 50 frames analysed")
    expect(page.locator("#clip-live")).to_have_text("Done: 2 faces followed.")
    expect(page.locator("#clip-table tbody tr")).to_have_count(2)
    expect(page.locator("#clip-table")).to_contain_text("happy")

    time = "document.getElementById('clip-video').currentTime"
    lines = page.get_by_role("slider", name="Emotion over time")
    expect(lines).to_have_attribute("aria-valuemax", "2.0")
    width = lines.bounding_box()["width"]
    lines.click(position={"x": 0.75 * width, "y": 40})
    expect(lines).to_have_attribute("aria-valuenow", "1.5")
    assert abs(page.evaluate(time) - 1.5) < 0.02
    expect(lines).to_have_attribute("aria-valuetext", "0:01.5, face 1 happy, face 2 neutral")
    lines.focus()
    page.keyboard.press("ArrowLeft")
    expect(lines).to_have_attribute("aria-valuenow", "0.5")
    page.keyboard.press("End")
    expect(lines).to_have_attribute("aria-valuenow", "2.0")
    page.get_by_role("button", name="Face 2, go to").first.click()
    expect(lines).to_have_attribute("aria-valuenow", "0.0")
    page.get_by_role("button", name="Play").click()
    expect(lines).to_have_attribute("aria-valuenow", "2.0")
    expect(page.get_by_role("button", name="Play")).to_be_visible()

    rows = list(csv.DictReader(saved(page, "Save CSV").read_text().splitlines()))
    assert len(rows) == 100
    assert {row["emotion_stable"] for row in rows[-2:]} == {"happy", "neutral"}
    document = json.loads(saved(page, "Save JSON").read_text())
    assert [track["track"] for track in document["tracks"]] == [1, 2]
    assert saved(page, "Save annotated video").read_bytes()[4:8] == b"ftyp"

    with page.expect_request(lambda request: request.method == "DELETE") as forgotten:
        page.get_by_role("button", name="Another clip").click()
    assert forgotten.value.response().status == 204
    expect(page.locator("#clip-drop")).to_be_visible()
    expect(page.locator("#clip-result")).to_be_hidden()


def test_a_clip_is_cancelled(visit: Open, media: Media) -> None:
    page = visit("clip")
    page.set_input_files("#clip-file", str(media.long_clip))
    expect(page.locator("#clip-phase")).to_contain_text("Analysing")
    with page.expect_request(lambda request: request.method == "DELETE") as cancelled:
        page.get_by_role("button", name="Cancel").click()
    assert cancelled.value.response().status == 204
    expect(page.locator("#clip-drop")).to_be_visible()
    expect(page.locator("#clip-live")).to_have_text("Cancelled.")


def test_a_clip_that_cannot_be_played_or_read_and_what_is_left(visit: Open, media: Media, service: Service) -> None:
    page = visit("clip")
    with page.expect_response(lambda answer: answer.request.method == "POST") as accepted:
        analyse(page, media.unplayable)
    first = accepted.value.headers["location"]
    expect(page.locator("#clip-unplayable")).to_be_visible()
    expect(page.locator("#clip-stage")).to_be_hidden()
    lines = page.get_by_role("slider", name="Emotion over time")
    lines.focus()
    page.keyboard.press("End")
    expect(lines).to_have_attribute("aria-valuetext", "0:01.0, face 1 happy, face 2 neutral")
    page.get_by_role("button", name="Another clip").click()
    page.set_input_files("#clip-file", str(media.text))
    expect(page.get_by_role("alert")).to_contain_text("Try again")
    expect(page.locator("#clip-drop")).to_be_visible()

    # whoever leaves the page leaves nothing behind
    with page.expect_response(lambda answer: answer.request.method == "POST") as accepted:
        analyse(page, media.clip)
    second = accepted.value.headers["location"]
    assert service.status(first) == 404
    assert service.status(second) == 200
    page.goto("about:blank")
    wait_until(lambda: service.status(second) == 404)


# ---------------------------------------------------------------- heads that the page does not know


@pytest.fixture(scope="module")
def own_heads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a model of made-up classes, shown first, and one whose labels are a scale."""
    folder = tmp_path_factory.mktemp("models")
    mood = write_model(folder / "mood.onnx", "mood", ("calm", "tense", "bored"))
    energy = write_model(folder / "energy.onnx", "energy", ("low", "middle", "high"), ordered=True)
    running = Service(options=("--models", f"{mood},{energy},emotion"))
    running.start()
    try:
        yield running
    finally:
        running.stop()


MOOD = re.compile(r"calm|tense|bored")


@pytest.fixture
def visit_own_heads(chrome: Any, own_heads: Service) -> Iterator[Open]:
    yield from pages(chrome, own_heads)


def test_photos_show_every_head(visit_own_heads: Open, media: Media) -> None:
    page = visit_own_heads()
    expect(page.locator("#models")).to_contain_text("tiny-mood")
    add_photos(page, media.smiling)
    card = page.locator(".photo .face")
    expect(card.get_by_role("heading")).to_have_text(re.compile(rf"Face 1: ({MOOD.pattern})"))
    expect(card.locator(".bars")).to_have_count(2)
    expect(card.locator(".bars").first.locator("tr")).to_have_count(3)
    expect(card.locator(".head")).to_contain_text("Emotion: happy")
    expect(card.locator(".scale[data-head=energy] strong")).to_have_text(re.compile("low|middle|high"))
    expect(page.locator("#photos-live")).to_have_text(re.compile(rf"smiling.png: 1 face: ({MOOD.pattern})\."))
    (face,) = json.loads(saved(page, "Save JSON").read_text())["results"][0]["faces"]
    assert list(face["predictions"]) == ["mood", "energy", "emotion"]
    (row,) = csv.DictReader(saved(page, "Save CSV").read_text().splitlines())
    assert float(row["mood_tense"]) == face["predictions"]["mood"]["probabilities"]["tense"]
    assert row["energy"] == face["predictions"]["energy"]["label"]


def test_camera_and_clips_show_the_timeline_of_every_nominal_head(visit_own_heads: Open, media: Media) -> None:
    page = visit_own_heads("camera", camera=True)
    start_camera(page)
    expect(page.locator("#camera-faces .face h3")).to_have_text(re.compile(rf"Face \d+: ({MOOD.pattern})"))
    expect(page.locator("#camera-legend li")).to_have_text(["calm", "tense", "bored"])
    page.get_by_role("combobox", name="Timeline").select_option("Emotion")
    expect(page.locator("#camera-timeline")).to_have_attribute("aria-label", HAPPY)
    page.get_by_role("link", name="Clip").click()
    analyse(page, media.clip)
    expect(page.get_by_role("slider", name="Mood over time")).to_be_visible()
    expect(page.locator("#clip-legend li")).to_have_count(3)
    expect(page.locator("#clip-table thead th")).to_have_text(
        ["Face", "From", "To", "Seen for", "Mood", "Vote of the frames", "Energy", "Emotion", "Vote of the frames"]
    )
    page.get_by_role("combobox", name="Timeline").select_option("Emotion")
    expect(page.get_by_role("slider", name="Emotion over time")).to_be_visible()
    expect(page.locator("#clip-legend li")).to_have_count(8)
    expect(page.locator("#clip-episodes")).to_contain_text("happy")


# ---------------------------------------------------------------- for everybody


def test_no_violation_and_no_sideways_scrolling(visit: Open, media: Media) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(camera=True)
    axe, found = Axe(), []

    def check(view: str, state: str, *themes: str) -> None:
        page.get_by_role("link", name=view.capitalize(), exact=True).click()
        expect(page.locator(f"#view-{view}")).to_be_visible()
        page.set_viewport_size({"width": 360, "height": 740})
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            found.append(f"{view} {state}: {wider} pixels too wide for a phone")
        page.set_viewport_size({"width": 1200, "height": 900})
        for theme in themes:
            page.emulate_media(color_scheme=theme)
            # only colours differ between the themes
            rules = {"runOnly": ["color-contrast"]} if theme == "dark" else {}
            for one in axe.run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]:
                if one["impact"] in ("serious", "critical"):
                    where = ", ".join(str(node["target"]) for node in one["nodes"][:3])
                    found.append(f"{view} {state} {theme}: {one['id']} at {where}")

    for view in VIEWS:
        check(view, "empty", "light")
    page.get_by_role("link", name="Photos").click()
    add_photos(page, media.smiling, media.small, media.nobody, media.text)
    check("photos", "with results", "light", "dark")
    page.get_by_role("link", name="Clip").click()
    analyse(page, media.clip)
    check("clip", "with results", "light", "dark")
    page.get_by_role("link", name="Camera").click()
    start_camera(page)
    check("camera", "running", "light", "dark")
    assert found == []


def test_nothing_moves_for_those_who_do_not_want_it(visit: Open, media: Media) -> None:
    page = visit()
    add_photos(page, media.nobody)
    page.locator(".photo").evaluate("(photo) => (photo.dataset.state = 'busy')")
    moving = "document.getAnimations().filter((one) => one.playState === 'running').length"
    assert page.evaluate(moving) == 1
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


# ---------------------------------------------------------------- a server that goes and comes; these come last


def test_the_server_goes_and_comes_back(visit: Open, media: Media, service: Service) -> None:
    page, live, clip, job = visit(), visit("camera", camera=True), visit("clip"), visit("clip")
    analyse(clip, media.clip)
    job.set_input_files("#clip-file", str(media.long_clip))
    expect(job.locator("#clip-phase")).to_contain_text("Analysing")
    start_camera(live)
    service.stop()
    expect(live.get_by_role("alert")).to_contain_text("connection to the server was lost")
    page.set_input_files("#photo-files", str(media.smiling))
    expect(page.locator("#server-text")).to_have_text("Server away, trying again")
    expect(page.locator(".photo .facts-line")).to_have_text("Waiting for the server.")
    service.start()
    expect(page.locator("#server-text")).to_have_text("Ready")
    expect(page.locator(".photo .face h4")).to_have_text("Face 1: happy")
    expect(live.locator("#camera-faces .face h3")).to_have_text(HAPPY)
    expect(live.locator("#camera-notice")).to_be_hidden()
    clip.get_by_role("button", name="Save CSV").click()
    expect(clip.get_by_role("alert")).to_contain_text("could not be made")
    expect(job.get_by_role("alert")).to_contain_text("no longer knows this clip")
    job.get_by_role("button", name="Try again").click()
    expect(job.locator("#clip-phase")).to_contain_text("Analysing")


def test_the_page_asks_for_the_key(visit: Open, media: Media, service: Service) -> None:
    service.stop()
    service.start(key=KEY)
    page = visit("camera", camera=True, wait=False)
    field = page.get_by_label("This server needs a key")
    field.fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#key-help")).to_contain_text("does not know this key")
    field.fill(KEY)
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#models")).to_contain_text("emotion")
    expect(page.locator("#key-form")).to_be_hidden()
    start_camera(page)
    page.get_by_role("link", name="Photos").click()
    add_photos(page, media.stern)
    expect(page.locator(".photo .face")).to_have_count(1)
    page.reload()
    expect(page.locator("#models")).to_contain_text("emotion")
    expect(page.locator("#key-form")).to_be_hidden()
