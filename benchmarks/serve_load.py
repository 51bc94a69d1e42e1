"""How many requests per second the service answers, how long they wait, and whether its memory stays flat.

    make serve-load                                    # the first table in docs/serve.md, a minute and a half
    python benchmarks/serve_load.py --json docs/results/serve.json
    python benchmarks/serve_load.py --part load --json docs/results/serve.json      # memory is kept as it was measured

A process `mien serve` with its defaults, but without a limit of rate and with more requests in flight than clients, so
that these limits are not met; the clients in another process on the same machine, over loopback, each sending its next
request when it has its answer. The photo is scikit-image's astronaut in a 640×480 JPEG, one face about 90 pixels wide;
for memory the face alone in 96×96, so that 20,000 requests end in minutes. Times are wall clock, and the clients take
their share of the same processors, so run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import time
from itertools import count
from pathlib import Path
from typing import Any

import machine_load
import numpy as np
from PIL import Image
from public_portraits import portrait
from serve_attacks import memory_mb, running_service
from speed import frame_with_one_face, machine

OPTIONS = ("--quiet", "--max-rate", "0", "--max-requests", "512", "--max-client-requests", "512")
WARM = 1.5
MEMORY_CLIENTS = 8


def jpeg(rgb: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def request(body: bytes) -> bytes:
    head = "POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._writer.close()

    async def ask(self, whole: bytes) -> int:
        """Send a request and read the answer; its status."""
        self._writer.write(whole)
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 120)
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        body = await self._reader.readexactly(int(length[1]))
        assert b'"faces":[{' in body, body
        return int(head[9:12])


async def load(port: int, whole: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """A number of clients for a number of seconds, after a warm-up that is not counted."""
    times: list[float] = []
    statuses: list[int] = []
    start = time.perf_counter() + WARM
    stop = start + seconds

    async def one() -> None:
        async with Client(port) as client:
            while (began := time.perf_counter()) < stop:
                status = await client.ask(whole)
                ended = time.perf_counter()
                if began >= start and ended <= stop:
                    times.append(ended - began)
                    statuses.append(status)

    await asyncio.gather(*(one() for _ in range(clients)))
    if not times:
        raise SystemExit(
            f"{clients} clients got no answer within {seconds:g} s: run it on a machine that does nothing else"
        )
    p50, p99 = (1000 * float(np.percentile(times, q)) for q in (50, 99))
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": len(times),
        "per_second": len(times) / seconds,
        "p50_ms": p50,
        "p99_ms": p99,
        "failed": sum(status != 200 for status in statuses),
    }


async def memory_over_requests(port: int, process: int, whole: bytes, total: int) -> list[dict[str, float]]:
    """Resident megabytes over a number of requests."""
    number, samples = count(1), [{"requests": 0, "mb": memory_mb(process)}]

    async def one() -> None:
        async with Client(port) as client:
            while (i := next(number)) <= total:
                assert await client.ask(whole) == 200
                if i % (total // 20) == 0:
                    samples.append({"requests": i, "mb": memory_mb(process)})
                    print(f"{i:,} requests: {samples[-1]['mb']:.0f} MB", flush=True)

    await asyncio.gather(*(one() for _ in range(MEMORY_CLIENTS)))
    return samples


async def batch_size(port: int) -> tuple[float, float]:
    """(photos, batches) so far."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    text = (await reader.read(-1)).decode()
    writer.close()
    photos, batches = (re.search(rf"^mien_batch_photos_{n} (\S+)", text, re.MULTILINE) for n in ("sum", "count"))
    assert photos is not None
    assert batches is not None
    return float(photos[1]), float(batches[1])


async def measure(port: int, process: int, options: argparse.Namespace) -> dict[str, Any]:
    with Image.open(portrait()) as opened:
        rgb = np.asarray(opened.convert("RGB"))
    whole = request(jpeg(frame_with_one_face(rgb)))
    small = Image.fromarray(rgb[50:200, 150:300]).resize((96, 96))
    done: dict[str, Any] = {}
    rows = []
    for clients in options.clients if options.part != "memory" else []:
        before = await batch_size(port)
        row = await load(port, whole, clients, options.seconds)
        after = await batch_size(port)
        row["photos_a_batch"] = (after[0] - before[0]) / max(1.0, after[1] - before[1])
        rows.append(row)
        print(json.dumps(row), flush=True)
    if rows:
        done |= {"machine": machine() | {"load": options.load}, "load": rows}
    if options.part != "load":
        done["memory"] = await memory_over_requests(port, process, request(jpeg(np.asarray(small))), options.requests)
        print(json.dumps(done["memory"]), flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--part", choices=["all", "load", "memory"], default="all")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    options = parser.parse_args()
    options.load = machine_load.load()
    with running_service(*OPTIONS) as (port, process):
        done = asyncio.run(measure(port, process, options))
    if options.json:
        if options.json.exists():
            done = json.loads(options.json.read_text(encoding="utf-8")) | done
        options.json.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
