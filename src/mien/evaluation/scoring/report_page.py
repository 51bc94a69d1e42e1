"""An evaluation as one HTML page that loads nothing: tables with intervals, pictures inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.draw.pages import data_uri, render
from mien.evaluation.figures import BY_KEY, reported
from mien.evaluation.predictions import is_subset
from mien.evaluation.slices import MIN_GROUP
from mien.evaluation.tables import (
    DISTRIBUTIONS_NOTE,
    FigureTable,
    abstention_table,
    class_table,
    comparison_table,
    detection_line,
    direct_lines,
    distribution_table,
    group_table,
    miss_table,
    results_table,
    worst_lines,
)


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the page about one model.

    Attributes:
        title: its heading; "" for none.
        lines: sentences.
        worst: the groups where figures are worst.
        pictures: addresses.
        alt: what the pictures show.
        tables: in order.
    """

    title: str
    lines: Sequence[str] = ()
    worst: Sequence[str] = ()
    pictures: Sequence[str] = ()
    alt: str = ""
    tables: Sequence[FigureTable] = ()


def report_page(document: Mapping[str, Any], pictures: Mapping[str, Sequence[bytes]]) -> str:
    """The page.

    Args:
        document: what `mien.evaluation.scoring.report.compare_models` returns, one model or several.
        pictures: "model number/protocol" → PNGs.
    """
    models: Sequence[Mapping[str, Any]] = document.get("models", [document])
    names = " and ".join(dict.fromkeys(one["model"] for one in models))
    addresses = {key: [data_uri(png, "image/png") for png in pngs] for key, pngs in pictures.items()}
    return render(
        "evaluation/scoring/report_page.html",
        title=f"{names} on {models[0]['dataset']}, {models[0]['split']}",
        comparison=comparison_table(document["comparisons"]) if "comparisons" in document else None,
        models=[
            {
                "name": one["model"],
                "flip": one["flip"],
                "notes": one.get("notes", ()),
                "sections": list(_sections(one, number, addresses)),
            }
            for number, one in enumerate(models)
        ],
        figures=reported(scores for one in models for scores in one["results"].values()),
        few=MIN_GROUP,
    )


def _sections(one: Mapping[str, Any], number: int, pictures: Mapping[str, Sequence[str]]) -> Iterator[_Section]:
    """Everything about one model, in the order of the page."""
    if one.get("detection"):
        yield from _detection(one["detection"])
    if one["results"]:
        yield _Section("", tables=[results_table(one["results"])])
    for protocol, scores in one["results"].items():
        if is_subset(protocol):
            continue
        curve = one["details"].get(protocol, {}).get("selective")
        tables = [class_table(scores)]
        lines = []
        if curve is not None:
            area, best = (BY_KEY["aurc"].value(curve[key]) for key in ("aurc", "best_aurc"))
            lines.append(f"Area under risk–coverage {area} (an oracle's {best}).")
            tables.append(abstention_table(curve))
        own = pictures.get(f"{number}/{protocol}", ())
        yield _Section(protocol, lines, pictures=own, alt=f"{one['model']}, {protocol}", tables=tables)
    for protocol, kinds in one["groups"].items():
        for kind, groups in kinds.items():
            title = f"{protocol} by {kind}"
            worst = worst_lines(one.get("worst", {}).get(protocol, {}).get(kind, {}))
            own = pictures.get(f"{number}/{protocol}/{kind}", ())
            yield _Section(title, worst=worst, pictures=own, alt=title, tables=[group_table(groups, kind)])
    for head, kinds in one.get("distributions", {}).items():
        for kind, groups in kinds.items():
            table = distribution_table(groups, kind, DISTRIBUTIONS_NOTE.format(mark="coloured"))
            yield _Section(f"{head}: mean prediction by {kind}", tables=[table])


def _detection(detection: Mapping[str, Any]) -> Iterator[_Section]:
    yield _Section("", [detection_line(detection), *direct_lines(detection)])
    for kind, groups in detection["groups"].items():
        worst = worst_lines(detection["worst"].get(kind, {}))
        yield _Section(f"Faces not found, by {kind}", worst=worst, tables=[miss_table(groups, kind)])
