"""What `mien explain` leaves in its folder: pictures beside the arrays and figures they show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.explain import draw
from mien.explain.class_averages import LEAST, Averages
from mien.explain.methods import REGIONS, maps, signed
from mien.explain.model import Explainable, targets_of
from mien.explain.regions import coverage, maps_of, quadrilaterals, statistics
from mien.files import atomic_path, writing
from mien.models.card import Head

RIGHT, WRONG = (0, 125, 90), (200, 60, 20)
_COLUMNS = 8
_SHOWN = 40
"""Regions drawn as outlines on the mean face."""


def write_json(value: Any, path: Path) -> None:
    """Indented JSON, atomically; `OutputError` where that cannot be."""
    with writing(path), atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_face(
    model: Explainable,
    head: Head,
    crop: NDArray[np.uint8],
    target: str,
    methods: Sequence[str],
    layer: str | None,
    out: Path,
) -> tuple[str, float]:
    """Maps of one face: ``out.png`` (the crop, then a map a method; a row a class) and ``out.npz``.

    The arrays: ``crop`` uint8 (size, size, channels); ``maps`` float32 (k classes, m methods, size, size); ``classes``
    (k,) and ``methods`` (m,) names; ``labels`` (all classes,) with ``probabilities`` float32; and, for networks with
    a spatial transformer, ``region`` float32 (4, 2), xy pixels of its corners in the crop.

    Args:
        model: the network.
        head: which output's classes.
        crop: uint8 ``(size, size, channels)``.
        target: "predicted", "all" or a class.
        methods: names of methods.
        layer: for Grad-CAM.
        out: path without suffix.

    Returns:
        The most probable class and its probability.
    """
    x = model.input(crop[None])
    probabilities = model.probabilities(x, head)
    targets = targets_of(target, head.labels, probabilities)[0]
    crops = np.repeat(crop[None], len(targets), axis=0)
    found = {name: maps(model, head, crops, targets, name, layer) for name in methods}
    quads = quadrilaterals(maps_of(model, x), model.size) if REGIONS in methods else None
    rows = []
    for k, one in enumerate(targets):
        lines = (head.labels[one], f"{probabilities[0, one]:.1%}")
        row = [draw.Tile(draw.face(crop), lines)]
        for name in methods:
            row.append(_tile(crop, found[name][k], name, quads, model.size))
        rows.append(row)
    draw.save(draw.grid(rows), _with(out, ".png"))
    arrays = {
        "crop": crop,
        "maps": np.stack([found[name] for name in methods], axis=1),
        "classes": np.array([head.labels[one] for one in targets]),
        "methods": np.array(methods),
        "labels": np.array(head.labels),
        "probabilities": probabilities[0],
    }
    draw.save_arrays(_with(out, ".npz"), arrays if quads is None else arrays | {"region": quads[0]})
    best = int(probabilities[0].argmax())
    return head.labels[best], float(probabilities[0, best])


def _tile(
    crop: NDArray[np.uint8], values: NDArray[np.float32], name: str, quads: NDArray[np.float32] | None, size: int
) -> draw.Tile:
    if name == REGIONS and quads is not None:
        return draw.Tile(draw.outlined(crop, quads, width=2), (name, "where the transformer looks"))
    note = "red for, blue against" if signed(name) else ""
    note = note if np.any(values) else "nothing above 0"
    return draw.Tile(draw.overlay(crop, values, signed=signed(name)), (name, note))


def write_averages(found: Averages, folder: Path) -> None:
    """``average.png`` (a row a class: mean face, mean maps) and ``average.npz`` (see docs/explain.md)."""
    rows = []
    for k, label in enumerate(found.labels):
        row = [draw.Tile(draw.face(found.faces[k]), (label, f"mean of {found.counts[k]} faces"))]
        for m, name in enumerate(found.methods):
            tile = draw.overlay(found.faces[k], found.maps[k, m], signed=signed(name))
            row.append(draw.Tile(tile, (name, "red for, blue against" if signed(name) else "")))
        rows.append(row)
    if rows:
        draw.save(draw.grid(rows), folder / "average.png")
    arrays = {
        "maps": found.maps,
        "faces": found.faces,
        "counts": found.counts,
        "classes": np.array(found.labels),
        "methods": np.array(found.methods),
    }
    draw.save_arrays(folder / "average.npz", arrays)


def write_regions(model: Explainable, head: Head, crops: NDArray[np.uint8], folder: Path) -> dict[str, Any]:
    """Where the transformer looks over many faces: ``regions.png``, ``regions.npz``, ``regions.json``.

    The picture shows the mean face with some of the outlines, and how many of the faces' regions cover each pixel:
    over all, and by predicted class. The arrays: ``maps`` float32 (n, 2, 3) in −1–1, ``corners`` float32 (n, 4, 2) xy
    pixels, ``predicted`` (n,) names, ``coverage`` float32 (size, size), the share of faces whose region covers a pixel.

    Returns:
        What the JSON holds: statistics over all and by predicted class.
    """
    x = model.input(crops)
    found = maps_of(model, x)
    quads = quadrilaterals(found, model.size)
    covered = coverage(quads, model.size)
    best = model.probabilities(x, head).argmax(axis=1)
    document: dict[str, Any] = {"images": len(crops), "all": statistics(found), "predicted": {}}
    rows = [_region_row(crops, quads, covered, model.size, "all faces")]
    for k, label in enumerate(head.labels):
        mine = best == k
        if mine.sum() >= LEAST:
            document["predicted"][label] = {"images": int(mine.sum()), **statistics(found[mine])}
            rows.append(_region_row(crops[mine], quads[mine], covered[mine], model.size, f"predicted {label}"))
    draw.save(draw.grid(rows), folder / "regions.png")
    arrays = {
        "maps": found,
        "corners": quads,
        "predicted": np.array([head.labels[k] for k in best]),
        "coverage": covered.mean(axis=0),
    }
    draw.save_arrays(folder / "regions.npz", arrays)
    write_json(document, folder / "regions.json")
    return document


def _region_row(
    crops: NDArray[np.uint8], quads: NDArray[np.float32], covered: NDArray[np.float32], size: int, title: str
) -> list[draw.Tile]:
    mean = np.round(crops.mean(axis=0)).astype(np.uint8)
    share = np.asarray(covered.mean(axis=0), np.float32)
    outlines = draw.outlined(mean, quads[:_SHOWN], width=1, opacity=0.6)
    scale = f"seen by {share.min():.0%} (dark) to {share.max():.0%}"
    # the scale begins at the least covered pixel: most regions share their middle
    return [
        draw.Tile(draw.face(mean), (title, f"mean of {len(crops)}")),
        draw.Tile(outlines, ("regions", f"{min(len(quads), _SHOWN)} of the faces")),
        draw.Tile(draw.overlay(mean, np.asarray(share - share.min(), np.float32), signed=False), ("coverage", scale)),
    ]


def write_sheet(picked: Sequence[Mapping[str, Any]], data: Dataset, title: str, out: Path) -> None:
    """A contact sheet, ``out.png``, and what is on it, ``out.json``; the JSON holds no pixels."""
    tiles = []
    for one in picked:
        first = f"{one['predicted']} {one['probability']:.0%}"
        known = one["true"] is not None
        lines: tuple[str, ...] = (first, f"true: {one['true']}" if known else "no label")
        if "agreement" in one:
            lines = (*lines, f"{one['agreement']:.0%} of raters agree")
        colour = None if not known else RIGHT if one["true"] == one["predicted"] else WRONG
        tiles.append(draw.Tile(draw.face(data.images[one["index"]], 144), lines, colour))
    rows = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
    draw.save(draw.grid(rows, title=title), _with(out, ".png"))
    write_json([{key: value for key, value in one.items() if key != "index"} for one in picked], _with(out, ".json"))


def _with(path: Path, suffix: str) -> Path:
    """``with_suffix`` would cut a name such as ``photo.v2``."""
    return path.with_name(path.name + suffix)
