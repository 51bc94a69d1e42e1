"""docs/robustness.md and its curves, from docs/results/robustness.json; tools/generate.py writes them."""

from __future__ import annotations

from typing import Any

from markdown_tables import table

from mien.models.catalog import MODELS

WIDTH, HEIGHT, COLUMNS = 240, 180, 4
LEFT, TOP, RIGHT, BOTTOM = 36, 26, 10, 30
COLOURS = ("#000000", "#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7")
"""Okabe and Ito's, reported apart by most colour-blind readers; Mien is black."""

Row = dict[str, Any]


def cell(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    return f"{100 * one['share']:.1f} ({100 * low:.0f}–{100 * high:.0f})"


def of(rows: list[Row], disturbance: str) -> list[Row]:
    return [row for row in rows if row["disturbance"] == disturbance]


def head(how: dict[str, Any]) -> str:
    return f"{how['title']}, {how['unit']}" if how["unit"] else how["title"]


def curves(measured: dict[str, Any], rows: list[Row], read: Any, names: dict[str, str], title: str) -> str:
    """Small curves, one a disturbance, from the undisturbed on the left to the most severe.

    Args:
        measured: the whole document.
        rows: of one of its parts.
        read: a row and a name → share.
        names: name → what the legend calls it.
        title: of the picture.
    """
    kinds = measured["disturbances"]
    lines = -(-(len(kinds) + 1) // COLUMNS)
    width, height = COLUMNS * WIDTH, lines * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for k, how in enumerate(kinds):
        parts += panel(
            of(rows, "clean") + of(rows, how["name"]), how, read, names, k % COLUMNS * WIDTH, k // COLUMNS * HEIGHT
        )
    x, y = len(kinds) % COLUMNS * WIDTH + LEFT, len(kinds) // COLUMNS * HEIGHT + TOP + 10
    for i, label in enumerate(names.values()):
        parts.append(f'<path d="M{x},{y + 18 * i - 4} h18" stroke="{COLOURS[i]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 24}" y="{y + 18 * i}">{label.split(", its")[0]}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(rows: list[Row], how: dict[str, Any], read: Any, names: dict[str, str], left: int, top: int) -> list[str]:
    x0, x1, y0, y1 = left + LEFT, left + WIDTH - RIGHT, top + HEIGHT - BOTTOM, top + TOP
    parts = [f'<text x="{x0}" y="{top + 16}" font-size="12">{head(how)}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = y0 + (y1 - y0) * share
        parts.append(f'<path d="M{x0},{y:.1f} H{x1}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 4}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{100 * share:.0f}</text>')
    places = [x0 + 8 + (x1 - x0 - 16) * i / max(len(rows) - 1, 1) for i in range(len(rows))]
    for x, row in zip(places, rows, strict=True):
        text = "none" if row["disturbance"] == "clean" else f"{row['strength']:g}"
        parts.append(f'<text x="{x:.1f}" y="{y0 + 16}" text-anchor="middle" fill="#555">{text}</text>')
    for i, name in enumerate(names):
        points = " ".join(
            f"{x:.1f},{y0 + (y1 - y0) * read(row, name):.1f}" for x, row in zip(places, rows, strict=True)
        )
        stroke = 2 if i == 0 else 1.3
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="{stroke}"/>')
    return parts


def classified(row: Row, name: str) -> float:
    return float(row["classifiers"][name]["ferplus7"]["share"])


def detected(row: Row, name: str) -> float:
    return float(row["detectors"][name]["share"])


def pictures(measured: dict[str, Any]) -> dict[str, str]:
    """File name → SVG."""
    out = {
        "accuracy.svg": curves(
            measured,
            measured["classification"],
            classified,
            measured["classifiers"],
            "Accuracy on FER+ majority, seven emotions, %",
        )
    }
    if "detection" in measured:
        finders = measured["detectors"]
        out["found.svg"] = curves(measured, measured["detection"], detected, finders, "Faces found, %")
    return out


def robustness_page(measured: dict[str, Any]) -> str:
    """The whole page, from what `benchmarks/robustness.py --json` wrote."""
    names, rows = measured["classifiers"], measured["classification"]
    clean = of(rows, "clean")[0]["classifiers"]
    n = {key: clean["mien"][key]["n"] for key in ("fer2013", "ferplus7")}
    lines = [
        "# Robustness",
        "",
        "How accuracy and detection change when pictures are blurred, noisy, compressed, dark, rotated, covered or small. Generated from "
        "`docs/results/robustness.json` by `python tools/generate.py`, measured by",
        "",
        "```sh",
        "python benchmarks/peers.py --weights-only --environments DIR",
        "python benchmarks/robustness.py --data fer2013.parquet --photos fairface/validation.parquet --environments DIR \\",
        f"    --faces {measured['faces']} --pictures {measured['photos']} \\",
        "    --json docs/results/robustness.json",
        "# only Mien, on the same faces and photos; the figures of the other packages stay",
        "python benchmarks/robustness.py --data fer2013.parquet --photos fairface/validation.parquet --keep-others \\",
        "    --json docs/results/robustness.json",
        "```",
        "",
        f"The pictures are altered by `mien.evaluation.scoring.disturbances`, in the same way for all packages (seed {measured['seed']}). "
        f"Brackets hold 95 % intervals (Wilson). {when(measured)}",
        "",
        "## Accuracy of classifiers",
        "",
        f"{measured['faces']:,} of FER2013's test faces, 48×48 pixels, chosen at random. The networks are those that come with the packages "
        "(see [benchmarks](benchmarks.md)); each gets the faces prepared by its own code. *FER+, seven*: the raters' majority among the seven "
        f"emotions that all of them predict ({n['ferplus7']:,} of the faces). These are ready crops: in a whole photo Mien turns a face "
        "upright before the network runs, which the curve for rotation does not include.",
        "",
        "![Accuracy under seven disturbances, FER+ majority of seven emotions](images/robustness/accuracy.svg)",
        "",
    ]
    for key, title in (("ferplus7", "FER+, seven"), ("fer2013", "FER2013's labels")):
        lines += [f"### {title}, %", ""]
        body = [["unchanged", "", *(cell(clean[name][key]) for name in names)]]
        for how in measured["disturbances"]:
            body += [
                [head(how), f"{row['strength']:g}", *(cell(row["classifiers"][name][key]) for name in names)]
                for row in of(rows, how["name"])
            ]
        lines += table(["disturbance", "strength", *names.values()], body)
    lines += found_lines(measured) if "detection" in measured else missing()
    lines += ["## What follows", "", *conclusions(measured)]
    return "\n".join(lines).rstrip() + "\n"


def when(measured: dict[str, Any]) -> str:
    """The days of the measurement."""
    others = measured.get("others_date", measured["date"])
    earlier = (
        "" if measured.get("emotion_sha256") == MODELS["emotion"].sha256 else ", with networks that it shipped before"
    )
    if others == measured["date"]:
        return f"Measured on {others}; Mien's figures are those of its default answer{earlier}."
    return (
        f"Mien's figures were measured on {measured['date']} under its default prior{earlier}; those of other packages and of MTCNN "
        f"on {others}, before the resampling of *small* changed."
    )


def missing() -> list[str]:
    return ["## Faces found", "", "Not measured: `python benchmarks/robustness.py … --steps detection`.", ""]


def found_lines(measured: dict[str, Any]) -> list[str]:
    finders, searched = measured["detectors"], measured["detection"]
    lines = [
        "## Faces found",
        "",
        f"{measured['photos']:,} photos of FairFace's validation set, evenly sampled, with one person each, a face of about "
        f"{measured['face_width']:.0f} pixels and a margin. A face counts as found if the centre of a detection is within a quarter of the "
        f"picture's side of the picture's centre. The smallest face of every detector is {measured['min_face']} pixels; sigma and the covered "
        "share are relative to the face, and for *small* the photo is shrunk until its face has that width. Each package uses its own thresholds.",
        "",
        "![Faces found under seven disturbances](images/robustness/found.svg)",
        "",
    ]
    body = [["unchanged", "", *(cell(of(searched, "clean")[0]["detectors"][name]) for name in finders)]]
    for how in measured["disturbances"]:
        body += [
            [head(how), f"{row['strength']:g}", *(cell(row["detectors"][name]) for name in finders)]
            for row in of(searched, how["name"])
        ]
    return lines + table(["disturbance", "strength", *(f"{title}, %" for title in finders.values())], body)


def conclusions(measured: dict[str, Any]) -> list[str]:
    """Where Mien is ahead, where it is not, and what costs it most; from the figures."""
    names = measured["classifiers"]
    rows = [row for row in measured["classification"] if row["disturbance"] != "clean"]
    titles = {how["name"]: how["title"] for how in measured["disturbances"]}
    units = {how["name"]: how["unit"] for how in measured["disturbances"]}

    def where(row: Row) -> str:
        return f"{titles[row['disturbance']]} {row['strength']:g} {units[row['disturbance']]}".strip()

    behind = []
    for row in rows:
        best = max(names, key=lambda name: classified(row, name))
        if best != "mien":
            gap = 100 * (classified(row, best) - classified(row, "mien"))
            behind.append(f"{where(row)} ({names[best]}, {gap:.1f} points)")
    start = classified(of(measured["classification"], "clean")[0], "mien")
    middle = {how["name"]: of(rows, how["name"])[2] for how in measured["disturbances"]}
    worst = sorted(middle.values(), key=lambda row: classified(row, "mien"))
    lost = ", ".join(f"{where(row)} {100 * (start - classified(row, 'mien')):.1f}" for row in worst)
    best = len(rows) - len(behind)
    lines = [
        f"- Mien's classifier is the most accurate, or as accurate as the best other, in {best} of {len(rows)} conditions."
    ]
    if behind:
        lines.append(f"- Another one is more accurate at: {'; '.join(behind)}.")
    lines.append(
        f"- Accuracy that Mien's classifier loses at the third strength of each disturbance, in points: {lost}."
    )
    if "detection" not in measured:
        return lines
    finders = measured["detectors"]
    first = next(iter(finders))
    searched = [row for row in measured["detection"] if row["disturbance"] != "clean"]
    ahead = sum(detected(row, first) >= max(detected(row, name) for name in finders) for row in searched)
    lines.append(
        f"- {finders[first]} finds the most faces, or as many as any other, in {ahead} of {len(searched)} conditions."
    )
    return lines
