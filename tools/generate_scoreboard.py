"""docs/scoreboard.md from docs/results/scoreboard.json and docs/results/peers.json; tools/generate.py writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markdown_tables import table

from mien.datasets.ferplus import SCORING_RULES
from mien.models.priors import DEFAULT, PRIORS
from mien.published.reproduction.rows import BOTH, ROWS, SOURCES
from mien.text import percent

FERPLUS, FER2013 = "ferplus", "fer2013"
NONE = "–"


def scoreboard_page(measured: Mapping[str, Any], peers: Mapping[str, Any]) -> str:
    """The page.

    Args:
        measured: what `benchmarks/scoreboard.py --json` wrote.
        peers: what `benchmarks/peers.py --json` wrote; accuracies of the weights that other packages ship.
    """
    rows = measured["rows"]
    lines = [
        "# Scoreboard: FER2013 and FER+ under every protocol",
        "",
        "`python benchmarks/scoreboard.py --data fer2013.parquet --json docs/results/scoreboard.json` scores any model: a shipped",
        "name, an ONNX file with a card, a run folder; `mien evaluate MODEL --protocol all` prints the same for one model, and",
        "`mien.evaluation.scoring.from_callable` takes any function. One and the same network scores several points more or less",
        "by the protocol, so a figure without its protocol means little:",
        "",
        *_rules(rows),
        "",
        "The images are those of PrivateTest (Mien's split `test`). Networks, temperatures and read-outs were chosen on",
        "PublicTest alone. *Leak-free* leaves out the images whose exact pixels are in the training set too. *Balanced* is the",
        "mean of recall over the classes. In brackets the 95 % interval over images.",
        "",
        "## Mien's networks",
        "",
        *_own(rows),
        "",
        "## By prior",
        "",
        f"How often the labels are expected: {'; '.join(f'*{name}*: {meaning}' for name, meaning in PRIORS.items())}.",
        "",
        *_by_prior(rows),
        "",
        "## Weights that other packages ship",
        "",
        "From [the comparison with other packages](benchmarks.md), measured with their own code, one look at a face. What they",
        "were trained on, and whether test images were among it, is for their authors to say. Their labels lack contempt, so",
        "`majority-7` is the protocol that all share.",
        "",
        *_peers(peers["accuracy"]),
        "",
        "## Published claims",
        "",
        "Of the published results that Mien trains again ([reproduction](reproduction.md)), these were chosen and tested on the",
        "same images, so that the published figure is a score of selection, not of a test:",
        "",
        *_claims(),
        "",
    ]
    return "\n".join(lines)


def _find(rows: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any]:
    return next(row["results"] for row in rows if all(row[key] == value for key, value in wanted.items()))


def _models(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["model"] for row in rows))


def _cell(results: Mapping[str, Any], protocol: str) -> str:
    one = results.get(protocol)
    if one is None:
        return NONE
    low, high = one["interval"]
    return f"{percent(one['accuracy'])} ({100 * low:.1f}–{100 * high:.1f})"


def _rules(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    results = _find(rows, model=_models(rows)[0], prior="photos", flip=False, split="test")
    cells = [
        [f"`{name}`", rule.meaning, f"{rule.images:,}", percent(results[f"{FERPLUS} {name}"]["accuracy"])]
        for name, rule in SCORING_RULES.items()
    ]
    cells.append(["`fer2013`", "the original labels", "3,589", percent(results[FER2013]["accuracy"])])
    return table(["protocol", "rule", "test images", f"`{_models(rows)[0]}`, prior photos"], cells)


def _own(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for model in _models(rows):
        for flip in (False, True):
            results = _find(rows, model=model, prior="photos", flip=flip, split="test")
            public = _find(rows, model=model, prior="photos", flip=flip, split="validation")
            cells.append(
                [
                    f"`{model}`" + (", flip averaging" if flip else ""),
                    *(_cell(results, f"{FERPLUS} majority{leak}") for leak in ("", " leak-free")),
                    *(_cell(results, f"{FER2013}{leak}") for leak in ("", " leak-free")),
                    f"{percent(public[f'{FERPLUS} majority']['accuracy'])}, {percent(public[FER2013]['accuracy'])}",
                ]
            )
    header = ["model, prior photos", "FER+ majority", "leak-free", "FER2013", "leak-free", "on PublicTest, both"]
    return table(header, cells)


def _by_prior(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for row in rows:
        if row["flip"] or row["split"] != "test":
            continue
        for protocol in (f"{FERPLUS} majority", f"{FERPLUS} majority-7", FER2013):
            one = row["results"][protocol]
            name = f"`{row['model']}`, {row['prior']}" + (" (the default)" if row["prior"] == DEFAULT else "")
            figures = [
                percent(one["accuracy"]),
                percent(one["balanced_accuracy"]),
                f"{one['log_loss']:.3f}",
                f"{one['ece']:.3f}",
            ]
            cells.append([name if protocol.endswith("majority") else "", protocol, *figures])
    return table(["model, prior", "protocol", "accuracy", "balanced", "log loss", "ECE"], cells)


def _peers(accuracy: Mapping[str, Any]) -> list[str]:
    cells = []
    for name, one in accuracy.items():
        if name.startswith("mien"):
            continue
        results = one["results"]
        cells.append([one["title"], *(_cell(results, key) for key in ("fer2013", "ferplus7", "ferplus"))])
    return table(["package", "FER2013", "FER+ majority-7", "FER+ majority"], cells)


def _claims() -> list[str]:
    """Rows whose only figure is of the images on which the weights were chosen."""
    cells = []
    for row in ROWS.values():
        selected = set(row.published) == {"validation"} or (row.protocol == BOTH and row.published)
        if selected:
            figures = ", ".join(f"{percent(value)} {kind}" for kind, value in row.published.items())
            cells.append([f"`{row.name}`", SOURCES[row.source], row.protocol, figures])
    return table(["row", "source", "protocol", "published"], cells)
