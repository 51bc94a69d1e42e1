"""Mien beside the packages that people would otherwise pick: size, start, speed, memory.

    python benchmarks/peers.py --json docs/results/peers.json
    python benchmarks/peers.py … --environments DIR    keeps what it installed there, and takes what is there already
    python benchmarks/peers.py … --steps cold,warm     measures these again and leaves the other figures of the file

Every package is installed into an empty environment of its own, as its documentation states, Mien from a wheel that is
built of this checkout. It needs pip, npm and about 25 GB of disk for a while. Then, in one session, on the same files:

- *size*: bytes of the environment's packages (`site-packages` without pip, or `node_modules`), and how many packages.
- *import*: a process that imports, less one that does nothing. *Cold*: a process from its start to the faces of one
  photo and its end; its peak memory.
- *warm*: a process that has loaded everything, from the path of a JPEG to the faces: reading, finding, classifying.
  Photos of one person, and a crowd of 16 faces. With all processors, and on one processor with one thread.
- *batch*: eight portraits given at once where a package takes several, else one after the other.

What the weights score that a package ships is measured by `benchmarks/scoreboard.py --environments DIR`; for that alone
--weights-only installs what the classifiers need.

Timings are pairs: Mien, package, Mien, package … (the order turns from pair to pair), so that both halves of a ratio
saw the same load; the median ratio and its quartiles are reported. Wall time counts what other work on the machine
takes; processor time hardly does, and on one processor with one thread it is what the wall would show on a machine that
does nothing else. Options of every package are its defaults.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beside import photos
from beside.environments import make
from beside.serving import Failed, Served, Whole, command, pairs, program, spread, surroundings, whole
from beside.table import ENVIRONMENTS, PEERS, WEIGHTS, Environment, Peer
from machine_load import load

from mien.cpus import processor_name

STEPS = ("install", "cold", "warm", "batch")
BY_NAME = {environment.name: environment for environment in ENVIRONMENTS}
OURS = PEERS[0]
BATCH = 8


class Bench:
    """Where things are, and what is known so far."""

    def __init__(self, environments: Path, work: Path, out: Path, wanted: tuple[Peer, ...]) -> None:
        self.environments, self.work, self.out, self.wanted = environments, work, out, wanted
        self.document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
        self.paths = photos.write(work / "photos")

    def folder(self, name: str) -> Path:
        return self.environments / name

    def home(self, name: str) -> Path:
        home = self.work / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def run_of(self, peer: Peer, *arguments: str) -> list[str]:
        return command(BY_NAME[peer.environment], self.folder(peer.environment), peer.variant, *arguments)

    def save(self) -> None:
        """Write what is known; an interrupted run loses one row."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(self.document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def row(self, peer: Peer) -> dict[str, Any]:
        start = {"title": peer.title, "environment": peer.environment}
        return self.document.setdefault("peers", {}).setdefault(peer.name, start)

    def able(self) -> list[Peer]:
        """Those that gave a result when they were started cold."""
        return [peer for peer in self.wanted if "cold" in self.row(peer)]

    @contextmanager
    def served(self, peer: Peer, core: int | None) -> Iterator[Served]:
        with Served(self.run_of(peer, "serve"), self.home(peer.name), core) as one:
            yield one


def install(bench: Bench) -> None:
    """Make every environment; sizes, and what the import of the README does."""
    table = bench.document.setdefault("environments", {})
    needed = {OURS.environment, *(peer.environment for peer in bench.wanted)}
    for environment in ENVIRONMENTS:
        if environment.name not in needed:
            continue
        print(f"installing {environment.title}", flush=True)
        folder = bench.folder(environment.name)
        about = make(environment, folder, bench.work / "wheels")
        row = {"title": environment.title, "asked": list(environment.packages), "beside": environment.beside, **about}
        if environment.readme:
            row |= {"readme": environment.readme, "readme_error": tried(environment, folder, bench.home("readme"))}
        table[environment.name] = row
        print(f"  {about['mb']:,.0f} MB, {about['packages']} packages", flush=True)


def plain(error: Failed, bench: Bench) -> str:
    """What a package printed, its first sentence, without this machine's folders."""
    text = str(error).replace(str(bench.work), "…").replace(str(bench.environments), "…")
    text = "".join(letter for letter in text if letter.isascii() or letter == "…")
    first = text.split(". ")[0]
    return " ".join(first.split())


def tried(environment: Environment, folder: Path, home: Path) -> str:
    """What the documented import prints when it fails; empty where it works."""
    run = [program(environment, folder), "-c", environment.readme]
    done = subprocess.run(run, env=surroundings(home, False), capture_output=True, text=True, timeout=300)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1].replace(str(folder), "…")


@dataclass(frozen=True)
class Cost:
    """What one run took: wall and processor seconds."""

    wall: float
    cpu: float


def paired(theirs: Callable[[], Cost], ours: Callable[[], Cost], rounds: int) -> tuple[list[Cost], list[Cost]]:
    """One after the other, in turning order: ours, theirs."""
    a: list[Cost] = []
    b: list[Cost] = []
    for i in range(rounds):
        for mine in (True, False) if i % 2 == 0 else (False, True):
            (a if mine else b).append(ours() if mine else theirs())
    return a, b


def costs(ours: list[Cost], theirs: list[Cost], unit: str, scale: float = 1.0) -> dict[str, Any]:
    """Wall and processor time of the package, and their ratios to Mien's."""
    return {
        unit: spread([scale * one.wall for one in theirs]),
        "ratio": pairs([one.wall for one in ours], [one.wall for one in theirs]),
        f"cpu_{unit}": spread([scale * one.cpu for one in theirs]),
        "cpu_ratio": pairs([one.cpu for one in ours], [one.cpu for one in theirs]),
    }


def cold(bench: Bench, rounds: int) -> None:
    """Import, and whole processes; the first start of each only fills the disk cache."""
    photo = str(bench.paths["astronaut"])

    def once(which: Peer) -> Whole:
        return whole(bench.run_of(which, "once", photo), bench.home(which.name))

    imports: dict[str, dict[str, Any]] = {}
    for peer in bench.wanted:
        row = bench.row(peer)
        for key in ("cold", "cannot", "import"):
            row.pop(key, None)
        try:
            if peer.environment not in imports:
                imports[peer.environment] = importing(bench, peer, rounds)
            row["import"] = imports[peer.environment]
            seen = [once(peer)]
        except Failed as error:
            row["cannot"] = plain(error, bench)
            print(f"{peer.title}: {row['cannot']}", flush=True)
            bench.save()
            continue

        def theirs(which: Peer = peer, seen: list[Whole] = seen) -> Cost:
            seen.append(once(which))
            return Cost(seen[-1].wall_s, seen[-1].cpu_s)

        def ours() -> Cost:
            one = once(OURS)
            return Cost(one.wall_s, one.cpu_s)

        times = costs(*paired(theirs, ours, rounds), "s")
        row["cold"] = {
            **times,
            "starts": rounds,
            "peak_mb": max(one.peak_mb for one in seen),
            "faces": seen[-1].answer["faces"],
        }
        print_ratios(peer, "cold", times, "s")
        bench.save()


def importing(bench: Bench, peer: Peer, rounds: int) -> dict[str, Any]:
    """Milliseconds of the import, less those of a process that does nothing."""
    environment, home = BY_NAME[peer.environment], bench.home(peer.name)
    start = program(environment, bench.folder(environment.name))
    nothing = [start, *(("-c", "pass") if environment.kind == "python" else ("-e", "0"))]
    whole(bench.run_of(peer, "import"), home)
    walls, cpus = [], []
    for _ in range(rounds):
        empty, full = whole(nothing, home), whole(bench.run_of(peer, "import"), home)
        walls.append(1000 * (full.wall_s - empty.wall_s))
        cpus.append(1000 * (full.cpu_s - empty.cpu_s))
    return {"ms": spread(walls), "cpu_ms": spread(cpus)}


def print_ratios(peer: Peer, what: str, times: dict[str, Any], unit: str) -> None:
    wall, cpu = times[unit]["median"], times[f"cpu_{unit}"]["median"]
    ratio, busy = times["ratio"]["median"], times["cpu_ratio"]["median"]
    print(f"{peer.title}, {what}: {wall:.2f} {unit} (× {ratio:.1f}), processor {cpu:.2f} (× {busy:.1f})", flush=True)


def warm(bench: Bench, rounds: int, modes: list[str]) -> None:
    """Loaded processes, one pair at a time, on one processor and on all."""
    last = max(os.sched_getaffinity(0))
    for mode in modes:
        core = last if mode == "one" else None
        with bench.served(OURS, core) as mine:
            for peer in bench.able():
                with bench.served(peer, core) as other:
                    row = bench.row(peer).setdefault("warm", {})
                    row[mode] = {name: one_photo(mine, other, str(path), rounds) for name, path in bench.paths.items()}
                    row[mode]["peak_mb"] = other.peak_mb()
                print_ratios(peer, mode, row[mode]["astronaut"], "ms")
                bench.save()


def one_photo(mine: Served, other: Served, path: str, rounds: int) -> dict[str, Any]:
    reading: list[float] = []
    faces = 0

    def ask(which: Served) -> Cost:
        nonlocal faces
        answer = which.ask(op="photo", path=path, times=1)
        if which is other:
            reading.append(answer["read_ms"][0])
            faces = answer["faces"]
        return Cost((answer["read_ms"][0] + answer["analyze_ms"][0]) / 1000, answer["cpu_ms"][0] / 1000)

    ask(mine)
    ask(other)
    reading.clear()
    times = costs(*paired(lambda: ask(other), lambda: ask(mine), rounds), "ms", 1000.0)
    return {**times, "read_ms": spread(reading), "faces": faces}


def batch(bench: Bench, rounds: int) -> None:
    """Several portraits at once, all processors."""
    paths = [str(bench.paths[name]) for name in ("astronaut", "hopper")] * (BATCH // 2)
    with bench.served(OURS, None) as mine:
        mine.ask(op="batch", paths=paths)
        for peer in bench.able():
            with bench.served(peer, None) as other:
                faces = 0

                def ask(which: Served, other: Served = other) -> Cost:
                    nonlocal faces
                    answer = which.ask(op="batch", paths=paths)
                    if which is other:
                        faces = answer["faces"]
                    return Cost(answer["s"], answer["cpu_s"])

                other.ask(op="photo", path=paths[0], times=1)

                def theirs(other: Served = other, ask: Callable[..., Cost] = ask) -> Cost:
                    return ask(other)

                times = costs(*paired(theirs, lambda ask=ask: ask(mine), rounds), "s")
                bench.row(peer)["batch"] = {"photos": len(paths), "faces": faces, **times}
                print_ratios(peer, f"{len(paths)} photos", times, "s")
                bench.save()


def machine() -> dict[str, Any]:
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    return {
        "processor": processor_name(), "cpus": os.cpu_count(), "platform": platform.platform(),
        "python": platform.python_version(), "node": node, "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file of the figures")
    parser.add_argument("--environments", type=Path, help="keep the environments here")
    parser.add_argument("--weights-only", action="store_true", help="install what scoring their classifiers needs; end")
    parser.add_argument("--steps", default=",".join(STEPS), help="which of them, in this order")
    parser.add_argument("--only", help="packages to install and time, by the names of their environments")
    parser.add_argument("--modes", default="one,all", help="warm: one processor, all processors")
    parser.add_argument("--rounds", type=int, default=9, help="pairs a photo")
    parser.add_argument("--starts", type=int, default=5, help="pairs of whole processes")
    parser.add_argument("--batches", type=int, default=3, help="pairs of batches")
    options = parser.parse_args()
    steps = options.steps.split(",")
    if strange := set(steps) - set(STEPS):
        parser.error(f"--steps: no {', '.join(sorted(strange))}; there are {', '.join(STEPS)}")
    if "install" not in steps and options.environments is None:
        parser.error("--steps without install needs --environments, where they were kept")
    wanted = tuple(peer for peer in PEERS if options.only is None or peer.environment in options.only.split(","))
    if options.weights_only:
        if options.environments is None:
            parser.error("--weights-only needs --environments, where they are kept")
        for name in dict.fromkeys(environment for _, environment, _ in WEIGHTS.values()):
            print(f"installing {BY_NAME[name].title}", flush=True)
            make(BY_NAME[name], options.environments.resolve() / name, options.environments, weights_only=True)
        return
    if options.json is None:
        parser.error("--json is needed")
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not there: install Node")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        bench = Bench((options.environments or work / "environments").resolve(), work, options.json, wanted)
        bench.document["machine"] = machine()
        for step in steps:
            before = load()
            if step == "install":
                install(bench)
            elif step == "cold":
                cold(bench, options.starts)
            elif step == "warm":
                warm(bench, options.rounds, options.modes.split(","))
            else:
                batch(bench, options.batches)
            bench.document.setdefault("load", {})[step] = [before, load()]
            bench.save()


if __name__ == "__main__":
    main()
