"""docs/detector.md, the card of the detector, and the section of docs/benchmarks.md on detectors."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien.detect import DETECTORS
from mien.detect.mien import CONFIDENCE, DOUBTFUL, LANDMARKS, LARGE_CONFIDENCE, NETWORK, SURE_CONFIDENCE
from mien.models.session import open_session

RESULTS = Path(__file__).parents[1] / "docs" / "results"
_SHIPPED = "mien"
_SIZES = ("all", "<16", "16-32", "32-64", "64-128", ">=128")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, distinguishable for most colour-blind readers."""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 260, 48, 12, 28, 36

_OUTCOMES = ("righted", "misread", "missed")
_SCENES = ("a quarter", "upside down")


def detectors_section(measured: dict[str, Any]) -> list[str]:
    """The lines of the section of docs/benchmarks.md."""
    data = measured["data"]
    rows = [
        [
            f"**{name}**" if name == _SHIPPED else name,
            _percent(row["average precision"]),
            *(_percent(row["recall"][size]) for size in _SIZES),
            "–" if row["false boxes"] is None else f"{row['false boxes']:.3f}",
            _percent(row["points, median from 32 pixels"]),
            _percent(row["points on portraits"]),
        ]
        for name, row in measured["detectors"].items()
    ]
    return [
        "## Detectors",
        "",
        "`python benchmarks/detectors.py photos.parquet --models src/mien/models/files --out docs/results`",
        "",
        f"Faces found, in percent, by height in pixels, on {data['photos']} photos with {sum(data['faces'].values()):,} faces "
        f"({data['photos without faces']} of the photos show no face), from repositories of owners of whom no photo was trained on; false "
        "boxes per photo without faces; median error of the landmarks of faces from 32 pixels, and mean error on "
        f"{data['portraits']} portraits, in percent of the distance between the eyes. Every detector uses its own thresholds; those of "
        f"Mien ({CONFIDENCE}, and {LARGE_CONFIDENCE} for large faces in the first pass) were chosen on these photos. Average "
        "precision covers the scores that a detector reports, Mien's from 0.1. **Bold** is the default.",
        "",
        *table(
            ["detector", "average precision", *_SIZES, "false boxes", "landmarks", "landmarks, portraits"],
            rows,
        ),
        "The labels are what YuNet proposed and MTCNN or CenterFace confirmed, so a face that MTCNN misses is often not labelled, "
        "and its row is too favourable. Profiles and covered faces have poor landmarks. YuNet itself is not in the table: no package "
        "on PyPI that we found contains its file, which could not be downloaded where this was measured, and it would be scored on its "
        "own proposals; with the file in the cache the same command adds its row. For the same table on your photos: "
        "`mien evaluate mien mtcnn haar --data photos.parquet`.",
        "",
    ]


def detector_page() -> str:
    """docs/detector.md."""
    measured = json.loads((RESULTS / "detector.json").read_text(encoding="utf-8"))
    groups = json.loads((RESULTS / "detector_fairface.json").read_text(encoding="utf-8"))
    session = open_session(NETWORK.read(), threads=1, name=NETWORK.filename)
    card = json.loads(session.metadata["mien.detector"])
    training, row = card["training"], measured["detectors"][_SHIPPED]
    trained = measured["trained on"]
    lines = [
        "# The detector",
        "",
        'Mien\'s own face detector is the default (`detector="mien"`, `--detector mien`). It returns boxes, scores and five landmarks of faces '
        "from 16 pixels in pictures up to 1,280 pixels, from 1/80 of the longer side in larger ones, or from `min_face`. "
        f"Licence of the weights: {card['licence']}.",
        "",
        "## How it works",
        "",
        "1. One network in 8 bits (`networks/detector.py`, 303,549 parameters) runs on the picture, scaled so that the smallest "
        "faces have 16 to 20 pixels, and on smaller copies of it for large faces. Pictures of more than 1.5 megapixels after scaling "
        "are processed in strips.",
        f"2. Doubtful faces, with scores of {DOUBTFUL[0]} to {DOUBTFUL[1]}, get a second pass: a crop in which they have about 28 "
        "pixels. Their score is the geometric mean of both passes. The crop is also rotated by quarter turns, which shows whether the "
        "face is a rotated one.",
        "3. Boxes that remain doubtful are dropped where they lie inside a more certain face, or on its body or hat and are far too "
        f"small for a face there (badges, buttons). {measured['implausible']['of them']} of {measured['implausible']['faces']:,} "
        "labelled faces are in such places.",
        "4. A second small network predicts the landmarks on upright crops.",
        f"5. If no face reaches a score of {SURE_CONFIDENCE} in the first pass, small copies of the picture are searched: with a margin, for "
        "faces larger than the picture, and rotated by quarter turns.",
        "",
        "The landmarks of a rotated face are in the order of the face, so that its crop is turned upright. `Tracker` and "
        "`--detect-every` run the network only on crops around expected faces (`MienDetector.refine`).",
        "",
        "## Training",
        "",
        *table(
            ["", ""],
            [
                ["photos", f"{trained['photos']:,} with {sum(trained['faces'].values()):,} faces"],
                ["data", card["data"]],
                ["labels", card["labels"]],
                ["recipe", "`mien train detector` (`mien.recipes.detector`)"],
                ["command at the time", f"`{training['command']}`"],
                ["commit", training["commit"]],
                ["seed", str(training["seed"])],
                ["length", f"{training['crops']:,} crops: {training['history']}"],
                ["optimizer", training["optimizer"]],
                ["data file", f"SHA-256 `{training['data file']}`"],
                [
                    "files",
                    f"`{NETWORK.filename}` SHA-256 `{NETWORK.sha256}`, `{LANDMARKS.filename}` SHA-256 `{LANDMARKS.sha256}`",
                ],
            ],
        ),
        "![Losses during training](images/detector/training.svg)",
        "",
        "### Licences of the photos",
        "",
        *table(
            ["licence, as stated by the source", "photos trained on", "photos held out"],
            [
                [name, f"{trained['licences'].get(name, 0):,}", f"{measured['data']['licences'].get(name, 0):,}"]
                for name in dict.fromkeys([*trained["licences"], *measured["data"]["licences"]])
            ],
        ),
        "In addition, faces from FairFace (CC BY 4.0) were pasted onto photos without faces.",
        "",
        "## Scores",
        "",
        f"On photos of owners of whom none was trained on, average precision is {_percent(row['average precision'])}. At "
        f"{row['false boxes']:.3f} false boxes per photo without faces the detector finds {_percent(row['recall']['all'])} % of all faces "
        f"and {_percent(row['recall']['>=32'])} % of those from 32 pixels. {training['selection']} All detectors side by side: "
        "[benchmarks](benchmarks.md#detectors).",
        "",
        f"The error of the landmarks of faces from 32 pixels is {_percent(row['points, median from 32 pixels'])} % of the distance between "
        f"the eyes (median) or {_percent(row['points, share of the eye distance']['>=32'])} % (mean); it is largest for profiles, whose eyes "
        f"are close together, and for covered faces. On {measured['data']['portraits']} portraits with landmarks set by hand the mean error "
        f"is {_percent(row['points on portraits'])} %.",
        "",
        "![Faces found over false boxes](images/detector/recall.svg)",
        "",
        f"On FairFace's validation pictures (112 pixels, the face fills the picture; {groups['pictures']:,} pictures, "
        "`python benchmarks/detectors_fairface.py fairface/validation.parquet --step 5 --json docs/results/detector_fairface.json`), faces "
        "found in percent with 95 % intervals (Wilson):",
        "",
        *table(["", *groups["detectors"]], _group_rows(groups["detectors"])),
        "Scenes composed from a public-domain portrait, with the detected faces (`python benchmarks/detector_scenes.py --out "
        "docs/images/detector/scenes.jpg`):",
        "",
        "![Boxes and landmarks in eight scenes](images/detector/scenes.jpg)",
        "",
        *_coarse_first(json.loads((RESULTS / "coarse_first.json").read_text(encoding="utf-8"))),
        *_whole_path(json.loads((RESULTS / "detector_whole_path.json").read_text(encoding="utf-8"))),
        "## Where it fails",
        "",
        f"- Faces below 16 pixels: {_percent(row['recall']['<16'])} % are found.",
        "- Hands and fists, guitars, round logos and flowers are occasionally detected as faces. Of the false boxes on photos with faces "
        "most are real faces that the labels miss (profiles, heads bent down); the others are mainly these.",
        *_turned(json.loads((RESULTS / "turned_faces.json").read_text(encoding="utf-8"))),
        "- Profiles, and faces that are mostly covered: the labels contain few of them, because the detectors that proposed the labels "
        "miss them too.",
        "- Drawn, painted and sculpted faces are sometimes found; some were in the labels.",
        "",
        "## Limitations of the data",
        "",
        "- The labels come from detectors that were trained on WIDER FACE, not from people; no pixel of WIDER FACE was used.",
        "- The licence of a site does not prove that every photographer and every person agreed; third-party pictures may remain.",
        "- The photos are from conferences, workshops and agencies in a few countries: children, old people and outdoor work are rare.",
        "- Thresholds were chosen on the held-out photos, so slightly fewer false boxes are counted there than elsewhere.",
        "",
        "## Other detectors",
        "",
        *table(
            ["name", "what it is", "licence of the weights", "needs"],
            [[f"`{name}`", info.summary, info.licence, info.needs or "–"] for name, info in DETECTORS.items()],
        ),
        "`min_face` is the height of the smallest face that each of them finds. Without it res10 runs once on the whole picture "
        "(faces from a tenth of its size), and Haar finds faces from 40 pixels.",
        "",
    ]
    return "\n".join(lines)


def _turned(measured: dict[str, Any]) -> list[str]:
    ways = ("without", "with")

    def percent(rows: list[dict[str, Any]], way: str, kind: str) -> str:
        parts = [row[way] for row in rows]
        return f"{100 * sum(part[kind] for part in parts) / sum(part[k] for part in parts for k in _OUTCOMES):.1f}"

    quarter, over = ([row for name, row in measured.items() if name.startswith(start)] for start in _SCENES)
    photos = [measured["photos held out, a quarter"]]
    righted, misread = ({way: percent(photos, way, kind) for way in ways} for kind in _OUTCOMES[:2])
    return [
        "- Faces rotated by more than about 40 degrees next to an upright one with a high score: the whole picture is not searched in "
        "quarter turns then. If the first pass reports them as doubtful, the second pass can still turn them upright. Of faces from 20 "
        f"pixels in held-out photos rotated by 90° it turns {righted['with']} % upright ({righted['without']} % without that "
        f"pass) and takes {misread['with']} % for upright ({misread['without']} %); the others are missed. Upright faces are not "
        "affected, and the time is the same (`python benchmarks/turned_faces.py --photos photos.parquet --json "
        "docs/results/turned_faces.json`).",
        "- A rotated face alone in a picture is found and turned upright, at every angle, if it has a quarter of the picture's height. "
        "Of small ones (20 to 56 pixels in pictures of 160 to 480) "
        f"rotated by 90°, {percent(quarter, 'with', 'missed')} % are missed ({percent(quarter, 'without', 'missed')} % "
        f"without the second pass) and {percent(quarter, 'with', 'misread')} % taken for upright "
        f"({percent(quarter, 'without', 'misread')} %); of those upside down {percent(over, 'with', 'missed')} % are missed and "
        f"{percent(over, 'with', 'misread')} % taken for upright.",
    ]


def _coarse_first(measured: dict[str, Any]) -> list[str]:
    return [
        "## Why there is no coarse first pass",
        "",
        "A pass at half size that selects regions for a closer one was tried (`python benchmarks/coarse_first.py photos.parquet --json "
        f"docs/results/coarse_first.json`, {measured['photos']} held-out photos, {measured['faces']} faces of 16 to 40 pixels). At thresholds "
        "at which it selects nearly all faces it selects most of the photo, so the two passes together take as long as a single one, or "
        "longer; where they are faster, faces are lost. Large pictures are scanned at the scale that the smallest face needs.",
        "",
        *table(
            ["threshold", "faces in selected regions", "selected share of the photo", "time relative to a single pass"],
            [
                [
                    str(row["score"]),
                    f"{_percent(row['faces inside'])} %",
                    f"{_percent(row['flagged'])} %",
                    f"{row['cost']:.2f}",
                ]
                for row in measured["rows"]
            ],
        ),
    ]


def _whole_path(measured: dict[str, Any]) -> list[str]:
    return [
        "## Time",
        "",
        "`python benchmarks/whole_path_detectors.py --json docs/results/detector_whole_path.json`: from the file to the result, "
        "milliseconds of processor time, one thread. Before: MTCNN, faces from 40 pixels; after: this detector, faces from 16 "
        "pixels, unless the row states otherwise. Measured alternately on a machine that was busy with other work, so the ratio is more reliable than the "
        "milliseconds.",
        "",
        *table(
            ["", "before", "after", "after / before"],
            [
                [row["what"], f"{row['before']:.1f}", f"{row['after']:.1f}", f"{row['ratio']:.2f}"]
                for row in measured.values()
            ],
        ),
    ]


def detector_pictures() -> dict[str, str]:
    """File name → SVG: curves of the training and of recall over false boxes."""
    with (RESULTS / "detector_training.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = {
        name: _smooth([(float(row["step"]), float(row[name])) for row in rows]) for name in ("score", "box", "points")
    }
    with (RESULTS / "detector_curves.csv").open(newline="", encoding="utf-8") as file:
        points = [row for row in csv.DictReader(file) if row["false_boxes"] and row["recall"]]
    found: dict[str, list[tuple[float, float]]] = {}
    for row in points:
        false_boxes = float(row["false_boxes"])
        if false_boxes <= 0.5:
            found.setdefault(row["detector"], []).append((false_boxes, 100 * float(row["recall"])))
    return {
        "training.svg": _chart(losses, "Losses", "step"),
        "recall.svg": _chart(found, "Faces found, %", "false boxes per photo without faces"),
    }


def _smooth(line: Sequence[tuple[float, float]], window: int = 9) -> list[tuple[float, float]]:
    parts = [line[max(i - window, 0) : i + 1] for i in range(len(line))]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


def _chart(lines: dict[str, list[tuple[float, float]]], title: str, across: str) -> str:
    every = [point for line in lines.values() for point in line]
    x_low, x_high = min(x for x, _ in every), max(x for x, _ in every)
    y_low, y_high = 0.0, max(y for _, y in every)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def at(x: float, y: float) -> str:
        column = _LEFT + (right - _LEFT) * (x - x_low) / max(x_high - x_low, 1e-9)
        return f"{column:.1f},{bottom - (bottom - _TOP) * (y - y_low) / max(y_high - y_low, 1e-9):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="16" font-size="13">{title}</text>',
        f'<path d="M{_LEFT},{_TOP} V{bottom} H{right}" fill="none" stroke="#888"/>',
        f'<text x="{_LEFT - 4}" y="{_TOP + 4}" text-anchor="end">{y_high:.3g}</text>',
        f'<text x="{_LEFT - 4}" y="{bottom + 4}" text-anchor="end">{y_low:.3g}</text>',
        f'<text x="{_LEFT}" y="{bottom + 16}">{x_low:.3g}</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{x_high:g}</text>',
        f'<text x="{(right + _LEFT) / 2}" y="{bottom + 30}" text-anchor="middle">{across}</text>',
    ]
    for i, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        points = " ".join(at(x, y) for x, y in sorted(line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        place = bottom - 14 * (len(lines) - i) if "%" in title else _TOP + 14 * i + 4
        parts.append(f'<text x="{right - 4}" y="{place}" fill="{colour}" text-anchor="end">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _group_rows(detectors: dict[str, Any]) -> list[list[str]]:
    def cell(share: dict[str, float]) -> str:
        return f"{_percent(share['found'])} ({_percent(share['low'])}–{_percent(share['high'])})"

    first = next(iter(detectors.values()))
    rows = [
        ["all", *(cell(one["all"]) for one in detectors.values())],
        ["all, with a margin of a quarter", *(cell(one["with margin"]) for one in detectors.values())],
    ]
    for kind in ("race", "gender", "age"):
        for name, share in first[kind].items():
            label = f"{name.replace('_', ' or ')} ({share['n']:,})"
            rows.append([label, *(cell(one[kind][name]) for one in detectors.values())])
    return rows


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
