"""The tables of an evaluation, laid out once: titles and cells of text, from result documents.

The console, the report page and the documentation only draw them; `as_text` writes a cell on one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.evaluation.figures import BY_KEY, OF_GROUPS, FigureInfo, reported
from mien.text import NONE, number, percent, signed_span

NO_IMAGE = "no image"
"""In place of the count of a class or group without one."""


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell.

    Attributes:
        value: the figure.
        note: its interval, or a difference; in brackets or smaller below; empty for none.
        note_interval: the interval of a difference, where there is room for it.
        marked: the difference is more than chance: its interval excludes 0.
    """

    value: str
    note: str = ""
    note_interval: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row; ``empty`` where it is about no image."""

    cells: tuple[TableCell, ...]
    empty: bool = False


@dataclass(frozen=True, slots=True)
class FigureTable:
    """A table.

    Attributes:
        title: what it shows.
        header: titles of the columns.
        rows: as many cells each as the header.
        text_columns: how many of the first columns are text; the others are figures, at the right.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]
    text_columns: int = 1


def as_text(cell: TableCell, mark: Callable[[str], str] = str) -> str:
    """A cell on one line, its note in brackets; ``mark`` changes a note that is marked."""
    if not cell.note:
        return cell.value
    return f"{cell.value} ({mark(cell.note) if cell.marked else cell.note})"


def figure_cell(row: Mapping[str, Any], figure: FigureInfo) -> TableCell:
    """A figure of a result row with its interval, where there is one."""
    value = row.get(figure.key)
    interval = None if value is None else (row.get("intervals") or {}).get(figure.key)
    return TableCell(figure.value(value), figure.interval(interval))


def results_table(
    results: Mapping[str, Mapping[str, Any]],
    title: str = "",
    *,
    names: Mapping[str, str] | None = None,
    figures: Sequence[str] | None = None,
) -> FigureTable:
    """Every set of images with its figures.

    Args:
        results: protocol → figures, as `mien.evaluation.scoring.evaluate.evaluate` returns them.
        title: of the table.
        names: protocol → what the table calls it; by default its own name.
        figures: keys of the columns; by default all that a protocol has.
    """
    rows = list(results.values())
    columns = reported(rows) if figures is None else tuple(BY_KEY[key] for key in figures)
    return FigureTable(
        title,
        ("protocol", "images", *(figure.title for figure in columns)),
        tuple(
            TableRow(
                (TableCell((names or {}).get(name, name)), _count(one["n"]), *(figure_cell(one, c) for c in columns))
            )
            for name, one in results.items()
        ),
    )


def class_table(scores: Mapping[str, Any], title: str = "") -> FigureTable:
    """Recall and precision of every class of one set of images."""
    rows = []
    for label, counts in zip(scores["labels"], scores["confusion"], strict=True):
        rows.append(
            TableRow((TableCell(label), _count(sum(counts)), *_class_cells(scores, label)), empty=not any(counts))
        )
    return FigureTable(title, ("class", "images", "recall", "precision"), tuple(rows))


def confusion_table(scores: Mapping[str, Any], title: str = "") -> FigureTable:
    """Counts of predictions (columns) by true label (rows), with recall and precision."""
    rows = []
    for label, counts in zip(scores["labels"], scores["confusion"], strict=True):
        cells = (TableCell(label), *(TableCell(str(count)) for count in counts), *_class_cells(scores, label))
        rows.append(TableRow(cells, empty=not any(counts)))
    return FigureTable(title, ("true", *scores["labels"], "recall", "precision"), tuple(rows))


def _class_cells(scores: Mapping[str, Any], label: str) -> list[TableCell]:
    intervals = scores.get("intervals") or {}
    of_label = {key: scores[key][label] for key in ("recall", "precision")}
    around = {key: intervals.get(key, {}).get(label) for key in of_label}
    return [figure_cell(of_label | {"intervals": around}, BY_KEY[key]) for key in of_label]


def group_table(
    groups: Mapping[str, Mapping[str, Any]], kind: str, title: str = "", *, figures: Sequence[str] | None = None
) -> FigureTable:
    """The figures of every group of one kind.

    Args:
        groups: group → figures, as `mien.evaluation.slices.group_scores` returns them.
        kind: what divides the images, such as "race".
        title: of the table.
        figures: keys of the columns; by default all that a group has.
    """
    columns = reported(groups.values(), OF_GROUPS) if figures is None else tuple(BY_KEY[key] for key in figures)
    return FigureTable(
        title,
        (kind, "images", *(figure.title for figure in columns)),
        tuple(
            TableRow((TableCell(name), _count(one["n"]), *(figure_cell(one, c) for c in columns)), empty=not one["n"])
            for name, one in groups.items()
        ),
    )


def miss_table(groups: Mapping[str, Mapping[str, Any]], kind: str, title: str = "") -> FigureTable:
    """How many faces of every group the detector does not find."""
    rows = [
        TableRow(
            (
                TableCell(name),
                _count(one["n"], "0"),
                TableCell(f"{one['missed']:,}"),
                figure_cell(one, BY_KEY["miss_rate"]),
            )
        )
        for name, one in groups.items()
    ]
    return FigureTable(title, (kind, "faces", "missed", "miss rate"), tuple(rows))


def distribution_table(groups: Mapping[str, Mapping[str, Any]], kind: str, title: str = "") -> FigureTable:
    """The mean prediction of every group in per cent, and its difference to all other faces in points.

    Args:
        groups: as `mien.evaluation.slices.group_distributions` returns them.
        kind: what divides the images.
        title: of the table.
    """
    labels = next((list(one["mean"]) for one in groups.values() if one["mean"]), [])
    rows = []
    for name, one in groups.items():
        cells = [_difference_cell(one, label) for label in labels] if one["mean"] else [TableCell("")] * len(labels)
        rows.append(TableRow((TableCell(name), _count(one["n"]), *cells), empty=one["mean"] is None))
    return FigureTable(title, (kind, "faces", *labels), tuple(rows))


DISTRIBUTIONS_NOTE = (
    "Mean probability in per cent; with it the difference to all other faces in points, {mark} where its 95 % interval "
    "excludes 0"
)
"""Caption of a `distribution_table`; ``{mark}`` is how marked cells look."""


def _difference_cell(one: Mapping[str, Any], label: str) -> TableCell:
    mean, difference = f"{100 * one['mean'][label]:.1f}", (one["difference"] or {}).get(label)
    if difference is None:
        return TableCell(mean)
    interval = (one.get("difference_intervals") or {}).get(label)
    low, high = interval or (0.0, 0.0)
    around = "" if interval is None else signed_span(interval, 100, 1)
    return TableCell(mean, f"{100 * difference:+.1f}", around, marked=low > 0 or high < 0)


def comparison_table(comparisons: Iterable[Mapping[str, Any]], title: str = "") -> FigureTable:
    """`mien.evaluation.comparison.Comparison`s as dictionaries with the models' names "a" and "b"."""
    header = ("protocol", "first", "second", "images", "first right", "second right", "difference, points",
              "only first right", "only second right", "p (exact)", "p (corrected)")  # fmt: skip
    rows = []
    for one in comparisons:
        gap = TableCell(
            f"{100 * one['difference']:+.2f}", "" if one["interval"] is None else signed_span(one["interval"], 100, 2)
        )
        accuracies = (TableCell(percent(one[key])) for key in ("accuracy_a", "accuracy_b"))
        counts = (TableCell(f"{one[key]:,}") for key in ("only_a", "only_b"))
        texts = (TableCell(one["protocol"]), TableCell(one["a"]), TableCell(one["b"]), _count(one["n"]))
        rows.append(
            TableRow(
                (
                    *texts,
                    *accuracies,
                    gap,
                    *counts,
                    TableCell(p_value(one["p"])),
                    TableCell(p_value(one["p_corrected"])),
                )
            )
        )
    return FigureTable(title, header, tuple(rows), text_columns=3)


def abstention_table(curve: Mapping[str, Any], title: str = "") -> FigureTable:
    """What `mien.evaluation.risk_coverage.selective_risk` returns: accuracy when the least confident get no answer."""
    rows = [
        TableRow(
            (
                TableCell(percent(one["coverage"], digits=0)),
                TableCell(f"{one['threshold']:.3f}"),
                TableCell(BY_KEY["accuracy"].value(one["accuracy"])),
            )
        )
        for one in curve["table"]
    ]
    return FigureTable(title, ("answered", "top probability at least", "accuracy of the answers"), tuple(rows), 0)


def calibration_table(scores: Mapping[str, Mapping[str, Any]], title: str = "") -> FigureTable:
    """Split → protocol → figures before and after, as `mien.evaluation.scoring.calibration.calibrate` returns them."""
    moved = [BY_KEY[key] for key in ("log_loss", "ece", "kl")]
    rows = []
    for split, protocols in scores.items():
        for protocol, pair in protocols.items():
            before, after = pair["before"], pair["after"]
            cells = [
                TableCell(NONE if before[c.key] is None else f"{before[c.key]:.4f} → {after[c.key]:.4f}") for c in moved
            ]
            accuracy = TableCell(BY_KEY["accuracy"].value(after["accuracy"]))
            rows.append(TableRow((TableCell(split), TableCell(protocol), _count(before["n"]), accuracy, *cells)))
    header = ("split", "protocol", "images", "accuracy", *(figure.title for figure in moved))
    return FigureTable(title, header, tuple(rows), text_columns=2)


def prior_table(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str = "") -> FigureTable:
    """Split → protocol → prior → figures, as `mien.evaluation.scoring.calibration.calibrate` returns them."""
    shown = [BY_KEY[key] for key in ("accuracy", "balanced_accuracy", "log_loss", "ece")]
    rows = [
        TableRow(
            (
                TableCell(split),
                TableCell(protocol),
                TableCell(prior),
                _count(one["n"]),
                *(TableCell(c.value(one[c.key])) for c in shown),
            )
        )
        for split, protocols in scores.items()
        for protocol, priors in protocols.items()
        for prior, one in priors.items()
    ]
    header = ("split", "protocol", "prior", "images", *(figure.title for figure in shown))
    return FigureTable(title, header, tuple(rows), text_columns=3)


def set_table(scores: Mapping[str, Any], title: str = "") -> FigureTable:
    """Coverage and mean size of sets by label and by group, as from `mien.evaluation.scoring.label_sets.set_scores`."""
    parts = [("all", "", scores)]
    parts += [("label", name, one) for name, one in scores["labels"].items()]
    parts += [(kind, name, one) for kind, groups in scores["groups"].items() for name, one in groups.items()]
    rows = tuple(
        TableRow(
            (
                TableCell(kind),
                TableCell(name),
                _count(one["n"]),
                TableCell(percent(one["coverage"])),
                TableCell(number(one["size"], digits=2)),
            ),
            empty=not one["n"],
        )
        for kind, name, one in parts
    )
    return FigureTable(title, ("by", "", "images", "coverage", "labels per set"), rows, text_columns=2)


def quantisation_table(losses: Mapping[str, Mapping[str, Any]], title: str = "") -> FigureTable:
    """Split → protocol → what `mien.quantize.accuracy_losses` returns."""
    rows = []
    for split, protocols in losses.items():
        for protocol, one in protocols.items():
            moved = f"{percent(one['before'])} → {percent(one['after'])}"
            rows.append(
                TableRow(
                    (
                        TableCell(split),
                        TableCell(protocol),
                        _count(one["n"]),
                        TableCell(moved),
                        TableCell(f"{one['loss']:+.2f}"),
                    )
                )
            )
    return FigureTable(title, ("split", "protocol", "images", "accuracy", "points lost"), tuple(rows), text_columns=2)


def worst_lines(worst: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What `mien.evaluation.slices.worst_groups` returns, one line per figure."""
    lines = []
    for key, one in worst.items():
        figure = BY_KEY[key]
        value = as_text(TableCell(figure.value(one["value"]), figure.interval(one["interval"])))
        best = figure.value(one["best"])
        lines.append(f"{figure.title}: worst for {one['group']}, {value}; best for {one['best_group']}, {best}.")
    return lines


def detection_line(detection: Mapping[str, Any]) -> str:
    """How many faces the detector did not find."""
    figure = BY_KEY["miss_rate"]
    rate = as_text(TableCell(figure.value(detection["miss_rate"]), figure.interval(detection["interval"])))
    by = f" by {detection['detector']}" if detection.get("detector") else ""
    text = f"{detection['missed']:,} of {detection['faces']:,} faces were not found{by}: {rate}"
    if detection.get("spurious"):
        text += f"; {detection['spurious']:,} detections where there is no face"
    return f"{text}."


def direct_lines(detection: Mapping[str, Any]) -> list[str]:
    """The accuracy of the same model on the found faces' own pixels, one line per protocol."""
    return [
        f"{protocol}: accuracy {percent(accuracy)} on the same found faces' own pixels."
        for protocol, accuracy in detection.get("direct", {}).items()
    ]


def temperature_line(fit: Mapping[str, Any]) -> str:
    """A `mien.evaluation.scoring.calibration.TemperatureFit` as a dictionary, without its head's name."""
    interval = "" if fit["interval"] is None else f" ({signed_span(fit['interval'], digits=4)})"
    return (
        f"temperature {fit['temperature']:.4f} on {fit['n']:,} images ({fit['protocol']}); log loss "
        f"{fit['change']:+.4f}{interval}"
    )


def readout_line(readout: Mapping[str, Any]) -> str:
    """A `mien.models.readout.Readout` as a dictionary."""
    joined = f", {readout['share']:g} of {readout['joined']}" if readout["joined"] else ""
    return (
        f"prior {readout['prior']}: frequencies^{readout['removed']:g} removed{joined}, "
        f"temperature {readout['temperature']:.4f}"
    )


def p_value(p: float) -> str:
    """A p-value with four decimals."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _count(n: int, none: str = NO_IMAGE) -> TableCell:
    return TableCell(f"{n:,}" if n else none)
