"""How long photos, cameras and videos wait when the service gets all of them at once.

    make serve-mix                                                              # the table in docs/serve.md, 3 minutes
    python benchmarks/serve_mix.py --json docs/results/serve_mix.json               # the whole grid
    python benchmarks/serve_mix.py --cameras 4 --clients 8 --videos 2               # one mix

A process `mien serve --threads 2 --max-jobs-running 2`, otherwise with its defaults except that rates are not limited,
and live connections so that one which is about to close keeps no camera out; the clients in this process on the same
machine, over loopback. For every mix of cameras, photo clients and videos: each photo client sends its next photo
(640×480, one face about 90 pixels wide) when it has its answer; each camera sends the same picture 15 times per second
and counts the time from a frame that is answered to its answer; each video (640×480, 25 frames per second) is analysed
already when the measurement begins, and sent again when it is done. The clients take their share of the processors.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import machine_load
import numpy as np
from PIL import Image
from public_portraits import portrait
from serve_attacks import running_service
from serve_load import jpeg, request
from speed import frame_with_one_face, machine
from websockets.asyncio.client import connect

OPTIONS = ("--quiet", "--threads", "2", "--max-jobs-running", "2", "--max-live", "16", "--max-rate", "0")
CAMERA_FPS = 15
WARM = 0.3
VIDEO_FRAMES = 2000


def film(rgb: np.ndarray) -> bytes:
    """A video of one face that moves a little, as MP4."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast", "crf": "30"})
        video.height, video.width = rgb.shape[:2]
        video.pix_fmt = "yuv420p"
        for i in range(VIDEO_FRAMES):
            shifted = np.roll(rgb, i % 8, axis=1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(shifted, format="rgb24")))
        container.mux(video.encode(None))
    return stream.getvalue()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: bytes) -> tuple[int, bytes]:
    """Send a request and read the answer."""
    writer.write(whole)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    body = await reader.readexactly(int(length[1])) if length else b""
    return int(head[9:12]), body


async def once(port: int, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    status, answer = await exchange(reader, writer, head.encode() + body)
    writer.close()
    if status >= 300:
        raise SystemExit(f"{method} {path}: {status} {answer!r}")
    return json.loads(answer) if answer else None


async def photo_client(port: int, whole: bytes, stop: float, times: list[tuple[float, float, int]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < stop:
        status, _ = await exchange(reader, writer, whole)
        times.append((began, time.perf_counter(), status))
    writer.close()


async def camera(port: int, picture: bytes, stop: float, times: list[tuple[float, float, int]]) -> None:
    async with connect(f"ws://127.0.0.1:{port}/v1/live", compression=None) as socket:
        sent: list[float] = []

        async def send() -> None:
            begin = time.perf_counter()
            while time.perf_counter() < stop:
                sent.append(time.perf_counter())
                await socket.send(picture)
                await asyncio.sleep(max(0.0, begin + len(sent) / CAMERA_FPS - time.perf_counter()))

        sending = asyncio.ensure_future(send())
        while time.perf_counter() < stop:
            try:
                answer = json.loads(await asyncio.wait_for(socket.recv(), max(0.01, stop - time.perf_counter())))
            except asyncio.TimeoutError:
                break
            times.append((sent[answer["index"]], time.perf_counter(), 200))
        await sending


def latency(times: Sequence[tuple[float, float, int]], start: float, stop: float) -> dict[str, Any]:
    """What was answered within the measurement: how often, and the wait of each."""
    inside = [(began, ended, status) for began, ended, status in times if start <= ended <= stop]
    return {
        "per_second": round(len(inside) / (stop - start), 2),
        "failed": sum(status != 200 for _, _, status in inside),
        "waits_ms": [round(1000 * (ended - began)) for began, ended, _ in inside],
    }


class Films:
    """Videos that are analysed all the time."""

    def __init__(self, port: int, video: bytes, number: int) -> None:
        self._port, self._video = port, video
        self._jobs = [""] * number

    async def frames(self) -> list[int]:
        """Frames analysed so far of each."""
        states = [await once(self._port, "GET", f"/v1/videos/{job}") for job in self._jobs]
        return [state["progress"]["frames"] for state in states]

    async def keep_running(self) -> None:
        """Send those again that are done soon, and wait until each has frames."""
        for i, job in enumerate(self._jobs):
            state = await once(self._port, "GET", f"/v1/videos/{job}") if job else {"status": "done"}
            if state["status"] != "running" or state["progress"]["frames"] > VIDEO_FRAMES / 2:
                if job:
                    await once(self._port, "DELETE", f"/v1/videos/{job}")
                self._jobs[i] = (await once(self._port, "POST", "/v1/videos", self._video, "video/mp4"))["id"]
        while not all(await self.frames()):
            await asyncio.sleep(0.2)

    async def delete(self) -> None:
        """Remove all."""
        for job in self._jobs:
            await once(self._port, "DELETE", f"/v1/videos/{job}")


async def mix(port: int, picture: bytes, films: Films, cameras: int, clients: int, seconds: float) -> dict[str, Any]:
    """Figures of photos, cameras and videos in one mix."""
    await films.keep_running()
    start = time.perf_counter() + WARM
    stop = start + seconds
    photo_times: list[tuple[float, float, int]] = []
    camera_times: list[list[tuple[float, float, int]]] = [[] for _ in range(cameras)]

    async def video_rates() -> list[float]:
        await asyncio.sleep(start - time.perf_counter())
        began, before = time.perf_counter(), await films.frames()
        await asyncio.sleep(stop - time.perf_counter())
        after, ended = await films.frames(), time.perf_counter()
        return [round((b - a) / (ended - began), 1) for a, b in zip(before, after, strict=True)]

    photos = [photo_client(port, request(picture), stop, photo_times) for _ in range(clients)]
    rates, *_ = await asyncio.gather(video_rates(), *photos, *(camera(port, picture, stop, t) for t in camera_times))
    every = [one for times in camera_times for one in times]
    return {
        "cameras": cameras,
        "clients": clients,
        "videos": len(rates),
        "photo": latency(photo_times, start, stop),
        "camera": latency(every, start, stop) if cameras else None,
        "frames_per_camera": [sum(start <= ended <= stop for _, ended, _ in times) for times in camera_times],
        "video_frames_per_second": rates,
    }


async def measure(port: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    with Image.open(portrait()) as opened:
        frame = frame_with_one_face(np.asarray(opened.convert("RGB")))
    picture, video = jpeg(frame), film(frame)
    rows = []
    for videos in options.videos:
        films = Films(port, video, videos)
        await mix(port, picture, films, 1, 1, 1.0)  # everything has run once
        for cameras in options.cameras:
            for clients in options.clients:
                rows.append(await mix(port, picture, films, cameras, clients, options.seconds))
                print(json.dumps(rows[-1]), flush=True)
        await films.delete()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each mix")
    parser.add_argument("--cameras", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7, 8])
    parser.add_argument("--videos", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    load = machine_load.load()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder
        with running_service(*OPTIONS) as (port, _):
            rows = asyncio.run(measure(port, options))
    about = machine() | {"load": load, "seconds": options.seconds}
    if options.json:
        measured = {(row["cameras"], row["clients"], row["videos"]) for row in rows}
        before = json.loads(options.json.read_text(encoding="utf-8"))["rows"] if options.json.exists() else []
        rows += [row for row in before if (row["cameras"], row["clients"], row["videos"]) not in measured]
        rows.sort(key=lambda row: (row["videos"], row["cameras"], row["clients"]))
        options.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
