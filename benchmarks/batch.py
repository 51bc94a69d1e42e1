"""How fast `mien batch` is, and whether it loses a row when it, a worker or a node of a Ray cluster is killed.

    python benchmarks/batch.py throughput --data fairface/validation.parquet --json docs/results/batch.json
    python benchmarks/batch.py larger --json docs/results/batch.json
    python benchmarks/batch.py kills --data fairface/validation.parquet --json docs/results/batch.json
    python benchmarks/batch.py ray --json docs/results/batch.json
    python benchmarks/batch.py buckets --servers DIR --json docs/results/batch.json

Each part adds its section to the file. *throughput*: the first photos of FairFace's validation set with one worker and
with two, in turns, so that other load on the machine meets both; wall clock and processor time of the whole command.
*larger*: the same for photos of 512×512 pixels, the public-domain portrait turned a little each time, one worker.
*kills*: ten runs, the whole group of processes killed with SIGKILL at a random moment (seeded), each resumed and
compared byte by byte with an uninterrupted run. *ray*: a cluster of two nodes on this machine (`ray start --head`,
and a second `ray start` that joins it) whose object stores are smaller than the pictures, so that they spill;
in mid-run the actor on the second node is killed, then the whole node; the result is compared with that of the local
engine. It needs Ray installed beside mien. *buckets*: photos in s3:// and gs:// buckets of two servers on this machine,
results into the same bucket, killed in mid-run, resumed and compared with an uninterrupted run. It needs `mien[s3,gcs]`
and DIR with the programs of `pip install 'moto[s3,server]' gcp-storage-emulator`, best in an environment of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import machine_load

sys.path.insert(0, str(Path(__file__).parent))

SEED, PORT = 11, 6399
STORE = 80_000_000
"""Bytes of the object store of a Ray node, about the least that Ray takes."""
SPILLING = 0.3
"""Share of the store from which on objects spill; Ray's own is 0.8."""
PATIENCE = 420.0


def subset(data: Path, rows: int, target: Path) -> Path:
    """The first rows of a Parquet file of pictures, in row groups of 500."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(data).read(columns=["image"]).slice(0, rows)
    pq.write_table(table, target, row_group_size=500)
    return target


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mien", "batch", *map(str, arguments)]


def run(*arguments: object) -> float:
    """Seconds of a whole call; errors of inputs are none of the measurement."""
    began = time.perf_counter()
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=1200)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return time.perf_counter() - began


def cpu_seconds() -> float:
    """Of all processes that have ended, workers too: other load on the machine hardly changes it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parts(target: Path) -> dict[str, bytes]:
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in sorted(target.glob("*/part-*"))}


def throughput(data: Path, photos: int, rounds: int, folder: Path) -> dict[str, Any]:
    source = subset(data, photos, folder / "photos.parquet")
    rows = []
    for number in range(rounds):
        for workers in (1, 2):
            target = folder / f"out-{workers}-{number}"
            load, before = machine_load.load(), cpu_seconds()
            seconds = run(source, target, "--workers", workers)
            cpu = cpu_seconds() - before
            reported = json.loads((target / "manifest.json").read_text())
            row = {"workers": workers, "seconds": round(seconds, 2), "per_second": round(photos / seconds, 2)}
            row |= {"cpu_seconds": round(cpu, 2), "per_cpu_second": round(photos / cpu, 2)}
            rows.append(row | {"load": round(load, 1), "faces": reported["counts"]["faces"]})
            print(rows[-1], flush=True)
    same = parts(folder / "out-1-0") == parts(folder / "out-2-0")
    size = sum(map(len, parts(folder / "out-1-0").values()))
    return {"photos": photos, "rows": rows, "identical": same, "result_bytes": size}


def kills(data: Path, photos: int, folder: Path) -> dict[str, Any]:
    source = subset(data, photos, folder / "photos.parquet")
    options = ("--shard-size", 20, "--workers", 2)
    whole = run(source, folder / "whole", *options)
    expected = parts(folder / "whole")
    moments, rows = random.Random(SEED), []
    for number in range(10):
        target = folder / f"out-{number}"
        moment = moments.uniform(0.0, whole)
        process = subprocess.Popen(command(source, target, *options), stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        before = len(list(target.glob("inputs/part-*")))
        run(source, target, *options, "--resume")
        equal = parts(target) == expected
        rows.append({"moment": round(moment, 2), "finished_before": before, "equal": equal})
        print(rows[-1], flush=True)
    shards = sum(name.startswith("inputs/") for name in expected)
    return {"photos": photos, "shards": shards, "seconds": round(whole, 2), "rows": rows}


# ---------------------------------------------------------------- buckets

SERVERS = {"s3": ("moto_server", "-p", "5599"), "gs": ("gcp-storage-emulator", "start", "--port=5598", "--in-memory")}
ADDRESSES = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:5599",
    "AWS_ACCESS_KEY_ID": "anybody",
    "AWS_SECRET_ACCESS_KEY": "anything",
    "AWS_DEFAULT_REGION": "us-east-1",
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:5598",
    "GOOGLE_CLOUD_PROJECT": "anyone",
    # a question to Google itself, which a server on this machine cannot answer
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}


def buckets(count: int, servers: Path, folder: Path) -> dict[str, Any]:
    import fsspec

    os.environ.update(ADDRESSES)
    photos = portraits(folder / "photos", count, "jpg")
    local = folder / "local"
    run(photos, local, "--shard-size", 8)
    expected = [_renamed(one, str(photos)) for one in parts(local).values()]
    reported = {}
    for scheme, (program, *options) in SERVERS.items():
        log = (folder / f"{scheme}.log").open("wb")
        server = subprocess.Popen([servers / program, *options], stdout=log, stderr=subprocess.STDOUT)
        try:
            port = int(re.findall(r"\d{4,}", " ".join(options))[0])
            wait_for(f"{program}", lambda at=port: _answers(at))
            bucket = fsspec.filesystem(scheme)
            bucket.mkdir("bucket")
            bucket.put(f"{photos}/", "bucket/photos/", recursive=True)
            source, made = f"{scheme}://bucket/photos", {}
            call = (source, "--shard-size", 8, "--workers", 1)
            run(call[0], f"{scheme}://bucket/whole", *call[1:])
            target = f"{scheme}://bucket/stopped"
            process = subprocess.Popen(
                command(call[0], target, *call[1:]), stderr=subprocess.DEVNULL, start_new_session=True
            )
            wait_for("two finished shards", lambda on=bucket: _finished(on) >= 2)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            before = _finished(bucket)
            run(call[0], target, *call[1:], "--resume")
            bucket.invalidate_cache()
            for name in ("whole", "stopped"):
                paths = sorted(bucket.glob(f"bucket/{name}/*/part-*"))
                made[name] = {path.removeprefix(f"bucket/{name}/"): bucket.cat(path) for path in paths}
            same = [_renamed(one, "bucket/photos") for one in made["whole"].values()] == expected
            shards = sum(name.startswith("inputs/") for name in made["whole"])
            reported[scheme] = {"shards": shards, "finished_before": before, "equal": made["whole"] == made["stopped"]}
            reported[scheme] |= {"as_local": same, "server": f"{program} {_version(servers, program)}"}
            print(scheme, reported[scheme], flush=True)
        finally:
            server.terminate()
            server.wait()
            log.close()
    return {"photos": count, "packages": {name: version(name) for name in ("fsspec", "s3fs", "gcsfs")}, **reported}


def _finished(bucket: Any) -> int:
    bucket.invalidate_cache()
    return len(bucket.glob("bucket/stopped/inputs/part-*"))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _version(servers: Path, program: str) -> str:
    package = program.removesuffix("_server")
    call = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([servers / "python", "-c", call], capture_output=True, text=True).stdout.strip()


def _renamed(part: bytes, place: str) -> list[dict[str, Any]]:
    """The rows of a part, whose inputs are named without the place that they lie in."""
    import io

    import pyarrow.parquet as pq

    rows = pq.read_table(io.BytesIO(part)).to_pylist()
    names = ("source", "file")
    return [
        {key: value.split(place)[-1] if key in names and value else value for key, value in row.items()} for row in rows
    ]


# ---------------------------------------------------------------- Ray


class Node:
    """`ray start --block`, with all the processes that it starts."""

    def __init__(self, *arguments: object, log: Path) -> None:
        environment = os.environ | {"RAY_object_spilling_threshold": str(SPILLING), "RAY_DISABLE_MEMORY_MONITOR": "1"}
        ray = Path(sys.executable).with_name("ray")
        options = [
            "--node-ip-address",
            "127.0.0.1",
            "--num-cpus",
            "1",
            "--object-store-memory",
            str(STORE),
            "--disable-usage-stats",
            "--block",
        ]
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [str(ray), "start", *map(str, arguments), *options],
                stdout=stream, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            )  # fmt: skip

    def processes(self) -> dict[int, str]:
        """Number → command line, of the node's processes."""
        parents, names = {}, {}
        for entry in Path("/proc").iterdir():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (ValueError, OSError):
                continue
        mine, grown = {self.process.pid}, True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in mine} - mine
            grown = bool(more)
            mine |= more
        return {pid: names[pid] for pid in mine if pid in names}

    def kill(self) -> int:
        """Kill all of it; how many processes that were."""
        doomed = self.processes()
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        return len(doomed)


def wait_for(what: str, found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.1)
    raise SystemExit(f"{what}: did not happen in {PATIENCE:.0f} seconds")


def larger(count: int, folder: Path) -> dict[str, Any]:
    source = portraits(folder / "photos", count, "jpg")
    before = cpu_seconds()
    seconds = run(source, folder / "out", "--workers", 1)
    cpu = cpu_seconds() - before
    size = sum(p.stat().st_size for p in source.iterdir())
    row = {"photos": count, "pixels": 512, "bytes": round(size / count), "seconds": round(seconds, 2)}
    return row | {"cpu_seconds": round(cpu, 2), "per_cpu_second": round(count / cpu, 2)}


def portraits(folder: Path, count: int, suffix: str = "bmp") -> Path:
    """By default uncompressed, so that a few hundred of them are more than the object stores hold."""
    import numpy as np
    from PIL import Image
    from public_portraits import portrait

    folder.mkdir()
    rng = np.random.default_rng(SEED)
    picture = Image.open(portrait()).convert("RGB")
    for i in range(count):
        picture.rotate(float(rng.uniform(-8, 8))).save(folder / f"{i:04}.{suffix}")
    return folder


def cluster(count: int, folder: Path) -> dict[str, Any]:
    source = portraits(folder / "photos", count)
    options = ("--shard-size", 20)
    local = run(source, folder / "local", *options, "--workers", 2)
    # a cluster of our own: only who knows the token may join
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    head = Node(
        "--head", "--port", PORT, "--include-dashboard", "false", "--temp-dir", folder / "ray", log=folder / "1"
    )
    nodes = [head]
    try:
        wait_for("the head", lambda: _nodes() >= 1)
        second = Node("--address", f"127.0.0.1:{PORT}", log=folder / "2")
        nodes.append(second)
        wait_for("the second node", lambda: _nodes() == 2)
        target, began = folder / "out", time.perf_counter()
        arguments = (source, target, *options, "--engine", "ray", "--address", f"127.0.0.1:{PORT}", "--workers", 2)
        driver = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
        done = lambda: len(list(target.glob("inputs/part-*")))  # noqa: E731
        on_second = lambda: [p for p, name in second.processes().items() if "mien.batch.worker_process" in name]  # noqa: E731
        wait_for("a worker on the second node", on_second)
        wait_for("some shards", lambda: done() >= 2)
        actors = [p for p, name in second.processes().items() if "MapWorker" in name or "_Actor" in name]
        for pid in actors:
            os.kill(pid, signal.SIGKILL)
        killed_at = done()
        print("killed actor", actors, "after", killed_at, flush=True)
        wait_for("more shards", lambda: done() >= killed_at + 2)
        node_at, processes = done(), second.kill()
        print("killed node after", node_at, flush=True)
        stats = _ray("memory", "--address", f"127.0.0.1:{PORT}", "--stats-only")
        printed = driver.communicate(timeout=PATIENCE)[1]
        seconds = time.perf_counter() - began
        stats += _ray("memory", "--address", f"127.0.0.1:{PORT}", "--stats-only")
        logs = "".join(p.read_text(errors="replace") for p in (folder / "ray").glob("session_2*/logs/raylet*.out"))
    finally:
        for node in reversed(nodes):
            node.kill()
    spilled = [(int(m[1]), int(m[2])) for m in re.finditer(r"Spilled (\d+) MiB, (\d+) objects", stats + logs)]
    return {
        "ray": version("ray"),
        "photos": count,
        "megabytes": round(sum(p.stat().st_size for p in source.iterdir()) / 1e6),
        "store_megabytes": STORE / 1e6,
        "shards": -(-count // 20),
        "local_seconds": round(local, 1),
        "seconds": round(seconds, 1),
        "exit_code": driver.returncode,
        "summary": printed.strip().splitlines()[-1].split(":")[1].strip() if printed.strip() else "",
        "actors_killed": len(actors),
        "actor_killed_after": killed_at,
        "node_killed_after": node_at,
        "node_processes_killed": processes,
        "spilled_megabytes": max((mb for mb, _ in spilled), default=0),
        "spilled_objects": max((objects for _, objects in spilled), default=0),
        "equal": parts(folder / "out") == parts(folder / "local"),
    }


def _ray(*arguments: str) -> str:
    ray = Path(sys.executable).with_name("ray")
    return subprocess.run([str(ray), *arguments], capture_output=True, text=True, timeout=120).stdout


def _nodes() -> int:
    """Nodes of the cluster that are alive."""
    return len(re.findall(r"^ *1 node_", _ray("status", "--address", f"127.0.0.1:{PORT}"), re.MULTILINE))


def main() -> None:
    from speed import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("throughput", "larger", "kills", "ray", "buckets"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--photos", type=int, help="default: 2000 for throughput, 240 for the others")
    parser.add_argument("--servers", type=Path, help="for buckets: folder of moto_server and gcp-storage-emulator")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.part in ("throughput", "kills") and options.data is None:
        parser.error("--data: FairFace's validation.parquet")
    if options.part == "buckets" and options.servers is None:
        parser.error("--servers: the folder of moto_server and gcp-storage-emulator")
    about = machine()
    # Ray's sockets lie in it, and their paths must be short
    with tempfile.TemporaryDirectory(prefix="mb-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        if options.part == "throughput":
            found = throughput(options.data, options.photos or 2000, options.rounds, folder)
        elif options.part == "larger":
            found = larger(options.photos or 200, folder)
        elif options.part == "kills":
            found = kills(options.data, options.photos or 240, folder)
        elif options.part == "buckets":
            found = buckets(options.photos or 48, options.servers.resolve(), folder)
        else:
            found = cluster(options.photos or 240, folder)
    document = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    document[options.part] = {"machine": about, **found}
    text = json.dumps(document, indent=1) + "\n"
    if options.json is not None:
        options.json.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
