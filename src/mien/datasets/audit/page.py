"""An audit as one HTML page that loads nothing, and shows a face only where asked to."""

from __future__ import annotations

import base64
import os
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np

from mien.datasets.audit import CHECKS, Audit, Outcome
from mien.datasets.audit.types import Finding, Grid
from mien.datasets.dataset import SPLITS, Dataset
from mien.files import atomic_path, output_file, writing

LISTED = 200
"""Findings of a check that the page lists; JSON has all."""
PICTURED = 24
"""Findings of a check that are shown with pictures, where pictures are asked for."""
_PICTURES = 6
_WARNING = "This page shows faces of the dataset. The photos belong to others and are personal data: do not pass it on."


def write_page(report: Audit, path: str | os.PathLike[str], *, thumbnails: bool = False) -> Path:
    """Write an audit as a page and return its path.

    Args:
        report: from `mien.datasets.audit.audit`.
        path: the file; its folder is made.
        thumbnails: show the pictures of the first findings of each check.

    Raises:
        InputError: ``path`` is a folder.
        OutputError: the file cannot be written.
    """
    target = output_file(path)
    prepared = report.prepared
    width, height = prepared.size
    counts = ", ".join(f"{int((prepared.split == s).sum()):,} {s}" for s in SPLITS if (prepared.split == s).any())
    about = f"{len(prepared):,} images ({counts}), {width}×{height} {'gray' if prepared.channels == 1 else 'RGB'}"
    text = Template(files("mien.datasets.audit").joinpath("page.html").read_text(encoding="utf-8")).substitute(
        version=escape(version("mien")),
        name=escape(prepared.info.name),
        about=escape(". ".join((about, *filter(None, (prepared.info.source, *prepared.info.notes))))),
        warning=f'<p class="warn">{_WARNING}</p>' if thumbnails else "",
        summary=_summary(report),
        sections="\n".join(_section(one, prepared if thumbnails else None) for one in report.outcomes),
    )
    with writing(target), atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def _summary(report: Audit) -> str:
    rows = []
    for one in report.outcomes:
        link = f'<a href="#{one.check}">{escape(CHECKS[one.check].title)}</a>'
        counts = "".join(
            f'<td class="n">{"" if one.by_split is None else format(one.by_split[split], ",")}</td>'
            for split in (*SPLITS, "total")
        )
        says = f"did not run: {one.why}" if one.section is None else one.section.lines[0] if one.section.lines else ""
        rows.append(f'<tr><td>{link}</td>{counts}<td class="says">{escape(says)}</td></tr>')
    head = "".join(f'<th class="n">{split}</th>' for split in (*SPLITS, "all"))
    return (
        f'<div class="scroll"><table class="wide"><caption>images concerned</caption><thead><tr><th>check</th>{head}'
        f"<th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _section(one: Outcome, shown: Dataset | None) -> str:
    title = f'<section id="{one.check}"><h2>{escape(CHECKS[one.check].title.capitalize())}</h2>'
    if one.section is None:
        return f'{title}<p class="quiet">Did not run: {escape(one.why)}</p></section>'
    parts = [title, *(f"<p>{escape(line)}</p>" for line in one.section.lines)]
    parts += [_grid(grid) for grid in one.section.grids]
    parts.append(_findings(one.section.findings, shown))
    return "\n".join([*parts, "</section>"])


def _grid(grid: Grid) -> str:
    """A table; where it counts images by class, with bars."""
    at = grid.header.index("total") if "total" in grid.header else None
    most = max((row[at] for row in grid.rows), default=0) if at is not None else 0
    head = "".join(
        f"<th{'' if i == 0 else _numeric(grid.rows[0][i] if grid.rows else '')}>{escape(name)}</th>"
        for i, name in enumerate(grid.header)
    )
    rows = []
    for row in grid.rows:
        cells = "".join(f"<td{_numeric(cell) if i else ''}>{escape(_text(cell))}</td>" for i, cell in enumerate(row))
        if at is not None:
            cells += f'<td><span class="bar" style="width: {12 * row[at] / max(most, 1):.2f}rem"></span></td>'
        rows.append(f"<tr>{cells}</tr>")
    last = "<th></th>" if at is not None else ""
    return (
        f'<div class="scroll"><table><caption>{escape(grid.title)}</caption><thead><tr>{head}{last}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _findings(findings: tuple[Finding, ...], shown: Dataset | None) -> str:
    if not findings:
        return ""
    listed = findings[:LISTED]
    items = [
        f"<li>{escape(one.says)}{_pictures(one, shown) if shown is not None and i < PICTURED else ''}</li>"
        for i, one in enumerate(listed)
    ]
    rest = f" (the first {len(listed)} of {len(findings):,}; JSON has all)" if len(findings) > len(listed) else ""
    opened = " open" if shown is not None else ""
    return f"<details{opened}><summary>What was found{rest}</summary><ol>{''.join(items)}</ol></details>"


def _pictures(finding: Finding, prepared: Dataset) -> str:
    """The pictures of a finding; of pairs of which each has copies, one of each."""
    index = list(dict.fromkeys(finding.index))
    pixels = [prepared.images[i].tobytes() for i in index]
    chosen = [i for k, i in enumerate(index) if pixels[k] not in pixels[:k]][:_PICTURES]
    return "<br>" + "".join(_picture(prepared.images[i], int(prepared.row[i])) for i in chosen)


def _picture(image: np.ndarray[Any, np.dtype[np.uint8]], row: int) -> str:
    bgr = image if image.shape[2] == 1 else image[..., ::-1]
    data = base64.b64encode(cv2.imencode(".png", np.ascontiguousarray(bgr))[1].tobytes()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="row {row}" title="row {row}">'


def _numeric(cell: Any) -> str:
    return ' class="n"' if not isinstance(cell, str) or cell[:1].isdigit() or cell == "–" else ""


def _text(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
