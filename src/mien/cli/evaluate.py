"""``mien evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import defaults
from mien.cli.options import PATH, data_option, detector_options, figures_option, seed_option, threads_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mien.evaluation.scoring.evaluate import SplitPredictions

EPILOG = """\b
Examples:
  mien evaluate emotion --data fer2013.parquet
  mien evaluate runs/emotion-cpu --data fer2013.parquet --split validation
  mien evaluate age.onnx --data fairface.parquet --split validation --json age.json
  mien evaluate emotion runs/mine --data fer2013.parquet --labels emotion --map contempt=- --report report/
  mien evaluate emotion --data fer2013.parquet --end-to-end --face-size 96
  mien evaluate age emotion --data fairface/ --split validation --end-to-end --slices race,gender,race+gender
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@data_option
@click.option("--split", default="test", show_default=True, help="Images to use: train, validation or test.")
@click.option("--flip/--no-flip", default=False, show_default=True, help="Average with the mirrored images.")
@figures_option
@click.option("--report", type=PATH, help="Write report.html, report.json and pictures to this folder.")
@click.option("--slices", help="Groups to report: race, gender, age, emotion; race+gender crosses two.")
@click.option(
    "--labels",
    type=click.Choice(["ferplus", "emotion", "age"]),
    help="Labels to score on: the majority of FER+ raters, or the dataset's own.",
    show_default="those of each head",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="LABEL=MEANING",
    help="The dataset's name for a label of the model, or - to leave it out; repeatable.",
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
    help="Pixels to enlarge a cropped face to (--end-to-end).",
    show_default=str(defaults.PASTED_FACE_SIDE),
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
    json_file: Path | None,
    report: Path | None,
    slices: str | None,
    labels: Any,
    maps: tuple[str, ...],
    bootstrap: int,
    seed: int,
    end_to_end: bool,
    detector: str,
    detector_model: Path | None,
    min_face: int,
    face_size: int | None,
    turn: float,
    threads: int | None,
) -> None:
    """Score each MODEL (a shipped model's name, an .onnx file, or a run folder) on a prepared dataset.

    FER2013 is scored under both protocols, FER+ majority and the original labels, each with all test images and
    without those that are also in the training set ("leak-free"). Several models are compared with McNemar's
    test. With --end-to-end the faces of a prepared dataset are enlarged into whole pictures; FairFace's own files
    (Parquet, or CSV beside the image folders) are used as they are.
    """
    from mien.errors import InputError, MissingExtraError

    try:
        from mien.evaluation.scoring.protocols import parse_label_map
        from mien.evaluation.scoring.report import compare_models, to_json, write_report
    except ImportError as error:
        raise MissingExtraError(error.name or "pyarrow", "train", "evaluation") from error
    from mien.files import atomic_path

    if not end_to_end and (face_size is not None or turn):
        raise click.UsageError("--face-size and --turn need --end-to-end.")
    if report is not None and report.exists() and not report.is_dir():
        raise InputError("is a file", path=report, advice="give a folder for the report")
    options: dict[str, Any] = {
        "split": split,
        "flip": flip,
        "labels": labels,
        "mapping": parse_label_map(maps),
        "slices": None if slices is None else [name for name in slices.split(",") if name.strip()],
    }
    if end_to_end:
        given = _whole_photos(models, data, detector, detector_model, min_face, face_size, turn, threads, options)
    else:
        given = _prepared(models, data, threads, options)
    document = compare_models(given, samples=bootstrap, seed=seed)
    if json_file is not None:
        with atomic_path(json_file) as temporary:
            temporary.write_text(to_json(document), encoding="utf-8")
    for one in document.get("models", [document]):
        _print(one)
    _print_comparisons(document.get("comparisons"))
    if report is not None:
        click.echo(f"wrote {write_report(document, report)}", err=True)


def _prepared(
    models: tuple[str, ...], data: Path, threads: int | None, options: Mapping[str, Any]
) -> list[SplitPredictions]:
    """Every model on the images of a prepared file."""
    from mien.datasets.prepared_file import read_prepared
    from mien.evaluation.scoring.evaluate import open_model, predict_split
    from mien.published.svm import is_svm_run, predict_svm

    prepared = None
    given = []
    for model in models:
        machine = is_svm_run(Path(model))
        if machine and options["flip"]:
            raise click.UsageError("--flip is for networks: features of mirrored images are not at hand.")
        if machine and (options["labels"] or options["mapping"]):
            raise click.UsageError(
                "--labels and --map are for networks: a support-vector machine learnt its own labels."
            )
        opened = None if machine else open_model(model, threads)
        if prepared is None:
            prepared = read_prepared(data)
        if opened is None:
            given.append(predict_svm(Path(model), prepared, split=options["split"], slices=options["slices"]))
        else:
            given.append(predict_split(opened, prepared, **options))
    return given


def _whole_photos(
    models: tuple[str, ...],
    data: Path,
    detector: str,
    detector_model: Path | None,
    min_face: int,
    face_size: int | None,
    turn: float,
    threads: int | None,
    options: dict[str, Any],
) -> list[SplitPredictions]:
    """Every model through detector and crop."""
    from rich.console import Console
    from rich.progress import Progress

    from mien.datasets.catalog import detect_format
    from mien.datasets.fairface import open_fairface
    from mien.datasets.prepared_file import read_prepared
    from mien.detect import make_detector
    from mien.errors import DataError
    from mien.evaluation.scoring.end_to_end import predict_pasted_faces, predict_photos
    from mien.evaluation.scoring.evaluate import open_model
    from mien.published.svm import is_svm_run

    if any(is_svm_run(Path(model)) for model in models):
        raise click.UsageError("--end-to-end is for networks: a support-vector machine takes features, not photos.")
    opened = [open_model(model, threads) for model in models]
    finder = make_detector(detector, min_face=min_face, threads=threads, model=detector_model)
    kind = detect_format(data)
    if kind not in ("prepared", "fairface"):
        raise DataError(f"{data}: whole photos are taken from FairFace's files or from a prepared file, not {kind}")
    if kind == "fairface" and (options.pop("labels") is not None or face_size is not None or turn):
        raise click.UsageError(
            "--labels, --face-size and --turn are for prepared files; FairFace's photos are taken whole."
        )
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("detecting faces")
        options["progress"] = lambda done, total: progress.update(bar, completed=done, total=total)
        if kind == "fairface":
            return predict_photos(opened, open_fairface(data), finder, **options)
        prepared = read_prepared(data)
        return predict_pasted_faces(
            opened, prepared, finder, side=face_size or defaults.PASTED_FACE_SIDE, angle=turn, **options
        )


def _console() -> Any:
    from rich.console import Console

    # a pipe has no width: folded cells would only be harder to read
    return Console(width=None if sys.stdout.isatty() else 140)


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = _console()
    title = f"{document['model']} on {document['dataset']}, {document['split']}"
    if document["results"]:
        console.print(_results(document["results"], title + (", flip averaging" if document["flip"] else "")))
    for note in document.get("notes", ()):
        console.print(f"{note}.", highlight=False, soft_wrap=True)
    _print_detection(console, document.get("detection"))
    for name, one in document["results"].items():
        if " " not in name.removesuffix(" on ferplus").removesuffix(" on emotion").removesuffix(" on age"):
            console.print(_confusion(name, one))
    for head, kinds in document["groups"].items():
        for kind, rows in kinds.items():
            table = Table(title=f"{head} by {kind}")
            missed = any(one.get("missed") for one in rows.values())
            for column in (kind, "images", "accuracy", "one-off", "ECE", *(["missed"] if missed else [])):
                table.add_column(column, justify="left" if column == kind else "right")
            for group, one in rows.items():
                if one["n"] == 0:
                    table.add_row(group, "no image", "–", "", "–", *(["–"] if missed else []), style="dim")
                    continue
                cells = [_percent(one, "accuracy"), "" if one["one_off"] is None else _percent(one, "one_off")]
                cells.append("–" if one["ece"] is None else f"{one['ece']:.3f}")
                table.add_row(group, f"{one['n']:,}", *cells, *([_percent(one, "miss_rate")] if missed else []))
            console.print(table)
            _print_worst(console, document.get("worst", {}).get(head, {}).get(kind, {}))
    for head, kinds in document.get("distributions", {}).items():
        for kind, rows in kinds.items():
            console.print(_distributions(f"{head}: mean prediction by {kind}", kind, rows))


def _results(results: Mapping[str, Any], title: str) -> Any:
    from rich.table import Table

    table = Table(title=title)
    shown: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("images", lambda one: str(one["n"])),
        ("accuracy", lambda one: _percent(one, "accuracy")),
        ("one-off", lambda one: "" if one["one_off"] is None else f"{one['one_off']:.2%}"),
        ("top-2", lambda one: "" if one.get("top2") is None else f"{one['top2']:.2%}"),
        ("macro F1", lambda one: f"{one['macro_f1']:.3f}"),
        ("balanced", lambda one: f"{one['balanced_accuracy']:.2%}"),
        ("log loss", lambda one: "–" if one["log_loss"] is None else f"{one['log_loss']:.3f}"),
        ("ECE", lambda one: "–" if one["ece"] is None else f"{one['ece']:.3f}"),
        ("KL", lambda one: "" if one.get("kl") is None else f"{one['kl']:.3f}"),
    ]
    if any("missed" in one for one in results.values()):
        shown += [
            ("missed", lambda one: f"{one.get('missed', 0)}"),
            ("misses wrong", lambda one: f"{one.get('accuracy_with_misses', one['accuracy']):.2%}"),
        ]
    table.add_column("protocol")
    cells = {name: [told(one) for one in results.values()] for name, told in shown}
    kept = {name: column for name, column in cells.items() if any(column)}
    for name in kept:
        table.add_column(name, justify="right")
    for i, name in enumerate(results):
        table.add_row(name, *(column[i] for column in kept.values()))
    return table


def _percent(one: Mapping[str, Any], figure: str) -> str:
    """A share with its interval, where there is one."""
    value = one.get(figure)
    if value is None:
        return "–"
    around: Sequence[float] | None = (one.get("intervals") or {}).get(figure)
    return f"{value:.2%}" + ("" if around is None else f" ({100 * around[0]:.1f}–{100 * around[1]:.1f})")


def _print_detection(console: Any, found: Mapping[str, Any] | None) -> None:
    from rich.table import Table

    if not found:
        return
    around = found["interval"]
    told = f"{found['missed']:,} of {found['faces']:,} faces were not found: {found['miss_rate']:.2%}"
    told += f" ({100 * around[0]:.2f}–{100 * around[1]:.2f})" if around else ""
    if found.get("spurious"):
        told += f"; {found['spurious']:,} detections where there is no face"
    console.print(f"{told}.", highlight=False, soft_wrap=True)
    for protocol, accuracy in found.get("direct", {}).items():
        console.print(f"{protocol}: {accuracy:.2%} on the same found faces' own pixels.", highlight=False)
    for kind, rows in found["groups"].items():
        table = Table(title=f"faces not found, by {kind}")
        for column in (kind, "faces", "missed", "miss rate"):
            table.add_column(column, justify="left" if column == kind else "right")
        for group, one in rows.items():
            table.add_row(group, f"{one['n']:,}", f"{one['missed']:,}", _percent(one, "miss_rate"))
        console.print(table)
        _print_worst(console, found["worst"].get(kind, {}))


def _print_worst(console: Any, found: Mapping[str, Any]) -> None:
    for figure, one in found.items():
        value, best = (f"{one[key]:.3f}" if figure == "ece" else f"{one[key]:.2%}" for key in ("value", "best"))
        line = f"{figure.replace('_', ' ')}: worst for {one['group']}, {value}; best for {one['best_group']}, {best}."
        console.print(line, highlight=False, soft_wrap=True)


def _distributions(title: str, kind: str, rows: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=title, caption="per cent; in brackets the difference to all other faces, * where its 95 % "
                  "interval excludes 0")  # fmt: skip
    labels = next((list(one["mean"]) for one in rows.values() if one["mean"]), [])
    table.add_column(kind)
    table.add_column("faces", justify="right")
    for label in labels:
        table.add_column(label, justify="right")
    for group, one in rows.items():
        if one["mean"] is None:
            table.add_row(group, "no image", style="dim")
            continue
        cells = []
        for label in labels:
            low, high = (one.get("difference_intervals") or {}).get(label) or (0.0, 0.0)
            apart = (one["difference"] or {}).get(label)
            mark = "*" if low > 0 or high < 0 else ""
            cells.append(f"{100 * one['mean'][label]:.1f}" + ("" if apart is None else f" ({100 * apart:+.1f}{mark})"))
        table.add_row(group, f"{one['n']:,}", *cells)
    return table


def _print_comparisons(found: list[dict[str, Any]] | None) -> None:
    from rich.table import Table

    if found is None:
        return
    table = Table(title="on the same images: McNemar's test")
    for column in ("protocol", "first", "second", "images", "first right", "second right", "difference", "p"):
        table.add_column(column, justify="left" if column in ("protocol", "first", "second") else "right")
    for one in found:
        low, high = one["interval"] or (0.0, 0.0)
        gap = f"{100 * one['difference']:+.2f} ({100 * low:.1f} to {100 * high:.1f})"
        p = "< 0.0001" if one["p"] < 0.0001 else f"{one['p']:.4f}"
        rights = (f"{one['accuracy_a']:.2%}", f"{one['accuracy_b']:.2%}")
        table.add_row(one["protocol"], one["a"], one["b"], str(one["n"]), *rights, gap, p)
    if found:
        _console().print(table)
    else:
        _console().print("The models share no protocol: score both on the same labels with --labels.", highlight=False)


def _confusion(name: str, one: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"{name}: confusion matrix (rows true, columns predicted), recall and precision")
    table.add_column("true")
    for label in (*one["labels"], "recall", "precision"):
        table.add_column(label, justify="right")
    for label, counts in zip(one["labels"], one["confusion"], strict=True):
        shares = (one[figure][label] for figure in ("recall", "precision"))
        cells = ["–" if share is None else f"{share:.1%}" for share in shares]
        table.add_row(label, *(str(count) for count in counts), *cells, style=None if any(counts) else "dim")
    return table
