"""``mien evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mien import defaults
from mien.cli.options import (
    OUTPUT_FOLDER,
    OutputCommand,
    coverage_options,
    data_option,
    detector_options,
    figures_option,
    prior_option,
    seed_option,
    split_names,
    threads_option,
)
from mien.cli.output import progress_bar
from mien.files import write_text
from mien.output_checks import result_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mien.datasets.dataset import Dataset
    from mien.detect.options import DetectionOptions
    from mien.evaluation.scoring.evaluate import SplitPredictions
    from mien.evaluation.scoring.scored_model import ScoredModel

ALL = "all"
"""Name that stands for every protocol of a model."""

EPILOG = """\b
Examples:
  mien evaluate emotion --data fer2013.parquet
  mien evaluate runs/emotion-cpu --data fer2013.parquet --split validation
  mien evaluate age.onnx --data fairface.parquet --split validation --json age.json
  mien evaluate emotion runs/mine --data fer2013.parquet --labels emotion --map contempt=- --report report/
  mien evaluate emotion --data fer2013.parquet --end-to-end --face-size 96
  mien evaluate age emotion --data fairface/ --split validation --end-to-end --slices race,gender,race+gender
  mien evaluate theirs.onnx emotion --data fer2013.parquet --protocol all \
      --classes angry,disgust,fear,happy,sad,surprise,neutral --pixels 127.5,127.5
  mien evaluate runs/detector mien mtcnn haar --data detection.parquet
"""


@click.command("evaluate", cls=OutputCommand, epilog=EPILOG)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@data_option
@click.option("--split", default="test", show_default=True, help="Images to use: train, validation or test.")
@click.option("--flip/--no-flip", default=False, show_default=True, help="Average with the mirrored images.")
@prior_option
@coverage_options
@figures_option
@click.option("--report", type=OUTPUT_FOLDER, help="Write report.html, report.json and pictures to this folder.")
@click.option("--slices", help="Groups to report: race, gender, age, emotion; race+gender crosses two.")
@click.option(
    "--labels",
    type=click.Choice(["ferplus", "emotion", "age"]),
    help="Labels to score on: the majority of FER+ raters, or the dataset's own.",
    show_default="those of each head",
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    metavar="NAME",
    help="What to score on, repeatable: fer2013, age, and for FER+ votes majority, majority-7, argmax, argmax-untied, "
    "emotions, argmax-7; all for all of them.",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="LABEL=MEANING",
    help="The dataset's name for a label of the model, or - to leave it out; repeatable.",
)
@click.option(
    "--classes",
    metavar="LABEL,...",
    help="Labels of the columns, in order, of .onnx files that have no card, such as those of other packages.",
)
@click.option(
    "--pixels",
    metavar="MEAN,DIVISOR",
    help="What these files get: (pixel - MEAN) / DIVISOR of pixels of 0-255 (--classes).  [default: 0,255]",
)
@click.option(
    "--bootstrap",
    default=defaults.BOOTSTRAP_SAMPLES,
    show_default=True,
    type=click.IntRange(0),
    help="Number of resamples for intervals; 0 for none.",
)
@seed_option("the resampling")
@click.option(
    "--end-to-end", is_flag=True, help="Run detector and crop on whole photos; a face that is missed counts as wrong."
)
@detector_options(note="--end-to-end")
@click.option(
    "--face-size",
    type=click.IntRange(16, 160),
    help=f"Pixels to enlarge a cropped face to (--end-to-end).  [default: {defaults.PASTED_FACE_SIDE}]",
)
@click.option(
    "--turn",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 45),
    help="Angle by which faces are tilted, in degrees (--end-to-end).",
)
@threads_option(default=None)
def command(
    models: tuple[str, ...],
    data: Path,
    split: str,
    flip: bool,
    prior: str,
    coverage: float | None,
    by_class: bool,
    json_file: Path | None,
    report: Path | None,
    slices: str | None,
    labels: Any,
    protocols: tuple[str, ...],
    maps: tuple[str, ...],
    classes: str | None,
    pixels: str | None,
    bootstrap: int,
    seed: int,
    end_to_end: bool,
    detection: DetectionOptions,
    face_size: int | None,
    turn: float,
    threads: int | None,
) -> None:
    """Score each MODEL (a shipped model's name, an .onnx file, or a run folder) on a prepared dataset.

    An .onnx file without a card, such as another package's, is scored with the labels that --classes names.

    FER2013 is scored under both protocols, FER+ majority and the original labels, each with all test images and
    without those that are also in the training set ("leak-free"). Several models are compared with McNemar's
    test. With --end-to-end the faces of a prepared dataset are enlarged into whole pictures; FairFace's own files
    (Parquet, or CSV beside the image folders) are used as they are.

    Names of detectors and run folders of recipe detector score those instead, on photos with boxes of all faces:
    a file of `mien data prepare`, a COCO-style .json, WIDER FACE's folder or .txt, or a folder in YOLO's layout; where
    some of the photos are held out, on those (--split train takes the others).
    """
    from mien.extras import DATA, NETWORKS, require_extra

    require_extra("train", "mien evaluate", *DATA)
    from mien.cli.detector_scores import is_detector, score_detectors

    if all(is_detector(name) for name in models):
        if any((report, slices, labels, protocols, maps, end_to_end)):
            raise click.UsageError(
                "--report, --slices, --labels, --protocol, --map and --end-to-end are for models, not for detectors."
            )
        chosen = click.get_current_context().get_parameter_source("split") is not ParameterSource.DEFAULT
        scores = score_detectors(models, data, detection, threads, split=split if chosen else None)
        if json_file is not None:
            write_text(json_file, json.dumps(scores, indent=2) + "\n")
        return
    require_extra("train", "mien evaluate", *NETWORKS)
    from mien.evaluation.scoring.protocols import parse_label_map
    from mien.evaluation.scoring.report import REPORT_FILES, compare_models, to_json, write_report

    if not end_to_end and (face_size is not None or turn):
        raise click.UsageError("--face-size and --turn need --end-to-end.")
    if report is not None:
        # before the work, and locked until its end
        click.get_current_context().with_resource(result_folder(report, REPORT_FILES))
    options: dict[str, Any] = {
        "split": split,
        "flip": flip,
        "labels": labels,
        "mapping": parse_label_map(maps),
        "slices": split_names(slices),
    }
    foreign = _foreign(classes, pixels)
    if end_to_end and foreign is not None:
        raise click.UsageError("--classes is for prepared images: where a face lies in such a network's is not known.")
    if end_to_end and protocols:
        raise click.UsageError("--protocol is for prepared images, not for --end-to-end.")
    if end_to_end:
        if coverage is not None:
            raise click.UsageError("--coverage is for prepared images, not for --end-to-end.")
        given = _whole_photos(models, data, detection, face_size, turn, threads, prior, options)
    else:
        choice = {"prior": prior, "coverage": coverage, "by_class": by_class}
        given = _prepared(models, data, threads, choice, options | {"protocols": protocols or None}, foreign)
    document = compare_models(given, samples=bootstrap, seed=seed)
    if json_file is not None:
        write_text(json_file, to_json(document))
    for one in document.get("models", [document]):
        _print(one)
    _print_comparisons(document.get("comparisons"))
    if report is not None:
        click.echo(f"wrote {write_report(document, report)}", err=True)


def _foreign(classes: str | None, pixels: str | None) -> dict[str, Any] | None:
    """Arguments of `from_onnx` for files without a card; None where there are none."""
    if classes is None:
        if pixels is not None:
            raise click.UsageError("--pixels is for files whose labels --classes names.")
        return None
    given: dict[str, Any] = {"labels": split_names(classes)}
    if pixels is not None:
        try:
            mean, divisor = map(float, pixels.split(","))
        except ValueError:
            raise click.UsageError("--pixels is two numbers, such as 127.5,127.5.") from None
        given["pixels"] = (mean, divisor)
    return given


def _open(model: str, threads: int | None, choice: Mapping[str, Any], foreign: Mapping[str, Any] | None) -> ScoredModel:
    """A model by its name or file; one without a card with what the options say of it."""
    from mien.errors import ModelError
    from mien.evaluation.scoring.foreign_onnx import from_onnx
    from mien.evaluation.scoring.scored_model import open_model

    try:
        return open_model(model, threads, **choice)
    except ModelError as error:
        if error.code != "card-missing":
            raise
        if foreign is None:
            raise ModelError(
                error.reason,
                path=error.path,
                advice="name the labels of its columns with --classes, or use a file that `mien export` wrote",
                code=error.code,
            ) from None
        return from_onnx(model, threads=threads, **foreign)


def _prepared(
    models: tuple[str, ...],
    data: Path,
    threads: int | None,
    choice: Mapping[str, Any],
    options: Mapping[str, Any],
    foreign: Mapping[str, Any] | None,
) -> list[SplitPredictions]:
    """Every model on the images of a prepared file."""
    from mien.datasets.prepared_file import read_prepared
    from mien.evaluation.scoring.evaluate import predict_split
    from mien.published.svm.run_folder import is_svm_run
    from mien.published.svm.scoring import predict_svm

    given = []
    networks: list[ScoredModel | None] = []
    for model in models:
        machine = is_svm_run(Path(model))
        if machine and options["flip"]:
            raise click.UsageError("--flip is for networks: features of mirrored images are not available.")
        if machine and (options["labels"] or options["mapping"]):
            raise click.UsageError(
                "--labels and --map are for networks: a support-vector machine learnt its own labels."
            )
        networks.append(None if machine else _open(model, threads, choice, foreign))
    _check_prior(choice["prior"], networks)
    prepared = read_prepared(data)
    for model, network in zip(models, networks, strict=True):
        if choice["coverage"] is not None and (network is None or not network.rules):
            raise click.UsageError(f"{model} has no sets of labels: fit them with mien calibrate --sets.")
        if network is None:
            given.append(predict_svm(Path(model), prepared, split=options["split"], slices=options["slices"]))
        else:
            given.append(predict_split(network, prepared, **_with_all(options, network, prepared)))
    return given


def _check_prior(prior: str, networks: Sequence[ScoredModel | None]) -> None:
    """Refuse a prior that none of the models offers: the figures would be those of the default."""
    from mien.models.priors import DEFAULT

    if prior != DEFAULT and not any(network is not None and network.prior == prior for network in networks):
        raise click.UsageError(
            f"none of the models offers the prior {prior!r}: leave it out, or fit it with mien calibrate --priors."
        )


def _with_all(options: Mapping[str, Any], model: ScoredModel, data: Dataset) -> dict[str, Any]:
    """The options with the word ``all`` replaced by the protocols that the model has on the dataset."""
    from mien.datasets.ferplus import SCORING_RULES
    from mien.evaluation.scoring.evaluate import match_protocols, split_rows

    names = options["protocols"]
    if not names or ALL not in names:
        return dict(options)
    part = data[split_rows(data, options["split"])]
    table, _ = match_protocols(model, part, labels=options["labels"], mapping=options["mapping"])
    rated = any(protocol.raters is not None for protocol in table.values())
    official = [protocol.name for protocol in table.values() if protocol.raters is None]
    return {**options, "protocols": (*(SCORING_RULES if rated else ()), *official)}


def _whole_photos(
    models: tuple[str, ...],
    data: Path,
    detection: DetectionOptions,
    face_size: int | None,
    turn: float,
    threads: int | None,
    prior: str,
    options: dict[str, Any],
) -> list[SplitPredictions]:
    """Every model through detector and crop."""
    from mien.datasets.catalog import detect_format
    from mien.datasets.fairface import open_fairface
    from mien.datasets.prepared_file import read_prepared
    from mien.detect import make_detector
    from mien.errors import DataError
    from mien.evaluation.scoring.end_to_end import predict_pasted_faces, predict_photos
    from mien.evaluation.scoring.scored_model import open_model
    from mien.published.svm.run_folder import is_svm_run

    if any(is_svm_run(Path(model)) for model in models):
        raise click.UsageError("--end-to-end is for networks: a support-vector machine takes features, not photos.")
    networks = [open_model(model, threads, prior) for model in models]
    _check_prior(prior, networks)
    finder = make_detector(detection, threads=threads)
    kind = detect_format(data)
    if kind not in ("prepared", "fairface"):
        raise DataError(
            f"holds a dataset of kind {kind}", path=data, advice="whole photos need FairFace's files or a prepared file"
        )
    if kind == "fairface" and (options.pop("labels") is not None or face_size is not None or turn):
        raise click.UsageError(
            "--labels, --face-size and --turn are for prepared files; FairFace's photos are taken whole."
        )
    with progress_bar() as progress:
        bar = progress.add_task("detecting faces")
        options["progress"] = lambda done, total: progress.update(bar, completed=done, total=total)
        if kind == "fairface":
            return predict_photos(networks, open_fairface(data), finder, **options)
        prepared = read_prepared(data)
        return predict_pasted_faces(
            networks, prepared, finder, side=face_size or defaults.PASTED_FACE_SIDE, angle=turn, **options
        )


def _print(document: Mapping[str, Any]) -> None:
    from mien.cli.evaluation_tables import print_lines, print_table
    from mien.evaluation import tables
    from mien.evaluation.predictions import is_subset

    title = f"{document['model']} on {document['dataset']}, {document['split']}"
    if document["results"]:
        title += ", flip averaging" if document["flip"] else ""
        print_table(tables.results_table(document["results"], title), notes=False)
    print_lines(f"{note}." for note in document.get("notes", ()))
    if document.get("detection"):
        found = document["detection"]
        print_lines([tables.detection_line(found), *tables.direct_lines(found)])
        for kind, rows in found["groups"].items():
            print_table(tables.miss_table(rows, kind, f"faces not found, by {kind}"))
            print_lines(tables.worst_lines(found["worst"].get(kind, {})))
    for name, one in document["results"].items():
        if not is_subset(name):
            heading = f"{name}: confusion matrix (rows true, columns predicted), recall and precision"
            print_table(tables.confusion_table(one, heading), notes=False)
    for name, one in document.get("sets", {}).items():
        way = " by class" if one["by_class"] else ""
        print_table(tables.set_table(one, f"{name}: sets of {one['target']:.0%}{way}"))
    for head, kinds in document["groups"].items():
        for kind, rows in kinds.items():
            print_table(tables.group_table(rows, kind, f"{head} by {kind}"))
            print_lines(tables.worst_lines(document.get("worst", {}).get(head, {}).get(kind, {})))
    for head, kinds in document.get("distributions", {}).items():
        for kind, rows in kinds.items():
            table = tables.distribution_table(rows, kind, f"{head}: mean prediction by {kind}")
            print_table(table, caption=tables.DISTRIBUTIONS_NOTE.format(mark="*"))


def _print_comparisons(comparisons: Sequence[Mapping[str, Any]] | None) -> None:
    from mien.cli.evaluation_tables import print_lines, print_table
    from mien.evaluation import tables

    if comparisons is None:
        return
    if comparisons:
        print_table(tables.comparison_table(comparisons, "on the same images: McNemar's test"))
    else:
        print_lines(["The models share no protocol: score both on the same labels with --labels."])
