"""The plan for a GPU that is at hand for a while: teachers, student, age, detector, missing rows of reproduction.

python tools/gpu.py plan                        what would run, with the minutes that it is expected to take
python tools/gpu.py pack --fer2013 fer2013.parquet --fairface fairface.parquet \\
    --photos photos.parquet --faces train.parquet --steps teachers,student,age --mib 36
                                                the steps' data, small, into .gpu/ (ignored by git)
python tools/gpu.py check                       on the machine with the GPU: is everything there
python tools/gpu.py run --steps teachers,student,age --minutes 9 --results DIR
                                                there, in a copy of the checkout with its .gpu/
python tools/gpu.py restore DIR                 here, or on the next machine: what was brought back

`make gpu MINUTES=9 RESULTS=DIR` runs all steps. A machine that is lent by the quarter of an hour, that files reach only in
small parcels and that reaches nothing outside, is what this is made for:

- What it needs besides the checkout and `.gpu/` is Python, a torch with CUDA and the packages that `check` names where they
  are missing; `pack --wheels` puts wheels of those into `.gpu/` too. Mien is not installed there. `run` checks first, and
  refuses to train on a processor.
- Commands run side by side: networks of this size leave most of a GPU idle, since their steps wait for the processor.
- Each command can be stopped at any moment and is continued by the next call, from the run folders in `runs/gpu`; a command
  starts only if time is left, and is ended when the time is over. A command that fails ends those that need it, no other.
- What a step made is in the folder of results as soon as a command ends, or is stopped, with the logs: one archive per step,
  in parts of at most 15 MiB. With `restore` another machine continues.
- Images of training travel as WebP of the best quality that fits `--mib`; those of validation and test lose nothing where
  that fits too, and a note in the file names the quality. Final figures are measured from the exported networks on the data as they are.

Minutes are of one H200 and one command alone. Those of teachers, students, ages and rows follow from rows that ran on one
(docs/results/reproduction: about 30 ms per step of 128 images); those of the detector are an estimate.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tools")]  # the package need not be installed

PACKED = Path(".gpu")
RUNS = Path("runs", "gpu")
SITE = RUNS / "site"
"""Packages of the wheels in `PACKED`."""
NAMED = RUNS / "named"
"""What names Mien's version where it is not installed: cards of exported networks hold it."""
COMMIT = PACKED / "commit"
DONE = RUNS / "done.json"
ROW_RESULTS = RUNS / "results"
PUBLISHED = Path("docs", "results", "reproduction")
LARGEST = 15 << 20
"""Bytes of a result file; larger ones are divided."""
MOST = 60 << 20
"""Bytes of all result files; state that would exceed it stays on the machine."""
SHARES = {"photos": 0.8, "faces": 0.2}
"""Of the limit where the detector's data travel alone."""
CORE = ("numpy", "onnxruntime", "PIL", "click", "jinja2", "rich", "pandas")
"""Modules of Mien's own requirements, and those of its tables."""
KINDS = {"fer2013": "npz", "fairface": "npz", "utkface": "npz", "photos": "parquet", "faces": "npz"}
UNPACKED = {"faces": "tiles.npz"}
"""Names of what is no prepared file."""
DATA = {
    "teachers": ("fer2013",), "student": ("fer2013",), "age": ("fairface",), "detector": ("photos", "faces"),
    "rows": ("fer2013",), "age-rows": ("fairface",), "utkface-rows": ("utkface",),
}  # fmt: skip
"""Steps, in their order, and the packed data that each needs."""
STEPS = tuple(DATA)
SEEDS = (0, 1, 2)
TEACHER_SEEDS = (0, 1)
LEAST_SECONDS = 20.0
"""A command is not started with less time left."""
ENDING_SECONDS = 30.0
"""Kept for ending what runs, and for bringing it back."""
REPORT_SECONDS = 60.0
LOADER_BYTES = 64 << 20
"""Shared memory that a process that makes crops may hold."""


@dataclass(frozen=True)
class Command:
    """One part of a step.

    Attributes:
        name: of its results.
        line: the command.
        minutes: that it is expected to take.
        results: files and folders that are brought back where they exist.
        state: what is brought back as well where the command was stopped and it fits, so that another machine can
            continue it.
        after: names of commands that must be done before, where they are part of the call.
        needs: files that must be there.
    """

    name: str
    line: tuple[str, ...]
    minutes: float
    results: tuple[Path, ...]
    state: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()
    needs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Step:
    """Name, packed data that it needs, and its commands."""

    name: str
    data: tuple[str, ...]
    commands: tuple[Command, ...]

    @property
    def minutes(self) -> float:
        """Of all its commands, one after the other."""
        return sum(one.minutes for one in self.commands)


@dataclass(frozen=True)
class Outcome:
    """Names of the commands that are done, and of those that failed."""

    done: tuple[str, ...]
    failed: tuple[str, ...]


def mien(*arguments: str | Path) -> tuple[str, ...]:
    """A command of this package."""
    return (sys.executable, "-m", "mien", *map(str, arguments))


def trained(recipe: str, seed: int, data: str, minutes: float, epochs: int | None, *more: str | Path,
            after: tuple[str, ...] = (), needs: tuple[Path, ...] = ()) -> list[Command]:  # fmt: skip
    """Training of one seed, and its export; brought back: metrics, weights, network."""
    name = f"{recipe}-{seed}"
    out = RUNS / name
    length = () if epochs is None else ("--epochs", str(epochs))
    line = mien(
        "train", recipe, "--data", PACKED / f"{data}.parquet", "--seed", str(seed), "--out", out, "--resume", *length,
        *more,
    )  # fmt: skip
    files = tuple(out / file for file in ("metrics.csv", "config.json", "environment.json", "best.safetensors"))
    exported = RUNS / f"{name}.onnx"
    state = (out / "last.ckpt", out / "last.safetensors")
    return [
        Command(name, line, minutes, files, state, after, needs),
        Command(f"{name}-export", mien("export", out, "--out", exported), 0.3, (exported,), after=(name,)),
    ]


def steps(epochs: int | None = None, seeds: Sequence[int] = SEEDS) -> dict[str, Step]:
    """The plan; ``epochs`` and ``seeds`` shorten it for trials."""
    teachers = [one for seed in TEACHER_SEEDS for one in trained("emotion-teacher", seed, "fer2013", 12.0, epochs)]
    # their weights are large, and what the student learns from is not
    teachers = [
        replace(one, results=one.results[:-1], state=(*one.state, one.results[-1]))
        for one in teachers
        if not one.name.endswith("export")
    ]
    stored = RUNS / "teacher.npz"
    predictions = (sys.executable, "tools/gpu.py", "predictions", "--data", str(PACKED / "fer2013.parquet"),
                   "--out", str(stored), *(str(RUNS / one.name) for one in teachers))  # fmt: skip
    names = tuple(one.name for one in teachers)
    teachers.append(Command("teacher-predictions", predictions, 1.0, (stored,), after=names))
    students = [
        one
        for seed in seeds
        for one in trained("emotion-student", seed, "fer2013", 12.0, epochs, "--teacher", stored,
                           after=("teacher-predictions",), needs=(stored,))
    ]  # fmt: skip
    ages = [one for seed in seeds for one in trained("age", seed, "fairface", 11.0, epochs)]
    detector = RUNS / "detector"
    length = "20000" if epochs is None else str(50 * epochs)
    faces = mien("train", "detector", "--data", PACKED / "photos.parquet", "--faces", PACKED / "tiles.npz",
                 "--out", detector, "--workers", str(loaders()), "--steps", length, "--resume")  # fmt: skip
    files = ("curves.csv", "curves.png", "config.json", "environment.json", "detector.onnx", "checkpoint.pt")
    found = Command("detector", faces, 12.0, tuple(detector / file for file in files))
    commands = (teachers, students, ages, [found], *(rows(DATA[name][0]) for name in STEPS if name.endswith("rows")))
    return {name: Step(name, DATA[name], tuple(some)) for name, some in zip(STEPS, commands, strict=True)}


@cache
def rows(data: str) -> tuple[Command, ...]:
    """The missing rows of reproduction that learn from this data alone, cheapest first, each on its own."""
    try:
        from mien.published.reproduction.published_results import OPTIONS
        from mien.published.reproduction.report_page import gpu_minutes, unfinished_rows
        from mien.published.reproduction.results import curve_path, read_results
    except ModuleNotFoundError as error:
        raise SystemExit(f"missing: package {error.name}") from None

    found = read_results(ROOT / PUBLISHED)
    commands = []
    for row, runs in unfinished_rows(found):
        if row.data != data or row.features or row.recipe is None:
            continue
        out = RUNS / "rows" / row.name
        line = mien("reproduce", row.name, OPTIONS[row.data], PACKED / f"{data}.parquet", "--out", out, "--results",
                    ROW_RESULTS, "--progress")  # fmt: skip
        results = (ROW_RESULTS / f"{row.name}.json", *(curve_path(ROW_RESULTS, row.name, seed) for seed in row.seeds))
        commands.append(Command(f"row-{row.name}", line, gpu_minutes(found, row, runs), results, (out,)))
    return tuple(commands)


def loaders() -> int:
    """Processes that make crops: as many as cores and shared memory allow, two cores being left."""
    from mien.cpus import available_cpus

    shared = Path("/dev/shm")
    room = shutil.disk_usage(shared).free // LOADER_BYTES if shared.is_dir() else 12
    return max(0, min(12, available_cpus() - 2, room))


def plan(chosen: Sequence[Step]) -> list[str]:
    """One line per command: minutes, and what runs."""
    lines = []
    for step in chosen:
        lines.append(f"{step.name}: {step.minutes:.0f} min, data {', '.join(step.data)}")
        lines += [f"  {one.minutes:4.1f} min  {shlex.join(one.line[1:])}" for one in step.commands]
    return [*lines, f"{sum(step.minutes for step in chosen):.0f} min in all, one after the other"]


def lacking_packages(names: Sequence[str]) -> list[str]:
    """The packages that commands of the steps with these names need, and that are not installed; nothing is imported."""
    from mien.extras import MACHINES, NETWORKS, PACKAGES

    needed = (*CORE, *NETWORKS, *(MACHINES if any(name.endswith("rows") for name in names) else ()))
    return [PACKAGES.get(name, name) for name in dict.fromkeys(needed) if find_spec(name) is None]


def check(root: Path = ROOT, *, processor: bool = False) -> list[str]:
    """Print what the machine has; returns what it lacks.

    Args:
        root: of the checkout.
        processor: whether to run without a GPU, for trials.
    """
    from mien.cpus import available_cpus

    lacks = []
    print(f"python {sys.version.split()[0]}, {available_cpus()} processors, "
          f"{shutil.disk_usage(root).free / 2**30:.0f} GiB of disk, {loaders()} processes for crops")  # fmt: skip
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
            memory = torch.cuda.get_device_properties(0).total_memory / 2**30
            print(f"torch {torch.__version__}, {torch.cuda.get_device_name(0)}, {memory:.0f} GiB, bfloat16 {bf16}")
            try:
                # a build of torch that lacks kernels for this GPU is found here, and not after minutes
                torch.nn.functional.conv2d(torch.ones(1, 1, 8, 8, device="cuda"), torch.ones(1, 1, 3, 3, device="cuda"))
                torch.cuda.synchronize()
            except RuntimeError as error:
                lacks.append(f"a torch that computes on this GPU ({error})")
        elif not processor:
            lacks.append(f"a GPU that torch {torch.__version__} sees (for a trial on the processor: --processor)")
    return lacks


def install_wheels(root: Path = ROOT) -> None:
    """Put the wheels that travelled where the commands find them."""
    wheels = sorted((root / PACKED / "wheels").glob("*.whl"))
    if wheels and not (root / SITE).is_dir():
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile",
                "--disable-pip-version-check", "--target", str(root / SITE), *map(str, wheels)]  # fmt: skip
        subprocess.run(line, check=True)
    if (root / SITE).is_dir() and str(root / SITE) not in sys.path:
        sys.path.append(str(root / SITE))
        invalidate_caches()


def name_version(root: Path = ROOT) -> None:
    """Write down the version of the checkout, as an installed package would."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if version is None:
        raise SystemExit("pyproject.toml states no version")
    folder = root / NAMED / f"mien-{version[1]}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: mien\nVersion: {version[1]}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")


def environment(root: Path, jobs: int) -> dict[str, str]:
    """Of the commands: Mien from the checkout, packed packages, the commit that travelled, threads per process."""
    from mien.cpus import available_cpus

    given = dict(os.environ)
    given_paths = filter(None, [given.get("PYTHONPATH")])
    paths = [str(ROOT / "src"), *given_paths, str(root / SITE), str(root / NAMED)]
    given |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    given.setdefault("OMP_NUM_THREADS", str(max(1, available_cpus() // jobs)))
    if (root / COMMIT).is_file() and not (root / ".git").exists():
        given.setdefault("MIEN_COMMIT", (root / COMMIT).read_text(encoding="utf-8").strip())
    return given


@dataclass
class _Runner:
    """What `run` does: which commands wait, which run, which are done or failed."""

    steps: Sequence[Step]
    results: Path
    root: Path
    jobs: int
    deadline: float
    done: dict[str, list[str]]
    failed: list[str] = field(default_factory=list)
    running: dict[str, tuple[Step, Command, subprocess.Popen[bytes]]] = field(default_factory=dict)

    def next(self) -> tuple[Step, Command] | None:
        """A command that can start: in the order of the plan, what it needs is there."""
        part = {one.name for step in self.steps for one in step.commands}
        for step in self.steps:
            for one in step.commands:
                if self.is_done(one) or one.name in self.running or one.name in self.failed:
                    continue
                if any(name in self.failed for name in one.after):
                    self.fail(step, one, "what it needs has failed")
                elif all(self.is_done_name(name) for name in one.after if name in part):
                    lacking = [str(path) for path in one.needs if not (self.root / path).is_file()]
                    if not lacking:
                        return step, one
                    self.fail(step, one, f"{', '.join(lacking)} is missing: run the step before it, or restore it")
        return None

    def is_done(self, one: Command) -> bool:
        # the interpreter differs between machines
        return self.done.get(one.name) == list(one.line[1:])

    def is_done_name(self, name: str) -> bool:
        return any(one.name == name and self.is_done(one) for step in self.steps for one in step.commands)

    def start(self, step: Step, one: Command) -> None:
        log = self.root / RUNS / "logs" / f"{one.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        print(f"{one.name}: {shlex.join(one.line[1:])}", flush=True)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                one.line, cwd=self.root, env=environment(self.root, self.jobs), stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.running[one.name] = (step, one, process)

    def collect(self) -> None:
        """Bring back what has ended."""
        for name, (step, one, process) in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[name]
            if code:
                self.fail(step, one, f"ended with {code}\n{self.last_lines(name, 15)}")
                self.bring_back(step, one.state)
                continue
            self.done[name] = list(one.line[1:])
            print(f"{name}: done", flush=True)
            self.bring_back(step)

    def fail(self, step: Step, one: Command, reason: str) -> None:
        self.failed.append(one.name)
        print(f"{one.name}: {reason}", flush=True)

    def stop(self) -> None:
        """End what runs; it writes down how far it is."""
        for _, _, process in self.running.values():
            process.terminate()
        end = time.monotonic() + ENDING_SECONDS / 2
        stopped: dict[str, tuple[Step, list[Path]]] = {}
        for name, (step, one, process) in self.running.items():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            stopped.setdefault(step.name, (step, []))[1].extend(one.state)
            print(f"{name}: the time is over; the next call continues it", flush=True)
        for step, state in stopped.values():
            self.bring_back(step, tuple(state))

    def last_lines(self, name: str, count: int = 1) -> str:
        log = self.root / RUNS / "logs" / f"{name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        return "\n".join(lines[-count:])

    def bring_back(self, step: Step, state: Sequence[Path] = ()) -> None:
        note = self.root / DONE
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(self.done, indent=1), encoding="utf-8")
        logs = [RUNS / "logs" / f"{one.name}.log" for one in step.commands]
        made = [*(path for one in step.commands for path in one.results), *logs, DONE]
        bring_back(step.name, made, self.results, self.root, state)


def run(chosen: Sequence[Step], minutes: float, results: Path, root: Path = ROOT, jobs: int = 1,
        started: float | None = None) -> Outcome:  # fmt: skip
    """Run the commands that are not done until the time is over.

    Args:
        chosen: the steps, in order; commands of later ones run beside those of earlier ones where ``jobs`` allow.
        minutes: that the call may take.
        results: folder of what is brought back.
        root: of the checkout.
        jobs: commands side by side.
        started: `time.monotonic` at the start of the call.
    """
    begin = time.monotonic() if started is None else started
    note = root / DONE
    done = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    results.mkdir(parents=True, exist_ok=True)
    name_version(root)
    runner = _Runner(chosen, results, root, jobs, begin + 60 * minutes - ENDING_SECONDS, done)
    reported = time.monotonic()
    while True:
        runner.collect()
        now = time.monotonic()
        if now >= runner.deadline and runner.running:
            runner.stop()
            break
        waiting = runner.next() if len(runner.running) < jobs else None
        if waiting is not None and runner.deadline - now >= LEAST_SECONDS:
            runner.start(*waiting)
            continue
        if not runner.running:
            if waiting is not None:
                print(f"{waiting[1].name}: not started, the time is over", flush=True)
            break
        if now - reported >= REPORT_SECONDS:
            reported = now
            for name in runner.running:
                print(f"{now - begin:5.0f} s  {name}: {runner.last_lines(name)}", flush=True)
        time.sleep(0.2)
    names = [one.name for step in chosen for one in step.commands if runner.is_done(one)]
    return Outcome(tuple(names), tuple(runner.failed))


def bring_back(name: str, paths: Sequence[Path], results: Path, root: Path, state: Sequence[Path] = ()) -> list[Path]:
    """Copy what a step made: one archive of it, in parts where it is large; of the state what fits, smallest first."""
    made = [path for path in dict.fromkeys(paths) if (root / path).exists()]
    others = (path for path in results.iterdir() if path.name.split(".part-")[0] != f"{name}.tar")
    room = MOST - sum(path.stat().st_size for path in others) - sum(_bytes(root / path) for path in made)
    for path in sorted(
        (path for path in dict.fromkeys(state) if (root / path).exists()), key=lambda p: _bytes(root / p)
    ):
        room -= _bytes(root / path)
        if room < 0:
            print(f"{path}: stays here, the results have {MOST >> 20} MiB at most", flush=True)
        else:
            made.append(path)
    with tempfile.TemporaryDirectory(dir=root / RUNS) as folder:
        archive = Path(folder, f"{name}.tar")
        with tarfile.open(archive, "w") as tar:
            for path in made:
                tar.add(root / path, str(path), filter=_without_owner)
        parts = divide(archive)
        # parts of an earlier call would be joined with these, or be taken for newer
        for old in (results / archive.name, *results.glob(f"{archive.name}.part-*")):
            old.unlink(missing_ok=True)
        return [Path(shutil.move(part, results / part.name)) for part in parts]


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(member.name).name in ("tensorboard", "cache"):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def divide(file: Path, largest: int = LARGEST) -> list[Path]:
    """A file as it is, or in parts whose names sort in their order; `cat` joins them."""
    if file.stat().st_size <= largest:
        return [file]
    parts = []
    with file.open("rb") as stream:
        while content := stream.read(largest):
            parts.append(file.with_name(f"{file.name}.part-{len(parts):02}"))
            parts[-1].write_bytes(content)
    file.unlink()
    return parts


def restore(results: Path, root: Path = ROOT) -> None:
    """Put what was brought back into a checkout; nothing is written to the folder of results.

    What several archives hold of what is done is joined, so that their order does not matter. Rows of reproduction go to
    the documentation's results as well.
    """
    note = root / DONE
    done: dict[str, list[str]] = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    names = {path.name.split(".part-")[0] for path in results.glob("*.tar*")}
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(names):
            parts = sorted(results.glob(f"{name}.part-*")) or [results / name]
            whole = Path(folder, name)
            with whole.open("wb") as stream:
                for part in parts:
                    stream.write(part.read_bytes())
            with tarfile.open(whole) as tar:
                tar.extractall(root, filter="data")
                members = tar.getnames()
            whole.unlink()
            done |= json.loads(note.read_text(encoding="utf-8"))
            for member in members:
                if Path(member).is_relative_to(ROW_RESULTS) and (root / member).is_file():
                    published = root / PUBLISHED / Path(member).relative_to(ROW_RESULTS)
                    published.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(root / member, published)
    if done:
        note.write_text(json.dumps(done, indent=1), encoding="utf-8")


def predictions(data: Path, runs: Sequence[Path], out: Path) -> None:
    """Mean predictions of runs, with their mirror images, on the training rows: the file that a student learns from."""
    import numpy as np

    from mien.datasets.prepared_file import read_prepared

    part = read_prepared(data).select("train")
    answers = [_predict(folder, part.images) for folder in runs]
    heads = {head: np.mean([one[head] for one in answers], axis=0).astype(np.float16) for head in answers[0]}
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, row=part.row, **heads)


def _predict(folder: Path, images: Any) -> Mapping[str, Any]:
    """Probabilities of a run's best weights, averaged with those of the mirror images, on the GPU where there is one."""
    import numpy as np
    import torch

    from mien.models.model import average_with_mirror, softmax
    from mien.models.preprocessing import normalize
    from mien.networks.catalog import get_network
    from mien.training.detection.module import training_device
    from mien.training.resize import resize_images
    from mien.training.run_folder import load_run

    recipe, network, _ = load_run(folder)
    device = training_device()
    network.to(device)

    def probabilities(pixels: Any) -> dict[str, Any]:
        parts: dict[str, list[Any]] = {head.name: [] for head in recipe.heads}
        for start in range(0, len(pixels), 256):
            x = torch.from_numpy(normalize(pixels[start : start + 256], recipe.mean, recipe.std)).to(device)
            with torch.inference_mode():
                logits = network(x)
            for head, values in logits.items():
                parts[head].append(softmax(values.float().cpu().numpy()))
        return {head: np.concatenate(chunks) for head, chunks in parts.items()}

    size = get_network(recipe.network).size
    return average_with_mirror(probabilities, resize_images(images, size, len(recipe.mean)))


def prepare(chosen: Sequence[Step], root: Path = ROOT) -> None:
    """The files that the steps read, of their packed data, and the rows' earlier runs."""
    from gpu_data import unpack, unpack_faces

    for name in dict.fromkeys(name for step in chosen for name in step.data):
        packed = root / PACKED / f"{name}.{KINDS[name]}"
        out = root / PACKED / UNPACKED.get(name, f"{name}.parquet")
        if not out.is_file() and packed.is_file():
            partial = out.with_name(f"partial-{out.name}")
            (unpack_faces if name == "faces" else unpack)(packed, partial)
            partial.replace(out)
        if not out.is_file():
            raise SystemExit(f"no data {name!r} in {PACKED}: `python tools/gpu.py pack` makes it")
    for step in chosen:
        for path in (path for one in step.commands for path in one.results if path.is_relative_to(ROW_RESULTS)):
            earlier = root / PUBLISHED / path.relative_to(ROW_RESULTS)
            if earlier.is_file() and not (root / path).is_file():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(earlier, root / path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "plan": _plan, "pack": _pack, "check": _check, "run": _run, "restore": lambda o: restore(o.results),
        "predictions": lambda o: predictions(o.data, o.runs, o.out),
    }  # fmt: skip
    for verb in ("plan", "pack", "check", "run"):
        one = verbs.add_parser(verb)
        one.add_argument("--steps", help="which of them, in this order; by default all, and on the machine with the GPU "
                         "those whose data were packed")  # fmt: skip
        one.add_argument("--epochs", type=int, help="of every training, for trials")
        one.add_argument("--seeds", type=int, default=len(SEEDS), help="number of students and age networks")
        if verb == "pack":
            for name in KINDS:
                one.add_argument(f"--{name}", type=Path)
            one.add_argument("--mib", type=float, default=36.0, help="that all packed files may have together")
            one.add_argument("--wheels", nargs="*", default=(), help="packages to take along, such as kornia kornia-rs")
            one.add_argument("--python", default="3.12", help="version of the machine, for the wheels")
        if verb in ("check", "run"):
            one.add_argument("--processor", action="store_true", help="run without a GPU, for trials")
        if verb == "run":
            one.add_argument("--minutes", type=float, required=True)
            one.add_argument("--results", type=Path, required=True)
            one.add_argument(
                "--jobs", type=int, help="commands side by side; by default one per two processors, at most 6"
            )
            one.add_argument("--dry-run", action="store_true", help="print the plan")
    verbs.add_parser("restore").add_argument("results", type=Path)
    stored = verbs.add_parser("predictions")
    stored.add_argument("runs", type=Path, nargs="+")
    stored.add_argument("--data", type=Path, required=True)
    stored.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    actions[options.verb](options)


def _names(options: argparse.Namespace, *, packed: bool = False) -> list[str]:
    names: list[str] = options.steps.split(",") if options.steps else list(STEPS)
    if unknown := [name for name in names if name not in STEPS]:
        raise SystemExit(f"no step {', '.join(unknown)}: there are {', '.join(STEPS)}")
    if packed and not options.steps:
        names = [name for name in names if all(_is_packed(data) for data in DATA[name])]
    return names


def _is_packed(data: str, root: Path = ROOT) -> bool:
    return any((root / PACKED / file).is_file() for file in (f"{data}.{KINDS[data]}", f"{data}.parquet"))


def _chosen(options: argparse.Namespace, names: Sequence[str]) -> list[Step]:
    table = steps(options.epochs, range(options.seeds))
    return [table[name] for name in names]


def _plan(options: argparse.Namespace) -> None:
    print("\n".join(plan(_chosen(options, _names(options)))))


def _pack(options: argparse.Namespace) -> None:
    from gpu_data import pack, pack_faces, pack_photos

    from mien.training.environment import source_commit

    needed = list(dict.fromkeys(data for name in _names(options) for data in DATA[name]))
    given: Mapping[str, Path | None] = {name: getattr(options, name) for name in needed}
    if missing := [name for name, path in given.items() if path is None]:
        raise SystemExit(f"give {', '.join(f'--{name}' for name in missing)}")
    shutil.rmtree(ROOT / PACKED, ignore_errors=True)
    (ROOT / PACKED).mkdir()
    (ROOT / COMMIT).write_text(f"{source_commit() or ''}\n", encoding="utf-8")
    room = options.mib * 2**20
    if options.wheels:
        room -= _pack_wheels(options.wheels, options.python)
    for name, path in given.items():
        if path is not None:
            share = int(room * (SHARES[name] if set(needed) == set(SHARES) else 1 / len(needed)))
            packer = {"photos": pack_photos, "faces": pack_faces}.get(name, pack)
            out = ROOT / PACKED / f"{name}.{KINDS[name]}"
            print(name, json.dumps(packer(path, out, share)), flush=True)


def _pack_wheels(names: Sequence[str], version: str) -> int:
    """Wheels of the versions that Mien is tested with, for Linux on x86-64; returns their bytes."""
    folder = ROOT / PACKED / "wheels"
    pins = {line.split("==")[0].replace("_", "-").lower(): line.split(";")[0].strip()
            for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line}  # fmt: skip
    platforms = [word for each in ("2_28", "2_27", "2_17", "2014", "1")
                 for word in ("--platform", f"manylinux{'_' if '_' in each else ''}{each}_x86_64")]  # fmt: skip
    wanted = [pins.get(name.replace("_", "-").lower(), name) for name in names]
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version",
            version, "--implementation", "cp", *platforms, "--dest", str(folder), *wanted]  # fmt: skip
    subprocess.run(line, check=True)
    return sum(file.stat().st_size for file in folder.iterdir())


def _checked(options: argparse.Namespace) -> list[str]:
    """Names of the steps that can run; ends the program with one line per thing that is missing."""
    names = _names(options, packed=True)
    install_wheels()
    lacks = [f"package {name}" for name in lacking_packages(names)]
    lacks += [f"{PACKED / data}.{KINDS[data]}: `python tools/gpu.py pack` makes it"
              for data in dict.fromkeys(data for name in names for data in DATA[name]) if not _is_packed(data)]  # fmt: skip
    if not names:
        lacks.append(f"data in {PACKED}: `python tools/gpu.py pack` makes them")
    lacks += check(processor=options.processor)
    if lacks:
        raise SystemExit("\n".join(f"missing: {one}" for one in lacks))
    return names


def _check(options: argparse.Namespace) -> None:
    print("everything is there for", ", ".join(_checked(options)))


def _run(options: argparse.Namespace) -> None:
    from mien.cpus import available_cpus

    started = time.monotonic()
    if options.dry_run:
        _plan(options)
        return
    chosen = _chosen(options, _checked(options))
    prepare(chosen)
    print(f"ready after {time.monotonic() - started:.0f} s", flush=True)
    jobs = options.jobs or max(1, min(6, available_cpus() // 2))
    outcome = run(chosen, options.minutes, options.results.resolve(), jobs=jobs, started=started)
    print("done:", ", ".join(outcome.done) or "nothing", flush=True)
    if outcome.failed:
        raise SystemExit(f"failed: {', '.join(outcome.failed)}")


if __name__ == "__main__":
    main()
