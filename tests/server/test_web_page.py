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
from helpers.tiny_models import write_model
from helpers.waiting import wait_until
from mien.errors import DownloadError, MissingFileError
from mien.web.runtime import read_runtime

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

    def visit(
        view: str = "photos",
        *,
        place: str = "server",
        camera: bool = False,
        script: str = "",
        wait: bool = True,
        **how: Any,
    ) -> Any:
        context = chrome.new_context(**({"viewport": {"width": 1200, "height": 900}} | how))
        contexts.append(context)
        context.set_default_timeout(1000 * SECONDS)
        # an empty page, which it is left for, has no storage
        context.add_init_script(f"if (location.protocol === 'http:') localStorage.setItem('place', '{place}');")
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
    before = page.locator("#photos-list > li").count()
    page.set_input_files("#photo-files", list(files))
    expect(page.locator("#photos-list > li")).to_have_count(before + len(files))
    expect(page.locator(".tile[data-state=busy]")).to_have_count(0)


def tile(page: Any, name: str) -> Any:
    """The tile of a photo."""
    return page.locator(".tile", has=page.get_by_text(name, exact=True))


def open_photo(page: Any, name: str) -> Any:
    """Click the tile of a photo; the photo as it is shown large."""
    tile(page, name).click()
    return page.get_by_role("article", name=name)


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


def test_the_notice_is_shown_full_screen_in_the_language_of_the_browser(visit: Open) -> None:
    page = visit(locale="de-AT")
    button = page.get_by_role("button", name="Show a notice full screen")
    button.click()
    words = page.locator("#notice-words")
    expect(words.get_by_role("heading")).to_have_text("Hier werden Gesichtsausdrücke analysiert")
    expect(words).to_have_attribute("lang", "de")
    page.get_by_label("Language").select_option("Français")
    expect(words.get_by_role("heading")).to_have_text("Les expressions du visage sont analysées ici")
    box = page.get_by_role("dialog").bounding_box()
    assert (box["width"], box["height"]) == tuple(page.evaluate("[innerWidth, innerHeight]"))
    page.get_by_role("button", name="Close", exact=True).click()
    expect(words).to_be_hidden()
    expect(button).to_be_focused()


def test_keyboard_alone_reaches_everything(visit: Open) -> None:
    page = visit()
    reached = []
    for _ in range(9):
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
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")  # the page hears of it with the next frame
    assert ground() > 600


# ---------------------------------------------------------------- photos


def test_a_photo_is_read_drawn_and_saved(visit: Open, media: Media) -> None:
    page = visit()
    add_photos(page, media.smiling)
    card = page.locator(".photo .face")
    expect(card).to_have_count(1)
    expect(card.get_by_role("heading")).to_have_text("Face 1: happy")
    expect(card.locator(".certainty")).to_have_text("Clear: far ahead of the other labels")
    expect(card.locator(".scale")).to_have_attribute("data-head", "age")
    expect(card.locator(".scale strong")).to_have_text(re.compile(r"\d+–\d+"))
    expect(card.locator(".bars tr")).to_have_count(8)
    expect(page.locator("#photos-live")).to_have_text("smiling.png: 1 face: happy.")
    expect(page.locator("#photos-count")).to_have_text("1 photo, 1 face")

    # the box lies over the face as it is shown
    picture = page.locator(".photo img").bounding_box()
    expect(page.locator(".box")).to_have_text("1happy")
    box = page.locator(".box").bounding_box()
    for x, y in ASTRONAUT_EYES:
        shown = picture["x"] + x * picture["width"] / 512, picture["y"] + y * picture["height"] / 512
        assert box["x"] < shown[0] < box["x"] + box["width"]
        assert box["y"] < shown[1] < box["y"] + box["height"]

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


def test_the_result_takes_the_place_of_the_drop_zone(visit: Open, media: Media) -> None:
    page = visit(viewport={"width": 1280, "height": 800})
    empty = page.locator("#photo-drop").bounding_box()["height"]
    expect(page.get_by_role("button", name="Grace Hopper")).to_be_visible()
    add_photos(page, media.stern)
    assert page.locator("#photo-drop").bounding_box()["height"] < min(70, empty / 2)
    expect(page.locator("#photo-samples")).to_be_hidden()
    card = page.locator(".photo .face")
    top = card.bounding_box()["y"]
    assert 0 < top < 400, "the card is not in view"
    assert page.locator(".photo img").bounding_box()["y"] < 400
    expect(page.locator("#use")).not_to_have_attribute("open", "")
    # the newest photo is the one that is shown, and it is in view again
    page.mouse.wheel(0, 600)
    add_photos(page, media.smiling)
    expect(page.locator(".photo h3")).to_have_text("smiling.png")
    assert page.evaluate("scrollY") == 0
    expect(page.locator(".tile-name")).to_have_text(["smiling.png", "stern.jpg"])


def test_a_sample_needs_no_file(visit: Open) -> None:
    page = visit()
    samples = page.locator(".sample")
    expect(samples).to_have_count(4)
    for picture in samples.locator("img").all():
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    page.get_by_role("button", name="Two faces").click()
    expect(page.locator(".photo .face h4")).to_have_text([re.compile("Face 1: "), re.compile("Face 2: ")])
    expect(page.locator("#photos-live")).to_have_text("Two faces.webp: 2 faces: happy, neutral.")
    page.get_by_role("button", name="Clear all").click()
    page.get_by_role("button", name="No face at all").click()
    expect(page.locator(".photo .none")).to_contain_text("No face found")


def test_boxes_and_cards_lead_to_one_another(visit: Open, media: Media) -> None:
    page = visit(viewport={"width": 1200, "height": 700})
    add_photos(page, media.crowd)
    box, card = page.locator('.box[data-number="15"]'), page.locator('.face[data-number="15"]')
    expect(card).to_be_hidden()  # folded
    box.click()
    expect(card).to_be_in_viewport()
    expect(card).to_have_class(re.compile("selected"))
    expect(box).to_have_attribute("aria-pressed", "true")
    assert page.locator(".selected").count() == 2
    page.locator('.face[data-number="2"]').click()
    expect(page.locator('.box[data-number="2"]')).to_have_class(re.compile("selected"))
    expect(page.locator('.box[data-number="2"]')).to_be_in_viewport()
    expect(box).to_have_attribute("aria-pressed", "false")

    # the same with keys: one box is a stop of the Tab key, arrows go on from it, Enter goes to the card and back
    boxes = page.get_by_role("group", name="Faces in the picture")
    assert boxes.locator("[tabindex='0']").count() == 1
    boxes.locator("[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("aria-label", re.compile(r"Face 3: happy, \d+ %"))
    page.keyboard.press("Enter")
    expect(focused).to_have_text("Face 3: happy")
    expect(page.locator('.face[data-number="3"]')).to_have_class(re.compile("selected"))
    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("data-number", "3")
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-number", "16")


def test_many_photos_and_warnings_about_hard_ones(visit: Open, media: Media) -> None:
    page = visit()
    add_photos(page, media.stern, media.dark, media.small, media.crowd, media.nobody, media.text)
    expect(page.locator(".photo")).to_have_count(0)  # of many none is shown large
    expect(page.locator(".tile-facts")).to_have_text(
        ["Not read", "No face", "16 faces · happy", "1 face · happy", "1 face · happy", "1 face · neutral"]
    )
    expect(open_photo(page, "stern.jpg").locator(".face h4")).to_have_text("Face 1: neutral")
    expect(open_photo(page, "dark.png").locator(".face .hint")).to_have_text("Low light: less certain.")
    expect(open_photo(page, "small.png").locator(".face .hint")).to_have_text("Small face: less certain.")
    crowd = open_photo(page, "crowd.jpg")
    expect(crowd.locator("summary")).to_have_text("4 more faces")
    expect(crowd.locator(".photo-body > .cards > .face")).to_have_count(12)
    expect(crowd.locator(".box")).to_have_count(16)
    nobody = open_photo(page, "nobody.png")
    expect(nobody.locator(".none")).to_contain_text("No face found")
    expect(nobody.get_by_role("button", name="Annotated picture")).to_have_count(0)
    text = open_photo(page, "text.jpg")
    expect(text.locator(".notice")).to_contain_text("not a picture")
    expect(text.locator(".facts-line")).to_have_text("Not read")
    expect(page.locator("#photos-count")).to_have_text("6 photos, 19 faces")
    open_photo(page, "nobody.png").get_by_role("button", name="Remove").click()
    expect(page.locator(":focus")).to_have_text("Remove")
    expect(page.locator(".photo h3")).to_have_text("crowd.jpg")
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator(".tile")).to_have_count(0)
    expect(page.locator(".photo")).to_have_count(0)
    expect(page.locator("#photos-tools")).to_be_hidden()
    expect(page.locator("#photo-samples")).to_be_visible()


def test_tiles_are_filtered_ordered_and_gone_through(visit: Open, media: Media) -> None:
    page = visit()
    add_photos(page, media.stern, media.smiling)
    expect(page.locator("#photos-choice")).to_be_hidden()
    add_photos(page, media.crowd, media.nobody, media.text)
    names = page.locator(".tile-name")
    expect(names).to_have_text(["text.jpg", "nobody.png", "crowd.jpg", "smiling.png", "stern.jpg"])
    order, show = page.get_by_label("Order"), page.get_by_label("Show")
    order.select_option("By name")
    expect(names).to_have_text(["crowd.jpg", "nobody.png", "smiling.png", "stern.jpg", "text.jpg"])
    order.select_option("Most faces first")
    expect(names.first).to_have_text("crowd.jpg")
    order.select_option("Least certain first")
    expect(names.first).to_have_text("stern.jpg")
    order.select_option("Oldest first")
    expect(names.first).to_have_text("stern.jpg")
    for filter_, left in {
        "Looks happy (2)": ["smiling.png", "crowd.jpg"],
        "Without a face (1)": ["nobody.png"],
        "Not read (1)": ["text.jpg"],
        "With faces (3)": ["stern.jpg", "smiling.png", "crowd.jpg"],
    }.items():
        show.select_option(filter_)
        expect(names).to_have_text(left)
        expect(page.locator("#photos-shown")).to_have_text(f"{len(left)} of 5 photos")
    # arrows move among the tiles, Enter opens, the buttons go on, Escape comes back
    tile(page, "stern.jpg").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".photo h3")).to_have_text("smiling.png")
    expect(page.locator(".photo h3")).to_be_focused()
    page.get_by_role("button", name="Next photo").click()
    expect(page.locator(".photo h3")).to_have_text("crowd.jpg")
    expect(page.get_by_role("button", name="Next photo")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator(".photo")).to_have_count(0)
    expect(tile(page, "crowd.jpg")).to_be_focused()


def test_a_photo_beyond_the_limits_is_sent_smaller(visit: Open, tmp_path: Path) -> None:
    """A photo of 27 megapixels, with its orientation in EXIF; the limit is 25, and 1.9 MB."""
    width, height = 6000, 4500
    turned = np.rot90(np.asarray(Image.fromarray(astronaut()[:384]).resize((width, height))))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    Image.fromarray(turned).save(tmp_path / "large.jpg", quality=95, exif=exif)
    assert (tmp_path / "large.jpg").stat().st_size > LARGEST
    page = visit()
    expect(page.locator("#photo-limits")).to_contain_text("25 megapixels")
    with page.expect_response(lambda answer: "analyze" in answer.url) as sent:
        add_photos(page, tmp_path / "large.jpg")
    (received,) = sent.value.json()["results"]
    assert received["width"] * received["height"] <= 25_000_000
    expect(page.locator(".photo .facts-line")).to_contain_text("6000 × 4500 · analysed at ")
    (result,) = json.loads(saved(page, "Save JSON").read_text())["results"]
    assert (result["width"], result["height"]) == (width, height)
    (face,) = result["faces"]
    assert face["emotion"] == "happy"
    (expected,) = mien.analyze(astronaut(), color="rgb")
    scale = width / 512
    for shown, whole in zip(face["box"], expected.box, strict=True):
        assert abs(shown / scale - whole) < 5
    assert face["landmarks"][0][0] / scale == pytest.approx(ASTRONAUT_EYES[0][0], abs=8)


def test_heic_is_shown(visit: Open, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(astronaut())).save(tmp_path / "phone.heic")
    page = visit()
    add_photos(page, tmp_path / "phone.heic")
    picture = page.locator(".photo img")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 512
    expect(page.locator(".box")).to_have_text("1happy")
    expect(page.locator(".face .crop canvas")).to_have_count(1)
    with Image.open(saved(page, "Annotated picture")) as drawn:
        assert drawn.size == (512, 512)


def test_heic_that_this_device_cannot_read_is_read_once_the_server_is_chosen(visit: Open, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(astronaut())).save(tmp_path / "phone.heic")
    page = visit(place="device")
    page.set_input_files("#photo-files", str(tmp_path / "phone.heic"))
    expect(page.locator(".photo .notice")).to_contain_text("Choose “On the server”, which reads HEIC too")
    page.get_by_role("radio", name="On the server").check()
    page.wait_for_selector(".photo[data-state=done]")
    expect(page.locator(".photo .face h4")).to_have_text("Face 1: happy")


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
    page.evaluate(give, ["drop", "footer", content])
    expect(page.locator(".tile[data-state=done]")).to_have_count(1)
    page.get_by_role("link", name="Camera").click()
    page.evaluate(give, ["paste", "body", content])  # from another view, too
    expect(page.locator(".tile[data-state=done]")).to_have_count(2)
    expect(page.locator(".photo h3")).to_have_text("<b>paste</b>.jpg")
    expect(page.locator(".tile-name")).to_have_text(["<b>paste</b>.jpg", "<b>drop</b>.jpg"])


def test_what_is_dropped_goes_where_it_belongs(visit: Open, media: Media) -> None:
    page = visit("camera")
    give = """([phase, name, type, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name, { type }));
      document.body.dispatchEvent(new DragEvent(phase, { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    clip = ["clip.webm", "video/webm", base64.b64encode(media.clip.read_bytes()).decode()]
    sheet = page.locator("#drop-sheet")
    page.evaluate(give, ["dragenter", *clip])
    expect(sheet).to_be_visible()
    page.evaluate(give, ["dragleave", *clip])
    expect(sheet).to_be_hidden()
    page.evaluate(give, ["dragenter", *clip])
    page.evaluate(give, ["drop", *clip])
    expect(sheet).to_be_hidden()
    expect(page.locator("#view-clip")).to_be_visible()
    expect(page.locator("#clip-result")).to_be_visible()
    page.evaluate(give, ["drop", "a.jpg", "image/jpeg", base64.b64encode(media.stern.read_bytes()).decode()])
    expect(page.locator("#view-photos")).to_be_visible()
    expect(page.locator(".photo .face")).to_have_count(1)


# ---------------------------------------------------------------- camera


def test_camera_follows_a_face(visit: Open) -> None:
    page = visit("camera", camera=True)
    start_camera(page)
    expect(page.locator("#camera-faces .face h3")).to_have_text(HAPPY)
    expect(page.locator("#camera-timeline")).to_have_attribute("aria-label", HAPPY)
    expect(page.locator("#camera-timeline")).to_have_attribute("aria-label", re.compile("in view"))
    expect(page.locator("#camera-faces .crop canvas")).to_have_count(1)
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


def test_the_history_shows_who_is_there(visit: Open) -> None:
    """Eight faces leave, and a ninth comes: that one is first, and those who left last follow."""
    page = visit("camera")
    description = page.evaluate("""async () => {
      const { LiveHistory } = await import("./static/live_history.js");
      const { loadModels } = await import("./static/place.js");
      await loadModels();
      const face = (track) => ({
        track, box: [0, 0, 9, 9], predictions: { emotion: { label: "happy", probabilities: { happy: 1, sad: 0 } } },
      });
      const history = new LiveHistory("emotion"), now = performance.now() / 1000, taken = [];
      const pictureOf = ({ box }) => (taken.push(box), document.createElement("canvas"));
      for (let i = 1; i <= 8; i += 1) history.add({ faces: [face(i)] }, now - 20 + i, pictureOf);
      history.add({ faces: [face(9)] }, now, pictureOf);
      history.draw();
      return [document.getElementById("camera-timeline").getAttribute("aria-label"), taken.length];
    }""")
    words = [f"Face {number}: happy, {'in view' if number == 9 else 'gone'}" for number in (9, 8, 7, 6, 5, 4)]
    assert description == [f"Emotion of each face over the last 30 seconds. {'; '.join(words)}", 9]


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

    # whoever leaves the page leaves nothing behind: the server removes the clip unless the page comes back
    with page.expect_response(lambda answer: answer.request.method == "POST") as accepted:
        analyse(page, media.clip)
    second = accepted.value.headers["location"]
    assert service.status(f"v1/{first}") == 404
    assert service.status(f"v1/{second}") == 200
    before = service.removals()
    page.goto("about:blank")
    wait_until(lambda: service.removals() == before + 1)
    assert service.status(f"v1/{second}") == 200, "it did not wait"


def test_a_clip_survives_a_reload(visit: Open, media: Media) -> None:
    page = visit("clip")
    sent: list[str] = []
    analyse(page, media.clip)
    expect(page.locator("#clip-table .crop canvas")).to_have_count(2)
    copied = "JSON.parse(sessionStorage.getItem('clip')).key ?? ''"
    wait_until(lambda: page.evaluate(copied) != "")
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.reload()
    expect(page.locator("#clip-count")).to_have_text("clip.webm: 2.0 s, 2 faces followed, 50 frames analysed")
    expect(page.locator("#clip-stage")).to_be_visible()
    expect(page.locator("#clip-table .crop canvas")).to_have_count(2)
    page.get_by_role("slider", name="Emotion over time").press("End")
    wait_until(lambda: page.evaluate("document.getElementById('clip-video').currentTime") > 1.9)
    assert len(saved(page, "Save CSV").read_text().splitlines()) == 101
    assert sent == []

    # what lies on the disk is unreadable without the session of the tab
    stored = """async () => {
      const open = indexedDB.open("mien-clip");
      await new Promise((resolve) => open.addEventListener("success", resolve));
      const all = open.result.transaction("pieces").objectStore("pieces").getAll();
      await new Promise((resolve) => all.addEventListener("success", resolve));
      open.result.close();
      return all.result.map(({ data }) => [data.byteLength, ...new Uint8Array(data.slice(0, 4))]);
    }"""
    (piece,) = page.evaluate(stored)
    assert piece[0] > media.clip.stat().st_size
    assert bytes(piece[1:]) != media.clip.read_bytes()[:4]
    page.get_by_role("button", name="Another clip").click()
    wait_until(lambda: page.evaluate(stored) == [])
    page.reload()
    expect(page.locator("#clip-drop")).to_be_visible()
    expect(page.locator("#clip-job")).to_be_hidden()


def test_a_reload_while_a_clip_is_analysed(visit: Open, media: Media) -> None:
    page = visit("clip")
    page.set_input_files("#clip-file", str(media.long_clip))
    expect(page.locator("#clip-phase")).to_contain_text("Analysing")
    page.reload()
    expect(page.locator("#clip-phase")).to_contain_text("Analysing")
    with page.expect_request(lambda request: request.method == "DELETE") as cancelled:
        page.get_by_role("button", name="Cancel").click()
    assert cancelled.value.response().status == 204
    # a clip whose file was not copied and that the server no longer has
    page.evaluate("sessionStorage.setItem('clip', JSON.stringify({ id: 'a'.repeat(32), name: 'gone.mp4' }))")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("choose it again")
    expect(page.locator("#clip-drop")).to_be_visible()


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


@pytest.fixture
def service_with_key(service: Service) -> Iterator[None]:
    """The service needs a key during one test."""
    service.stop()
    service.start(key=KEY)
    yield
    service.stop()
    service.start()


def test_the_page_asks_for_the_key(visit: Open, media: Media, service_with_key: None) -> None:
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


# ---------------------------------------------------------------- on this device


def test_pictures_stay_on_the_device_unless_the_server_is_chosen(chrome: Any, service: Service, media: Media) -> None:
    try:
        read_runtime()  # the service offers what lies in the cache
    except (MissingFileError, DownloadError) as error:
        pytest.skip(f"ONNX Runtime for browsers is not to be had here: {error}")
    watch = Watch(service.url)
    context = chrome.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(1000 * SECONDS)
    page = context.new_page()
    watch.on(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    page.goto(service.url)
    # networks and runtime are compressed and loaded first
    expect(page.locator("#server-text")).to_have_text("On this device", timeout=5000 * SECONDS)
    assert page.locator("input[name=place][value=device]").is_checked()
    assert page.evaluate("crossOriginIsolated")
    page.set_input_files("#photo-files", str(media.smiling))
    expect(page.locator(".photo .face h4")).to_have_text("Face 1: happy", timeout=5000 * SECONDS)
    assert sent == []
    page.get_by_label("On the server").check()
    expect(page.locator("#server-text")).to_have_text("Ready")
    page.set_input_files("#photo-files", str(media.stern))
    expect(page.locator(".photo .face h4")).to_have_text("Face 1: neutral")
    assert [url.removeprefix(service.url) for url in sent] == ["v1/analyze"]
    # the choice is remembered
    page.reload()
    expect(page.locator("input[name=place][value=server]")).to_be_checked()
    expect(page.locator("#server-text")).to_have_text("Ready")
    assert watch.problems == []
    context.close()
