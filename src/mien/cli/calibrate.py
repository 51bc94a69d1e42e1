"""``mien calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.options import ONNX, OutputCommand, data_option, figures_option, threads_option
from mien.files import temporary_folder, write_text

if TYPE_CHECKING:
    from mien.datasets.dataset import Dataset
    from mien.models.card import Card

EPILOG = """\b
Examples:
  mien calibrate emotion --data fer2013.parquet
  mien calibrate emotion.onnx --data fer2013.parquet --out calibrated.onnx --json calibration.json
  mien calibrate emotion.onnx --data fer2013.parquet --priors --sets --flags --out complete.onnx
  mien calibrate runs/emotion-cpu --data fer2013.parquet
  mien calibrate age.onnx --data fairface.parquet --priors --out calibrated.onnx
"""


@click.command("calibrate", cls=OutputCommand, epilog=EPILOG)
@click.argument("model")
@data_option
@click.option("--split", default="validation", show_default=True, help="Images to fit on.")
@click.option(
    "--test", "test_split", default="test", show_default=True, help="Further images to report on, where there are any."
)
@click.option(
    "--target",
    default="label",
    show_default=True,
    type=click.Choice(["label", "raters"]),
    help="What the probabilities should match: the true label, or the distribution of FER+ raters' votes.",
)
@click.option(
    "--priors", is_flag=True, help="Fit read-outs as well: how often labels are expected (photos, balanced, between)."
)
@click.option("--sets", is_flag=True, help="Fit sets of labels as well (`--coverage` of analyze and evaluate).")
@click.option(
    "--flags", is_flag=True, help="Add outputs which report covered faces and faces unlike the training images."
)
@click.option("--out", type=ONNX, help="Write MODEL, an ONNX file, with its new card to this file.")
@figures_option
@threads_option(default=None)
def command(
    model: str,
    data: Path,
    split: str,
    test_split: str,
    target: Any,
    priors: bool,
    sets: bool,
    flags: bool,
    out: Path | None,
    json_file: Path | None,
    threads: int | None,
) -> None:
    """Fit a temperature to each head of MODEL, so that a probability of 0.8 is right in eight of ten cases.

    Logits are divided by the temperature before the softmax; the order of labels, and so accuracy, does not change.
    Images that are also in the training set are left out of the fit. A head keeps the temperature 1 if the gain may be
    chance. Tables show temperature 1 → the fitted one. With --out, the card gets the temperatures, and the scores of
    the test images with them, or of the images of the fit if there are no others.

    With --priors, the card also gets the read-outs that `--prior` selects, for emotions and age ranges, fitted on the
    same images: one that keeps the frequencies of the training data, one that removes them, and the default in between,
    with the best mean of accuracy and balanced accuracy (for age ranges the first); here labels do change. Images of
    the fit are scored in tenths, each with what was fitted on the others.

    With --sets, the card also gets the thresholds of sets of labels, fitted on the same images with these
    probabilities: a set contains the right label with the requested probability. With --flags, the network gets two
    more outputs, fitted on training images. Both need --out.

    For a run folder, the line of `mien export` that applies the temperatures is printed.
    """
    from mien.extras import NETWORKS, require_extra

    require_extra("train", "mien calibrate", *NETWORKS)
    from mien.datasets.prepared_file import read_prepared
    from mien.evaluation.scoring.calibration import calibrate, fitted_temperatures
    from mien.evaluation.scoring.report import to_json
    from mien.evaluation.scoring.scored_model import open_model, wrap_uncalibrated
    from mien.models.catalog import MODELS, read_model
    from mien.models.model import Model
    from mien.published.svm.run_folder import is_svm_run

    if is_svm_run(Path(model)):
        raise click.UsageError(
            "A support-vector machine predicts only labels, so there is no probability to calibrate."
        )
    file = model in MODELS or Path(model).suffix.lower() == ".onnx"
    if out is not None and not file:
        raise click.UsageError("--out is for ONNX files: export the run with `mien export RUN --temperature HEAD=T`.")
    if out is None and (sets or flags):
        raise click.UsageError("--sets and --flags write into the model: give --out.")
    if file:
        network = wrap_uncalibrated(Model(read_model(model), threads=threads, name=model))
    else:
        network = open_model(model, threads)
    prepared = read_prepared(data)
    document = calibrate(
        network,
        prepared,
        split=split,
        check=(split, test_split),
        target=target,
        priors=priors,
        required=not (sets or flags),
    )
    if json_file is not None:
        write_text(json_file, to_json(document))
    _print(document)
    temperatures = fitted_temperatures(document)
    if out is not None:
        fitted, card = _write(model, out, document, prepared, test_split, threads, sets=sets, flags=flags)
        if fitted:
            _print_sets(fitted)
        _note_what_is_gone(model, card, out)
        click.echo(f"wrote {out}", err=True)
    elif not file:
        adopted = {head: value for head, value in temperatures.items() if document["heads"][head]["adopted"]}
        options = " ".join(f"--temperature {head}={value:.4g}" for head, value in adopted.items())
        click.echo(" ".join(filter(None, ["mien export", model, options, "--out MODEL.onnx"])))


def _write(
    model: str,
    out: Path,
    document: dict[str, Any],
    prepared: Dataset,
    test_split: str,
    threads: int | None,
    *,
    sets: bool,
    flags: bool,
) -> tuple[dict[str, Any], Card]:
    """Write the ONNX file with what was fitted, and its scores on the card; returns the scores of sets and the card."""
    import dataclasses

    from mien.evaluation.scoring.calibration import calibrated_card, rewrite_card
    from mien.evaluation.scoring.evaluate import evaluate
    from mien.evaluation.scoring.scored_model import open_model

    calibration = {
        key: document[key] for key in ("fitted_on", "target", "heads", "priors", "crosswise") if key in document
    }
    with temporary_folder() as folder:
        draft = folder / "draft.onnx"
        source: str | Path = model
        if flags:
            from mien.evaluation.scoring.view_outputs import add_view_outputs

            source = folder / "flags.onnx"
            add_view_outputs(model, prepared, source)
        card = rewrite_card(source, lambda card: calibrated_card(card, document), draft)
        scored = test_split if (prepared.split == test_split).any() else document["fitted_on"]
        scores = evaluate(open_model(draft, threads), prepared, split=scored)
        scores.pop("details")
        scores["calibration"] = calibration | {"scores": document["scores"]}
        fitted: dict[str, Any] = {}
        if sets:
            from mien.evaluation.scoring.label_sets import card_set_scores, card_with_sets, fit_sets

            on = document["fitted_on"]
            card = card_with_sets(card, fit_sets(draft, card, prepared, split=on, threads=threads))
            fitted = card_set_scores(draft, card, prepared, split=scored, fitted_on=on, threads=threads)
            scores["sets"] = fitted
        final = dataclasses.replace(card, scores=scores)
        rewrite_card(draft, lambda _: final, out)
    return fitted, final


def _note_what_is_gone(model: str, card: Card, out: Path) -> None:
    """Sets and read-outs belong to probabilities: those that a model had and that were not fitted again are gone."""
    from mien.models.catalog import read_model
    from mien.models.model import Model

    old = Model(read_model(model), threads=1).card
    lost = {
        "sets of labels (--sets)": any(h.sets for h in old.heads) and not any(h.sets for h in card.heads),
        "read-outs (--priors)": bool(old.priors) and not card.priors,
    }
    if gone := [name for name, is_lost in lost.items() if is_lost]:
        click.echo(
            f"note: {out} is without the {' and the '.join(gone)} of {model}: they have to be fitted again", err=True
        )


def _print_sets(fitted: dict[str, Any]) -> None:
    from mien.cli.evaluation_tables import print_table
    from mien.evaluation.tables import set_table

    for protocol, kinds in fitted["protocols"].items():
        for kind, one in kinds.items():
            way = "by class" if kind == "by_class" else "over all images"
            halves = ", by halves" if fitted["split"] == fitted["fitted_on"] else ""
            title = f"{protocol}: sets of {fitted['coverage']:.0%} {way}, {fitted['split']}{halves}"
            print_table(set_table(one, title))


def _print(document: dict[str, Any]) -> None:
    from mien.cli.evaluation_tables import print_lines, print_table
    from mien.evaluation.tables import calibration_table, prior_table, readout_line, temperature_line

    for head, one in document["heads"].items():
        if one["interval"] is None:
            print_lines([f"{head}: stays at 1, no temperature fits {one['n']:,} images ({one['protocol']})."])
            continue
        verdict = "a gain" if one["adopted"] else "not adopted, the head stays at 1: the gain may be chance"
        print_lines([f"{head}: {temperature_line(one)}; {verdict}."])
    for head, readouts in document.get("readouts", {}).items():
        print_lines(f"{head}: {readout_line(one)}." for one in readouts)
    if "readouts" not in document and not any(one["adopted"] for one in document["heads"].values()):
        print_lines(["No temperature is adopted: probabilities are those of temperature 1."])
        return
    title = f"{document['model']} on {document['dataset']}, temperature 1 → fitted"
    print_table(calibration_table(document["scores"], title))
    if "priors" in document:
        print_table(prior_table(document["priors"], f"{document['model']} on {document['dataset']}, by prior"))
