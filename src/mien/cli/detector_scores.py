"""``mien evaluate`` for detectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.evaluation_tables import print_lines, print_table
from mien.cli.output import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.detect.options import DetectionOptions


def is_detector(name: str) -> bool:
    """Whether it names a detector, or is a run folder of one."""
    from mien.detect import DETECTORS

    return name in DETECTORS or _run_file(name).is_file()


def _run_file(folder: str) -> Path:
    # as `mien.detect.mien.RUN_FILE`; that module loads ONNX Runtime
    return Path(folder) / "detector.onnx"


def score_detectors(
    names: Sequence[str], data: Path, detection: DetectionOptions, threads: int | None, *, split: str | None = None
) -> dict[str, Any]:
    """Score detectors on photos with boxes, and print one table.

    Args:
        names: each as `is_detector` takes it.
        data: the photos, in any layout that `mien.datasets.detection_layouts` reads.
        detection: the options of all of them but the name.
        threads: processor threads.
        split: photos to use; None takes those held out, or all where none are.

    Returns:
        The scores as a document.

    Raises:
        DataError: the data have no photos of this split.
        InputError: a model file for several detectors.
    """
    from dataclasses import replace

    from mien.datasets.detection import HELD_OUT, SIZE_NAMES
    from mien.datasets.detection_layouts import open_detection
    from mien.detect import DETECTORS, make_detector
    from mien.errors import DataError, InputError
    from mien.evaluation.scoring.detectors import SURE_HEIGHT, evaluate_detectors
    from mien.evaluation.tables import FigureTable, TableCell, TableRow
    from mien.text import NONE, percent

    takers = [name for name in dict.fromkeys(names) if name in DETECTORS and DETECTORS[name].takes_model]
    if detection.detector_model is not None and len(takers) > 1:
        raise InputError(f"one model file for {' and '.join(takers)}", advice="score them in calls of their own")
    detectors = {}
    for name in dict.fromkeys(names):
        kind = name if name in DETECTORS else "mien"
        model = _run_file(name) if name not in DETECTORS else detection.detector_model if name in takers else None
        threshold = detection.threshold if DETECTORS[kind].takes_threshold else None
        options = replace(detection, detector=kind, detector_model=model, threshold=threshold)
        detectors[name] = make_detector(options, threads=threads)
    photos = open_detection(data)
    wanted = split or (HELD_OUT if HELD_OUT in photos.splits else None)
    if wanted is not None:
        if wanted not in photos.splits:
            raise DataError(f"has no {wanted} photos, only {', '.join(sorted(set(photos.splits)))}", path=data)
        photos = photos.select([i for i, one in enumerate(photos.splits) if one == wanted])
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
        rows.append(TableRow(tuple(map(TableCell, cells))))
    header = ("detector", "average precision", *sizes, "false boxes", "landmark error", "CPU ms")
    part = data.name if wanted is None else f"{data.name}, {wanted}"
    print_table(FigureTable(f"faces found in {part}, by height in pixels", header, tuple(rows)))
    found = document["data"]
    print_lines(
        [
            f"{found['photos']:,} photos, {sum(found['faces'].values()):,} faces, "
            f"{found['photos without faces']:,} photos without faces.",
            "False boxes are counted per photo without faces; landmark errors are shares of the distance of the eyes.",
        ]
    )
    return document
