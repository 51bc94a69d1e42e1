"""``mien tune``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from mien.cli.error_output import INTERRUPTED, error_output
from mien.cli.options import (
    OUTPUT,
    OUTPUT_FOLDER,
    OutputCommand,
    data_option,
    seed_option,
    teacher_option,
    threads_option,
)
from mien.errors import MienError
from mien.signals import INTERRUPTED_EXIT

EPILOG = """\b
Examples:
  mien tune attention-parallel --data fer2013.parquet --trials 24 --epochs 3 --images 4000
  mien tune attention-parallel --data fer2013.parquet --trials 24 --epochs 3 --images 4000 --resume --apply tuned.json
  mien train tuned.json --data fer2013.parquet
  mien tune emotion-cpu --data fer2013.parquet --storage postgresql://me@host/searches --study night --resume
"""


def _print_line(line: str) -> None:
    """One line on stderr, over a line of `_StatusLine` if there is one. Workers of --jobs call it by its name."""
    click.echo(f"\r\x1b[2K{line}" if sys.stderr.isatty() else line, err=True)


@click.command("tune", cls=OutputCommand, epilog=EPILOG)
@click.argument("recipe")
@data_option
@click.option(
    "--trials",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="Number of settings to try, those of earlier calls included.",
)
@click.option("--epochs", type=click.IntRange(1), help="Number of epochs of a trial.", show_default="the recipe's")
@click.option("--images", type=click.IntRange(1), help="Use at most this many random images per split.")
@click.option("--study", help="Name of the search in the database.", show_default="the recipe's name")
@click.option(
    "--storage",
    envvar="MIEN_STORAGE",
    show_envvar=True,
    help="Database: sqlite:///FILE, or postgresql://USER@HOST/DATABASE for many workers.",
    show_default="OUT/study.db",
)
@click.option("--out", type=OUTPUT_FOLDER, help="Folder of the results.", show_default="runs/tune/STUDY")
@click.option("--resume", is_flag=True, help="Continue the search, or join its other workers.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Minutes after which no trial is started.")
@click.option(
    "--pruner",
    default="median",
    show_default=True,
    type=click.Choice(["median", "hyperband", "none"]),
    help="How trials that do worse than others are ended early.",
)
@click.option("--apply", type=OUTPUT, help="Write the recipe with the best settings to this .json file.")
@click.option("--keep", is_flag=True, help="Keep the run folders of all trials, not only that of the best.")
@teacher_option
@seed_option("the settings to try and of --images")
@threads_option("of a trial", default=None)
@click.option(
    "--jobs", default=1, show_default=True, type=click.IntRange(1), help="Number of trials at a time on this machine."
)
def command(
    recipe: str,
    data: Path,
    trials: int,
    epochs: int | None,
    images: int | None,
    study: str | None,
    storage: str | None,
    out: Path | None,
    resume: bool,
    timeout: float | None,
    pruner: str,
    apply: Path | None,
    keep: bool,
    teacher: Path | None,
    seed: int,
    threads: int | None,
    jobs: int,
) -> None:
    """Search for better settings of RECIPE, a name or a recipe file, and print the folder of the results.

    The recipe's search space lists which settings change, and how far. The first trial has the recipe's own settings,
    the others those that a tree-structured Parzen estimator proposes; trials that do worse than others at the same
    epoch are ended early. Only validation images are scored. A killed search is continued by --resume; an interrupted
    trial is repeated. The folder holds study.json, trials.csv, pictures of the history, of the importance of each
    setting and of the score over it, and the run folder of the best trial.
    """
    from mien.extras import NETWORKS, require_extra

    require_extra("tune", "mien tune", *NETWORKS, "optuna")
    from mien.cpus import available_cpus
    from mien.files import output_file
    from mien.published.recipes.svm import SVM_RECIPES
    from mien.recipes.catalog import get_recipe
    from mien.recipes.compatibility import recipe_for_data

    if recipe in SVM_RECIPES:
        raise click.UsageError(f"{recipe} is a support-vector machine: it has no epochs and no search space.")
    if apply is not None and output_file(apply).suffix != ".json":
        raise click.UsageError("--apply FILE must end in .json: `mien train FILE` takes it by that.")
    from mien.tuning.results import write_best_recipe
    from mien.tuning.run import tune
    from mien.tuning.search import PRUNERS, SearchConfig, check_search_space
    from mien.tuning.storage import database_url, hide_password

    # what is wrong with the call itself is reported before the data are read
    asked = get_recipe(recipe)
    check_search_space(asked)
    name = study or asked.name
    folder = out or Path("runs") / "tune" / name
    url = database_url(storage, folder)
    settings = recipe_for_data(recipe, data)
    if threads is None and jobs > 1:
        threads = max(1, available_cpus() // jobs)
    # a password on the command line is written nowhere
    line = [hide_password(database_url(one, folder)) if one == storage else one for one in sys.argv[1:]]
    search = SearchConfig(
        recipe=settings,
        data=data,
        folder=folder,
        url=url,
        study=name,
        trials=trials,
        epochs=epochs or settings.epochs,
        images=images,
        seed=seed,
        pruner=next(one for one in PRUNERS if one == pruner),
        keep=keep,
        seconds=None if timeout is None else 60 * timeout,
        threads=threads,
        teacher=teacher,
        command=shlex.join(["mien", *line]),
    )
    status = _StatusLine()
    try:
        tune(search, resume=resume, jobs=jobs, report=_print_line, show_status=status.show)
    except KeyboardInterrupt:
        status.clear()
        error_output().print(
            MienError(
                "interrupted", path=folder, advice="the same call with --resume continues the search", code=INTERRUPTED
            )
        )
        raise click.exceptions.Exit(INTERRUPTED_EXIT) from None
    finally:
        status.clear()
    if apply is not None:
        tuned = write_best_recipe(search, apply)
        _print_line(f"{apply}: recipe {tuned.name!r}; `mien train {apply} --data {data.name}` trains it")
    click.echo(folder)


class _StatusLine:
    """One line on a terminal that is overwritten; nothing elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Replace the text."""
        if self._live:
            click.echo(f"\r\x1b[2K{text[:110]}", err=True, nl=False)

    def clear(self) -> None:
        """Remove the line."""
        if self._live:
            click.echo("\r\x1b[2K", err=True, nl=False)
