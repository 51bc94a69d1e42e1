"""An evaluation as one HTML page that loads nothing: tables with intervals, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import Any

FIGURES = (
    ("accuracy", "accuracy", True),
    ("one_off", "one-off", True),
    ("top2", "top-2", True),
    ("macro_f1", "macro F1", False),
    ("balanced_accuracy", "balanced", True),
    ("log_loss", "log loss", False),
    ("ece", "ECE", False),
    ("kl", "KL to raters", False),
)
"""Key of `Scores`, what tables call it, whether it is a share."""


def page(document: Mapping[str, Any], pictures: Mapping[str, Sequence[bytes]]) -> str:
    """The page.

    Args:
        document: what `mien.evaluation.scoring.report.compare_models` returns, one model or several.
        pictures: "model number/protocol" → PNGs.
    """
    models: Sequence[Mapping[str, Any]] = document.get("models", [document])
    names = " and ".join(dict.fromkeys(one["model"] for one in models))
    title = f"{names} on {models[0]['dataset']}, {models[0]['split']}"
    body: list[str] = []
    if "comparisons" in document:
        body.append(_comparisons(models, document["comparisons"]))
    for number, one in enumerate(models):
        body += _model(one, number, len(models), pictures)
    body.append(_HOW)
    template = Template(files("mien.evaluation.scoring").joinpath("report_page.html").read_text(encoding="utf-8"))
    return template.substitute(version=escape(version("mien")), title=escape(title), body="\n".join(body))


def _model(one: Mapping[str, Any], number: int, count: int, pictures: Mapping[str, Sequence[bytes]]) -> list[str]:
    parts = [f"<h2>{escape(one['model'])}</h2>"] if count > 1 else []
    if one["flip"]:
        parts.append("<p>Averaged with the mirrored images.</p>")
    if one.get("notes"):
        parts.append('<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in one["notes"]) + "</ul>")
    if one.get("detection"):
        parts.append(_detection(one["detection"]))
    if one["results"]:
        parts.append(_results(one["results"]))
    for protocol, scores in one["results"].items():
        if protocol.endswith((" leak-free", " found")):
            continue
        parts.append(f"<section><h3>{escape(protocol)}</h3>")
        parts.append(_images(pictures.get(f"{number}/{protocol}", ()), f"{one['model']}, {protocol}"))
        parts.append(_classes(scores))
        if protocol in one["details"]:
            parts.append(_abstaining(one["details"][protocol]["selective"]))
        parts.append("</section>")
    for protocol, tables in one["groups"].items():
        for title, table in tables.items():
            parts.append(f"<section><h3>{escape(protocol)} by {escape(title)}</h3>")
            parts.append(_worst(one.get("worst", {}).get(protocol, {}).get(title, {})))
            parts.append(_images(pictures.get(f"{number}/{protocol}/{title}", ()), f"{protocol} by {title}"))
            parts.append(_groups(table))
            parts.append("</section>")
    for head, tables in one.get("distributions", {}).items():
        for title, table in tables.items():
            parts.append(f"<section><h3>{escape(head)}: mean prediction by {escape(title)}</h3>")
            parts.append(_distributions(table))
            parts.append("</section>")
    return parts


def _comparisons(models: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> str:
    head = ["protocol", "first", "second", "images", "first right", "second right", "second − first",
            "only first right", "only second right", "p (exact)", "p (corrected)"]  # fmt: skip
    rows = [
        [
            escape(one["protocol"]), escape(one["a"]), escape(one["b"]), f"{one['n']:,}", share(one["accuracy_a"]),
            share(one["accuracy_b"]), f"{100 * one['difference']:+.1f}" + around(one["interval"], 100),
            f"{one['only_a']:,}", f"{one['only_b']:,}", p_value(one["p"]), p_value(one["p_corrected"]),
        ]
        for one in found
    ]  # fmt: skip
    told = "" if found else "<p>No protocol that both models were scored on.</p>"
    return "<h2>Compared on the same images: McNemar's test</h2>" + told + _table(head, rows, left=3)


def _detection(found: Mapping[str, Any]) -> str:
    told = f"{found['faces']:,} faces, {found['missed']:,} not found: {share(found['miss_rate'])}"
    if found.get("interval"):
        told += f" ({100 * found['interval'][0]:.1f}–{100 * found['interval'][1]:.1f} %)"
    if found.get("detector"):
        told = f"Detector {escape(found['detector'])}. {told}"
    if found.get("spurious") is not None:
        told += f"; {found['spurious']:,} detections where there is no face"
    parts = [f"<p>{told}.</p>"]
    for title, table in found["groups"].items():
        rows = [
            [escape(group), f"{one['n']:,}", f"{one['missed']:,}", _with(one, "miss_rate", True)]
            for group, one in table.items()
        ]
        parts.append(f"<h3>Faces not found, by {escape(title)}</h3>")
        parts.append(_worst(found["worst"].get(title, {})))
        parts.append(_table([title, "faces", "missed", "miss rate"], rows))
    return "\n".join(parts)


def _results(results: Mapping[str, Any]) -> str:
    shown = [each for each in FIGURES if any(one.get(each[0]) is not None for one in results.values())]
    missed = any("missed" in one for one in results.values())
    head = ["protocol", "images", *(name for _, name, _ in shown)]
    head += ["missed", "accuracy, misses wrong"] if missed else []
    rows = []
    for protocol, one in results.items():
        row = [escape(protocol), f"{one['n']:,}", *(_with(one, key, rate) for key, _, rate in shown)]
        if missed:
            row += [_with(one, "miss_rate", True), _with(one, "accuracy_with_misses", True)]
        rows.append(row)
    return _table(head, rows)


def _classes(one: Mapping[str, Any]) -> str:
    around_ = one.get("intervals", {})
    rows, empty = [], set()
    for i, (label, counts) in enumerate(zip(one["labels"], one["confusion"], strict=True)):
        n = sum(counts)
        if n == 0:
            empty.add(i)
        row = [escape(label), f"{n:,}" if n else "no image"]
        for figure in ("recall", "precision"):
            value = one[figure][label]
            row.append(share(value) + around(around_.get(figure, {}).get(label) if value is not None else None, 100))
        rows.append(row)
    return _table(["class", "images", "recall", "precision"], rows, quiet=empty)


def _abstaining(curve: Mapping[str, Any]) -> str:
    rows = [
        [f"{100 * row['coverage']:.0f} %", f"{row['threshold']:.3f}", share(row["accuracy"])] for row in curve["table"]
    ]
    table = _table(["answered", "top probability at least", "accuracy of the answers"], rows, left=0)
    return f"<p>Area under risk–coverage {curve['aurc']:.4f} (an oracle's {curve['best_aurc']:.4f}).</p>" + table


def _worst(found: Mapping[str, Any]) -> str:
    told = []
    for figure, one in found.items():
        value, best = (share(one[k]) if figure != "ece" else f"{one[k]:.3f}" for k in ("value", "best"))
        told.append(
            f"<li>{figure.replace('_', ' ')}: worst for {escape(one['group'])}, {value}; "
            f"best for {escape(one['best_group'])}, {best}</li>"
        )
    return f"<ul>{''.join(told)}</ul>" if told else ""


def _groups(table: Mapping[str, Any]) -> str:
    shown = [("accuracy", "accuracy", True), ("one_off", "one-off", True), ("ece", "ECE", False)]
    shown += [("miss_rate", "missed", True), ("accuracy_with_misses", "accuracy, misses wrong", True)]
    shown = [each for each in shown if any(one.get(each[0]) is not None for one in table.values())]
    rows, empty = [], set()
    for i, (group, one) in enumerate(table.items()):
        if one["n"] == 0:
            empty.add(i)
        cells = [_with(one, key, rate) for key, _, rate in shown]
        rows.append([escape(group), f"{one['n']:,}" if one["n"] else "no image", *cells])
    return _table(["group", "images", *(name for _, name, _ in shown)], rows, quiet=empty)


def _distributions(table: Mapping[str, Any]) -> str:
    labels = next((list(one["mean"]) for one in table.values() if one["mean"]), [])
    lines, empty = [], set()
    for i, (group, one) in enumerate(table.items()):
        cells = [f'<th scope="row">{escape(group)}</th>', f'<td class="n">{one["n"]:,}</td>']
        if one["mean"] is None:
            empty.add(i)
            cells += ["<td></td>"] * len(labels)
            lines.append(f'<tr class="none">{"".join(cells)}</tr>')
            continue
        for label in labels:
            told = f"{100 * one['mean'][label]:.1f} %"
            difference = (one["difference"] or {}).get(label)
            low, high = (one.get("difference_intervals") or {}).get(label) or (0.0, 0.0)
            if difference is not None:
                told += f"<small>{100 * difference:+.1f}{_span(low, high, 100) if high > low else ''}</small>"
            cells.append(f'<td class="n{" differs" if low > 0 or high < 0 else ""}">{told}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    titles = "".join(f'<th scope="col" class="n">{escape(label)}</th>' for label in labels)
    return (
        '<div class="scroll"><table><caption>Mean probability; below it the difference to all other faces in points, '
        "with its 95 % interval; coloured where that excludes 0</caption>"
        f'<thead><tr><th scope="col">group</th><th scope="col" class="n">faces</th>{titles}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def share(value: float | None) -> str:
    """A share as per cent, such as "52.9 %", or a dash."""
    return "–" if value is None else f"{100 * value:.1f} %"


def p_value(p: float) -> str:
    """Two digits that say something."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def around(interval: Sequence[float] | None, factor: float = 1.0) -> str:
    """A small interval to stand below a figure."""
    return "" if interval is None else f"<small>{_span(interval[0], interval[1], factor).strip()}</small>"


def _span(low: float, high: float, factor: float) -> str:
    return f" ({factor * low:.1f} – {factor * high:.1f})" if factor != 1 else f" ({low:.3f} – {high:.3f})"


def _with(one: Mapping[str, Any], key: str, rate: bool) -> str:
    value = one.get(key)
    if value is None:
        return "–"
    told = share(value) if rate else f"{value:.3f}"
    return told + around((one.get("intervals") or {}).get(key), 100 if rate else 1)


def _images(pictures: Sequence[bytes], alt: str) -> str:
    if not pictures:
        return ""
    inside = [base64.b64encode(png).decode("ascii") for png in pictures]
    drawn = "".join(
        f'<img alt="{escape(alt)}, picture {i + 1}" src="data:image/png;base64,{text}">'
        for i, text in enumerate(inside)
    )
    return f'<div class="pictures">{drawn}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, quiet: set[int] | None = None) -> str:
    """A table whose first ``left`` columns are text; the rows ``quiet`` are grayed."""
    if not rows:
        return ""
    kind = ["" if i < left else ' class="n"' for i in range(len(head))]
    titles = "".join(f'<th scope="col"{c}>{escape(name)}</th>' for name, c in zip(head, kind, strict=True))
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td{c}>{cell}</td>" for cell, c in zip(row, kind, strict=True))
        lines.append(f"<tr{' class=none' if quiet and i in quiet else ''}>{cells}</tr>")
    body = "".join(lines)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


_HOW = """<section><h2>How to read this page</h2>
<ul>
<li>Below a figure stands its 95 % interval: what resampling the same images a thousand times gives. It says how much
the figure owes to which images were drawn, not how well the dataset stands for the world.</li>
<li><strong>Leak-free</strong>: without the images whose exact pixels stand in the training set too.</li>
<li><strong>ECE</strong>: mean gap between confidence and accuracy over 15 bins. <strong>KL to raters</strong>: distance
from the distribution of the raters' votes, nats.</li>
<li><strong>Risk over coverage</strong>: what share of answers is wrong when the least confident faces get none.</li>
<li><strong>McNemar's test</strong> looks only at the images on which two models differ; p is how likely so uneven a
split would be if neither were better.</li>
<li><strong>Worst group</strong>: of the groups with 30 images or more. The worst of many groups looks worse than it is
by chance alone; compare the intervals.</li>
</ul></section>"""
