"""The files of `mien explain`: pictures, and the arrays and figures that they show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.datasets.dataset import Dataset
from mien.explain import draw
from mien.explain.class_averages import MIN_IMAGES, ClassAverages
from mien.explain.methods import REGIONS, attribution_maps, is_signed
from mien.explain.model import ExplainedNetwork, target_classes
from mien.explain.regions import affine_maps, coverage, quadrilaterals, region_statistics
from mien.files import write_text
from mien.models.card import Head
from mien.text import percent

CORRECT, WRONG = (0, 125, 90), (200, 60, 20)
_COLUMNS = 8
_SHOWN = 40
"""Number of regions drawn as outlines on the mean face."""


def write_json(value: Any, path: Path) -> None:
    """Write indented JSON atomically; `OutputError` where it cannot be written."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_face(
    model: ExplainedNetwork,
    head: Head,
    crop: NDArray[np.uint8],
    target: str,
    methods: Sequence[str],
    layer: str | None,
    out: Path,
) -> tuple[str, float]:
    """Maps of one face: ``out.png`` (the crop, then one map per method; one row per class) and ``out.npz``.

    The arrays: ``crop`` uint8 (size, size, channels); ``maps`` float32 (k classes, m methods, size, size); ``classes``
    (k,) and ``methods`` (m,) names; ``labels`` (all classes,) with ``probabilities`` float32; and, for networks with
    a spatial transformer, ``region`` float32 (4, 2), xy pixels of its corners in the crop.

    Args:
        model: the network.
        head: output of the network.
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
    targets = target_classes(target, head.labels, probabilities)[0]
    crops = np.repeat(crop[None], len(targets), axis=0)
    maps = {name: attribution_maps(model, head, crops, targets, name, layer) for name in methods}
    quads = quadrilaterals(affine_maps(model, x), model.size) if REGIONS in methods else None
    rows = []
    for k, one in enumerate(targets):
        lines = (head.labels[one], percent(probabilities[0, one]))
        row = [draw.CaptionedPicture(draw.enlarge_face(crop), lines)]
        for name in methods:
            row.append(_tile(crop, maps[name][k], name, quads, model.size))
        rows.append(row)
    draw.save_png(draw.tile_grid(rows), _with(out, ".png"))
    arrays = {
        "crop": crop,
        "maps": np.stack([maps[name] for name in methods], axis=1),
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
) -> draw.CaptionedPicture:
    if name == REGIONS and quads is not None:
        return draw.CaptionedPicture(draw.draw_outlines(crop, quads, width=2), (name, "region of the transformer"))
    note = "red for, blue against" if is_signed(name) else ""
    note = note if np.any(values) else "nothing above 0"
    return draw.CaptionedPicture(draw.overlay_map(crop, values, signed=is_signed(name)), (name, note))


def write_averages(averages: ClassAverages, folder: Path) -> None:
    """``average.png`` (one row per class: mean face, mean maps) and ``average.npz`` (see docs/explain.md)."""
    rows = []
    for k, label in enumerate(averages.labels):
        row = [
            draw.CaptionedPicture(draw.enlarge_face(averages.faces[k]), (label, f"mean of {averages.counts[k]} faces"))
        ]
        for m, name in enumerate(averages.methods):
            tile = draw.overlay_map(averages.faces[k], averages.maps[k, m], signed=is_signed(name))
            row.append(draw.CaptionedPicture(tile, (name, "red for, blue against" if is_signed(name) else "")))
        rows.append(row)
    if rows:
        draw.save_png(draw.tile_grid(rows), folder / "average.png")
    arrays = {
        "maps": averages.maps,
        "faces": averages.faces,
        "counts": averages.counts,
        "classes": np.array(averages.labels),
        "methods": np.array(averages.methods),
    }
    draw.save_arrays(folder / "average.npz", arrays)


def write_regions(model: ExplainedNetwork, head: Head, crops: NDArray[np.uint8], folder: Path) -> dict[str, Any]:
    """The regions of the transformer over many faces: ``regions.png``, ``regions.npz``, ``regions.json``.

    The picture shows the mean face with some of the outlines, and how many of the faces' regions cover each pixel:
    over all, and by predicted class. The arrays: ``maps`` float32 (n, 2, 3) in −1–1, ``corners`` float32 (n, 4, 2) xy
    pixels, ``predicted`` (n,) names, ``coverage`` float32 (size, size), the share of faces whose region covers a pixel.

    Returns:
        The content of the JSON file: statistics over all and by predicted class.
    """
    x = model.input(crops)
    affine = affine_maps(model, x)
    quads = quadrilaterals(affine, model.size)
    covered = coverage(quads, model.size)
    best = model.probabilities(x, head).argmax(axis=1)
    document: dict[str, Any] = {"images": len(crops), "all": region_statistics(affine), "predicted": {}}
    rows = [_region_row(crops, quads, covered, model.size, "all faces")]
    for k, label in enumerate(head.labels):
        mine = best == k
        if mine.sum() >= MIN_IMAGES:
            document["predicted"][label] = {"images": int(mine.sum()), **region_statistics(affine[mine])}
            rows.append(_region_row(crops[mine], quads[mine], covered[mine], model.size, f"predicted {label}"))
    draw.save_png(draw.tile_grid(rows), folder / "regions.png")
    arrays = {
        "maps": affine,
        "corners": quads,
        "predicted": np.array([head.labels[k] for k in best]),
        "coverage": covered.mean(axis=0),
    }
    draw.save_arrays(folder / "regions.npz", arrays)
    write_json(document, folder / "regions.json")
    return document


def _region_row(
    crops: NDArray[np.uint8], quads: NDArray[np.float32], covered: NDArray[np.float32], size: int, title: str
) -> list[draw.CaptionedPicture]:
    mean = np.round(crops.mean(axis=0)).astype(np.uint8)
    share = np.asarray(covered.mean(axis=0), np.float32)
    outlines = draw.draw_outlines(mean, quads[:_SHOWN], width=1, opacity=0.6)
    scale = f"in {percent(share.min(), digits=0)} (dark) to {percent(share.max(), digits=0)}"
    # the scale begins at the least covered pixel, because most regions share their centre
    return [
        draw.CaptionedPicture(draw.enlarge_face(mean), (title, f"mean of {len(crops)}")),
        draw.CaptionedPicture(outlines, ("regions", f"{min(len(quads), _SHOWN)} of the faces")),
        draw.CaptionedPicture(
            draw.overlay_map(mean, np.asarray(share - share.min(), np.float32), signed=False), ("coverage", scale)
        ),
    ]


def write_contact_sheet(faces: Sequence[Mapping[str, Any]], data: Dataset, title: str, out: Path) -> None:
    """Write a contact sheet, ``out.png``, and the facts of its faces without pixels, ``out.json``."""
    tiles = []
    for one in faces:
        first = f"{one['predicted']} {percent(one['probability'], digits=0)}"
        known = one["true"] is not None
        lines: tuple[str, ...] = (first, f"true: {one['true']}" if known else "no label")
        if "agreement" in one:
            lines = (*lines, f"{percent(one['agreement'], digits=0)} of raters agree")
        colour = None if not known else CORRECT if one["true"] == one["predicted"] else WRONG
        tiles.append(draw.CaptionedPicture(draw.enlarge_face(data.images[one["index"]], 144), lines, colour))
    rows = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
    draw.save_png(draw.tile_grid(rows, title=title), _with(out, ".png"))
    write_json([{key: value for key, value in one.items() if key != "index"} for one in faces], _with(out, ".json"))


def _with(path: Path, suffix: str) -> Path:
    """``with_suffix`` would shorten a name such as ``photo.v2``."""
    return path.with_name(path.name + suffix)
