"""``mien data``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mien.cli.audit import command as audit
from mien.cli.clean import command as clean
from mien.cli.detection_data import prepare_detection
from mien.cli.options import OUTPUT, OUTPUT_FOLDER, PATH, OutputCommand, parse_shares, seed_option, split_names
from mien.cli.output import progress_bar
from mien.output_checks import refuse_inside

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mien.datasets.dataset import Dataset

DETECTION_KINDS = ("photos", "widerface", "coco", "yolo")
KINDS = (
    "auto", "fer2013", "folders", "listed", "hf", "fairface", "rafdb", "combined-faces", "prepared", *DETECTION_KINDS,
)  # fmt: skip
RULES = ("majority", "crossentropy", "distribution")
PICTURES = ("face", "hog")

EPILOG = """\b
Examples:
  mien data prepare fer2013.csv --ferplus fer2013new.csv --out fer2013.parquet
  mien data prepare fer2013.zip --ferplus fer2013new.csv --targets majority --out ferplus.parquet
  mien data prepare fer2013.csv --expressions angry,happy,sad,surprise,neutral --out five.parquet
  mien data prepare archive/ --out folders.parquet
  mien data prepare own/ --labels own --split 70,15,15 --out own.parquet
  mien data prepare own/ --labels own --crop age --out own.parquet
  mien data prepare DATASET/ --validation 0.1 --out rafdb.parquet
  mien data prepare fer2013.csv --features landmarks,hog,hog-sliding --out features.parquet
  mien data prepare fer2013.csv --features landmarks --images faces/ --image-format jpg
  mien data prepare fairface/ --crop age --out fairface.parquet
  mien data prepare WIDER/ --out detection.parquet
  mien data prepare faces.json --kind coco --validation 0.12 --out detection.parquet
"""


@click.group("data")
def command() -> None:
    """Turn datasets into training files, audit and clean them."""


command.add_command(audit)
command.add_command(clean)


@command.command(
    "croissant",
    cls=OutputCommand,
    epilog="""\b
Examples:
  mien data croissant fer2013.parquet
  mien data croissant fer2013.parquet --out croissant.json
""",
)
@click.argument("prepared", type=PATH)
@click.option(
    "--out",
    type=OUTPUT,
    show_default="croissant.json beside PREPARED",
    help="The file to write.",
)
def describe(prepared: Path, out: Path | None) -> None:
    """Describe PREPARED, a file of `mien data prepare`, in Croissant, the JSON-LD vocabulary for datasets."""
    from mien.extras import DATA, require_extra

    require_extra("data", "mien data croissant", *DATA)
    from mien.datasets.croissant import write_croissant

    click.echo(write_croissant(prepared, out or prepared.with_name("croissant.json")), err=True)


@command.command("prepare", cls=OutputCommand, epilog=EPILOG)
@click.argument("source", type=PATH)
@click.option("--out", type=OUTPUT, help="The file to write, such as fer2013.parquet.")
@click.option("--kind", default="auto", show_default=True, type=click.Choice(KINDS), help="Layout of SOURCE.")
@click.option("--ferplus", type=PATH, help="FER+ votes (fer2013new.csv), joined by row.")
@click.option("--targets", type=click.Choice(RULES), help="Leave out the rows that this rule for FER+ votes drops.")
@click.option(
    "--classes",
    type=click.Choice(["7", "8"]),
    help="Number of emotions of --targets; 7 is without contempt.  [default: 8]",
)
@click.option("--expressions", help="Keep only these emotions, such as angry,happy,sad.")
@click.option(
    "--per-class", type=click.IntRange(1), help="Keep only this many images, the first ones, per emotion and split."
)
@click.option("--features", help="Add feature vectors: landmarks, hog, hog-sliding, separated by commas.")
@click.option(
    "--workers", type=click.IntRange(1), help="Number of processes for --features.", show_default="one per core"
)
@click.option("--cache/--no-cache", default=True, show_default=True, help="Keep computed features for later calls.")
@click.option("--images", type=OUTPUT_FOLDER, help="Write the pictures to class folders in this folder.")
@click.option(
    "--image-kind",
    default="face",
    show_default=True,
    type=click.Choice(PICTURES),
    help="What the pictures of --images show.",
)
@click.option(
    "--image-format",
    default="png",
    show_default=True,
    type=click.Choice(["png", "jpg"]),
    help="File format of --images.",
)
@click.option(
    "--size",
    type=click.IntRange(8, 1024),
    help="Resize images to this many pixels per side.",
    show_default="their own size",
)
@click.option(
    "--crop",
    type=click.Choice(["age", "emotion"]),
    help="Crop the faces as the photo pipeline does for this model; --size defaults to its input.",
)
@click.option(
    "--labels",
    help="'own': labels are classes of your own. A list such as angry,disgust or 1=surprise,2=fear: what numbers mean.",
)
@click.option(
    "--split",
    callback=parse_shares,
    help="Make new splits: shares of train,validation,test.",
    show_default="the dataset's own; 80,10,10 where it has none",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Move this share of the training images to validation, for datasets without validation images.",
)
@seed_option("--split and --validation")
def prepare(
    source: Path,
    out: Path | None,
    kind: str,
    ferplus: Path | None,
    targets: str | None,
    classes: str | None,
    expressions: str | None,
    per_class: int | None,
    features: str | None,
    workers: int | None,
    cache: bool,
    images: Path | None,
    image_kind: str,
    image_format: str,
    size: int | None,
    crop: str | None,
    labels: str | None,
    split: tuple[float, float, float] | None,
    validation: float | None,
    seed: int,
) -> None:
    """Read the dataset SOURCE and write it as one compact file for `mien train`.

    SOURCE is a file, a folder or an archive (.zip, .tar.gz): FER2013's CSV, image folders named by emotion, images with
    a table of their labels, Hugging Face Parquet, FairFace, RAF-DB, or a file that this command wrote. Prints a summary
    of the file, and for FER+ what each rule keeps and drops; on stderr, what was left out and which splits were made.
    Photos with boxes of faces (Mien's own Parquet, WIDER FACE, COCO-style .json, YOLO folders) become a file for
    `mien train detector`; --validation holds out whole sources of photos. With --images the pictures are written too,
    or instead of the file, with labels and features beside them; label columns are in the order of --expressions.
    """
    from mien.extras import DATA, require_extra

    require_extra("data", "mien data prepare", *DATA)
    from rich.console import Console

    from mien.datasets import ferplus as votes
    from mien.datasets.catalog import ReadOptions, read_dataset
    from mien.datasets.detection_layouts import detect_layout
    from mien.datasets.prepared_file import write_prepared
    from mien.datasets.resplit import hold_out, resplit
    from mien.datasets.subsets import first_per_emotion, select_emotions
    from mien.datasets.summary import render_summary, render_target_rules, summarise_dataset, summarise_target_rules

    if kind in DETECTION_KINDS or (kind == "auto" and detect_layout(source) is not None):
        values = click.get_current_context().params
        others = ("ferplus", "targets", "classes", "expressions", "per_class", "features", "images", "size", "crop")
        given = [name for name in (*others, "labels", "split") if values[name] is not None]
        if given:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise click.UsageError(f"{names}: for pictures of single faces, and {source} holds photos with boxes.")
        if out is None:
            raise click.UsageError("Nothing to write: give --out FILE.")
        prepare_detection(source, kind, out, validation, seed)
        return
    if out is None and images is None:
        raise click.UsageError("Nothing to write: give --out FILE, --images FOLDER, or both.")
    if classes is not None and targets is None:
        raise click.UsageError("--classes needs --targets.")
    if images is not None:
        # the next call would read its pictures as a part of the dataset
        refuse_inside(images, [source])
    console = Console(highlight=False)
    if crop is None:
        prepared = read_dataset(source, kind, ReadOptions(size=size, labels=split_names(labels)))
    else:
        prepared = _read_cropped(source, kind, crop, size, split_names(labels))
    if ferplus is not None:
        prepared = votes.join_votes(prepared, votes.read_votes(ferplus))
    if prepared.votes is not None:
        console.print(render_target_rules(summarise_target_rules(prepared)))
    if targets is not None:
        prepared = votes.apply_target_rule(prepared, cast("votes.TargetRule", targets), 7 if classes == "7" else 8)
    emotions = split_names(expressions)
    if emotions is not None:
        prepared = select_emotions(prepared, emotions)
    if per_class is not None:
        prepared = first_per_emotion(prepared, per_class)
    if split is not None:
        prepared = resplit(prepared, split, seed)
    if validation is not None:
        prepared = hold_out(prepared, validation, seed)
    if features is not None:
        prepared = _with_features(prepared, features, workers, cache)
    if out is not None:
        write_prepared(prepared, out)
    console.print(render_summary(summarise_dataset(prepared)))
    for note in prepared.info.notes:
        click.echo(f"note: {note}", err=True)
    if not (prepared.split == "validation").any():
        click.echo(
            "note: no validation images, which training needs: --validation 0.1 moves a tenth of the training images "
            "there, --split makes new splits",
            err=True,
        )
    if out is not None:
        click.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)", err=True)
    if images is not None:
        from mien.datasets.image_folder_writer import write_image_folders

        count = write_image_folders(prepared, images, kind=image_kind, suffix=image_format, classes=emotions)
        click.echo(f"wrote {count:,} pictures below {images}", err=True)


def _with_features(prepared: Dataset, text: str, workers: int | None, cache: bool) -> Dataset:
    """The dataset with the named feature vectors; those that it holds already are not computed again."""
    from dataclasses import replace

    from mien.cpus import available_cpus
    from mien.published.features import compute_features, compute_features_cached, parse_feature_names

    vectors = dict(prepared.features)
    missing = [name for name in parse_feature_names(text) if name not in vectors]
    work = compute_features_cached if cache else compute_features
    with progress_bar() as progress:
        for name in missing:
            bar = progress.add_task(name, total=len(prepared))

            def advance(done: int, total: int, bar: TaskID = bar) -> None:
                progress.update(bar, completed=done, total=total)

            vectors[name] = work(name, prepared.images, workers=workers or available_cpus(), progress=advance)
    return replace(prepared, features=vectors)


def _read_cropped(source: Path, kind: str, task: str, size: int | None, labels: tuple[str, ...] | None) -> Dataset:
    """Faces as the pipeline crops them; training pictures in which it finds none are left out."""
    import numpy as np

    from mien.datasets.catalog import ReadOptions, read_dataset
    from mien.detect import make_detector
    from mien.models.crop_frames import FRAMES
    from mien.networks.catalog import get_network
    from mien.predict.face_cropper import FaceCropper

    side = size or get_network(task).size
    cropper = FaceCropper(make_detector(threads=1), side, "rgb", FRAMES[task])
    with progress_bar() as progress:
        bar = progress.add_task("detecting faces")
        options = ReadOptions(
            size=side,
            labels=labels,
            crop=cropper,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        prepared = read_dataset(source, kind, options)
    if prepared.found is None:
        return prepared
    missed = (prepared.split == "train") & ~prepared.found
    return prepared.drop(np.where(missed, "no face found in a training picture", ""))
