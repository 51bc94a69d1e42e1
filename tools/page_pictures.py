"""Draws docs/images/page-*.webp: the page in Chromium with public-domain portraits. Run it when the page changes.

python tools/page_pictures.py
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import SECONDS, Media, Service, browser  # noqa: E402

CHROMIUM = Path(os.environ.get("MIEN_CHROMIUM", "/usr/bin/chromium"))
QUALITY = 82


def save_screenshot(page: Any, name: str) -> None:
    """Save what the page shows as a small file."""
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    target = ROOT / "docs" / "images" / f"page-{name}.webp"
    picture.save(target, quality=QUALITY, method=6)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        media, service = Media.made(Path(folder)), Service(largest=None)
        service.start()
        try:
            with browser(CHROMIUM, media.camera) as chrome:
                draw(chrome, service, media)
        finally:
            service.stop()


def draw(chrome: Any, service: Service, media: Media) -> None:
    def visit(view: str, scheme: str, height: int, width: int = 1080) -> Any:
        context = chrome.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
        context.grant_permissions(["camera"], origin=service.url)
        context.set_default_timeout(1000 * SECONDS)
        page = context.new_page()
        page.goto(f"{service.url}#{view}")
        page.wait_for_selector("#server[data-state=ready]")
        return page

    photos = visit("photos", "light", 1000)
    photos.set_input_files("#photo-files", str(media.stern))
    photos.wait_for_selector(".photo[data-state=done]")
    save_screenshot(photos, "photos")

    camera = visit("camera", "dark", 930)
    camera.click("#camera-start")
    camera.wait_for_selector("#camera-faces .face")
    camera.wait_for_timeout(8000)  # of the timeline
    save_screenshot(camera, "camera")

    clip = visit("clip", "light", 1200)
    clip.set_input_files("#clip-file", str(media.clip))
    clip.wait_for_selector("#clip-result:not([hidden])")
    clip.get_by_role("slider").press("ArrowRight")
    clip.get_by_role("heading", name="Clip").focus()
    clip.wait_for_timeout(1000)  # for the browser to show the frame
    save_screenshot(clip, "clip")


if __name__ == "__main__":
    main()
