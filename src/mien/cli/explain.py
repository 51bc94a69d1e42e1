"""``mien explain``."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.options import OUTPUT_FOLDER, PATH, OutputCommand, detector_options, seed_option, threads_option
from mien.cli.output import FailureReport, progress_bar, table_console
from mien.files import unique_name
from mien.output_checks import refuse_inputs, result_folder
from mien.text import number, percent, span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.detect.options import DetectionOptions
    from mien.explain.model import ExplainedNetwork
    from mien.models.card import Head

# the names of the tables in mien.explain, written out because importing them loads torch; a test compares
METHODS = ("saliency", "integrated-gradients", "guided-backprop", "grad-cam", "occlusion", "regions")
SHEETS = ("predictions", "errors", "ambiguous", "disputed")
IMAGES = {"average": 20, "faithfulness": 64, "sanity": 16, "regions": 1000, "sheet": 48}
"""Default numbers of images: of each class for averages, of the split for the rest."""
PRIVATE = "faces of the dataset, for private inspection: do not publish or commit this file"

EPILOG = """\b
Examples:
  mien explain photo.jpg --out maps/
  mien explain photo.jpg --method grad-cam --target all --out maps/
  mien explain photo.jpg --model age --out maps/
  mien explain --data fer2013.parquet --average --out maps/
  mien explain --data fer2013.parquet --split validation --faithfulness --sanity --out maps/
  mien explain --data fer2013.parquet --sheet errors --sheet ambiguous --out private/
  mien explain --data fer2013.parquet --model runs/attention-parallel --method regions --out maps/

\b
Photos: one PNG and one NPZ per face. Data: average.*, faithfulness.*,
sanity.*, regions.* and sheet-*.*; docs/explain.md describes them.
Sheets show faces of the dataset: keep them to yourself.
"""


@click.command("explain", cls=OutputCommand, epilog=EPILOG)
@click.argument("photos", nargs=-1, metavar="[PHOTO|FOLDER|GLOB]...")
@click.option("--data", type=PATH, help="File written by `mien data prepare`, instead of photos.")
@click.option("--out", required=True, type=OUTPUT_FOLDER, help="Folder to write to.")
@click.option("--model", default="emotion", show_default=True, help="Model name, .onnx file or run folder.")
@click.option("--head", help="Head of the model.", show_default="its first")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice((*METHODS, "all")),
    help="Method; repeatable.",
    show_default="all",
)
@click.option("--target", default="predicted", show_default=True, help="Class to explain, 'predicted' or 'all'.")
@click.option("--layer", help="Layer for Grad-CAM.", show_default="the last convolution")
@click.option("--faithfulness", is_flag=True, help="Compute deletion and insertion curves of the methods.")
@click.option("--sanity", is_flag=True, help="Test whether the maps change when weights are shuffled.")
@click.option("--average", is_flag=True, help="Write mean maps of each class (--data).")
@click.option(
    "--sheet", "sheets", multiple=True, type=click.Choice(SHEETS), help="Write a contact sheet; repeatable (--data)."
)
@click.option("--split", default="test", show_default=True, help="Images to use: train, validation or test (--data).")
@click.option("--images", type=click.IntRange(1), help="Number of images; of each class for --average (--data).")
@seed_option("samples, orders and shuffles")
@detector_options(note="photos")
@threads_option(default=None)
def command(photos: tuple[str, ...], data: Path | None, **values: Any) -> None:
    """Show which pixels a network uses, on the faces of photos or over a dataset, and test the maps that show it.

    A map shows which pixels a class score depends on, not why, and not what a person feels.
    """
    from mien.extras import NETWORKS, require_extra

    options = ExplainOptions(**values)
    if bool(photos) == (data is not None):
        raise click.UsageError("Give either photos or --data FILE.")
    if photos and (options.average or options.sheets):
        raise click.UsageError("--average and --sheet need a dataset: give --data FILE.")
    if data is not None and not (
        options.average or options.sheets or options.faithfulness or options.sanity or options.wants_regions
    ):
        raise click.UsageError(
            "Select what to compute: --average, --faithfulness, --sanity, --sheet NAME or --method regions."
        )
    require_extra("explain", "mien explain", *NETWORKS, "captum")
    if data is None:
        _explain_photos(photos, options)
    else:
        with result_folder(options.out, options.files):
            _explain_dataset(data, options)


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """The options of one call."""

    out: Path
    model: str
    head: str | None
    methods: tuple[str, ...]
    target: str
    layer: str | None
    faithfulness: bool
    sanity: bool
    average: bool
    sheets: tuple[str, ...]
    split: str
    images: int | None
    seed: int
    detection: DetectionOptions
    threads: int | None

    @property
    def wants_regions(self) -> bool:
        """Whether the transformer's regions are selected by name."""
        return "regions" in self.methods

    @property
    def files(self) -> list[str]:
        """Patterns of the names of the files that are written, but for those of single faces."""
        kinds = {"average": self.average, "faithfulness": self.faithfulness, "sanity": self.sanity}
        kinds["regions"] = self.wants_regions
        return [f"{kind}.*" for kind, wanted in kinds.items() if wanted] + [f"sheet-{name}.*" for name in self.sheets]

    def count(self, what: str) -> int:
        """Number of images for one of `IMAGES`."""
        return self.images or IMAGES[what]


def _explain_photos(photos: tuple[str, ...], options: ExplainOptions) -> None:
    import numpy as np

    from mien.errors import MienError
    from mien.explain.methods import select_methods
    from mien.explain.model import open_network
    from mien.explain.output_folder import write_face
    from mien.media.image import image_suffixes, load_image
    from mien.media.paths import expand_paths
    from mien.pipeline.analyzer import Analyzer
    from mien.predict.align import align_faces

    failures = FailureReport()
    paths, errors = expand_paths(photos, suffixes=image_suffixes())
    refuse_inputs(options.out, paths, folder=True)
    for error in errors:
        failures.add(error)
    used: set[str] = set()
    stems = [unique_name(path.stem, "", used, room=len("-face9999.png")) for path in paths]
    faces_of = [f"{glob.escape(stem)}-face[0-9]*.{kind}" for stem in stems for kind in ("png", "npz")]
    click.get_current_context().with_resource(result_folder(options.out, [*faces_of, *options.files]))
    model = open_network(options.model, options.threads)
    head = model.head(options.head)
    _check_target_and_layer(model, head, options)
    methods = select_methods(model, options.methods or ("all",))
    analyzer = Analyzer(models=(), **asdict(options.detection), threads=options.threads)
    read = 0
    all_crops: list[NDArray[np.uint8]] = []
    for path, stem in zip(paths, stems, strict=True):
        try:
            frame = load_image(path)
            faces = analyzer.analyze(frame)
        except MienError as error:
            failures.add(error)
            continue
        channels = "gray" if model.channels == 1 else "rgb"
        face_crops = align_faces(frame.rgb, faces, model.size, channels, model.frame, options.detection.detector)
        if not len(face_crops):
            click.echo(f"{path}: no face found", err=True)
        read += 1
        for i, crop in enumerate(face_crops, 1):
            name = f"{stem}-face{i}"
            label, share = write_face(model, head, crop, options.target, methods, options.layer, options.out / name)
            click.echo(f"{options.out / name}.png: {label} {percent(share)}")
        all_crops.extend(face_crops)
    if all_crops:
        _run_tests(model, head, np.stack(all_crops), options, {"photos": read})
    if failures.count:
        raise click.exceptions.Exit(1)


def _explain_dataset(data: Path, options: ExplainOptions) -> None:
    from mien.errors import DataError
    from mien.explain.class_averages import MIN_IMAGES, average_maps
    from mien.explain.methods import REGIONS, select_methods
    from mien.explain.model import open_network
    from mien.explain.output_folder import write_averages, write_regions
    from mien.explain.sampling import read_split, sample_rows, sample_rows_per_class, true_classes
    from mien.training.resize import resize_images

    part = read_split(data, options.split)
    if options.sheets:
        _write_sheets(part, options)
    if not (options.average or options.faithfulness or options.sanity or options.wants_regions):
        return
    model = open_network(options.model, options.threads)
    head = model.head(options.head)
    _check_target_and_layer(model, head, options)
    if options.wants_regions:
        select_methods(model, (REGIONS,))
        rows = sample_rows(len(part), options.count("regions"), options.seed)
        found = write_regions(model, head, resize_images(part.images[rows], model.size, model.channels), options.out)
        _print_regions(found)
        click.echo(f"{options.out / 'regions.png'}: where the transformer looks on {found['images']} faces")
    if options.average:
        true = true_classes(part, head.labels)
        rows = sample_rows_per_class(true, len(head.labels), options.count("average"), options.seed)
        if not len(rows):
            raise DataError(f"has no labels of head {head.name!r}", path=data, advice="give --head, or another model")
        methods = select_methods(model, options.methods or ("all",))
        images = resize_images(part.images[rows], model.size, model.channels)
        with _progress("averaging", len(head.labels) * len(methods)) as done:
            means = average_maps(model, head, images, true[rows], methods, options.layer, done)
        for label, count in means.too_few:
            click.echo(f"{label}: {count} images, fewer than {MIN_IMAGES}; left out", err=True)
        write_averages(means, options.out)
        click.echo(f"{options.out / 'average.png'}: mean maps of {', '.join(means.labels) or 'no class'}")
    if options.faithfulness or options.sanity:
        n = max(options.count(what) for what in ("faithfulness", "sanity") if getattr(options, what))
        rows = sample_rows(len(part), n, options.seed)
        crops = resize_images(part.images[rows], model.size, model.channels)
        _run_tests(model, head, crops, options, {"dataset": part.info.name, "split": options.split})


def _run_tests(
    model: ExplainedNetwork, head: Head, crops: NDArray[np.uint8], options: ExplainOptions, source: dict[str, Any]
) -> None:
    """Run the selected tests of the maps on faces of a source, which the JSON names."""
    from mien.errors import InputError
    from mien.explain.draw import draw_faithfulness, draw_sanity
    from mien.explain.faithfulness import faithfulness_curves
    from mien.explain.methods import METHODS, attribution_maps, select_methods
    from mien.explain.model import target_classes
    from mien.explain.output_folder import write_json
    from mien.explain.sanity import randomisation_test

    if not (options.faithfulness or options.sanity):
        return
    if options.target == "all":
        raise InputError(
            "--faithfulness and --sanity need one class per face", advice="give --target predicted, or a class"
        )
    # a region has no order of pixels, and does not depend on the class
    methods = [name for name in select_methods(model, options.methods or ("all",)) if name in METHODS]
    if not methods:
        methods = list(METHODS)
    targets = target_classes(options.target, head.labels, model.probabilities(model.input(crops), head))[:, 0]
    about = {"model": options.model, "head": head.name, "target": options.target, **source}
    if options.faithfulness:
        n = min(len(crops), options.count("faithfulness"))
        with _progress("curves", 2 * len(methods) + 2) as done:
            computed = {}
            for name in methods:
                computed[name] = attribution_maps(model, head, crops[:n], targets[:n], name, options.layer)
                done()
            document = about | faithfulness_curves(
                model, head, crops[:n], targets[:n], computed, seed=options.seed, progress=done
            )
        write_json(document, options.out / "faithfulness.json")
        draw_faithfulness(document, options.out / "faithfulness.png")
        _print_faithfulness(document)
    if options.sanity:
        n = min(len(crops), options.count("sanity"))
        stages = 5
        with _progress("shuffling", stages * len(methods)) as done:
            document = about | randomisation_test(
                model, head, crops[:n], targets[:n], methods, layer=options.layer, stages=stages, seed=options.seed,
                progress=done,
            )  # fmt: skip
        write_json(document, options.out / "sanity.json")
        draw_sanity(document, options.out / "sanity.png")
        _print_sanity(document)


def _write_sheets(part: Any, options: ExplainOptions) -> None:
    """Contact sheets need no gradient: any model that can be evaluated works."""
    from mien.errors import InputError, choose_one
    from mien.evaluation.scoring.scored_model import open_model, predict
    from mien.explain.contact_sheets import select_faces
    from mien.explain.output_folder import write_contact_sheet
    from mien.published.svm.run_folder import is_svm_run

    if is_svm_run(Path(options.model)):
        raise InputError("sheets are made for networks, not for support-vector machines", path=options.model)
    model = open_model(options.model, options.threads)
    head = options.head or next(iter(model.heads))
    if head not in model.heads:
        raise InputError(f"{model.name} has no head {head!r}", advice=choose_one(head, model.heads))
    probabilities = predict(model, part)[head]
    for name in options.sheets:
        faces = select_faces(name, part, probabilities, model.heads[head], options.count("sheet"), options.seed)
        out = options.out / f"sheet-{name}"
        write_contact_sheet(faces, part, f"{name}: {model.name} on {part.info.name}, {options.split}", out)
        click.echo(f"{out}.png: {PRIVATE}")


def _check_target_and_layer(model: ExplainedNetwork, head: Head, options: ExplainOptions) -> None:
    """Raise before any work where the class or the layer does not exist."""
    import numpy as np

    from mien.explain.layers import select_layer
    from mien.explain.model import target_classes

    target_classes(options.target, head.labels, np.zeros((1, len(head.labels)), np.float32))
    if options.layer is not None:
        blank = np.zeros((1, model.size, model.size, model.channels), np.uint8)
        select_layer(model.module, model.input(blank), options.layer)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bar(*columns, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def _print_faithfulness(document: dict[str, Any]) -> None:
    table = _table(f"{document['images']} faces: area under the curves, and how often it beats the random order")
    for column in ("order", "deletion ↓", "95 %", "better", "insertion ↑", "95 %", "better"):
        table.add_column(column, justify="left" if column == "order" else "right")
    for name, one in document["orders"].items():
        cells = []
        for way in ("deletion", "insertion"):
            better = percent(one[way]["better"], digits=0)
            cells += [number(one[way]["auc"]), span(one[way]["interval"]), better]
        table.add_row(name, *cells)
    _show(table)


def _print_sanity(document: dict[str, Any]) -> None:
    table = _table(f"{document['images']} faces: rank correlation of maps after layers are shuffled, from the output")
    table.add_column("method")
    for count in document["shuffled"]:
        table.add_column(f"{count} of {len(document['layers'])}", justify="right")
    table.add_column("SSIM, all", justify="right")
    table.add_column("other faces", justify="right")
    for name, one in document["methods"].items():
        values = (f"{value:.2f}" for value in one["spearman"])
        others = "–" if one["others"] is None else f"{one['others']:.2f}"
        table.add_row(name, *values, f"{one['ssim'][-1]:.2f}", others)
    _show(table)


def _print_regions(document: dict[str, Any]) -> None:
    table = _table("where the transformer looks: mean ± standard deviation")
    for column in ("faces", "images", "width", "height", "right", "down", "turn °"):
        table.add_column(column, justify="left" if column == "faces" else "right")
    rows = {"all": {"images": document["images"], **document["all"]}, **document["predicted"]}
    for name, one in rows.items():
        cells = (
            f"{one[key]['mean']:.2f} ± {one[key]['sd']:.2f}" for key in ("width", "height", "right", "down", "turn")
        )
        table.add_row(name, str(one["images"]), *cells)
    _show(table)


def _table(title: str) -> Any:
    from rich.table import Table

    return Table(title=title)


def _show(table: Any) -> None:
    table_console(120).print(table)
