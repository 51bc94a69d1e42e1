"""How the service answers attacks; each one is made on a real process.

    make serve-attacks                                                          # the table in docs/serve.md, 3 minutes
    python benchmarks/serve_attacks.py --json docs/results/serve_attacks.json       # 10,000 corrupt pictures among it
    python benchmarks/serve_attacks.py --pictures 200                               # quicker

After each attack the service has to answer a photo as it did before. Any answer that is neither a problem (4xx, or 503
with Retry-After) nor, for corrupt pictures that can still be decoded, a result ends the run with an error.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import machine_load
import numpy as np
from PIL import Image
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from costly_pictures import FILMS, PHOTOS
from public_portraits import portrait

from helpers.hostile import KINDS, bomb, chunk, corrupted, png, saved

PATIENCE = 120.0
OTHERS_SECONDS = 60.0
"""Seconds that an ordinary photo may wait at most while a costly one is decoded, on a busy machine."""
OPTIONS = ("--threads", "2", "--quiet", "--max-rate", "0", "--max-header-seconds", "2", "--max-idle-seconds", "2",
           "--max-connections", "120", "--max-body-bytes", "4000000", "--max-video-bytes", "4000000",
           "--max-keep-alive-seconds", "2")  # fmt: skip


@contextlib.contextmanager
def running_service(*options: str) -> Iterator[tuple[int, int]]:
    """(port, process) of a service."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = re.search(r":(\d+) ", line)
        if port is None:
            raise SystemExit(f"the service did not start: {line}")
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        try:
            yield int(port[1]), process.pid
        finally:
            process.terminate()
            if process.wait(PATIENCE) != 0:
                raise SystemExit("the service did not end with code 0")


def portrait_bytes(side: int = 160) -> bytes:
    with Image.open(portrait()) as opened:
        face = opened.convert("RGB").crop((150, 40, 310, 200)).resize((side, side))
    stream = io.BytesIO()
    face.save(stream, "JPEG", quality=90)
    return stream.getvalue()


class Target:
    """The service under attack."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.good = portrait_bytes()

    def post(self, body: Any, kind: str = "image/jpeg", path: str = "/v1/analyze", **headers: str) -> str:
        """The answer: status and code of the problem."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", path, body, {"Content-Type": kind, **named})
            answer = connection.getresponse()
            return describe_answer(answer.status, answer.read(), dict(answer.getheaders()))

    def raw(self, *pieces: bytes, pause: float = 0.0) -> str:
        """The answer to bytes on a bare socket."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65_536):
                    answer += part
        if not answer:
            return "connection closed"
        head, _, body = answer.partition(b"\r\n\r\n")
        return describe_answer(int(answer[9:12]), body, {"content-type": head.decode("latin-1")})

    def healthy(self) -> bool:
        stop = time.monotonic() + PATIENCE
        while time.monotonic() < stop:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.post(self.good) == "200":
                    return True
        return False


def describe_answer(status: int, body: bytes, headers: dict[str, str]) -> str:
    if status < 400:
        return str(status)
    text = " ".join(f"{name}: {value}" for name, value in headers.items()).lower()
    if "application/problem+json" not in text:
        raise SystemExit(f"{status} without problem details: {body[:200]!r}")
    code = json.loads(body)["code"]
    if status >= 500 and not (status == 503 and "retry-after" in text):
        raise SystemExit(f"{status} {code}: {body[:200]!r}")
    return f"{status} {code}"


HEAD = b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FORM = "multipart/form-data; boundary=B"
FILE = b'--B\r\nContent-Disposition: form-data; name="image"; filename="../../etc/passwd"\r\n\r\n'
END = b"\r\n--B--\r\n"


def simple(target: Target) -> dict[str, Callable[[], str]]:
    """Attack → the function that makes it, which returns the answer."""
    post, raw, good = target.post, target.raw, target.good
    fields = b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 2000 + b"--B--\r\n"
    smuggled = b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET"

    def get(path: bytes, host: bytes = b"127.0.0.1") -> str:
        return raw(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")

    def as_json(given: Any, path: str = "/v1/analyze") -> str:
        return post(json.dumps(given), "application/json", path)

    return {
        "bytes that are no HTTP": lambda: raw(b"\x16\x03\x01\x02\x00" + b"\0" * 100 + b"\r\n\r\n"),
        "a header of 100 KB": lambda: raw(GET + b"X-A: " + b"a" * 100_000 + b"\r\nConnection: close\r\n\r\n"),
        "20,000 headers": lambda: raw(GET + b"X-A: b\r\n" * 20_000 + b"\r\n"),
        "a path of 100 KB": lambda: get(b"/" + b"a" * 100_000),
        "a head that never ends": lambda: raw(GET + b"X-A: "),
        "a head in drops, one each 0.1 s": lambda: raw(GET, *[b"X-A: b\r\n"] * 60, pause=0.1),
        "a body that never comes": lambda: raw(HEAD + b"Content-Length: 1000\r\n\r\n"),
        "a chunked body that stops": lambda: raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
        "two lengths": lambda: raw(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        "a length and chunks (smuggling)": lambda: raw(HEAD + smuggled),
        "a negative length": lambda: raw(HEAD + b"Content-Length: -5\r\n\r\n"),
        "another host's name (DNS rebinding)": lambda: get(b"/", b"evil.example"),
        "a page of another site posts": lambda: post(good, Origin="https://evil.example"),
        "a page of another site opens /v1/live": lambda: live_from_elsewhere(target),
        "a body over the limit": lambda: post(b"x" * 5_000_000),
        "a chunked body over the limit": lambda: post(iter([b"x" * 100_000] * 60)),
        "a gzip bomb as body": lambda: post(zlib.compress(b"\0" * 10_000_000), Content_Encoding="gzip"),
        "a PNG that declares 60,000 × 60,000": lambda: post(bomb()),
        "a PNG of 8,000 × 8,000 zeros in 190 KB": lambda: post(png(8000, 8000, packed_zeros(8000, 8000))),
        "a PNG of 5,000 × 5,000 zeros, just within the limit": lambda: post(png(5000, 5000, packed_zeros(5000, 5000))),
        "a PNG with 8,000 × 3,000 declared, no data": lambda: post(png(8000, 3000, b"")),
        "a PNG with a text chunk of 200 MB, packed": lambda: post(text_bomb()),
        "17 pictures where 16 are allowed": lambda: post((FILE + b"x\r\n") * 17 + b"--B--\r\n", FORM),
        "a form with 2,000 fields": lambda: post(fields, FORM),
        "a form without its end": lambda: post(FILE + good, FORM),
        "a form part with a header of 50 KB": lambda: post(b"--B\r\nX: " + b"a" * 50_000 + b"\r\n\r\n" + END, FORM),
        "a form with 3.9 MB before its first part": lambda: post(b"x\r\n" * 1_300_000 + FILE + good + END, FORM),
        "a form with another boundary": lambda: post(FILE + good + END, FORM.replace("=B", "=C")),
        "a file named ../../etc/passwd (the name is not looked at)": lambda: post(FILE + good + END, FORM),
        "JSON nested 500,000 deep": lambda: post(b"[" * 500_000, "application/json"),
        "JSON of 700,000 empty objects": lambda: post(b'{"images":[' + b"{}," * 700_000 + b"{}]}", "application/json"),
        "a path instead of base64": lambda: as_json({"images": ["/etc/passwd"]}),
        "an address instead of base64": lambda: as_json({"images": ["http://169.254.169.254/"]}),
        "deepface's img_path with a path": lambda: as_json({"img_path": "/etc/passwd"}, "/analyze"),
        "deepface's img with an address": lambda: as_json({"img": "file:///etc/passwd"}, "/analyze"),
        "a path out of the page's files": lambda: get(b"/static/..%2f..%2fpyproject.toml"),
        "guessing the number of a video": lambda: get(b"/v1/videos/1/result"),
        "a video over the limit": lambda: post(iter([b"x" * 100_000] * 60), "video/mp4", "/v1/videos"),
        "a video that is a playlist of local files": lambda: video(target, PLAYLIST),
        "a video that is a list of files (ffconcat)": lambda: video(target, CONCAT),
        "a video that is noise": lambda: video(target, np.random.default_rng(0).bytes(200_000)),
    }


PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"


def packed_zeros(width: int, height: int) -> bytes:
    return zlib.compress(b"\0" * (3 * width + 1) * height, 9)


def costly(target: Target) -> dict[str, Callable[[], str]]:
    """As `simple`: files that would take long to decode, and what others wait meanwhile."""

    def photo(made: Callable[[], bytes]) -> Callable[[], str]:
        return lambda: meanwhile(target, lambda data: target.post(data), made())

    def film(made: Callable[[], bytes]) -> Callable[[], str]:
        return lambda: meanwhile(target, lambda data: video(target, data), made())

    attacks = {name: photo(made) for name, made in PHOTOS.items()} | {name: film(made) for name, made in FILMS.items()}
    attacks["a video that is deleted while it is decoded"] = lambda: deleted(target)
    return attacks


def meanwhile(target: Target, attack: Callable[[bytes], str], data: bytes) -> str:
    """The answer to an attack, made twice at once while others send photos."""
    answers: Counter[str] = Counter()

    def one() -> None:
        answers[attack(data)] += 1

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    waited = 0.0
    while any(thread.is_alive() for thread in threads):
        began = time.perf_counter()
        if target.post(target.good) != "200":
            raise SystemExit("a photo was not answered meanwhile")
        waited = max(waited, time.perf_counter() - began)
    if waited > OTHERS_SECONDS:
        raise SystemExit(f"a photo waited {waited:.1f} s meanwhile")
    return ", ".join(answers)


def deleted(target: Target) -> str:
    """Delete a video while a picture in it is decoded."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        data = FILMS["a Motion JPEG of pictures of 540 scans"]()
        connection.request("POST", "/v1/videos", data, {"Content-Type": "video/x-msvideo"})
        here = f"/v1/{json.loads(connection.getresponse().read())['links']['self']}"
        time.sleep(1.0)
        began = time.perf_counter()
        connection.request("DELETE", here)
        answer = connection.getresponse()
        answer.read()
    seconds = time.perf_counter() - began
    if seconds > OTHERS_SECONDS:
        raise SystemExit(f"deleting took {seconds:.1f} s")
    return str(answer.status)


def text_bomb() -> bytes:
    """A PNG of one pixel whose compressed text would be 200 MB."""
    body = b"Comment\0\0" + zlib.compress(b"a" * 200_000_000, 9)
    whole = png(1, 1, zlib.compress(b"\0" * 4))
    return whole[:33] + chunk(b"zTXt", body) + whole[33:]


def video(target: Target, data: bytes) -> str:
    """Send a video and wait for what becomes of it."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/videos", data, {"Content-Type": "video/mp4"})
        state = json.loads(connection.getresponse().read())
        here, stop = f"/v1/{state['links']['self']}", time.monotonic() + PATIENCE
        while state["status"] in ("queued", "running"):
            if time.monotonic() > stop:
                raise SystemExit("a video did not end")
            time.sleep(0.05)
            connection.request("GET", here)
            state = json.loads(connection.getresponse().read())
        connection.request("DELETE", here)
        connection.getresponse().read()
    error = state.get("error", {})
    return f"202, then {state['status']}: {error.get('status')} {error.get('type', '').rpartition(':')[2]}"


def live_from_elsewhere(target: Target) -> str:
    try:
        with connect(f"ws://127.0.0.1:{target.port}/v1/live", origin="https://evil.example", open_timeout=PATIENCE):
            return "open"
    except InvalidStatus as refused:
        answer = refused.response
        return describe_answer(answer.status_code, bytes(answer.body or b""), dict(answer.headers))


def slow_crowd(target: Target) -> str:
    """100 uploads that stall, at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE))
            one.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
        began = time.perf_counter()
        status = target.raw(GET.replace(b"GET /", b"GET /healthz") + b"Connection: close\r\n\r\n")
        return f"{status} for others, after {1000 * (time.perf_counter() - began):.0f} ms"


def connections(target: Target) -> str:
    """400 connections that send nothing, at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE))
        time.sleep(1.0)
        began = time.perf_counter()
        status = target.post(target.good)
        return f"{status} for a photo meanwhile, after {1000 * (time.perf_counter() - began):.0f} ms"


def flood(target: Target) -> str:
    """300 requests of large photos at once."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)).save(stream, "JPEG")
    answers: Counter[str] = Counter()
    lock = threading.Lock()

    def one() -> None:
        try:
            answer = target.post(stream.getvalue())
        except (OSError, http.client.HTTPException):
            answer = "connection closed"
        with lock:
            answers[answer] += 1

    threads = [threading.Thread(target=one) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return ", ".join(f"{n} × {answer}" for answer, n in answers.most_common())


def corrupt(target: Target, n: int, seed: int = 0) -> str:
    """Pictures with bytes changed, cut, doubled or made up."""
    rng = np.random.default_rng(seed)
    with Image.open(io.BytesIO(target.good)) as opened:
        small = opened.resize((64, 64))
    originals = [saved(np.asarray(small), kind) for kind in KINDS]
    answers: Counter[str] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=PATIENCE)
    for i in range(n):
        data = corrupted(originals[i % len(originals)], rng)
        connection.request("POST", "/v1/analyze", data, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        answers[describe_answer(answer.status, answer.read(), dict(answer.getheaders()))] += 1
    connection.close()
    return ", ".join(f"{count:,} × {answer}" for answer, count in answers.most_common())


def memory_mb(process: int, what: str = "VmRSS") -> float:
    """Resident now; what="VmHWM" for the most it ever was."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(rf"{what}:\s+(\d+)", text)[0]) / 1024


def crowds(target: Target, pictures: int, row: Callable[[str, str, Target], None]) -> None:
    row("100 uploads that stall at once", slow_crowd(target), target)
    row("400 silent connections", connections(target), target)
    row("300 photos at once, where 120 connections and 32 requests an address are allowed", flood(target), target)
    row(f"{pictures:,} corrupt pictures", corrupt(target, pictures), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--costly", action="store_true", help="these alone; their rows replace those in the JSON file")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    load = machine_load.load()

    def row(name: str, answer: str, target: Target) -> None:
        if not target.healthy():
            raise SystemExit(f"{name}: the service is not healthy after it")
        rows.append({"attack": name, "answer": answer})
        print(f"{name}: {answer}", flush=True)

    with running_service(*OPTIONS) as (port, process):
        target = Target(port)
        if not target.healthy():
            raise SystemExit("the service is not healthy at the start")
        before = memory_mb(process)
        for name, attack in (costly(target) if options.costly else simple(target) | costly(target)).items():
            row(name, attack(), target)
        if not options.costly:
            crowds(target, options.pictures, row)
        after, most = memory_mb(process), memory_mb(process, "VmHWM")
    print(f"memory: {before:.0f} MB before, {after:.0f} MB after, {most:.0f} MB at most; the service ended with code 0")
    if options.json:
        done = {
            "date": time.strftime("%Y-%m-%d"),
            "load": load,
            "pictures": options.pictures,
            "before_mb": before,
            "after_mb": after,
            "most_mb": most,
            "rows": rows,
        }
        if options.costly:
            before_this = json.loads(options.json.read_text(encoding="utf-8"))
            kept = [one for one in before_this["rows"] if one["attack"] not in {new["attack"] for new in rows}]
            done = before_this | {"rows": kept + rows}
        options.json.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
