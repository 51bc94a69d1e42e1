"""Build wheel and sdist, install the wheel into fresh environments and run the tests there, far from the checkout.

    python tools/release_check.py                              what this machine can do
    python tools/release_check.py --only 3.10-oldest-inference --keep
    python tools/release_check.py --json docs/results/release.json

Each environment is a Python (3.10 to 3.15, those that are found), the oldest or the newest dependencies that
pyproject.toml allows, and a set: "inference" is the package with what tables, pictures and the service need; "all" is
every extra, and runs the tests of training as well. "all" needs a processor-only torch wheel, which --wheels gives, so
that no CUDA packages are fetched; it is run on the Pythons such a wheel is for, and its torch is that wheel's.
"opencv5" and "opencv5window" (only with --only) are "inference" beside OpenCV 5, headless and with windows.
Dependencies are resolved and installed by uv. A package whose oldest allowed version has no wheel for a Python is taken
in the oldest version that has one. Environments are removed when they are done.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
AGES = ("oldest", "newest")
_BASIC = "video,tables,batch,heif,plots,mtcnn,serve"
EXTRAS = {"inference": f"{_BASIC},opencv,res10", "opencv5": _BASIC, "opencv5window": _BASIC, "all": "all"}
BESIDE = {"opencv5": "opencv-python-headless>=5", "opencv5window": "opencv-python>=5"}
"""Set → a package that is installed beside Mien."""
WITH_TRAINING = (
    "cli/test_audit", "cli/test_evaluate", "cli/test_explain", "datasets/audit/", "evaluation/scoring/", "exchange/test_agreement",
    "explain/",
    "fuzzing/test_fuzz_cases", "networks/", "published/", "recipes/", "test_export", "test_own_classes", "test_quantize",
    "test_statistics", "training/", "tuning/",
)  # fmt: skip
"""Folders and test files below tests/ for which "all" is needed; the others run in every environment."""
PINNED = (
    "datasets/test_croissant",
    "test_docs",
    "test_docstring_examples",
    "test_extras",
    "test_house",
    "test_release",
)
"""Test files that hold for the versions in constraints.txt alone, need the checkout, or a package without wheels
(mlcroissant asks for one)."""
QUICK = (
    "batch/", "datasets/test_prepared_file", "detect/", "draw/test_video_page", "media/test_image", "media/test_video",
    "models/test_session", "pipeline/test_jobs", "results/", "server/", "training/test_ranks",
)  # fmt: skip
"""With --quick: what is nearest to the dependencies, from pictures, videos and tables to the service."""
TOOLS = (
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "httpx2",
    "httpx",
    "huggingface_hub",
    "jsonschema",
    "scikit-image",
)
"""httpx is for the test client of old releases of Starlette."""
UNPINNED_WARNINGS = ["-o", "filterwarnings="]
"""Warnings of packages as old as these are not ours to answer."""
SECONDS = 3600
_PROBE = """
import importlib.metadata as m, json, mien, sys
print(json.dumps([mien.__file__, {d.metadata["Name"]: d.version for d in m.distributions()}, sys.version.split()[0]]))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment to make and test in."""

    python: str
    age: str
    part: str

    @property
    def name(self) -> str:
        return f"{self.python}-{self.age}-{self.part}"

    def tests(self, folder: Path) -> list[str]:
        """Names of the test files in a folder that can run here."""
        left_out = PINNED if self.part == "all" else PINNED + WITH_TRAINING
        there = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("test_*.py"))
        return [name for name in there if not name.startswith(left_out)]


class NotInstallableError(Exception):
    """The dependencies of an environment cannot be resolved or installed; the text is uv's reason."""


def run(*call: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(one) for one in call], cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode and env is None:
        sys.exit(f"{' '.join(map(str, call))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def interpreters() -> dict[str, Path]:
    """Version → interpreter, of those that are on PATH, that pyenv has, or that uv has (`uv python install 3.14`)."""
    found = {}
    for version in PYTHONS:
        here = shutil.which(f"python{version}")
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
        by_uv = subprocess.run(
            ["uv", "python", "find", "--managed-python", "--no-python-downloads", version],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        managed = [Path(by_uv.stdout.strip())] if by_uv.returncode == 0 else []
        for candidate in (*pyenv, *managed, *([Path(here)] if here else [])):
            works = subprocess.run([candidate, "-c", "import ssl, venv"], capture_output=True, timeout=60, check=False)
            if works.returncode == 0:
                found[version] = candidate
                break
    return found


def build(work: Path) -> tuple[Path, Path]:
    """The wheel, which is built from the sdist, and the sdist."""
    dist = work / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", dist, ROOT, cwd=work)
    return built(work)


def built(work: Path) -> tuple[Path, Path]:
    """The wheel and the sdist that are there."""
    dist = work / "dist"
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel, sdist


def torch_wheel(wheels: Path | None, python: str) -> str | None:
    """The version of a processor-only torch for this Python."""
    if wheels is None:
        return None
    tag = f"cp{python.replace('.', '')}"
    names = [path.name for path in wheels.glob(f"torch-*+cpu-{tag}-*.whl")]
    return names[-1].split("-")[1] if names else None


def install(one: Environment, interpreter: Path, wheel: Path, folder: Path, wheels: Path | None) -> Path:
    """A fresh environment with the wheel; returns its interpreter."""
    folder.mkdir(parents=True)
    python = folder / "env" / "bin" / "python"
    torch = torch_wheel(wheels, one.python) if one.part == "all" else None
    (folder / "torch.txt").write_text(f"torch=={torch}\n" if torch else "", encoding="utf-8")
    extras = [flag for extra in EXTRAS[one.part].split(",") for flag in ("--extra", extra)]
    links = ["--find-links", str(wheels)] if wheels else []
    resolution = "lowest-direct" if one.age == "oldest" else "highest"
    beside = folder / "beside.in"
    beside.write_text(f"{BESIDE.get(one.part, '')}\n", encoding="utf-8")
    uv(
        "pip", "compile", ROOT / "pyproject.toml", beside, *extras, "--resolution", resolution, "--python-version",
        one.python, "-c", folder / "torch.txt", *links, "--only-binary", ":all:",
        "--output-file", folder / "pins.txt", "-q", cwd=folder,
    )  # fmt: skip
    run("uv", "venv", "-q", "--python", interpreter, folder / "env", cwd=folder)
    uv(
        "pip", "install", "-q", "--python", python, "-c", folder / "pins.txt", *links, "--only-binary", ":all:",
        f"mien[{EXTRAS[one.part]}] @ {wheel.as_uri()}", "-r", beside, *TOOLS, cwd=folder,
    )  # fmt: skip
    return python


def uv(*call: str | Path, cwd: Path) -> None:
    """`NotInstallableError` where uv finds no wheels that go together."""
    done = run("uv", *call, cwd=cwd, env=dict(os.environ))
    if done.returncode:
        raise NotInstallableError(" ".join(done.stderr.split())[:600])


def test(one: Environment, python: Path, sdist: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the tests of the sdist in an environment, outside the checkout and without the sdist's own code."""
    unpacked = folder / "unpacked"
    shutil.unpack_archive(sdist, unpacked)
    site = (unpacked / sdist.name.removesuffix(".tar.gz")).rename(folder / "run")
    unpacked.rmdir()
    shutil.rmtree(site / "src")
    wanted = tuple(options.tests or (QUICK if options.quick else ("",)))
    names = [name for name in one.tests(site / "tests") if name.startswith(wanted)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MIEN", "VIRTUAL"))}
    clean |= {"OMP_NUM_THREADS": "1", "PATH": f"{python.parent}:{clean['PATH']}"}
    if one.age == "oldest":
        clean["MIEN_CHILD_WARNINGS"] = "default"
    probe = run(python, "-c", _PROBE, cwd=site, env=clean)
    if probe.returncode:
        return {"failed_to_import": probe.stderr.strip().splitlines()[-1]}
    where, packages, version = json.loads(probe.stdout)
    if not Path(where).is_relative_to(folder / "env"):
        sys.exit(f"{where}: is not the installed wheel")
    files = [f"tests/{name}.py" for name in names]
    several = ["-n", str(options.workers), "--dist", "loadscope"] if options.workers > 1 else []
    call = [
        python, "-m", "pytest", "-q", "-m", "not data and not browser and not slow",
        *(UNPINNED_WARNINGS if one.age == "oldest" else []), *files,
    ]  # fmt: skip
    started = time.monotonic()
    done = run(*call, *several, cwd=site, env=clean)
    (folder / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    counts, failures, code = counted(done.stdout), failed(done.stdout), done.returncode
    passed_again: list[str] = []
    if code == 1:  # on a machine that is busy, tests with clocks fail
        again = run(*call, "--last-failed", cwd=site, env=clean)
        (folder / "pytest-again.log").write_text(again.stdout + again.stderr, encoding="utf-8")
        still, code = failed(again.stdout), again.returncode
        passed_again = [name for name in failures if name not in still]
        failures = still
        bad = {word: n for word, n in counted(again.stdout).items() if word not in ("passed", "skipped")}
        passed = counts.get("passed", 0) + counted(again.stdout).get("passed", 0)
        counts = {"passed": passed, "skipped": counts.get("skipped", 0)} | bad
    direct = sorted(dependencies(one.part))
    return {
        "python": version,
        "platform": platform.platform(),
        "exit": code,
        **counts,
        "tests": names,
        "seconds": round(time.monotonic() - started),
        "failures": failures,
        "passed_again": passed_again,
        "versions": {name: packages[name] for name in sorted(packages, key=str.lower) if canonical(name) in direct},
    }


def counted(text: str) -> dict[str, int]:
    """How many tests passed, failed and so on, from pytest's output."""
    return {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", last_line(text))}


def failed(text: str) -> list[str]:
    """Names of the tests that failed, from pytest's output."""
    return re.findall(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", text, re.MULTILINE)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies(part: str) -> set[str]:
    """Names that pyproject.toml itself gives for a set."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = dict(re.findall(r"^([a-z0-9]+) = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL))
    core = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    names = {canonical(re.split("[<>=]", BESIDE[part])[0])} if part in BESIDE else set()
    wanted = set(EXTRAS[part].split(",")) if part != "all" else set(tables) - {"dev", "docs", "release", "all"}
    for body in [core.group(1) if core else "", *(tables.get(name, "") for name in wanted)]:
        names |= {canonical(name) for name in re.findall(r'"([A-Za-z0-9_.-]+)', body) if name != "mien"}
    return names


def environments(found: Sequence[str], wheels: Path | None) -> Iterator[Environment]:
    for python in found:
        for age in AGES:
            # what "all" tests holds what "inference" tests
            part = "all" if torch_wheel(wheels, python) else "inference"
            yield Environment(python, age, part)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(os.environ.get("TMPDIR", "/tmp")) / "mien-release")
    parser.add_argument("--wheels", type=Path, help="folder with a processor-only torch wheel")
    parser.add_argument("--only", nargs="*", help="names of environments, such as 3.12-oldest-inference")
    parser.add_argument("--workers", type=int, default=1, help="test processes side by side")
    parser.add_argument("--quick", action="store_true", help="only tests near to the dependencies")
    parser.add_argument(
        "--tests",
        nargs="*",
        help="test files or folders below tests/ to run instead of all, such as media/test_image results/",
    )
    parser.add_argument("--built", action="store_true", help="take what an earlier call built")
    parser.add_argument("--keep", action="store_true", help="leave the environments")
    parser.add_argument("--json", type=Path, help="write the results here, beside those of earlier calls")
    options = parser.parse_args()
    # jobs in the background of a shell ignore Ctrl-C, and so would the tests that send it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work = options.work.resolve()
    if work.is_relative_to(ROOT):
        parser.error("--work must lie outside the checkout")
    work.mkdir(parents=True, exist_ok=True)
    wheel, sdist = built(work) if options.built else build(work)
    print(
        f"built {wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB), {sdist.name} ({sdist.stat().st_size / 1e6:.1f} MB)"
    )
    found = interpreters()
    print("found", ", ".join(f"{version}: {path}" for version, path in found.items()))
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    results = {
        "platform": platform.platform(),
        "not_found": sorted(set(PYTHONS) - set(found)),
        "wheel_bytes": wheel.stat().st_size,
        "sdist_bytes": sdist.stat().st_size,
        "environments": results.get("environments", {}),
    }
    chosen = list(environments(list(found), options.wheels))
    if options.only:
        named = (Environment(*name.split("-")) for name in options.only)
        chosen = [one for one in named if one.python in found]
    bad = 0
    for one in chosen:
        folder = work / one.name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            python = install(one, found[one.python], wheel, folder, options.wheels)
            outcome = test(one, python, sdist, folder, options)
        except NotInstallableError as reason:
            outcome = {"platform": platform.platform(), "exit": 1, "not_installable": str(reason)}
        results["environments"][one.name] = outcome
        print(one.name, {key: value for key, value in outcome.items() if key != "versions"}, flush=True)
        bad += outcome.get("exit", 1) != 0
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        if not options.keep:
            shutil.rmtree(folder / "env", ignore_errors=True)
            shutil.rmtree(folder / "run", ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
