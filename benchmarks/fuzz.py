"""Whatever bytes come in, the answer is a result or one line of a `MienError`: no crash, no hang, no endless memory.

    python benchmarks/fuzz.py --minutes 60 --json docs/results/fuzz.json
    python benchmarks/fuzz.py --targets cards,onnx --minutes 2 --seed 7
    python benchmarks/fuzz.py --again findings --json docs/results/fuzz.json     whether what was found is mended
    python benchmarks/fuzz.py --replay cards findings/cards-….bin      what one input gives, for a person

Every surface of `benchmarks/fuzz_targets.py` gets an equal share of the time, from two engines one after the other:
Mien's own mutations, which know JSON and lines and follow from the seed alone, and, where it is installed (`pip install
atheris`), atheris, which keeps what reaches new code in `src/mien` and mutates that again. Inputs run in a worker
process that is replaced when it dies; the parent watches its CPU time and memory. With --json, the figures of earlier
calls stay. Needs Linux (`/proc`).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import copy
import hashlib
import importlib.util
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

CPU_SECONDS = 10.0
"""Of CPU time that an input may take."""
WALL_SECONDS = 180.0
"""That an input may take without using the CPU: it waits for something that never comes."""
STARTING_SECONDS = 300.0
"""Of CPU time until the valid inputs have been taken."""
MEMORY_MB = 1500
"""Of resident memory that may come on top of what the worker has after the valid inputs."""
LONGEST = 200
"""Characters that are reported of a message."""
_ROOM = 1 << 20
_PULSE = struct.Struct("<4Q")  # inputs begun, taken, refused, length of the input that is being tried


# ---------------------------------------------------------------- inputs

_BYTES = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00" * 8, b"\xff" * 8)
_WORDS = (
    b"", b"\x00", b"-1", b"256", b"9" * 40, b"nan", b"inf", b"1e999", b'"', b'""', b",", b"\r", b"\n", b"\xef\xbb\xbf",
    b"\xff", "é".encode(), "٣".encode(), b"\t", b" ", b"a" * 2000, b"\x1b[31m", b"../../x", b"/",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 10**400, 0.0, -0.5, 1e308, float("nan"), float("inf"), "", "x",
    "1", "\x00", "é\u2028", "\ud800", "\x1b[31m\nx", [], [None], [1, 2], [[]], {}, {"x": 1}, {"name": "x"}, "a" * 3000,
)  # fmt: skip


def case(seeds: list[bytes], shape: str, rng: np.random.Generator) -> bytes:
    """One input, made of the valid ones."""
    data = seeds[rng.integers(len(seeds))]
    for _ in range(1 + int(rng.geometric(0.5))):
        data = mutated(data, seeds, shape, rng)
    return data[: _ROOM - 64]


def mutated(data: bytes, seeds: list[bytes], shape: str, rng: np.random.Generator) -> bytes:
    if shape == "json" and rng.random() < 0.8:
        with contextlib.suppress(ValueError, RecursionError):
            return json_mutated(data, rng)
    if shape == "text" and rng.random() < 0.6:
        return line_mutated(data, rng)
    return byte_mutated(data, seeds, rng)


def byte_mutated(whole: bytes, seeds: list[bytes], rng: np.random.Generator) -> bytes:
    """Bytes changed, cut, doubled, moved, taken from another input, or numbers replaced by extreme ones."""
    data = bytearray(whole)
    way = rng.integers(9)
    if not data:
        return bytes(rng.bytes(int(rng.integers(64))))
    # heads hold sizes and lengths, so that half of all changes fall there
    end = min(len(data), 96) if rng.random() < 0.5 else len(data)
    at = int(rng.integers(end))
    if way == 0:
        for place in rng.integers(0, end, rng.integers(1, 12)):
            data[place] = rng.integers(256)
    elif way == 1:
        for place in rng.integers(0, end, rng.integers(1, 6)):
            data[place] ^= 1 << rng.integers(8)
    elif way == 2:
        del data[at:]
    elif way == 3:
        del data[at : at + int(rng.integers(1, 64))]
    elif way == 4:
        piece = data[at : at + int(rng.integers(1, 256))]
        data[at:at] = piece * int(rng.integers(1, 4))
    elif way == 5:
        other = seeds[rng.integers(len(seeds))]
        cut = int(rng.integers(len(other) + 1))
        data[at:] = other[cut:]
    elif way == 6:
        piece = _BYTES[rng.integers(len(_BYTES))]
        data[at : at + len(piece)] = piece
    elif way == 7:
        data[at:at] = rng.bytes(int(rng.integers(1, 32)))
    else:
        size = int(rng.choice([2, 4, 8]))
        number = int(rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 65_000, 100_000])) % 2 ** (8 * size)
        data[at : at + size] = number.to_bytes(size, "big" if rng.random() < 0.5 else "little")
    return bytes(data)


def line_mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """Cells and lines changed, doubled, dropped, swapped."""
    lines = whole.split(b"\n")
    i, j = rng.integers(len(lines), size=2)
    way = rng.integers(6)
    if way == 0:
        lines[i] = lines[j]
    elif way == 1:
        del lines[i]
    elif way == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        mark = (b",", b" ")[rng.integers(2)]
        cells = lines[i].split(mark)
        k = rng.integers(len(cells))
        if way == 3:
            del cells[k]
        elif way == 4:
            cells.insert(k, cells[rng.integers(len(cells))])
        else:
            cells[k] = _WORDS[rng.integers(len(_WORDS))]
        lines[i] = mark.join(cells)
    return b"\n".join(lines)


def json_mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """A value replaced, dropped, doubled, moved, or put under another name."""
    document = [json.loads(whole)]
    places = list(_places(document))
    holder, key = places[rng.integers(len(places))]
    other, at = places[rng.integers(len(places))]
    way = rng.integers(6)
    if way <= 2:
        holder[key] = _VALUES[rng.integers(len(_VALUES))]
    elif way == 3 and holder is not document:
        del holder[key]
    elif way == 4:
        holder[key] = copy.deepcopy(other[at])
    elif isinstance(holder, dict):
        holder[str(_VALUES[rng.integers(14, len(_VALUES))])[:50]] = holder.pop(key)
    else:
        value = holder[key]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            holder[key] = type(value)(value * rng.choice([-1, 0, 2, 1000])) if abs(value) < 1e15 else 0
        elif holder is not document:
            holder.insert(key, value)
    return json.dumps(document[0]).encode()


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        yield holder, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


# ---------------------------------------------------------------- the worker


class Pulse:
    """What the worker is at, in a file that the parent reads though the worker may be dead."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_ROOM))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _ROOM)
        self.begun = self.taken = self.refused = 0

    def begin(self, data: bytes) -> None:
        self.begun += 1
        self._map[_PULSE.size : _PULSE.size + len(data)] = data
        self._write(len(data))

    def end(self, taken: bool) -> None:
        self.taken += taken
        self.refused += not taken
        self._write(0)

    def _write(self, length: int) -> None:
        self._map[: _PULSE.size] = _PULSE.pack(self.begun, self.taken, self.refused, length)

    def read(self) -> tuple[int, int, int, bytes]:
        begun, taken, refused, length = _PULSE.unpack(self._map[: _PULSE.size])
        return begun, taken, refused, self._map[_PULSE.size : _PULSE.size + length]


def judged(run: Callable[[bytes], object], data: bytes) -> tuple[bool, dict[str, str] | None]:
    """Whether an input was taken, and what is wrong with the answer, None where nothing is."""
    from mien.errors import MienError

    try:
        run(data)
    except MienError as error:
        text = str(error)
        if text and text.isprintable() and len(text) <= 2000:
            return False, None
        what = "no message" if not text else "a message that is not one printable line"
        if text and len(text) > 2000:
            what = f"a message of {len(text):,} characters"
        return False, {"what": f"{type(error).__name__}: {what}", "where": _where(error), "text": ascii(text[:LONGEST])}
    except Exception as error:
        return False, {"what": type(error).__name__, "where": _where(error), "text": ascii(str(error)[:LONGEST])}
    return True, None


def _where(error: BaseException) -> str:
    """The innermost line of Mien's that the error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/src/mien/" in frame.filename]
    if not frames:
        frames = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{frames[-1].filename.rpartition('/src/')[2]}:{frames[-1].name}"


def worker(name: str, engine: str, seed: int, start: int, seconds: float, folder: Path) -> None:
    """Runs inputs until the time is over; writes findings in a file, a line each."""
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    pulse = Pulse(folder / "pulse")
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    target = _built(name, engine, scratch)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (folder / "ready").write_text(str(memory))

    def one(data: bytes) -> None:
        pulse.begin(data)
        busy = time.process_time()
        taken, wrong = judged(target.run, data)
        busy = time.process_time() - busy
        if wrong is None and busy > CPU_SECONDS:
            wrong = {"what": "slow", "where": name, "text": f"{busy:.1f} s of CPU"}
        if wrong is not None:
            add_finding(folder, wrong, data)
        pulse.end(taken)

    if engine == "atheris":
        _guided(target, one, seed, start, seconds, folder)
        return
    until = time.monotonic() + seconds
    number = start
    while time.monotonic() < until:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
        one(case(target.seeds, target.shape, rng))
        number += 1


def _built(name: str, engine: str, scratch: Path) -> Any:
    """The target, after its valid inputs have been taken; with atheris, everything that they load is instrumented."""
    with contextlib.ExitStack() as stack:
        if engine == "atheris":
            import atheris

            stack.enter_context(atheris.instrument_imports(include=["mien"], enable_loader_override=False))
        import cv2
        from fuzz_targets import TARGETS

        cv2.setNumThreads(1)
        target = TARGETS[name](scratch)
        taken = 0
        for data in target.seeds:
            good, wrong = judged(target.run, data)
            if wrong is not None:
                raise SystemExit(f"{name}: a valid input gives {wrong}")
            taken += good
        if not taken:
            raise SystemExit(f"{name}: none of the valid inputs is taken")
    return target


def _guided(target: Any, one: Callable[[bytes], None], seed: int, start: int, seconds: float, folder: Path) -> None:
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for data in target.seeds:
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    longest = min(_ROOM - 64, 2 * max(map(len, target.seeds)) + 256)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        if number % 2:
            return atheris.Mutate(data, most)
        return mutated(data, target.seeds, target.shape, np.random.default_rng(number))[:most]

    options = [f"-max_total_time={max(1, round(seconds))}", f"-seed={seed + start + 1}", f"-max_len={longest}"]
    options += [
        "-timeout=100000",
        "-rss_limit_mb=0",
        "-verbosity=0",
        "-handle_abrt=0",
        "-handle_segv=0",
        "-handle_bus=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()


def add_finding(folder: Path, wrong: dict[str, str], data: bytes) -> None:
    with (folder / "findings").open("a") as file:
        file.write(json.dumps(wrong | {"data": base64.b64encode(data).decode()}) + "\n")


# ---------------------------------------------------------------- the parent


class NotBegunError(Exception):
    """The valid inputs could not be made or were not taken: a mistake in a target."""


def watched(name: str, engine: str, seed: int, seconds: float, keep: Path) -> dict[str, Any]:
    """Fuzzes one target with one engine for so long, with as many workers one after the other as it takes."""
    began, cpu = time.monotonic(), 0.0
    begun = taken = refused = workers = 0
    # in memory where there is such a place: some targets write every input to a file
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        folder = Path(temporary)
        while workers == 0 or time.monotonic() - began < seconds:
            workers += 1
            (folder / "pulse").unlink(missing_ok=True)
            (folder / "ready").unlink(missing_ok=True)
            pulse = Pulse(folder / "pulse")
            left = max(seconds - (time.monotonic() - began), 1.0)
            command = [
                sys.executable,
                __file__,
                "--worker",
                name,
                engine,
                str(seed),
                str(begun),
                str(left),
                str(folder),
            ]
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
                wrong, used = _wait(process, pulse, folder, left)
            cpu += used
            n, good, bad, data = pulse.read()
            begun, taken, refused = begun + n, taken + good, refused + bad
            if wrong is not None:
                if not data and not (folder / "ready").exists():
                    tail = (folder / "log").read_bytes()[-2000:].decode("utf-8", "replace")
                    raise NotBegunError(f"{name}, {engine}: the worker did not begin: {wrong}\n{tail}")
                add_finding(folder, {"what": wrong, "where": name, "text": ""}, data)
            elif time.monotonic() - began >= seconds - 1.5:
                break
        findings = _distinct(name, folder, keep)
    wall = time.monotonic() - began
    return {
        "target": name,
        "engine": engine,
        "seed": seed,
        "wall": wall,
        "cpu": cpu,
        "cases": begun,
        "taken": taken,
        "refused": refused,
        "workers": workers,
        "findings": findings,
    }


def _wait(process: subprocess.Popen[bytes], pulse: Pulse, folder: Path, seconds: float) -> tuple[str | None, float]:
    """Watches a worker to its end; what it died of, None where its time was over, and its CPU seconds."""
    at, since, busy = -1, time.monotonic(), 0.0
    started, killed = time.monotonic(), None
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu = used.ru_utime + used.ru_stime
            if killed is not None:
                return (killed or None), cpu
            code = process.returncode
            if code == 0:
                return None, cpu
            return (f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"), cpu
        time.sleep(0.2)
        now, used_now = time.monotonic(), _cpu(process.pid)
        number = pulse.read()[0]
        if number != at or not pulse.read()[3]:
            at, since, busy = number, now, used_now
        if not (folder / "ready").exists():
            started = now  # imports and valid inputs take their time on a busy machine
            if used_now > STARTING_SECONDS and killed is None:
                killed = "does not get ready"
                os.kill(process.pid, signal.SIGKILL)
        elif killed is None:
            base = int((folder / "ready").read_text() or 0) / 1024
            if _resident(process.pid) > base + MEMORY_MB:
                killed = f"more than {MEMORY_MB} MB of memory"
            elif used_now - busy > 2 * CPU_SECONDS or now - since > WALL_SECONDS:
                killed = "hangs"
            elif now - started > seconds + 30 and not pulse.read()[3]:
                killed = ""  # its time is over, and it does not end by itself
            if killed is not None:
                # not process.kill(), which takes the status of a process that has just ended away from wait4
                os.kill(process.pid, signal.SIGKILL)


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    except (OSError, IndexError):
        return 0.0


def _distinct(name: str, folder: Path, keep: Path) -> list[dict[str, Any]]:
    """Findings by what and where, each with its smallest input, which is kept in a file."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    path = folder / "findings"
    for line in path.read_text().splitlines() if path.exists() else []:
        one = json.loads(line)
        data = base64.b64decode(one.pop("data"))
        known = found.setdefault((one["what"], one["where"]), one | {"count": 0, "data": data})
        known["count"] += 1
        if len(data) < len(known["data"]):
            known |= one | {"data": data}
    out = []
    for one in found.values():
        data = one.pop("data")
        keep.mkdir(parents=True, exist_ok=True)
        label = hashlib.sha1((one["what"] + one["where"]).encode()).hexdigest()[:8]
        (keep / f"{name}-{label}.bin").write_bytes(data)
        out.append(one | {"bytes": len(data)})
    return out


def again(folder: Path) -> dict[str, Any]:
    """What the kept inputs of earlier findings give now."""
    from fuzz_targets import TARGETS

    inputs, wrong = 0, []
    for name, build in TARGETS.items():
        kept = sorted(folder.glob(f"{name}-????????.bin"))
        if not kept:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            target = build(Path(scratch))
            for file in kept:
                inputs += 1
                before, busy = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
                found = judged(target.run, file.read_bytes())[1]
                if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEMORY_MB * 1024:
                    found = found or {"what": f"more than {MEMORY_MB} MB of memory", "where": name, "text": ""}
                if time.process_time() - busy > CPU_SECONDS:
                    found = found or {"what": "slow", "where": name, "text": ""}
                if found is not None:
                    wrong.append(found | {"input": file.name})
    return {"inputs": inputs, "wrong": wrong, "commit": commit()}


def commit() -> str:
    command = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> dict[str, Any]:
    from importlib.metadata import version

    names = ("pillow", "av", "opencv-python-headless", "onnxruntime", "pyarrow", "safetensors", "skops", "numpy")
    return {
        "cpus": os.cpu_count(),
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in names},
    }


def added(path: Path, one: dict[str, Any]) -> None:
    """Write what one target gave beside what is there; after every target, so that nothing is lost."""
    document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": []}
    document |= {"date": time.strftime("%Y-%m-%d"), **machine()}
    document["runs"].append(one | {"commit": commit()})
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    from fuzz_targets import OPEN, TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default=",".join(TARGETS), help="separated by commas")
    parser.add_argument("--minutes", type=float, default=60.0, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", help="mutations, atheris; by default both where atheris is installed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="folder for their inputs")
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"))
    parser.add_argument("--again", type=Path, metavar="FOLDER", help="try the kept inputs of earlier findings")
    options = parser.parse_args()
    if options.again:
        warnings.simplefilter("ignore")
        with OPEN:
            reported = again(options.again)
        print(json.dumps(reported, indent=1))
        if options.json:
            document = json.loads(options.json.read_text(encoding="utf-8")) | {"again": reported}
            options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        raise SystemExit(bool(reported["wrong"]))
    if options.replay:
        name, file = options.replay
        with tempfile.TemporaryDirectory() as folder, OPEN:
            target = TARGETS[name](Path(folder))
            target.run(Path(file).read_bytes())
        print("taken")
        return
    engines = ["mutations", "atheris"] if importlib.util.find_spec("atheris") else ["mutations"]
    engines = options.engines.split(",") if options.engines else engines
    names = options.targets.split(",")
    share = 60 * options.minutes / len(names) / len(engines)
    found = 0
    for name in names:
        for engine in engines:
            try:
                one = watched(name, engine, options.seed, share, options.findings)
            except NotBegunError as error:
                print(error, file=sys.stderr, flush=True)
                found += 1
                continue
            found += len(one["findings"])
            rate = one["cases"] / max(one["cpu"], 1e-9)
            print(
                f"{name}, {engine}: {one['cases']:,} inputs, {rate:.0f} a CPU second, {one['taken']:,} taken",
                flush=True,
            )
            for finding in one["findings"]:
                print(f"    {json.dumps(finding, ensure_ascii=False)}", flush=True)
            if options.json:
                added(options.json, one)
    raise SystemExit(bool(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _, _, name, engine, seed, start, seconds, folder = sys.argv
        worker(name, engine, int(seed), int(start), float(seconds), Path(folder))
    else:
        main()
