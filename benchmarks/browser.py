"""Size and speed of the page without a server in Chromium, beside two JavaScript libraries in the same browser.

    npm install --prefix out/peers --ignore-scripts @vladmandic/human@3.3.6 @vladmandic/face-api@1.7.15 \\
        @tensorflow/tfjs-backend-wasm@4.22.0
    python benchmarks/browser.py --peers out/peers/node_modules --json out/browser.json
    python benchmarks/browser.py --camera-minutes 10 --json out/browser.json

Everything is served from this machine, computes on the processor (WebAssembly with SIMD), and takes turns: a round is
one picture by each. Ratios hold on a busy machine as well; times need an idle one. Without ``--peers`` only the page is
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.browser import FLAGS  # noqa: E402
from helpers.pictures import astronaut  # noqa: E402
from helpers.static_host import StaticHost  # noqa: E402
from mien.web.runtime import read_runtime  # noqa: E402
from mien.web.site import build_site, write_folder, write_single  # noqa: E402

CHROMIUM = os.environ.get("MIEN_CHROMIUM", "/usr/bin/chromium")
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
LONG = 3_600_000
"""Milliseconds that a step may take."""

OURS = """
async () => {
  const { start, analyse, openVideo, threads } = await import(new URL("static/networks.js", document.baseURI).href);
  await start();
  const pixels = async (url, width, height) => {
    const bitmap = await createImageBitmap(await (await fetch(url)).blob());
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  const portrait = await pixels("portrait.png", 512, 512);
  const frame = await pixels("portrait.png", 640, 480);
  let video = await openVideo({ live: true });
  let n = 0;
  window.once = async () => {
    const copy = portrait.slice();
    const began = performance.now();
    const { faces } = await analyse(copy.buffer, 512, 512);
    return { ms: performance.now() - began, faces: faces.length };
  };
  window.frames = async (count) => {
    const began = performance.now();
    for (let i = 0; i < count; i += 1, n += 1) await video.step(frame.slice().buffer, 640, 480, n, n / 25);
    return performance.now() - began;
  };
  return threads();
}
"""
PEER = """<!doctype html><title>peer</title><script type="module">
const load = async () => {
  const image = new Image();
  image.src = "/portrait.png";
  await image.decode();
  return image;
};
%s
window.ready = true;
</script>"""
HUMAN = """
import Human from "/@vladmandic/human/dist/human.esm.js";
const human = new Human({
  backend: "wasm", wasmPath: "/@tensorflow/tfjs-backend-wasm/dist/", modelBasePath: "/@vladmandic/human/models/",
  cacheSensitivity: 0, filter: { enabled: false }, gesture: { enabled: false }, body: { enabled: false },
  hand: { enabled: false }, object: { enabled: false }, segmentation: { enabled: false },
  face: { enabled: true, iris: { enabled: false }, description: { enabled: true }, emotion: { enabled: true },
    antispoof: { enabled: false }, liveness: { enabled: false } },
});
await human.load();
const image = await load();
window.once = async () => {
  const began = performance.now();
  const { face } = await human.detect(image);
  return { ms: performance.now() - began, faces: face.length };
};
"""
FACE_API = """
import * as faceapi from "/@vladmandic/face-api/dist/face-api.esm.js";
faceapi.tf.setWasmPaths("/@tensorflow/tfjs-backend-wasm/dist/", true);
await faceapi.tf.setBackend("wasm");
await faceapi.tf.ready();
const models = "/@vladmandic/face-api/model/";
for (const net of ["ssdMobilenetv1", "faceLandmark68Net", "faceExpressionNet", "ageGenderNet"])
  await faceapi.nets[net].loadFromUri(models);
const image = await load();
window.once = async () => {
  const began = performance.now();
  const faces = await faceapi.detectAllFaces(image).withFaceLandmarks().withFaceExpressions().withAgeAndGender();
  return { ms: performance.now() - began, faces: faces.length };
};
"""
PEERS = {"@vladmandic/human": HUMAN, "@vladmandic/face-api": FACE_API}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="the folder node_modules with the libraries")
    parser.add_argument("--rounds", type=int, default=20, help="pictures by each after two that do not count")
    parser.add_argument("--frames", type=int, default=200, help="camera frames that are timed")
    parser.add_argument("--camera-minutes", type=float, default=1.0, help="how long memory is watched")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(Path(temporary), options)
    print(table(figures))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    site = build_site(read_runtime())
    write_folder(site, folder / "site")
    write_single(site, folder / "mien.html")
    Image.fromarray(astronaut()).resize((512, 512)).save(folder / "portrait.png")
    (folder / "site" / "portrait.png").write_bytes((folder / "portrait.png").read_bytes())
    plain, isolated = StaticHost(folder / "site"), StaticHost(folder / "site", ISOLATION)
    plain.start()
    isolated.start()
    figures: dict[str, Any] = {"single_file_bytes": (folder / "mien.html").stat().st_size, "libraries": {}}
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        figures["chromium"] = chrome.version
        figures |= first_visit(chrome, plain)
        pages = {"mien": prepared(chrome, plain.url), "mien, threads": prepared(chrome, isolated.url)}
        figures["threads"] = pages["mien, threads"].evaluate(OURS)
        pages["mien"].evaluate(OURS)
        peers = options.peers and peer_host(folder / "peers", options.peers, folder / "portrait.png")
        for name in PEERS if peers else ():
            pages[name] = prepared(chrome, f"{peers.url}{name.rsplit('/', 1)[1]}.html")
            pages[name].wait_for_function("window.ready === true", timeout=LONG)
        times: dict[str, list[float]] = {name: [] for name in pages}
        for i in range(options.rounds + 2):
            for name, page in pages.items():
                once = page.evaluate("window.once()")
                if once["faces"] != 1:
                    raise SystemExit(f"{name} found {once['faces']} faces in a portrait")
                if i >= 2:
                    times[name].append(once["ms"])
        ours = times["mien"]
        for name, values in times.items():
            ratio = statistics.median(value / own for value, own in zip(values, ours, strict=True))
            figures["libraries"][name] = {"portrait_ms": statistics.median(values), "times_ours": ratio}
        for name in ("mien", "mien, threads"):
            pages[name].evaluate("window.frames(10)")
            seconds = pages[name].evaluate(f"window.frames({options.frames})") / 1000
            figures["libraries"][name]["camera_frames_per_second"] = options.frames / seconds
        figures["memory"] = memory(chrome, pages["mien"], options.camera_minutes)
        chrome.close()
    for host in (plain, isolated, *([peers] if peers else [])):
        host.stop()
    return figures


def prepared(chrome: Any, url: str) -> Any:
    """A page in a browser profile of its own."""
    page = chrome.new_context().new_page()
    page.set_default_timeout(LONG)
    page.goto(url)
    return page


def first_visit(chrome: Any, host: StaticHost) -> dict[str, Any]:
    """Bytes and time from an empty cache to the first answer."""
    page = chrome.new_context().new_page()
    page.set_default_timeout(LONG)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    received = [0]
    session.on(
        "Network.loadingFinished", lambda event: received.__setitem__(0, received[0] + event["encodedDataLength"])
    )
    began = time.perf_counter()
    page.goto(host.url)
    page.locator(".sample").nth(1).click()
    page.wait_for_selector(".photo[data-state=done]")
    return {"first_answer_seconds": time.perf_counter() - began, "transfer_bytes": round(received[0])}


def peer_host(folder: Path, modules: Path, portrait: Path) -> StaticHost:
    """The libraries as a static host."""
    folder.mkdir()
    for name in ("@vladmandic", "@tensorflow"):
        (folder / name).symlink_to((modules / name).resolve())
    (folder / "portrait.png").write_bytes(portrait.read_bytes())
    for name, script in PEERS.items():
        (folder / f"{name.rsplit('/', 1)[1]}.html").write_text(PEER % script)
    host = StaticHost(folder)
    host.start()
    return host


def memory(chrome: Any, page: Any, minutes: float) -> dict[str, Any]:
    """Resident memory of the browser's renderers while the camera's frames are analysed, MB, ten values."""
    session = chrome.new_browser_cdp_session()
    values = []
    end = time.monotonic() + 60 * minutes
    step, at = 6 * minutes, time.monotonic()
    frames = 0
    while time.monotonic() < end or len(values) < 2:
        page.evaluate("window.frames(25)")
        frames += 25
        if time.monotonic() >= at:
            at += step
            processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
            values.append(sum(resident(one["id"]) for one in processes if one["type"] == "renderer"))
    return {"minutes": minutes, "frames": frames, "megabytes": values}


def resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def table(figures: dict[str, Any]) -> str:
    lines = [
        f"Chromium {figures['chromium']}, {figures['threads']} threads where the page is isolated",
        f"transfer of the first visit: {figures['transfer_bytes'] / 1e6:.1f} MB; single file: "
        f"{figures['single_file_bytes'] / 1e6:.1f} MB",
        f"first answer from an empty cache: {figures['first_answer_seconds']:.1f} s",
        "",
        "| | portrait 512×512, ms | times ours | camera 640×480, frames/s |",
        "|---|---:|---:|---:|",
    ]
    for name, row in figures["libraries"].items():
        rate = row.get("camera_frames_per_second")
        fast = "" if rate is None else f"{rate:.0f}"
        lines.append(f"| {name} | {row['portrait_ms']:.0f} | {row['times_ours']:.2f} | {fast} |")
    watched = figures["memory"]
    values = watched["megabytes"]
    lines += [
        "",
        f"memory of the renderers over {watched['minutes']:g} minutes and {watched['frames']:,} camera frames: "
        f"{values[0]:.0f} → {values[-1]:.0f} MB (greatest {max(values):.0f})",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
