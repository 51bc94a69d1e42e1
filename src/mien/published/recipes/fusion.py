"""Pixels with landmarks and HOG: "Facial expression recognition using CNN in TensorFlow" (A. Horseman).

mien reproduce fusion-a --data fer2013.parquet
    published, test accuracy over angry, happy, sad, surprise, neutral, model A / B: pixels 72.4 / 73.5; with landmarks
    73.5 / 74.4; with landmarks and HOG 68.7 / 73.2; with landmarks and sliding HOG 71.4 / 75.1; the best model on all
    seven classes 61.4. Without batch norm (…-plain): less by 7.4 / 39.3, 26.2 / 50.0, 1.9 / 50.1, 16.7 / 16.9 points.

The rows with features need a data file that holds them:

mien data prepare fer2013.parquet --features landmarks,hog,hog-sliding --out features.parquet

Its settings came from a search whose space is here (`mien tune fusion-b-landmarks-sliding --data features.parquet`):
TPE over uniform ranges, scored on validation accuracy. It varied the share of units that are kept, 0.7–0.99 in its text
and 0.7–1 in its code; here that is the dropout, 0.01–0.3.

The weights after the last epoch are scored. The source's library clips gradients at norm 5. The source has an
option to limit the images of a class (`Splits.cap`); its settings for the table do not use it.
"""

from __future__ import annotations

from dataclasses import replace

from mien.networks.catalog import NETWORKS
from mien.published.recipes.recipe_parts import EMOTIONS, RAW_MEAN, RAW_STD, improved_recipe, space_for
from mien.published.recipes.svm import FIVE
from mien.recipes.emotion import EMOTION_CPU
from mien.training.config import NO_AUGMENTATION, HeadSpec, OptimizerConfig, Recipe, ScheduleConfig
from mien.training.search_space import SearchSpace, Uniform

FUSION_A = Recipe(
    name="fusion-a",
    summary="Horseman's model A on pixels, five expressions, as its author trained it",
    task="emotion",
    network="fusion-a",
    heads=(HeadSpec("emotion", FIVE, "emotion", subset=True),),
    epochs=13,
    batch_size=128,
    mean=RAW_MEAN,
    std=RAW_STD,
    augment=NO_AUGMENTATION,
    optimizer=OptimizerConfig("sgd", lr=0.016, weight_decay=0.0, momentum=0.95),
    schedule=ScheduleConfig("exponential", warmup_epochs=0.0, factor=0.864, every=50),
    ema=None,
    gradient_clip=5.0,
    space=SearchSpace(
        (
            Uniform("optimizer.lr", 1e-5, 0.1),
            Uniform("schedule.factor", 0.5, 0.99),
            Uniform("optimizer.momentum", 0.5, 0.99),
            Uniform("dropout", 0.01, 0.3),
        )
    ),
)


def _variant(network: str) -> Recipe:
    row = NETWORKS[network]
    given = ", ".join(("pixels", *row.features))
    norm = "" if row.statistics else ", without batch norm"
    summary = f"Horseman's model {network.split('-')[1].upper()} on {given}{norm}, as its author trained it"
    return replace(FUSION_A, name=network, network=network, summary=summary)


VARIANTS = tuple(
    _variant(f"fusion-{model}{features}{norm}")
    for features in ("", "-landmarks", "-landmarks-hog", "-landmarks-sliding")
    for norm in ("", "-plain")
    for model in ("a", "b")
)
"""One recipe per cell of the source's two tables."""

SEVEN_CLASSES = replace(
    FUSION_A,
    name="fusion-b-seven",
    summary="Horseman's best model on all seven classes",
    network="fusion-b-landmarks-sliding",
    heads=EMOTIONS,
)

# features are those of the original image, so augmentation must not move its pixels
STILL = replace(
    improved_recipe("fusion-b-landmarks-sliding", epochs=30),
    augment=replace(improved_recipe("fusion-b").augment, flip=0.0, rotate=0.0, translate=0.0, scale=(1.0, 1.0)),
    space=space_for("fusion-b", EMOTION_CPU.space, without=("augment.rotate", "augment.translate")),
)

RECIPES = (*VARIANTS, SEVEN_CLASSES, improved_recipe("fusion-a"), improved_recipe("fusion-b", epochs=30), STILL)
