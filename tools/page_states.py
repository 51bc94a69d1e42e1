"""Draws every state of the page without a server: light and dark, on a phone and on a desktop; and checks each with axe.

python tools/page_states.py                    out/page-states/STATE-THEME-WIDTH.png
python tools/page_states.py --state camera     only this one; repeatable

The pictures are for people who look at them. What axe finds serious, and what is wider than the window, is printed, and
makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from axe_playwright_python.sync_playwright import Axe  # noqa: E402

from helpers.browser import SECONDS, Media, browser  # noqa: E402
from helpers.static_host import StaticHost  # noqa: E402
from helpers.tiny_models import write_model  # noqa: E402
from mien.web.runtime import read_runtime  # noqa: E402
from mien.web.site import build_site, write_folder, write_single  # noqa: E402

CHROMIUM = Path(os.environ.get("MIEN_CHROMIUM", "/usr/bin/chromium"))
LONG = 10 * SECONDS
"""Seconds that a step may take."""
WIDTHS = {390: 844, 1440: 900}
"""Width → height of the windows, pixels."""
THEMES = ("light", "dark")
NO_SIMD = "WebAssembly.validate = () => false;"
NO_CAMERA = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError'); };"
NO_MEMORY = """
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, transfer) {
    if (message.kind !== "analyse") return post.call(this, message, transfer);
    const data = { number: message.number, error: "RangeError: Out of memory" };
    setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
  };
"""


@dataclass(frozen=True)
class Stage:
    """What states are shown with."""

    chrome: Any
    url: str
    single: Path
    media: Media
    folder: Path

    def visit(self, view: str = "photos", *, ready: bool = True, script: str = "", url: str = "", **how: Any) -> Any:
        """A page in a browser profile of its own; ``ready``: with its networks."""
        context = self.chrome.new_context(viewport={"width": 1440, "height": 900}, **how)
        context.set_default_timeout(1000 * LONG)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.goto(f"{url or self.url}#{view}")
        if ready:
            page.wait_for_selector("#server[data-state=ready]")
        return page

    def with_photos(self, *files: Path) -> Any:
        page = self.visit()
        page.set_input_files("#photo-files", [str(file) for file in files])
        page.wait_for_selector(f"#photos-list > li:nth-child({len(files)})", state="attached")
        page.wait_for_selector(".tile[data-state=busy]", state="detached")
        return page


def empty(stage: Stage) -> Any:
    return stage.visit()


def loading(stage: Stage) -> Any:
    context = stage.chrome.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    # one file never comes
    page.route("**/assets/model-age-*", lambda route: None)
    page.goto(stage.url)
    page.wait_for_function("/ of /.test(document.querySelector('#server-text').textContent)", timeout=1000 * LONG)
    page.wait_for_timeout(3000)
    return page


def photo(stage: Stage) -> Any:
    return stage.with_photos(stage.media.stern)


def many_photos(stage: Stage) -> Any:
    media = stage.media
    return stage.with_photos(media.smiling, media.stern, media.dark, media.small, media.nobody, media.text)


def crowd(stage: Stage) -> Any:
    return stage.with_photos(stage.media.crowd)


def not_a_picture(stage: Stage) -> Any:
    return stage.with_photos(stage.media.text)


def no_face(stage: Stage) -> Any:
    return stage.with_photos(stage.media.nobody)


def card(stage: Stage) -> Any:
    page = stage.visit()
    page.get_by_text("About the models").click()
    return page


def own_model(stage: Stage) -> Any:
    page = stage.visit()
    own = write_model(stage.folder / "mood.onnx", "mood", ("calm", "20-29", "tense"))
    page.set_input_files("#own-model", str(own))
    page.locator("#own-notice", has_text="predicts mood now").wait_for()
    page.set_input_files("#photo-files", str(stage.media.smiling))
    page.wait_for_selector(".photo[data-state=done]")
    return page


def notice(stage: Stage) -> Any:
    page = stage.visit(ready=False, locale="de-DE")
    page.locator("#notice-open").click()
    return page


def camera(stage: Stage) -> Any:
    page = stage.visit("camera", permissions=["camera"])
    page.locator("#camera-start").click()
    page.wait_for_selector("#camera-faces .face")
    page.wait_for_timeout(10_000)  # of the timeline
    return page


def camera_off(stage: Stage) -> Any:
    return stage.visit("camera", ready=False)


def no_camera(stage: Stage) -> Any:
    page = stage.visit("camera", script=NO_CAMERA)
    page.locator("#camera-start").click()
    page.wait_for_selector("#camera-notice:not([hidden])")
    return page


def refused_camera(stage: Stage) -> Any:
    page = stage.visit("camera")
    page.locator("#camera-start").click()
    page.wait_for_selector("#camera-notice:not([hidden])")
    return page


def clip_empty(stage: Stage) -> Any:
    return stage.visit("clip", ready=False)


def clip(stage: Stage) -> Any:
    page = stage.visit("clip")
    page.set_input_files("#clip-file", str(stage.media.clip))
    page.wait_for_selector("#clip-result:not([hidden])")
    page.get_by_role("slider").press("ArrowRight")
    page.wait_for_timeout(1000)  # for the browser to show the frame
    return page


def clip_running(stage: Stage) -> Any:
    page = stage.visit("clip")
    page.set_input_files("#clip-file", str(stage.media.long_clip))
    page.wait_for_selector("#clip-job:not([hidden])")
    page.wait_for_timeout(2000)
    return page


def clip_unreadable(stage: Stage) -> Any:
    page = stage.visit("clip")
    page.set_input_files("#clip-file", str(stage.media.unplayable))
    page.wait_for_selector("#clip-notice:not([hidden]), #clip-result:not([hidden])")
    return page


def no_simd(stage: Stage) -> Any:
    page = stage.visit(ready=False, script=NO_SIMD)
    page.wait_for_selector("#server[data-state=away]")
    return page


def low_memory(stage: Stage) -> Any:
    page = stage.visit(script=NO_MEMORY)
    page.set_input_files("#photo-files", str(stage.media.stern))
    page.wait_for_selector(".photo[data-state=refused]")
    return page


def single_file(stage: Stage) -> Any:
    page = stage.visit(url=stage.single.as_uri(), offline=True)
    page.set_input_files("#photo-files", str(stage.media.smiling))
    page.wait_for_selector(".photo[data-state=done]")
    return page


STATES: dict[str, Callable[[Stage], Any]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        empty, loading, photo, many_photos, crowd, no_face, not_a_picture, card, own_model, notice, camera, camera_off,
        no_camera, refused_camera, clip_empty, clip_running, clip, clip_unreadable, no_simd, low_memory, single_file,
    )
}  # fmt: skip


def draw(name: str, page: Any, folder: Path) -> list[str]:
    """Save the state in every theme and width; what is wrong with it."""
    found = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)
            page.screenshot(path=folder / f"{name}-{theme}-{width}.png", full_page=True, animations="disabled")
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wider > 0:
                found.append(f"{name} {theme} {width}: {wider} pixels wider than the window")
        for one in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                where = ", ".join(str(node["target"]) for node in one["nodes"][:3])
                found.append(f"{name} {theme}: {one['id']} at {where}")
    return found


def contact_sheet(folder: Path, name: str, side: int = 1800) -> None:
    """The pictures of a state beside one another."""
    pictures = [Image.open(folder / f"{name}-{theme}-{width}.png") for width in WIDTHS for theme in THEMES]
    sheet = Image.new("RGB", (sum(one.width for one in pictures), max(one.height for one in pictures)), "gray")
    x = 0
    for one in pictures:
        sheet.paste(one, (x, 0))
        x += one.width
    sheet.thumbnail((side, side))
    sheet.save(folder / f"{name}.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", action="append", choices=list(STATES))
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "page-states")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        site = build_site(read_runtime())
        write_folder(site, folder / "site")
        write_single(site, folder / "mien.html")
        media, host = Media.made(folder), StaticHost(folder / "site")
        host.start()
        try:
            for name in options.state or STATES:
                with browser(CHROMIUM, media.camera) as chrome:
                    page = STATES[name](Stage(chrome, host.url, folder / "mien.html", media, folder))
                    problems = draw(name, page, options.out)
                contact_sheet(options.out, name)
                print(f"{name}: {'; '.join(problems) or 'nothing found'}", flush=True)
                found += problems
        finally:
            host.stop()
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
