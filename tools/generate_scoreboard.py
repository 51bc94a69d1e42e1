"""docs/scoreboard.md from docs/results/scoreboard.json, scoreboard_peers.json and confusion.json; tools/generate.py writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markdown_tables import drawn, table

from mien.datasets.ferplus import SCORING_RULES
from mien.evaluation.tables import confusion_table
from mien.models.priors import DEFAULT, PRIORS
from mien.published.reproduction.published_results import BOTH, ROWS, SOURCES
from mien.text import NONE, percent

FERPLUS, FER2013 = "ferplus", "fer2013"
TITLES = {"ferplus": "FER+ majority, test", "fer2013": "FER2013, test", "age": "FairFace validation, age"}


def scoreboard_page(measured: Mapping[str, Any], peers: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    """The page.

    Args:
        measured: what `benchmarks/scoreboard.py --json` wrote of Mien's networks.
        peers: what it wrote of the weights that other packages ship.
        history: what `benchmarks/refresh.py` keeps of networks that were shipped earlier.
    """
    rows = measured["rows"]
    lines = [
        "# Scoreboard: FER2013 and FER+ under every protocol",
        "",
        "`python benchmarks/scoreboard.py --data fer2013.parquet --json docs/results/scoreboard.json` scores any model: a shipped",
        "name, an ONNX file with a card, a run folder; `mien evaluate MODEL --protocol all` prints the same for one model, and",
        "`mien.evaluation.scoring.from_callable` takes any function. The same network scores several points more or less depending",
        "on the protocol, so a figure without its protocol means little:",
        "",
        *_rules(rows, peers["rows"]),
        "The images are those of PrivateTest (Mien's split `test`). Mien's networks, temperatures and read-outs were chosen on",
        "PublicTest only. *Leak-free* leaves out the test images that are also in the training set, pixel for pixel. *Balanced* is",
        "the mean recall over the classes. Brackets hold the 95 % interval over images. Where a protocol has eight classes, a package",
        "without contempt gets the images of contempt wrong; `majority-7` is the protocol that all share. A dash: not measured.",
        "",
        "## All networks",
        "",
        f"Mien's networks were measured on {measured['date']}, under each prior; those of other packages on {peers['date']} ({_versions(peers)}),",
        "with their own code, on ready crops of 48×48 pixels. What they were trained on, and whether test images were among it, is for their",
        "authors to state. *Single pass*: the image as it is; *flip*: the mean with the mirrored image, which takes twice as long.",
        "",
        *_all(rows, peers["rows"]),
        *_against(measured.get("against", []), peers["rows"]),
        "## By prior",
        "",
        f"How often the labels are expected: {'; '.join(f'*{name}*: {meaning}' for name, meaning in PRIORS.items())}. Single pass.",
        "",
        *_by_prior(rows, peers["rows"]),
        *_history(history["emotion"], "emotion", ("ferplus", "fer2013")),
        *_history(history["age"], "age", ("age",)),
        "## Published claims",
        "",
        "Of the published results that Mien reproduces ([reproduction](reproduction.md)), these networks were selected and tested on",
        "the same images, so the published figure is a validation score, not a test score:",
        "",
        *_claims(),
        "",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _find(rows: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any]:
    """Results of the row with these values; empty where it was not measured."""
    return next((row["results"] for row in rows if all(row[key] == value for key, value in wanted.items())), {})


def _share(results: Mapping[str, Any], protocol: str, key: str = "accuracy") -> str:
    """A share in per cent; a dash where it was not measured."""
    value = results.get(protocol, {}).get(key)
    return NONE if value is None else percent(value)


def _models(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["model"] for row in rows))


def _cell(results: Mapping[str, Any], protocol: str) -> str:
    one = results.get(protocol)
    if one is None:
        return NONE
    low, high = one["interval"]
    return f"{percent(one['accuracy'])} ({100 * low:.1f}–{100 * high:.1f})"


def _versions(peers: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in peers["versions"].items())


def _rules(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[str]:
    model = _models(rows)[0]
    ours = [_find(rows, model=model, prior=prior, flip=False, split="test") for prior in (DEFAULT, "photos")]
    theirs = [_find(others, model=name, flip=False, split="test") for name in _models(others)]

    def accuracies(key: str) -> list[str]:
        return [_share(results, key) for results in (*ours, *theirs)]

    cells = [
        [f"`{name}`", rule.meaning, f"{rule.images:,}", *accuracies(f"{FERPLUS} {name}")]
        for name, rule in SCORING_RULES.items()
    ]
    cells.append(["`fer2013`", "the original labels", "3,589", *accuracies(FER2013)])
    header = ["protocol", "rule", "test images", f"`{model}`, prior default", f"`{model}`, prior photos"]
    return table([*header, *(_title(row) for row in _singles(others))], cells)


def _singles(others: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in others if row["split"] == "test" and not row["flip"]]


def _title(row: Mapping[str, Any]) -> str:
    return str(row["title"]) if "title" in row else f"`{row['model']}`, {row['prior']}"


def _all(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[str]:
    shared = f"{FERPLUS} majority-7"
    cells = []
    for row in (*rows, *others):
        if row["split"] != "test":
            continue
        results = row["results"]
        cells.append(
            [
                _title(row),
                "flip" if row["flip"] else "single pass",
                *_three(results, shared),
                *_three(results, FER2013),
                *_three(results, f"{FERPLUS} majority"),
            ]
        )
    of = ("FER+ majority-7", "FER2013", "FER+ majority")
    header = [text for name in of for text in (name, "leak-free", "balanced")]
    return table(["network, prior", "", *header], cells)


def _three(results: Mapping[str, Any], protocol: str) -> list[str]:
    """Accuracy, that of the leak-free images, and balanced accuracy."""
    leak_free = _share(results, f"{protocol} leak-free")
    return [_cell(results, protocol), leak_free, _share(results, protocol, "balanced_accuracy")]


def _against(compared: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[str]:
    if not compared:
        return []
    titles = {row["model"]: _title(row) for row in others}
    cells = [
        [
            titles[one["package"]],
            f"{one['n']:,}",
            f"{100 * one['difference']:+.1f} ({100 * one['interval'][0]:+.1f} to {100 * one['interval'][1]:+.1f})",
            f"{one['only_b']:,}, {one['only_a']:,}",
            f"{one['p']:.2g}" if one["p"] >= 1e-6 else "< 0.000001",
        ]
        for one in compared
    ]
    header = ["compared with", "images", "Mien's lead, points", "only Mien right, only the other right", "p"]
    return [
        "`emotion` under its default prior on the same images, `majority-7`, single pass (McNemar's exact test):",
        "",
        *table(header, cells),
    ]


def _by_prior(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for row in (*rows, *others):
        if row["flip"] or row["split"] != "test":
            continue
        for protocol in (f"{FERPLUS} majority", f"{FERPLUS} majority-7", FER2013):
            one = row["results"].get(protocol, {})
            public = _find((*rows, *others), model=row["model"], prior=row["prior"], flip=False, split="validation")
            figures = [
                *(_share(row["results"], protocol, key) for key in ("accuracy", "balanced_accuracy")),
                *(NONE if one.get(key) is None else f"{one[key]:.3f}" for key in ("log_loss", "ece")),
                f"{_share(public, protocol)}, {_share(public, protocol, 'balanced_accuracy')}",
            ]
            cells.append([_title(row) if protocol.endswith("majority") else "", protocol, *figures])
    header = ["network, prior", "protocol", "accuracy", "balanced", "log loss", "ECE", "PublicTest: accuracy, balanced"]
    return table(header, cells)


def _history(entries: Sequence[Mapping[str, Any]], model: str, protocols: Sequence[str]) -> list[str]:
    """What the networks that were shipped score, label by label, and how the first and the last confuse them."""
    lines = [
        f"## Earlier networks: `{model}`",
        "",
        "The networks that were shipped over time, with the scores on their cards, under the default prior, which a card "
        "without a choice of priors does not change: its labels are as frequent as in the training data.",
        "",
    ]
    for protocol in protocols:
        labels = entries[-1]["results"][protocol]["labels"]
        cells = [
            [
                one["name"],
                *(percent(one["results"][protocol][key]) for key in ("accuracy", "balanced_accuracy")),
                *(percent(one["results"][protocol]["recall"][label]) for label in labels),
            ]
            for one in entries
        ]
        lines += table([TITLES[protocol], "accuracy", "balanced", *(f"recall of {label}" for label in labels)], cells)
    for one in dict.fromkeys((0, len(entries) - 1)):
        for protocol in protocols:
            heading = f"### `{model}`, {entries[one]['name']}: {TITLES[protocol]}"
            lines += [heading, "", "Rows are true labels, columns predictions.", ""]
            lines += drawn(confusion_table(entries[one]["results"][protocol]), notes=False)
    return lines


def _claims() -> list[str]:
    """Rows whose only figure is of the images on which the weights were chosen."""
    cells = []
    for row in ROWS.values():
        selected = set(row.published) == {"validation"} or (row.protocol == BOTH and row.published)
        if selected:
            figures = ", ".join(f"{percent(value)} {kind}" for kind, value in row.published.items())
            cells.append([f"`{row.name}`", SOURCES[row.source], row.protocol, figures])
    return table(["row", "source", "protocol", "published"], cells)
