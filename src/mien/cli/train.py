"""``mien train``."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.error_output import INTERRUPTED, error_output
from mien.cli.options import OUTPUT_FOLDER, PATH, OutputCommand, data_option, teacher_option, threads_option
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.training.config import Recipe

EPILOG = """\b
Examples:
  mien data prepare fer2013.csv --ferplus fer2013new.csv --out fer2013.parquet
  mien train emotion-cpu --data fer2013.parquet --out runs/emotion-cpu
  mien train emotion-cpu --data fer2013.parquet --out runs/emotion-cpu --resume
  mien train emotion-cpu --data fer2013.parquet --out runs/emotion-cpu --resume --epochs 40
  mien train finetune --from emotion --data own.parquet --out runs/own
  mien train svm-landmarks --data features.parquet
  mien train tuned.json --data fer2013.parquet
  mien train detector --data detection.parquet --minutes 90
  mien train --list
  torchrun --standalone --nproc-per-node 4 -m mien train emotion --data fer2013.parquet
"""


def _list(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    from rich.table import Table

    from mien.cli.output import table_console
    from mien.extras import DATA, require_extra

    require_extra("train", "mien train", *DATA)
    from mien.published.recipes.svm import SVM_RECIPES
    from mien.recipes.catalog import DETECTOR, DETECTOR_SUMMARY, RECIPES
    from mien.recipes.finetune import FINETUNE
    from mien.recipes.measurements import read_measurements
    from mien.text import percent, rough_duration

    measured = read_measurements()
    table = Table(box=None, pad_edge=False)
    for column in ("recipe", "time", "on", "accuracy", "summary"):
        table.add_column(column, no_wrap=column in ("recipe", "time"), overflow="fold")
    summaries = {name: recipe.summary for name, recipe in RECIPES.items()}
    summaries |= {FINETUNE.name: FINETUNE.summary}
    summaries[DETECTOR] = DETECTOR_SUMMARY
    summaries |= {name: recipe.summary for name, recipe in SVM_RECIPES.items()}
    for name, summary in summaries.items():
        one = measured.get(name)
        scores = "" if one is None else "; ".join(f"{percent(score)} {test}" for test, score in one.scores.items())
        time = "" if one is None else rough_duration(3600 * one.hours)
        table.add_row(name, time, "" if one is None else one.machine, scores, summary)
    table_console(180).print(table)
    context.exit()


@click.command("train", cls=OutputCommand, epilog=EPILOG)
@click.argument("recipe")
@data_option
@click.option("--out", type=OUTPUT_FOLDER, help="Run folder.", show_default="runs/RECIPE")
@teacher_option
@click.option(
    "--from",
    "source",
    metavar="MODEL",
    help="Shipped model or export whose weights `finetune` starts from.",
    show_default="emotion",
)
@click.option(
    "--unlabelled",
    type=PATH,
    help="Prepared dataset whose training images teach without their labels, for recipes with consistency.",
)
@click.option("--init", type=PATH, help="Exported model of the same network (detector: in float32) to start from.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in the folder, on the same data; start one where there is none.",
)
@click.option("--epochs", type=click.IntRange(1), help="Number of epochs.", show_default="the recipe's")
@click.option("--batch-size", type=click.IntRange(1), help="Batch size.", show_default="the recipe's")
@click.option("--seed", type=int, help="Seed of the run.", show_default="the recipe's")
@click.option(
    "--faces",
    type=PATH,
    help="FairFace's train.parquet, or an .npz of located faces: faces to paste onto photos without faces (detector).",
)
@click.option("--steps", type=click.IntRange(1), help="Length of the run (detector).", show_default="the recipe's")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="End this many minutes from now instead (detector)."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Learning rate of the plateau (detector).",
    show_default="the recipe's",
)
@click.option("--hard-negatives", type=PATH, help="Export whose false boxes are trained against (detector).")
@click.option(
    "--workers", type=click.IntRange(0), help="Number of processes that make crops (detector).", show_default="1"
)
@threads_option(default="those of torch, at most the available CPUs")
@click.option(
    "--progress/--no-progress",
    default=True,
    show_default=True,
    help="Print the time it will take, and each epoch, on stderr.",
)
@click.option(
    "--list",
    is_eager=True,
    is_flag=True,
    expose_value=False,
    callback=_list,
    help="List the recipes, with measured times and scores.",
)
def command(
    recipe: str,
    data: Path,
    out: Path | None,
    teacher: Path | None,
    source: str | None,
    unlabelled: Path | None,
    init: Path | None,
    resume: bool,
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    faces: Path | None,
    steps: int | None,
    minutes: float | None,
    learning_rate: float | None,
    hard_negatives: Path | None,
    workers: int | None,
    threads: int | None,
    progress: bool,
) -> None:
    """Train RECIPE, a name or a file that `mien tune` wrote, on a prepared dataset and print the run folder.

    The folder holds the settings, the environment, a row of metrics per epoch, curves, the best and the last weights,
    and TensorBoard logs. A killed run is continued by --resume and ends with the same metrics. Recipes svm-… are
    support-vector machines on features (`mien data prepare … --features`); their folder holds model and scores. Recipe
    detector trains on photos with boxes of faces (`mien data prepare WIDER/`), in steps instead of epochs; its folder
    holds a checkpoint, curves, and detector.onnx for --detector-model.
    Started by torchrun, several processes train together.
    """
    from mien.extras import DATA, NETWORKS, require_extra

    require_extra("train", "mien train", *DATA)
    from mien.published.recipes.svm import SVM_RECIPES
    from mien.recipes.catalog import DETECTOR
    from mien.recipes.compatibility import recipe_for_data
    from mien.recipes.finetune import FINETUNE

    line = shlex.join(["mien", *sys.argv[1:]])
    detector: dict[str, Any] = {
        "faces": faces, "steps": steps, "minutes": minutes, "learning_rate": learning_rate,
        "hard_negatives": hard_negatives, "workers": workers,
    }  # fmt: skip
    given = {name: value for name, value in detector.items() if value is not None}
    if recipe == DETECTOR:
        if any((teacher, source, unlabelled, epochs, batch_size)):
            raise click.UsageError(
                "detector has no epochs and starts from --init: leave out --teacher, --from, --unlabelled, --epochs "
                "and --batch-size."
            )
        given |= {name: value for name, value in (("seed", seed), ("threads", threads)) if value is not None}
        given |= {"initial": init, "resume": resume, "progress": progress, "command": line}
        _train_detector(data, out or Path("runs") / recipe, given)
        return
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"{names}: for recipe {DETECTOR} only.")
    if recipe in SVM_RECIPES:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise click.UsageError(f"{recipe} trains in one process: start it without torchrun.")
        if any((teacher, unlabelled, init, resume, epochs, batch_size)):
            raise click.UsageError(
                f"{recipe} has no epochs: leave out --teacher, --unlabelled, --init, --resume, --epochs and "
                "--batch-size."
            )
        click.echo(_train_svm(recipe, data, out, seed, line))
        return
    require_extra("train", "mien train", *NETWORKS)
    from mien.training.progress import describe_best
    from mien.training.ranks import read_rank
    from mien.training.resumption import count_epochs
    from mien.training.run import train

    if recipe == FINETUNE.name:
        if init is not None or teacher is not None:
            raise click.UsageError("finetune starts from --from: leave out --init and --teacher.")
        settings, init = _finetune(source or "emotion", data)
    elif source is not None:
        raise click.UsageError("--from is for finetune; other recipes start from an export of their own with --init.")
    else:
        settings = recipe_for_data(recipe, data)
    changes: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    settings = replace(settings, **{name: value for name, value in changes.items() if value is not None})
    folder = out or Path("runs") / settings.name
    before = count_epochs(folder)
    try:
        train(
            settings,
            data,
            folder,
            teacher=teacher,
            unlabelled=unlabelled,
            initial=init,
            resume=resume,
            threads=threads,
            progress=progress,
            command=line,
        )
    except KeyboardInterrupt:
        _report_interrupt(folder, settings.epochs)
        raise click.exceptions.Exit(130) from None
    if resume and 0 < before == count_epochs(folder) and read_rank(os.environ).is_first:
        click.echo(f"mien: {folder}: is complete after {before} epochs; a larger --epochs lengthens it", err=True)
    if read_rank(os.environ).is_first:
        click.echo(describe_best(settings, folder), err=True)
        click.echo(f"next: mien evaluate {shlex.quote(str(folder))} --data {shlex.quote(str(data))}", err=True)
        click.echo(folder)


def _finetune(source: str, data: Path) -> tuple[Recipe, Path]:
    """The recipe that continues from a trained network on the classes of a file, and the network's file."""
    from mien.datasets.prepared_file import read_prepared
    from mien.recipes.compatibility import read_labels
    from mien.recipes.finetune import check_classes, finetune_recipe, input_note, read_source
    from mien.training.ranks import read_rank

    found, images = read_labels(data), read_prepared(data)
    check_classes(images, found.labels, data)
    path, card, blocks = read_source(source)
    recipe = finetune_recipe(found.labels, card, blocks, own=found.own)
    note = input_note(images, card, data)
    if note is not None and read_rank(os.environ).is_first:
        click.echo(f"note: {note}", err=True)
    return recipe, path


def _report_interrupt(folder: Path, epochs: int) -> None:
    from mien.training.resumption import count_epochs

    done = count_epochs(folder)
    error_output().print(
        MienError(
            f"interrupted after epoch {done} of {epochs}"
            if done
            else "interrupted before its first epoch was finished",
            path=folder,
            advice="the same call with --resume continues the run" if done else "the same call starts it again",
            code=INTERRUPTED,
            details={"epochs": done},
        )
    )


def _train_detector(data: Path, out: Path, options: dict[str, Any]) -> None:
    from mien.extras import NETWORKS, require_extra

    require_extra("train", "mien train", *NETWORKS)
    from mien.recipes.detector import DetectorRun, run
    from mien.training.ranks import read_rank

    first = read_rank(os.environ).is_first
    try:
        run(DetectorRun(data, out, **options))
    except KeyboardInterrupt:
        if first:
            error_output().print(
                MienError(
                    "interrupted", path=out, advice="the same call with --resume continues the run", code=INTERRUPTED
                )
            )
        raise click.exceptions.Exit(130) from None
    if first:
        click.echo(f"next: mien evaluate {shlex.quote(str(out))} mien --data {shlex.quote(str(data))}", err=True)
        click.echo(out)


def _train_svm(name: str, data: Path, out: Path | None, seed: int | None, line: str) -> Path:
    """Support-vector machines have no epochs and no torch."""
    from mien.extras import MACHINES, require_extra

    require_extra("train", "mien train", *MACHINES)
    from mien.published.recipes.svm import SVM_RECIPES
    from mien.published.svm.training import train_svm

    recipe = SVM_RECIPES[name] if seed is None else replace(SVM_RECIPES[name], seed=seed)
    return train_svm(recipe, data, out or Path("runs") / name, command=line)
