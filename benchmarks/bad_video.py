"""What damaged, odd and vanishing videos get: every case is made afresh, given to the commands, its answer printed.

python benchmarks/bad_video.py > docs/bad-video.md

Needs Linux (`ulimit` stands for a full disk). Servers listen on this machine alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import cv2
import numpy as np

from helpers.clips import Pan, clip, scrambled, shortened, sound

SIZE = (320, 240)
FACE = Pan.astronaut(SIZE, step=(0.4, 0.1))


def make(folder: Path) -> None:
    good = clip(folder / "good.mp4", frames=75, draw=FACE, audio=3.0)
    mkv = clip(folder / "good.mkv", frames=75, draw=FACE)
    for source, name in ((good, "cut.mp4"), (mkv, "cut.mkv"), (mkv, "scrambled.mkv")):
        shutil.copy(source, folder / name)
    shortened(folder / "cut.mp4")
    shortened(folder / "cut.mkv")
    scrambled(folder / "scrambled.mkv", 0.4, 0.5)
    stream = clip(folder / "scrambled.ts", frames=75, draw=FACE)
    scrambled(stream, 0.4, 0.5)
    sound(folder / "sound.mp4")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("dear diary\n" * 99)
    clip(
        folder / "one-pixel.mkv",
        frames=5,
        size=(1, 1),
        draw=lambda i: np.full((1, 1, 3), 90, np.uint8),
        codec="ffv1",
        pix_fmt="bgr0",
    )
    clip(folder / "odd.mkv", frames=10, draw=Pan.astronaut((321, 241)), codec="ffv1", pix_fmt="bgr0")
    clip(folder / "ten-bit.mkv", frames=10, draw=FACE, pix_fmt="yuv420p10le")
    clip(folder / "full-range.mp4", frames=10, draw=FACE, pix_fmt="yuvj420p")
    parts = [
        clip(folder / f"part{k}.ts", times=[k * 0.8 + i / 25 for i in range(20)], draw=Pan.astronaut(size))
        for k, size in enumerate((SIZE, (480, 360)))
    ]
    (folder / "two-sizes.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    # Matroska's header, up to its first cluster of frames
    (folder / "no-frames.mkv").write_bytes(mkv.read_bytes().split(b"\x1f\x43\xb6\x75")[0])
    (folder / "nothing").mkdir()
    (folder / "pictures").mkdir()
    for i in range(6):
        cv2.imwrite(str(folder / "pictures" / f"{i}.jpg"), cv2.cvtColor(FACE(i), cv2.COLOR_RGB2BGR))
    shortened(folder / "pictures" / "3.jpg", 0.3)


CALLS = (
    ("the file ends early, and its index was at the end", "analyze cut.mp4"),
    ("the file ends early", "analyze cut.mkv --csv rows.csv"),
    ("a damaged stretch in the middle", "analyze scrambled.mkv --csv rows.csv"),
    ("the same in a transport stream", "analyze scrambled.ts --csv rows.csv"),
    ("sound alone", "analyze sound.mp4"),
    ("a video track without a frame", "analyze no-frames.mkv"),
    ("an empty file", "analyze empty.mp4"),
    ("text", "analyze text.mp4"),
    ("no such file", "analyze absent.mp4"),
    ("a folder without pictures", "analyze nothing --sequence 25"),
    ("one of the numbered pictures is damaged", "analyze pictures --sequence 25 --csv rows.csv"),
    ("one pixel", "analyze one-pixel.mkv --csv rows.csv --save out.mp4"),
    ("odd width and height", "analyze odd.mkv --csv rows.csv --save out.mp4"),
    ("another size in the middle", "analyze two-sizes.ts --csv rows.csv --save out.mp4"),
    ("ten bits a colour", "analyze ten-bit.mkv --csv rows.csv"),
    ("full-range colour", "analyze full-range.mp4 --csv rows.csv"),
    ("one bad clip among others", "analyze text.mp4 good.mp4 --csv rows.csv"),
    ("a start after the end", "analyze good.mp4 --start 100 --csv rows.csv"),
    ("the disk is full: the table", "FULL analyze good.mp4 --csv rows.csv"),
    ("the disk is full: the annotated video", "FULL analyze good.mp4 --save out.mp4"),
    ("to resume nothing", "analyze good.mp4 --resume"),
    ("to resume another call", "SECOND analyze good.mp4 --report report --every 2 --resume"),
    ("no such camera", "live 9"),
    ("no one listens there", "live http://127.0.0.1:9/video --seconds 20"),
    ("the stream ends after 30 frames and comes back", "live {url}/ends --seconds 8 --json"),
    ("the stream stalls after 30 frames", "live {url}/stalls --seconds 25 --json"),
    ("the camera disappears for good", "live {url}/once --json"),
)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Motion JPEG that ends, stalls, or is there only once."""
    pictures = [cv2.imencode(".jpg", cv2.cvtColor(FACE(i), cv2.COLOR_RGB2BGR))[1].tobytes() for i in range(30)]
    seen: set[str] = set()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/once" and self.path in seen:
                self.send_error(404)
                return
            seen.add(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with contextlib.suppress(OSError):
                for jpeg in pictures:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                    self.wfile.write(head + jpeg + b"\r\n")
                    time.sleep(0.04)
                if self.path == "/stalls":
                    time.sleep(60)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()


def answered(call: str, folder: Path, url: str) -> tuple[int, str, str]:
    """Exit code, what was printed on stderr, and what was done all the same."""
    for name in ("rows.csv", "out.mp4"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "out.mp4.parts", ignore_errors=True)
    limit = ""
    if call.startswith("FULL "):
        call, limit = call.removeprefix("FULL "), "ulimit -f 12; "
    if call.startswith("SECOND "):
        call = call.removeprefix("SECOND ")
        subprocess.run(
            [sys.executable, "-m", "mien", "analyze", "good.mp4", "--report", "report"], cwd=folder, capture_output=True
        )
    command = f"{limit}{sys.executable} -m mien {call.format(url=url)}"
    environment = os.environ | {"COLUMNS": "200"}
    run = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, env=environment)
    if "Traceback" in run.stderr:
        raise SystemExit(f"{call}: ended in a traceback:\n{run.stderr}")
    done = []
    if (folder / "rows.csv").is_file():
        lines = (folder / "rows.csv").read_text(encoding="utf-8").splitlines()
        done.append(f"{max(len(lines) - 1, 0)} rows written")
    if "--json" in call:
        done.append(f"{run.stdout.count(chr(10))} frames printed")
    return run.returncode, run.stderr, ", ".join(done)


def main() -> None:
    print("# Damaged, odd and vanishing videos\n")
    print("Every case is made and run by `python benchmarks/bad_video.py`; no call ends in a traceback, and what was")
    print("analysed before is kept.\n")
    print("| case | call | exit code | printed on stderr |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, server() as url:
        folder = Path(name)
        make(folder)
        for case, call in CALLS:
            code, message, done = answered(call, folder, url)
            lines = [
                re.sub(
                    r"/\S*/tmp\w+/?|/tmp/\w+/?|127\.0\.0\.1:\d\d\d+",
                    lambda m: "127.0.0.1" if "127" in m[0] else "",
                    line,
                )
                for line in message.splitlines()
            ]
            shown = call.replace("FULL ", "").replace("SECOND ", "").format(url="http://127.0.0.1")
            note = f" *({done})*" if done else ""
            print(f"| {case} | `mien {shown}` | {code} | {'<br>'.join(lines).replace('|', '∣')}{note} |", flush=True)


if __name__ == "__main__":
    main()
