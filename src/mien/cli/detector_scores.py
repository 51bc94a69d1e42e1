"""``mien evaluate`` for detectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.evaluation_tables import print_lines, print_table
from mien.cli.output import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.detect.options import DetectionOptions


def score_detectors(
    names: Sequence[str], data: Path, detection: DetectionOptions, threads: int | None
) -> dict[str, Any]:
    """Score detectors on photos with boxes, and print one table.

    Args:
        names: in `mien.detect.DETECTORS`.
        data: the photos, in any layout that `mien.datasets.detection_layouts` reads.
        detection: the options of all of them but the name.
        threads: processor threads.

    Returns:
        The scores as a document.
    """
    from dataclasses import replace

    from mien.datasets.detection import SIZE_NAMES
    from mien.datasets.detection_layouts import open_detection
    from mien.detect import DETECTORS, make_detector
    from mien.evaluation.scoring.detectors import SURE_HEIGHT, evaluate_detectors
    from mien.evaluation.tables import Cell, Row, Table
    from mien.text import NONE, percent

    detectors = {}
    for name in dict.fromkeys(names):
        model = detection.detector_model if DETECTORS[name].takes_model else None
        threshold = detection.threshold if DETECTORS[name].takes_threshold else None
        options = replace(detection, detector=name, detector_model=model, threshold=threshold)
        detectors[name] = make_detector(options, threads=threads)
    photos = open_detection(data)
    with progress_bar() as progress:
        bar = progress.add_task("detecting faces")
        document = evaluate_detectors(
            photos, detectors, progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )

    def share(value: float | None) -> str:
        return NONE if value is None else percent(value)

    sizes = ("all", f">={SURE_HEIGHT}", *SIZE_NAMES)
    rows = []
    for name, row in document["detectors"].items():
        wrong = row["false boxes"]
        cells = [name, share(row["average precision"]), *(share(row["recall"][size]) for size in sizes)]
        cells += [NONE if wrong is None else f"{wrong:.3f}", share(row["landmark error"])]
        cells += [f"{row['CPU ms per photo']:.1f}"]
        rows.append(Row(tuple(map(Cell, cells))))
    header = ("detector", "average precision", *sizes, "false boxes", "landmark error", "CPU ms")
    print_table(Table(f"faces found in {data.name}, by height in pixels", header, tuple(rows)))
    found = document["data"]
    print_lines(
        [
            f"{found['photos']:,} photos, {sum(found['faces'].values()):,} faces, "
            f"{found['photos without faces']:,} photos without faces.",
            "False boxes are counted per photo without faces; landmark errors are shares of the distance of the eyes.",
        ]
    )
    return document
