"""One JSON file per row: scores of its runs, and how they were made. Reading needs no torch."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from mien.errors import DataError
from mien.files import atomic_path, write_text
from mien.published.reproduction.published_results import ROWS, ReproductionRow

Runs = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class RowResult:
    """The finished runs of a row.

    Attributes:
        row: its name.
        parameters: trained ones of the network with this row's heads, and batch "statistics" beside them.
        runs: one per seed, in the order in which they finished: ``seed``, ``scores`` (protocol →
            `mien.evaluation.metrics.Scores` as a dictionary), ``epochs``, ``kept_epoch``, ``seconds_per_epoch`` and
            ``cpu_seconds_per_epoch`` (medians), ``precision``, ``processor``, ``threads``, ``command``, ``commit``,
            ``date``, ``data_sha256``, ``packages``; support-vector machines have ``seconds`` instead of the figures of
            epochs, and "support_vectors" among their parameters.
    """

    row: str
    parameters: Mapping[str, int]
    runs: Runs = field(default_factory=tuple)

    def run(self, seed: int) -> Mapping[str, Any] | None:
        """The run with this seed, None where it has not finished."""
        return next((one for one in self.runs if one["seed"] == seed), None)

    def is_complete(self, row: ReproductionRow) -> bool:
        """Whether every seed of the row has run."""
        return all(self.run(seed) is not None for seed in row.seeds)

    def mean_score(self, protocol: str, figure: str = "accuracy") -> float | None:
        """Mean over the runs of one protocol's figure; None where no run has it."""
        values = [run["scores"][protocol][figure] for run in self.runs if protocol in run["scores"]]
        return mean(values) if values and None not in values else None


def read_result(folder: Path, row: str) -> RowResult | None:
    """The row's file in ``folder``, None where there is none; `DataError` for one that cannot be read."""
    path = folder / f"{row}.json"
    if not path.is_file():
        return None
    try:
        return parse_result(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"not a result file ({error})", path=path, advice="delete it to run the row again") from error


def parse_result(raw: Mapping[str, Any]) -> RowResult:
    """The result in a JSON document."""
    return RowResult(raw["row"], dict(raw["parameters"]), tuple(raw["runs"]))


def read_results(folder: Path) -> dict[str, RowResult]:
    """Every row that has a file, in the order of the table of rows."""
    results = {name: read_result(folder, name) for name in ROWS}
    return {name: result for name, result in results.items() if result is not None}


def write_result(folder: Path, result: RowResult) -> Path:
    """Write the row's file atomically."""
    path = folder / f"{result.row}.json"
    document = {"row": result.row, "parameters": dict(result.parameters), "runs": list(result.runs)}
    return write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def curve_path(folder: Path, row: str, seed: int) -> Path:
    """Path of the learning curve of a run: a small CSV, one row per epoch."""
    return folder / "curves" / f"{row}-{seed}.csv"


def write_curve(folder: Path, row: str, seed: int, epochs: list[dict[str, float]]) -> Path:
    """Write what an image of the run needs: losses, scores, learning rate."""
    path = curve_path(folder, row, seed)
    columns = [name for name in dict.fromkeys(k for one in epochs for k in one) if not name.endswith("macro_f1")]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for one in epochs:
            writer.writerow({name: f"{value:.6g}" for name, value in one.items()})
    return path


def read_curve(path: Path) -> list[dict[str, float]]:
    """The rows of a learning curve; empty cells are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
