"""The plan for a GPU that is at hand for a while: teachers, student, age, detector, missing rows of reproduction.

python tools/gpu.py plan                        what would run, with the minutes that it is expected to take
python tools/gpu.py pack --fer2013 fer2013.parquet --fairface fairface.parquet \\
    --photos photos.parquet --steps teachers,student,rows --mib 40
                                                the steps' data, small, into .gpu/ (ignored by git)
python tools/gpu.py run --steps teachers,student --minutes 9 --results DIR
                                                on the machine with the GPU, in a checkout with its .gpu/

`make gpu MINUTES=9 RESULTS=DIR` is the last. A machine that is lent by the quarter of an hour, and that files reach only in
small parcels, is what this is made for:

- Steps run in order. Each command of a step can be stopped at any moment and is continued by the next call, from the run
  folders in `runs/gpu`; a command starts only if time is left, and is ended when the time is over.
- What a command made is in the folder of results as soon as it ends, or is stopped: archives of at most 15 MiB, larger ones
  in parts. `python tools/gpu.py restore DIR` puts them into a checkout; with `runs/gpu` another machine continues.
- Images of training travel as WebP of the best quality that fits `--mib`; those of validation and test lose nothing where
  that fits too, and a note in the file names the quality. Final figures are measured from the exported networks on the data as they are.

Minutes are of one H200. Those of the rows follow from rows that ran on one (docs/results/reproduction); those of the
other steps are estimates from the multiplications of the networks, which no run has confirmed yet.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
PACKED = Path(".gpu")
RUNS = Path("runs", "gpu")
LARGEST = 15 << 20
"""Bytes of a result file; larger ones are divided."""
QUALITIES = (101, 95, 90, 85, 80, 75, 70, 60, 50, 40)
"""Of WebP, best first; above 100 it is lossless."""
LEAST_QUALITY = 60
"""Of photos."""
SHARES = {"photos": 0.85, "faces": 0.15}
"""Of the limit where a step needs both."""
SAMPLE = 400
"""Images whose size is measured to choose the quality."""
SEEDS = (0, 1, 2)
TEACHER_SEEDS = (0, 1)
LEAST_SECONDS = 20.0
"""A command is not started with less time left."""


@dataclass(frozen=True)
class Command:
    """One part of a step.

    Attributes:
        name: of its results.
        line: the command.
        minutes: that it is expected to take.
        results: files and folders that are brought back where they exist.
        state: what is brought back as well where the command was stopped, so that another machine can continue it.
    """

    name: str
    line: tuple[str, ...]
    minutes: float
    results: tuple[Path, ...]
    state: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Step:
    """Name, packed data that it needs, and its commands."""

    name: str
    data: tuple[str, ...]
    commands: tuple[Command, ...]

    @property
    def minutes(self) -> float:
        """Of all its commands."""
        return sum(one.minutes for one in self.commands)


def mien(*arguments: str | Path) -> tuple[str, ...]:
    """A command of this package."""
    return (sys.executable, "-m", "mien", *map(str, arguments))


def trained(recipe: str, seed: int, data: str, minutes: float, epochs: int | None, *more: str | Path) -> list[Command]:
    """Training of one seed, and its export; brought back: metrics, weights, network."""
    name = f"{recipe}-{seed}"
    out = RUNS / name
    length = () if epochs is None else ("--epochs", str(epochs))
    line = mien("train", recipe, "--data", PACKED / f"{data}.parquet", "--seed", str(seed), "--out", out, "--resume",
                "--no-progress", *length, *more)  # fmt: skip
    files = ("metrics.csv", "config.json", "environment.json", "best.safetensors")
    exported = RUNS / f"{name}.onnx"
    return [
        Command(
            name, line, minutes, tuple(out / file for file in files), (out / "last.ckpt", out / "last.safetensors")
        ),
        Command(f"{name}-export", mien("export", out, "--out", exported), 0.3, (exported,)),
    ]


def steps(epochs: int | None = None, seeds: Sequence[int] = SEEDS) -> dict[str, Step]:
    """The plan; ``epochs`` and ``seeds`` shorten it for trials."""
    teachers = [one for seed in TEACHER_SEEDS for one in trained("emotion-teacher", seed, "fer2013", 6.0, epochs)]
    stored = RUNS / "teacher.npz"
    folders = [RUNS / f"emotion-teacher-{seed}" for seed in TEACHER_SEEDS]
    predictions = (sys.executable, "tools/gpu.py", "predictions", "--data", str(PACKED / "fer2013.parquet"),
                   "--out", str(stored), *map(str, folders))  # fmt: skip
    teachers = [one for one in teachers if not one.name.endswith("export")]
    teachers.append(Command("teacher-predictions", predictions, 3.0, (stored,)))
    students = [
        one for seed in seeds for one in trained("emotion-student", seed, "fer2013", 4.0, epochs, "--teacher", stored)
    ]
    ages = [one for seed in seeds for one in trained("age", seed, "fairface", 6.0, epochs)]
    detector = RUNS / "detector"
    faces = mien("train", "detector", "--data", PACKED / "photos.parquet", "--faces", PACKED / "faces.parquet",
                 "--out", detector, "--workers", "12", "--minutes", "8", "--resume", "--no-progress")  # fmt: skip
    files = ("curves.csv", "curves.png", "config.json", "environment.json", "detector.onnx", "checkpoint.pt")
    found = Command("detector", faces, 9.0, tuple(detector / file for file in files))
    rows = mien("reproduce", "--data", PACKED / "fer2013.parquet", "--out", RUNS / "reproduce", "--results", "docs/results/reproduction")  # fmt: skip
    return {
        "teachers": Step("teachers", ("fer2013",), tuple(teachers)),
        "student": Step("student", ("fer2013",), tuple(students)),
        "age": Step("age", ("fairface",), tuple(ages)),
        "detector": Step("detector", ("photos", "faces"), (found,)),
        "rows": Step("rows", ("fer2013",), (Command("rows", rows, 25.0, (Path("docs/results/reproduction"),)),)),
    }


def plan(chosen: Sequence[Step]) -> list[str]:
    """One line per command: minutes, and what runs."""
    lines = []
    for step in chosen:
        lines.append(f"{step.name}: {step.minutes:.0f} min, data {', '.join(step.data)}")
        lines += [f"  {one.minutes:4.1f} min  {shlex.join(one.line[1:])}" for one in step.commands]
    return [*lines, f"{sum(step.minutes for step in chosen):.0f} min in all"]


def run(chosen: Sequence[Step], minutes: float, results: Path, root: Path = ROOT) -> list[str]:
    """Run the commands that are not done until the time is over; returns the names of those that are done then."""
    start = time.monotonic()
    note = root / RUNS / "done.json"
    done: list[str] = json.loads(note.read_text()) if note.is_file() else []
    results.mkdir(parents=True, exist_ok=True)
    for step in chosen:
        for one in step.commands:
            left = 60 * minutes - (time.monotonic() - start)
            if one.name in done:
                continue
            if left < LEAST_SECONDS:
                print(f"{one.name}: not started, the time is over", flush=True)
                return done
            print(f"{one.name}: {shlex.join(one.line[1:])}", flush=True)
            try:
                code = subprocess.run(one.line, cwd=root, timeout=left, check=False).returncode
            except subprocess.TimeoutExpired:
                bring_back(replace(one, results=(*one.results, *one.state)), results, root)
                print(f"{one.name}: the time is over; the next call continues it", flush=True)
                return done
            if code:
                bring_back(replace(one, results=(*one.results, *one.state)), results, root)
                print(f"{one.name}: ended with {code}", flush=True)
                return done
            done.append(one.name)
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps(done))
            bring_back(one, results, root)
    return done


def bring_back(one: Command, results: Path, root: Path) -> list[Path]:
    """Copy what a command made: one archive of it, in parts where it is large."""
    made = [path for path in (*one.results, RUNS / "done.json") if (root / path).exists()]
    if not made:
        return []
    archive = results / f"{one.name}.tar"
    subprocess.run(["tar", "-cf", str(archive), *map(str, made)], cwd=root, check=True)
    return divide(archive)


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
    """Put what was brought back into a checkout, the newest last."""
    for first in sorted(results.glob("*.tar.part-00")):
        whole = first.with_name(first.name.removesuffix(".part-00"))
        whole.write_bytes(b"".join(part.read_bytes() for part in sorted(results.glob(f"{whole.name}.part-*"))))
    for archive in sorted(results.glob("*.tar"), key=lambda path: path.stat().st_mtime):
        subprocess.run(["tar", "-xf", str(archive.resolve())], cwd=root, check=True)


def pack(data: Path, out: Path, limit: int) -> dict[str, Any]:
    """Write a prepared file's rows as one small file; ``unpack`` makes a prepared file of it again.

    Args:
        data: a file of `mien data prepare`.
        out: the ``.npz`` file.
        limit: bytes that it may have.

    Returns:
        ``{"bytes", "quality", "quality_scored"}``: of WebP, of training images and of the others; above 100 is lossless.

    Raises:
        SystemExit: nothing is small enough.
    """
    from mien.datasets.prepared_file import read_prepared

    dataset = read_prepared(data)
    learnt = dataset.split == "train"
    rng = np.random.default_rng(0)

    def size(rows: NDArray[np.bool_], quality: int) -> float:
        where = np.flatnonzero(rows)
        if not len(where):
            return 0.0
        some = rng.choice(where, min(SAMPLE, len(where)), replace=False)
        return float(np.mean([len(encode(dataset.images[i], quality)) for i in some]) * len(where))

    room = 0.97 * limit - 64 * len(dataset)
    scored = next((quality for quality in QUALITIES[:2] if size(~learnt, quality) < 0.45 * room), QUALITIES[2])
    rest = room - size(~learnt, scored)
    quality = next((quality for quality in QUALITIES if size(learnt, quality) < rest), None)
    if quality is None:
        raise SystemExit(f"{data}: {limit / 2**20:.0f} MiB are too few")
    files = [encode(image, quality if t else scored) for image, t in zip(dataset.images, learnt, strict=True)]
    ends = np.cumsum([len(file) for file in files])
    note = f"images of training went through WebP of quality {quality}, others of {scored}; above 100 is lossless"
    info = asdict(replace(dataset.info, notes=(*dataset.info.notes, note)))
    arrays = {f"label_{name}": values for name, values in dataset.labels().items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as stream:
        np.savez_compressed(
            stream, ends=ends, files=np.frombuffer(b"".join(files), np.uint8), split=dataset.split, row=dataset.row,
            info=np.array(json.dumps(info)), **arrays,
        )  # fmt: skip
    return {"bytes": out.stat().st_size, "quality": quality, "quality_scored": scored}


def unpack(packed: Path, out: Path) -> None:
    """The prepared file of what `pack` wrote."""
    from mien.datasets.dataset import Dataset, DatasetInfo
    from mien.datasets.prepared_file import write_prepared

    with np.load(packed, allow_pickle=False) as held:
        parts = np.split(held["files"], held["ends"][:-1])
        images = np.stack([cv2.imdecode(part, cv2.IMREAD_COLOR_RGB) for part in parts])
        raw = json.loads(str(held["info"]))
        gray = bool((images == images[..., :1]).all())
        info = DatasetInfo(**{key: _tuples(value) for key, value in raw.items()})
        labels = {name.removeprefix("label_"): held[name] for name in held.files if name.startswith("label_")}
        images = np.ascontiguousarray(images[..., :1] if gray else images)
        write_prepared(Dataset(images, held["split"], held["row"], info, **labels), out)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def encode(image: NDArray[np.uint8], quality: int) -> bytes:
    """WebP of an RGB or gray ``(h, w, 1 or 3)`` image."""
    bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.shape[2] == 1 else cv2.COLOR_RGB2BGR)
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def pack_photos(photos: Path, out: Path, limit: int) -> dict[str, Any]:
    """A file of photos or faces with its pictures as WebP of the best quality that fits; boxes stay, since sizes do.

    Where the least quality is too large, rows are left out, evenly.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(photos)
    pictures = table.column("image").to_pylist()
    step = max(1, len(pictures) // SAMPLE)

    def recoded(content: bytes, quality: int) -> bytes:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        made: bytes = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
        return min(made, content, key=len)

    def size(quality: int) -> float:
        return float(np.mean([len(recoded(one["bytes"], quality)) for one in pictures[::step]]) * len(pictures))

    lossy = [quality for quality in QUALITIES if LEAST_QUALITY <= quality <= 100]
    quality = next((each for each in lossy if size(each) < 0.9 * limit), LEAST_QUALITY)
    share = min(1.0, 0.9 * limit / size(quality))
    chosen = np.unique(np.linspace(0, len(pictures) - 1, max(1, int(share * len(pictures)))).astype(int))
    table, pictures = table.take(chosen), [pictures[i] for i in chosen]
    column = table.schema.get_field_index("image")
    images = [{**one, "bytes": recoded(one["bytes"], quality)} for one in pictures]
    field = table.schema.field(column)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.set_column(column, field, pa.array(images, field.type)), out)
    return {"bytes": out.stat().st_size, "quality": quality, "rows": len(pictures)}


def predictions(data: Path, runs: Sequence[Path], out: Path) -> None:
    """Mean predictions of runs, with their mirror images, on the training rows: the file that a student learns from."""
    from mien.datasets.prepared_file import read_prepared
    from mien.evaluation.scoring.scored_model import open_model, predict

    part = read_prepared(data).select("train")
    answers = [predict(open_model(folder), part, flip=True) for folder in runs]
    heads = {head: np.mean([one[head] for one in answers], axis=0).astype(np.float16) for head in answers[0]}
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, row=part.row, **heads)


def prepare(chosen: Sequence[Step], root: Path = ROOT) -> None:
    """The prepared files of the steps' packed data."""
    for name in dict.fromkeys(name for step in chosen for name in step.data):
        packed, out = (root / PACKED / f"{name}.{kind}" for kind in ("npz", "parquet"))
        if not out.is_file() and packed.is_file():
            unpack(packed, out)
        if not out.is_file():
            raise SystemExit(f"no data {name!r} in {PACKED}: `python tools/gpu.py pack` makes it")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "plan": _plan, "pack": _pack, "run": _run, "restore": lambda o: restore(o.results), "predictions": lambda o: predictions(o.data, o.runs, o.out),
    }  # fmt: skip
    for verb in ("plan", "pack", "run"):
        one = verbs.add_parser(verb)
        one.add_argument("--steps", default=",".join(steps()), help="which of them, in this order")
        one.add_argument("--epochs", type=int, help="of every training, for trials")
        one.add_argument("--seeds", type=int, default=len(SEEDS), help="number of students and age networks")
        if verb == "pack":
            for name in ("fer2013", "fairface", "photos", "faces"):
                one.add_argument(f"--{name}", type=Path)
            one.add_argument("--mib", type=float, default=40.0, help="that all packed files may have together")
        if verb == "run":
            one.add_argument("--minutes", type=float, required=True)
            one.add_argument("--results", type=Path, required=True)
            one.add_argument("--dry-run", action="store_true", help="print the plan")
    verbs.add_parser("restore").add_argument("results", type=Path)
    stored = verbs.add_parser("predictions")
    stored.add_argument("runs", type=Path, nargs="+")
    stored.add_argument("--data", type=Path, required=True)
    stored.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    actions[options.verb](options)


def _chosen(options: argparse.Namespace) -> list[Step]:
    table = steps(options.epochs, range(options.seeds))
    names = options.steps.split(",")
    if unknown := [name for name in names if name not in table]:
        raise SystemExit(f"no step {', '.join(unknown)}: there are {', '.join(table)}")
    return [table[name] for name in names]


def _plan(options: argparse.Namespace) -> None:
    print("\n".join(plan(_chosen(options))))


def _pack(options: argparse.Namespace) -> None:
    needed = list(dict.fromkeys(name for step in _chosen(options) for name in step.data))
    given: Mapping[str, Path | None] = {name: getattr(options, name) for name in needed}
    if missing := [name for name, path in given.items() if path is None]:
        raise SystemExit(f"give {', '.join(f'--{name}' for name in missing)}")
    shutil.rmtree(ROOT / PACKED, ignore_errors=True)
    for name, path in given.items():
        if path is not None:
            share = int(options.mib * 2**20 * (SHARES.get(name, 1.0) if len(needed) == 2 else 1 / len(needed)))
            prepared = name in ("fer2013", "fairface")
            out = ROOT / PACKED / f"{name}.{'npz' if prepared else 'parquet'}"
            print(name, json.dumps((pack if prepared else pack_photos)(path, out, share)), flush=True)


def _run(options: argparse.Namespace) -> None:
    chosen = _chosen(options)
    if options.dry_run:
        print("\n".join(plan(chosen)))
        return
    prepare(chosen)
    print("done:", ", ".join(run(chosen, options.minutes, options.results.resolve())), flush=True)


if __name__ == "__main__":
    main()
