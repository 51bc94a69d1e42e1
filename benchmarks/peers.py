"""Mien beside the packages that people would otherwise pick: size, start, speed, memory, accuracy of shipped weights.

    python benchmarks/peers.py --data fer2013.parquet --json docs/results/peers.json
    python benchmarks/peers.py … --environments DIR    keeps what it installed there, and takes what is there already
    python benchmarks/peers.py … --steps cold,warm     measures these anew and leaves the other figures of the file

Every package is installed into an empty environment of its own, as its documentation says, Mien from a wheel that is
built of this checkout. It needs pip, npm and about 25 GB of disk for a while. Then, in one session, on the same files:

- *size*: bytes of the environment's packages (`site-packages` without pip, or `node_modules`), and how many packages.
- *import*: a process that imports, less one that does nothing. *Cold*: a process from its start to the faces of one
  photo and its end; its peak memory.
- *warm*: a process that has loaded everything, from the path of a JPEG to the faces: reading, finding, classifying.
  Photos of one person, and a crowd of 16 faces. With all processors, and on one processor with one thread.
- *batch*: 16 portraits given at once where a package takes several, else one after the other.
- *accuracy* of the weights it ships on FER2013's test faces, 48×48 pixels, fed as its own code feeds a face.

Timings are pairs: Mien, package, Mien, package … (the order turns from pair to pair), so that both halves of a ratio
saw the same load; the median ratio and its quartiles are reported. Options of every package are its defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beside import photos
from beside.environments import make
from beside.scores import accuracies
from beside.serving import Failed, Served, Whole, command, pairs, program, spread, surroundings, whole
from beside.table import ENVIRONMENTS, PEERS, WEIGHTS, Environment, Peer

STEPS = ("install", "cold", "warm", "batch", "accuracy")
BY_NAME = {environment.name: environment for environment in ENVIRONMENTS}
OURS = PEERS[0]
BATCH = 16


class Bench:
    """Where things are, and what is known so far."""

    def __init__(self, environments: Path, work: Path, document: dict[str, Any]) -> None:
        self.environments, self.work, self.document = environments, work, document
        self.paths = photos.write(work / "photos")

    def folder(self, name: str) -> Path:
        return self.environments / name

    def home(self, name: str) -> Path:
        home = self.work / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def run_of(self, peer: Peer, *arguments: str) -> list[str]:
        return command(BY_NAME[peer.environment], self.folder(peer.environment), peer.variant, *arguments)

    def row(self, peer: Peer) -> dict[str, Any]:
        start = {"title": peer.title, "environment": peer.environment}
        return self.document.setdefault("peers", {}).setdefault(peer.name, start)

    def able(self) -> list[Peer]:
        """Those that gave a result when they were started cold."""
        return [peer for peer in PEERS if "cold" in self.row(peer)]

    @contextmanager
    def served(self, peer: Peer, core: int | None) -> Iterator[Served]:
        with Served(self.run_of(peer, "serve"), self.home(peer.name), core) as one:
            yield one


def install(bench: Bench) -> None:
    """Make every environment; sizes, and what the import of the README does."""
    table = bench.document.setdefault("environments", {})
    for environment in ENVIRONMENTS:
        print(f"installing {environment.title}", flush=True)
        folder = bench.folder(environment.name)
        about = make(environment, folder, bench.work / "wheels")
        row = {"title": environment.title, "asked": list(environment.packages), "beside": environment.beside, **about}
        if environment.readme:
            row |= {"readme": environment.readme, "readme_error": tried(environment, folder, bench.home("readme"))}
        table[environment.name] = row
        print(f"  {about['mb']:,.0f} MB, {about['packages']} packages", flush=True)


def plain(error: Failed, bench: Bench) -> str:
    """What a package said, its first sentence, without this machine's folders."""
    text = str(error).replace(str(bench.work), "…").replace(str(bench.environments), "…")
    text = "".join(letter for letter in text if letter.isascii() or letter == "…")
    first = text.split(". ")[0]
    return " ".join(first.split())


def tried(environment: Environment, folder: Path, home: Path) -> str:
    """What the documented import says when it fails; empty where it works."""
    run = [program(environment, folder), "-c", environment.readme]
    done = subprocess.run(run, env=surroundings(home, False), capture_output=True, text=True, timeout=300)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1].replace(str(folder), "…")


def paired(theirs: Callable[[], float], ours: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """One after the other, in turning order."""
    a: list[float] = []
    b: list[float] = []
    for i in range(rounds):
        for mine in (True, False) if i % 2 == 0 else (False, True):
            (a if mine else b).append(ours() if mine else theirs())
    return a, b


def cold(bench: Bench, rounds: int) -> None:
    """Import, and whole processes; the first start of each only fills the disk cache."""
    photo = str(bench.paths["astronaut"])
    for peer in PEERS:
        row, home = bench.row(peer), bench.home(peer.name)
        for key in ("cold", "cannot", "import"):
            row.pop(key, None)
        environment = BY_NAME[peer.environment]
        nothing = [
            program(environment, bench.folder(environment.name)),
            *(("-c", "pass") if environment.kind == "python" else ("-e", "0")),
        ]
        try:
            whole(bench.run_of(peer, "import"), home)
            imports = []
            for _ in range(rounds):
                empty = whole(nothing, home).wall_s
                imports.append(1000 * (whole(bench.run_of(peer, "import"), home).wall_s - empty))
            row["import"] = spread(imports)
            whole(bench.run_of(peer, "once", photo), home)
        except Failed as error:
            row["cannot"] = plain(error, bench)
            print(f"{peer.title}: {row['cannot']}", flush=True)
            continue
        seen: list[Whole] = []

        def once(which: Peer) -> Whole:
            return whole(bench.run_of(which, "once", photo), bench.home(which.name))

        def theirs_once(which: Peer = peer, seen: list[Whole] = seen) -> float:
            seen.append(once(which))
            return seen[-1].wall_s

        ours, theirs = paired(theirs_once, lambda: once(OURS).wall_s, rounds)
        peak, faces = max(one.peak_mb for one in seen), seen[-1].answer["faces"]
        row["cold"] = {"s": spread(theirs), "ratio": pairs(ours, theirs), "peak_mb": peak, "faces": faces}
        print(
            f"{peer.title}: cold {row['cold']['s']['median']:.2f} s, × {row['cold']['ratio']['median']:.1f}", flush=True
        )


def warm(bench: Bench, rounds: int) -> None:
    """Loaded processes, one pair at a time, on all processors and on one."""
    last = max(os.sched_getaffinity(0))
    for mode, core in (("all", None), ("one", last)):
        with bench.served(OURS, core) as mine:
            for peer in bench.able():
                with bench.served(peer, core) as other:
                    row = bench.row(peer).setdefault("warm", {})
                    row[mode] = {}
                    for name, path in bench.paths.items():
                        row[mode][name] = one_photo(mine, other, str(path), rounds)
                    row[mode]["peak_mb"] = other.peak_mb()
                    seen = row[mode]["astronaut"]
                    print(
                        f"{peer.title}, {mode}: {seen['ms']['median']:.1f} ms, × {seen['ratio']['median']:.1f}",
                        flush=True,
                    )


def one_photo(mine: Served, other: Served, path: str, rounds: int) -> dict[str, Any]:
    reading: list[float] = []
    faces = 0

    def ask(which: Served) -> float:
        nonlocal faces
        answer = which.ask(op="photo", path=path, times=1)
        if which is other:
            reading.append(answer["read_ms"][0])
            faces = answer["faces"]
        return answer["read_ms"][0] + answer["analyze_ms"][0]

    for which in (mine, other):
        for _ in range(2):
            ask(which)
    ours, theirs = paired(lambda: ask(other), lambda: ask(mine), rounds)
    return {
        "ms": spread(theirs), "mien_ms": spread(ours), "ratio": pairs(ours, theirs), "read_ms": spread(reading),
        "faces": faces,
    }  # fmt: skip


def batch(bench: Bench, rounds: int) -> None:
    """Portraits by the dozen, all processors."""
    paths = [str(bench.paths[name]) for name in ("astronaut", "hopper")] * (BATCH // 2)
    with bench.served(OURS, None) as mine:
        for peer in bench.able():
            with bench.served(peer, None) as other:
                faces = 0

                def ask(which: Served) -> float:
                    nonlocal faces
                    answer = which.ask(op="batch", paths=paths)
                    if which is other:
                        faces = answer["faces"]
                    return answer["s"]

                ask(mine), ask(other)
                ours, theirs = paired(lambda: ask(other), lambda: ask(mine), rounds)
                row = {"photos": len(paths), "faces": faces, "s": spread(theirs), "ratio": pairs(ours, theirs)}
                bench.row(peer)["batch"] = row
                print(f"{peer.title}: {faces / row['s']['median']:.1f} faces a second", flush=True)


def accuracy(bench: Bench, data: Path) -> None:
    """Shipped classifiers on ready crops."""
    from mien.datasets.prepared import read_prepared

    dataset = read_prepared(data)
    faces = dataset.select("test").images[..., 0]
    given = bench.work / "faces.raw"
    faces.tofile(given)
    answers: dict[str, dict[str, Any]] = {}
    for name, (title, environment, variant) in WEIGHTS.items():
        run = command(BY_NAME[environment], bench.folder(environment), variant, "serve")
        out = bench.work / f"told-{name}"
        with Served(run, bench.home(name)) as one:
            heads = one.ask(op="score", faces=str(given), n=len(faces), side=faces.shape[1], out=str(out))["heads"]
        answers[name] = {
            "title": title,
            "heads": {head: (labels, Path(f"{out}.{head}")) for head, labels in heads.items()},
        }
    bench.document["accuracy"] = accuracies(answers, dataset)
    for name, row in bench.document["accuracy"].items():
        print(name, {key: round(one["accuracy"], 4) for key, one in row["results"].items()}, flush=True)


def machine() -> dict[str, Any]:
    cpu = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")), "?:?")
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    return {
        "processor": cpu.split(":", 1)[1].strip(), "cpus": os.cpu_count(), "platform": platform.platform(),
        "python": platform.python_version(), "node": node, "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MIEN_DATA", ".")) / "fer2013.parquet")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--environments", type=Path, help="keep the environments here")
    parser.add_argument("--steps", default=",".join(STEPS), help="which of them, in this order")
    parser.add_argument("--rounds", type=int, default=15, help="pairs a photo")
    parser.add_argument("--starts", type=int, default=5, help="pairs of whole processes")
    parser.add_argument("--batches", type=int, default=3, help="pairs of batches")
    options = parser.parse_args()
    steps = options.steps.split(",")
    if strange := set(steps) - set(STEPS):
        parser.error(f"--steps: no {', '.join(sorted(strange))}; there are {', '.join(STEPS)}")
    if "accuracy" in steps and not options.data.is_file():
        parser.error(f"--data: {options.data} is not there; `mien data prepare` makes it")
    if "install" not in steps and options.environments is None:
        parser.error("--steps without install needs --environments, where they were kept")
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not there: install Node")
    document = json.loads(options.json.read_text()) if options.json.is_file() else {}
    document["machine"] = machine()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        bench = Bench((options.environments or work / "environments").resolve(), work, document)
        for step in steps:
            before = os.getloadavg()[0]
            if step == "install":
                install(bench)
            elif step == "cold":
                cold(bench, options.starts)
            elif step == "warm":
                warm(bench, options.rounds)
            elif step == "batch":
                batch(bench, options.batches)
            else:
                accuracy(bench, options.data)
            document.setdefault("load", {})[step] = [before, os.getloadavg()[0]]
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
