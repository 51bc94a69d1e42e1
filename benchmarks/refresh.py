"""What follows from the networks that are shipped, measured again and written where the pages read it.

    python tools/ship.py emotion=calibrated.onnx age=aged.onnx
    python benchmarks/refresh.py --fer2013 fer2013.parquet --fairface fairface.parquet \\
        --photos fairface/validation.parquet
    python benchmarks/refresh.py … --steps scoreboard,robustness

`make networks-page` is the same. The steps, with the processor minutes that they take on one core:

    reports     docs/results/emotion_test.json and age_report.json, with their diagrams        1
    calibration docs/results/calibration.json: what temperatures alone change                  1
    history     docs/results/confusion.json: a network that is new joins those before it       0
    scoreboard  docs/results/scoreboard.json: every protocol, prior and look; beside others    2
    robustness  docs/results/robustness.json: Mien alone, the others' figures stay             2
    fairness    docs/results/fairness.json: whole photos by race, gender and both              2
    whole       docs/results/end_to_end.json: every second test face in whole pictures         2
    portraits   docs/results/portraits.json and its picture: whole pictures to look at         0
    pages       tools/generate.py

Each writes its file as it ends, so that a run that was stopped continues with --steps. Figures of other packages need
their environments and are not measured here (`benchmarks/scoreboard.py --environments`, `benchmarks/robustness.py
--environments`); temperatures and read-outs are fitted before (`mien calibrate --priors`), and 8-bit weights are made
before (`mien quantize`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
PICTURES = ROOT / "docs" / "images" / "evaluation"
HISTORY = RESULTS / "confusion.json"
KEPT = ("n", "accuracy", "balanced_accuracy", "labels", "confusion", "recall", "precision", "one_off")
"""Figures of a network that stay when the next one is shipped."""
PROTOCOLS = {"emotion": ("ferplus", "fer2013"), "age": ("age",)}
"""Model → protocols whose confusion matrices are kept."""


def run(*command: str) -> None:
    """A command in the repository's root; what it prints is shown, and its failure ends the run."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, env=variables)


def reports(options: argparse.Namespace) -> None:
    """The headline figures of both models, and their diagrams."""
    for name, data, split, file in (
        ("emotion", options.fer2013, "test", "emotion_test"),
        ("age", options.fairface, "validation", "age_report"),
    ):
        folder = options.work / name
        run("-m", "mien", "evaluate", name, "--data", str(data), "--split", split, "--threads", "1",
            "--json", str(RESULTS / f"{file}.json"), "--report", str(folder))  # fmt: skip
        for protocol in PROTOCOLS[name]:
            for kind in ("reliability", "risk-coverage"):
                shutil.copyfile(folder / f"{protocol}-{kind}.png", PICTURES / f"{protocol}-{kind}.png")


def calibration(options: argparse.Namespace) -> None:
    """Temperatures of the emotion network without priors, before and after."""
    run("-m", "mien", "calibrate", "emotion", "--data", str(options.fer2013), "--threads", "1",
        "--json", str(RESULTS / "calibration.json"))  # fmt: skip


def history(options: argparse.Namespace) -> None:
    """Adds the shipped networks to those before them, where they are others."""
    from mien.models.catalog import MODELS, read_model
    from mien.models.model import Model

    document = json.loads(HISTORY.read_text(encoding="utf-8"))
    for name in PROTOCOLS:
        card = Model(read_model(name), threads=1).card
        title = f"recipe {card.training['recipe']}, {time.strftime('%Y-%m-%d')}"
        document[name] = with_network(document[name], name, title, MODELS[name].sha256, card.scores["results"])
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace('},{"name"', '},\n{"name"')
    HISTORY.write_text(text + "\n", encoding="utf-8")


def with_network(
    entries: list[dict[str, Any]], name: str, title: str, sha256: str, results: dict[str, Any]
) -> list[dict[str, Any]]:
    """The entries, and the network behind them unless it is the last one; one whose card is new takes its place.

    The same figures to the last digit are the same network in another file.
    """
    figures = {protocol: {key: results[protocol][key] for key in KEPT} for protocol in PROTOCOLS[name]}
    earlier = [one for one in entries if one["sha256"] != sha256 and one["results"] != figures]
    titles = [one["name"] for one in entries if one["sha256"] == sha256]
    return [*earlier, {"name": titles[0] if titles else title, "sha256": sha256, "results": figures}]


def scoreboard(options: argparse.Namespace) -> None:
    """Mien's networks under every protocol, and beside what other packages answered."""
    run("benchmarks/scoreboard.py", "--data", str(options.fer2013), "--json", str(RESULTS / "scoreboard.json"))


def robustness(options: argparse.Namespace) -> None:
    """Mien's network and detector on spoiled pictures."""
    run("benchmarks/robustness.py", "--data", str(options.fer2013), "--photos", str(options.photos), "--keep-others",
        "--json", str(RESULTS / "robustness.json"))  # fmt: skip


def fairness(options: argparse.Namespace) -> None:
    """Both models on FairFace's whole photos, by group."""
    run("-m", "mien", "evaluate", "age", "emotion", "--data", str(options.photos), "--split", "validation",
        "--end-to-end", "--slices", "race,gender,race+gender", "--threads", "1",
        "--json", str(RESULTS / "fairness.json"))  # fmt: skip


def whole(options: argparse.Namespace) -> None:
    """FER2013's test faces in whole pictures."""
    run("benchmarks/end_to_end.py", "--data", str(options.fer2013), "--step", "2",
        "--json", str(RESULTS / "end_to_end.json"))  # fmt: skip


def portraits(options: argparse.Namespace) -> None:
    """Two portraits in several views."""
    run("benchmarks/portraits.py", "--json", str(RESULTS / "portraits.json"),
        "--picture", str(PICTURES / "portraits.webp"))  # fmt: skip


def pages(options: argparse.Namespace) -> None:
    """The pages that hold these figures."""
    run("tools/generate.py")


STEPS: dict[str, Callable[[argparse.Namespace], None]] = {
    step.__name__: step
    for step in (reports, calibration, history, scoreboard, robustness, fairness, whole, portraits, pages)
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("MIEN_DATA", "."))
    parser.add_argument("--fer2013", type=Path, default=data / "fer2013.parquet", help="with FER+ votes, prepared")
    parser.add_argument("--fairface", type=Path, default=data / "fairface.parquet", help="prepared with --crop age")
    parser.add_argument("--photos", type=Path, default=data / "fairface" / "validation.parquet", help="FairFace's own")
    parser.add_argument("--work", type=Path, default=ROOT / "out", help="folder for what is not kept")
    parser.add_argument("--steps", default=",".join(STEPS), help="which of them, in this order")
    options = parser.parse_args(arguments)
    steps = options.steps.split(",")
    if unknown := [step for step in steps if step not in STEPS]:
        parser.error(f"--steps: no {', '.join(unknown)}; there are {', '.join(STEPS)}")
    for path in (options.fer2013, options.fairface, options.photos):
        if not path.is_file() and set(steps) - {"history", "pages"}:
            parser.error(f"{path} is not there: `mien data prepare` makes it")
    for path in ("fer2013", "fairface", "photos", "work"):
        setattr(options, path, getattr(options, path).resolve())
    for step in steps:
        before = _processor_seconds()
        STEPS[step](options)
        print(f"{step}: {(_processor_seconds() - before) / 60:.1f} processor minutes", flush=True)


def _processor_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))


if __name__ == "__main__":
    main()
