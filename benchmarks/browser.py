"""Size and speed of the page without a server in Chromium, beside two JavaScript libraries in the same browser.

    npm install --prefix out/peers --ignore-scripts @vladmandic/human@3.3.6 @vladmandic/face-api@1.7.15 \\
        @tensorflow/tfjs-backend-wasm@4.22.0
    python benchmarks/browser.py --peers out/peers/node_modules --camera-minutes 10 --json docs/results/browser.json
    python benchmarks/browser.py --part camera --json docs/results/browser.json
    python tools/generate.py

Parts, each of which starts a browser and stores its figures in the file when it ends, beside those of the others:

- *sizes*: bytes of the folder and of the single file, by what they are for.
- *first*: from an empty cache to the faces of a sample, in a browser profile of its own each time: seconds, and the
  bytes that the host sent.
- *portrait*: faces of 512×512 pixels from a decoded picture, with one thread and with several.
- *camera*: frames that the camera's view analyses while Chromium shows a file as a camera of 640×480 and 30 frames a
  second, and how many it could analyse if the camera were faster.
- *memory*: of the browser while the camera's view runs, twenty times in ``--camera-minutes``.
- *peers*: the page (one thread) and the libraries on the same pictures, in turns, and what each of them loads. They are
  set to what the page does: boxes, landmarks, expressions and ages, nothing else, on the processor. Without ``--peers``
  this part is left out.

Everything is served from this machine and computes on the processor (WebAssembly with SIMD). Ratios hold on a busy
machine as well; times need an idle one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from speed import machine  # noqa: E402

from helpers.browser import FLAGS  # noqa: E402
from helpers.clips import Pan, clip  # noqa: E402
from helpers.pictures import astronaut, hopper  # noqa: E402
from helpers.static_host import StaticHost  # noqa: E402
from mien.files import atomic_path  # noqa: E402
from mien.web.runtime import MODULES, read_runtime  # noqa: E402
from mien.web.site import Site, build_site, write_folder, write_single  # noqa: E402

CHROMIUM = os.environ.get("MIEN_CHROMIUM", "/usr/bin/chromium")
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
LONG = 3_600_000
"""Milliseconds that a step may take."""
CAMERA = (640, 480)
CAMERA_FRAMES = 90
"""Frames of the file that is shown as a camera, over and over."""
FRAMES = [f"frame-{i}.jpg" for i in range(CAMERA_FRAMES // 2)]
"""Frames of such a camera as pictures."""
FACES = {"portrait.png": 1, "two.png": 2, "twelve.png": 12}
"""Picture → faces in it."""
SAMPLES = 20
"""How often memory is measured."""
PARTS = ("sizes", "first", "portrait", "camera", "memory", "peers")

OURS = """
async () => {
  const { start, analyse, openVideo, threads } = await import(new URL("static/networks.js", document.baseURI).href);
  await start();
  const canvas = (width, height) => new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  window.once = async (name) => {
    window.decoded ??= {};
    const picture = (window.decoded[name] ??= await createImageBitmap(await (await fetch(`pictures/${name}`)).blob()));
    const context = canvas(picture.width, picture.height);
    const began = performance.now();
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, picture.width, picture.height);
    const { faces } = await analyse(data.buffer, picture.width, picture.height);
    return { ms: performance.now() - began, faces: faces.length };
  };
  window.frames = async (names, count) => {
    const frames = [];
    for (const name of names) {
      const picture = await createImageBitmap(await (await fetch(`pictures/${name}`)).blob());
      const context = canvas(picture.width, picture.height);
      context.drawImage(picture, 0, 0);
      frames.push(context.getImageData(0, 0, picture.width, picture.height));
    }
    const video = await openVideo({ live: true });
    const step = async (i) => {
      const { data, width, height } = frames[i % frames.length];
      const [{ faces }] = await video.step(data.slice().buffer, width, height, i, i / 25);
      return faces.length;
    };
    for (let i = 0; i < 10; i += 1) await step(i);
    let faces = 0;
    const began = performance.now();
    for (let i = 10; i < count + 10; i += 1) faces += await step(i);
    return { ms: performance.now() - began, faces };
  };
  return threads();
}
"""
PEER = """<!doctype html><title>peer</title><script type="module">
const decoded = {};
const load = async (name) => {
  const image = new Image();
  image.src = `/pictures/${name}`;
  await image.decode();
  return image;
};
%s
window.once = async (name) => {
  const image = (decoded[name] ??= await load(name));
  const began = performance.now();
  const faces = await detect(image);
  return { ms: performance.now() - began, faces };
};
window.ready = true;
</script>"""
HUMAN = """
import Human from "/@vladmandic/human/dist/human.esm.js";
const human = new Human({
  backend: "wasm", wasmPath: "/@tensorflow/tfjs-backend-wasm/dist/", modelBasePath: "/@vladmandic/human/models/",
  cacheSensitivity: 0, filter: { enabled: false }, gesture: { enabled: false }, body: { enabled: false },
  hand: { enabled: false }, object: { enabled: false }, segmentation: { enabled: false },
  face: { enabled: true, detector: { maxDetected: 20 }, iris: { enabled: false }, description: { enabled: true },
    emotion: { enabled: true }, antispoof: { enabled: false }, liveness: { enabled: false } },
});
await human.load();
const detect = async (image) => (await human.detect(image)).face.length;
"""
FACE_API = """
import * as faceapi from "/@vladmandic/face-api/dist/face-api.esm.js";
faceapi.tf.setWasmPaths("/@tensorflow/tfjs-backend-wasm/dist/", true);
await faceapi.tf.setBackend("wasm");
await faceapi.tf.ready();
const models = "/@vladmandic/face-api/model/";
for (const net of ["ssdMobilenetv1", "faceLandmark68Net", "faceExpressionNet", "ageGenderNet"])
  await faceapi.nets[net].loadFromUri(models);
const detect = async (image) =>
  (await faceapi.detectAllFaces(image).withFaceLandmarks().withFaceExpressions().withAgeAndGender()).length;
"""
PEERS = {"@vladmandic/human": HUMAN, "@vladmandic/face-api": FACE_API}


@dataclass(frozen=True)
class Bench:
    """What the parts share.

    Attributes:
        folder: for files.
        site: the page.
        options: of the command.
    """

    folder: Path
    site: Site
    options: argparse.Namespace

    @contextmanager
    def chrome(self) -> Iterator[Any]:
        """A browser of its own."""
        from playwright.sync_api import sync_playwright

        flags = [*FLAGS, "--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={self.camera}"]
        with sync_playwright() as playwright:
            running = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=LONG)
            try:
                yield running
            finally:
                running.close()

    @contextmanager
    def host(self, *, isolated: bool = False) -> Iterator[StaticHost]:
        """The page and the pictures on a static host, with the headers that isolate it or without."""
        running = StaticHost(self.folder / "site", ISOLATION if isolated else {})
        running.start()
        try:
            yield running
        finally:
            running.stop()

    @property
    def camera(self) -> Path:
        return self.folder / "camera.mjpeg"

    def write(self) -> None:
        """The page, the pictures, and what is shown as a camera."""
        write_folder(self.site, self.folder / "site")
        pictures = self.folder / "site" / "pictures"
        pictures.mkdir()
        for name, rgb in drawn_pictures().items():
            Image.fromarray(rgb).save(pictures / name)
        pan = Pan.astronaut(CAMERA, step=(1.0, 0.4), eye_distance=80.0)
        clip(
            self.camera,
            frames=CAMERA_FRAMES,
            # to and fro, because the browser shows the file over and over
            draw=lambda i: pan(min(i, CAMERA_FRAMES - i)),
            codec="mjpeg",
            pix_fmt="yuvj420p",
            container="mjpeg",
        )
        for i, name in enumerate(FRAMES):
            Image.fromarray(pan(i)).save(pictures / name, quality=92)


def drawn_pictures() -> dict[str, np.ndarray]:
    """The pictures: one, two and twelve faces."""
    face = astronaut()
    pair = np.concatenate([face, np.asarray(Image.fromarray(hopper()).resize((437, 512)))], axis=1)
    return {
        "portrait.png": face,
        "two.png": np.ascontiguousarray(pair),
        "twelve.png": np.tile(face[20:220, 120:330], (3, 4, 1)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="repeatable; all without it")
    parser.add_argument("--peers", type=Path, help="the folder node_modules with the libraries")
    parser.add_argument("--rounds", type=int, default=20, help="pictures by each after two that do not count")
    parser.add_argument("--visits", type=int, default=5, help="first visits")
    parser.add_argument("--frames", type=int, default=300, help="camera frames that are timed")
    parser.add_argument("--camera-seconds", type=float, default=20.0, help="how long the camera's view is watched")
    parser.add_argument("--camera-minutes", type=float, default=10.0, help="how long its memory is watched")
    parser.add_argument("--json", type=Path, help="the file of the figures; those of other parts stay in it")
    options = parser.parse_args()
    parts = options.part or [part for part in PARTS if part != "peers" or options.peers]
    if "peers" in parts and not options.peers:
        parser.error("the part 'peers' needs --peers")
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary), build_site(read_runtime()), options)
        bench.write()
        for part in parts:
            about = machine()
            figures = {"machine": about, **globals()[part](bench)}
            print(json.dumps({part: figures}), flush=True)
            if options.json:
                store(options.json, part, figures)


def store(path: Path, part: str, figures: dict[str, Any]) -> None:
    """Put the figures of one part into the file."""
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    document[part] = figures
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def sizes(bench: Bench) -> dict[str, Any]:
    """Bytes as they are sent, by what they are for."""
    site = bench.site
    write_single(site, bench.folder / "mien.html")
    groups = dict.fromkeys(("networks", "runtime", "video reader", "scripts and style", "samples"), 0)
    ort, reader = MODULES
    for name, content in {**site.static, **site.assets}.items():
        kind = "scripts and style"
        if ".onnx" in name:
            kind = "networks"
        elif ".wasm" in name or name == ort:
            kind = "runtime"
        elif name == reader:
            kind = "video reader"
        elif name.endswith(".webp"):
            kind = "samples"
        groups[kind] += len(content)
    groups["scripts and style"] += len(site.index.encode()) + len(site.service_worker.encode())
    single = (bench.folder / "mien.html").stat().st_size
    return {"bytes": groups, "folder_bytes": sum(groups.values()), "single_file_bytes": single}


def first(bench: Bench) -> dict[str, Any]:
    """Seconds and bytes from an empty cache to the first answer."""
    seconds, sent = [], []
    with bench.chrome() as chrome, bench.host() as host:
        for _ in range(bench.options.visits):
            host.sent_bytes = 0
            page = visit(chrome, "about:blank")
            began = time.perf_counter()
            page.goto(host.url)
            page.locator(".sample").nth(1).click()
            page.wait_for_selector(".photo[data-state=done]")
            seconds.append(time.perf_counter() - began)
            # the service worker keeps the files for later
            page.evaluate("navigator.serviceWorker.ready.then(() => true)")
            sent.append(host.sent_bytes)
            page.context.close()
        return {"chromium": chrome.version, "seconds": seconds, "sent_bytes": sent}


def portrait(bench: Bench) -> dict[str, Any]:
    """Milliseconds of a picture with one face, with one thread and with several."""
    with bench.chrome() as chrome, bench.host() as host, bench.host(isolated=True) as isolated:
        pages = [visit(chrome, one.url) for one in (host, isolated)]
        threads = [page.evaluate(OURS) for page in pages]
        times = in_turns(dict(zip(threads, pages, strict=True)), "portrait.png", bench.options.rounds)
        rows = [{"threads": count, "ms": each, "faces": 1} for count, (each, _) in times.items()]
        return {"chromium": chrome.version, "rows": rows}


def camera(bench: Bench) -> dict[str, Any]:
    """Analysed frames per second: of the camera's view, and of frames as fast as they are answered."""
    rows = []
    with bench.chrome() as chrome:
        for isolated in (False, True):
            with bench.host(isolated=isolated) as host:
                page = visit(chrome, host.url)
                threads = page.evaluate(OURS)
                run = page.evaluate("([names, count]) => window.frames(names, count)", [FRAMES, bench.options.frames])
                row = {"threads": threads, "frames_per_second": 1000 * bench.options.frames / run["ms"]}
                row["faces_per_frame"] = run["faces"] / bench.options.frames
                page.context.close()
                page = camera_view(chrome, host)
                before = shown_frames(page)
                page.wait_for_timeout(1000 * bench.options.camera_seconds)
                row["view_frames_per_second"] = (shown_frames(page) - before) / bench.options.camera_seconds
                row["view_seconds"] = bench.options.camera_seconds
                rows.append(row)
                page.context.close()
        return {"chromium": chrome.version, "rows": rows}


def memory(bench: Bench) -> dict[str, Any]:
    """Megabytes while the camera's view runs: of the page's process, and of its JavaScript after it was tidied."""
    minutes = bench.options.camera_minutes
    resident_mb, heap_mb, at = [], [], []
    with bench.chrome() as chrome, bench.host() as host:
        page = camera_view(chrome, host)
        processes = chrome.new_browser_cdp_session()
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.enable")
        before, began = shown_frames(page), time.monotonic()
        for i in range(SAMPLES + 1):
            page.wait_for_timeout(max(0.0, 1000 * (60 * minutes * i / SAMPLES - (time.monotonic() - began))))
            session.send("HeapProfiler.collectGarbage")
            heap_mb.append(session.send("Runtime.getHeapUsage")["usedSize"] / 1e6)
            listed = processes.send("SystemInfo.getProcessInfo")["processInfo"]
            resident_mb.append(sum(resident(one["id"]) for one in listed if one["type"] == "renderer"))
            at.append((time.monotonic() - began) / 60)
        frames = shown_frames(page) - before
        return {
            "chromium": chrome.version,
            "minutes": at,
            "resident_mb": resident_mb,
            "heap_mb": heap_mb,
            "frames": frames,
        }


def peers(bench: Bench) -> dict[str, Any]:
    """The page and the libraries on the same pictures, in turns; and bytes and seconds of their first visits."""
    modules = bench.options.peers
    folder = bench.folder / "peers"
    folder.mkdir()
    for name in ("@vladmandic", "@tensorflow"):
        (folder / name).symlink_to((modules / name).resolve())
    (folder / "pictures").symlink_to(bench.folder / "site" / "pictures")
    for name, script in PEERS.items():
        (folder / f"{name.rsplit('/', 1)[1]}.html").write_text(PEER % script)
    libraries = StaticHost(folder)
    libraries.start()
    try:
        with bench.chrome() as chrome, bench.host() as host:
            hosts = {"mien": host, **dict.fromkeys(PEERS, libraries)}
            pages, loaded = {}, {}
            for name, one in hosts.items():
                one.sent_bytes = 0
                page = visit(chrome, one.url if name == "mien" else f"{one.url}{name.rsplit('/', 1)[1]}.html")
                if name == "mien":
                    page.evaluate(OURS)
                else:
                    page.wait_for_function("window.ready === true", timeout=LONG)
                loaded[name], pages[name] = one.sent_bytes, page
            rows = []
            for picture, faces in FACES.items():
                times = in_turns(pages, picture, bench.options.rounds)
                own = times["mien"][0]
                if times["mien"][1] != faces:
                    raise SystemExit(f"mien found {times['mien'][1]} faces in {picture}, which has {faces}")
                for name, (each, found) in times.items():
                    ratios = [theirs / ours for theirs, ours in zip(each, own, strict=True)]
                    rows.append(
                        {"picture": picture, "library": name, "ms": each, "found": found, "faces": faces}
                        | {"times_ours": statistics.median(ratios)}
                    )
            versions = {
                name: json.loads((modules / name / "package.json").read_text(encoding="utf-8"))["version"]
                for name in PEERS
            }
            return {"chromium": chrome.version, "versions": versions, "loaded_bytes": loaded, "rows": rows}
    finally:
        libraries.stop()


def visit(chrome: Any, url: str) -> Any:
    """A page in a browser profile of its own."""
    page = chrome.new_context().new_page()
    page.set_default_timeout(LONG)
    page.goto(url)
    return page


def in_turns(pages: dict[Any, Any], picture: str, rounds: int) -> dict[Any, tuple[list[float], int]]:
    """Name → milliseconds of each round after the first two, and the faces that were found."""
    times: dict[Any, list[float]] = {name: [] for name in pages}
    found = {}
    for i in range(rounds + 2):
        for name, page in pages.items():
            once = page.evaluate("(name) => window.once(name)", picture)
            found[name] = once["faces"]
            if i >= 2:
                times[name].append(once["ms"])
    return {name: (times[name], found[name]) for name in pages}


COUNT = """
() => {
  window.shown = 0;
  // it is written with every answer
  const rate = document.querySelector("#camera-rate");
  new MutationObserver(() => (window.shown += 1)).observe(rate, { childList: true });
}
"""


def camera_view(chrome: Any, host: StaticHost) -> Any:
    """The camera's view while it runs and shows a face."""
    page = visit(chrome, f"{host.url}#camera")
    page.context.grant_permissions(["camera"], origin=host.url)
    page.evaluate(COUNT)
    page.locator("#camera-start").click()
    page.wait_for_selector("#camera-faces .face")
    page.wait_for_timeout(3000)
    return page


def shown_frames(page: Any) -> int:
    """Frames that the camera's view has shown the answer of."""
    return int(page.evaluate("window.shown"))


def resident(pid: int) -> float:
    """Resident megabytes of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
