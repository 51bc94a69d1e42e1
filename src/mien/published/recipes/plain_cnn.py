"""Course project of M. Bassani: two plain networks, Mini-Xception for comparison, and two age networks.

mien reproduce small-cnn --data fer2013.parquet             published: 62.1 %, after the last epoch
mien reproduce large-cnn --data fer2013.parquet             published: 63.2 %, the best epoch
mien reproduce mini-xception --data fer2013.parquet         published: 66 % (Arriaga et al. 2017)
mien reproduce age-cnn --utkface-data ranges.parquet        published: 57.65 % of seven ranges
mien reproduce age-cnn-small --utkface-data ranges.parquet  published: 54.09 %, the same
and …-improved of all five, those of the age networks with --age-data fairface.parquet

The first two validate and test on PublicTest and PrivateTest together. Mini-Xception's authors hold out the last fifth
of the file, which are the same 7,178 images, and keep the epoch of the lowest validation loss; their training stops
after 50 epochs without a lower one. Their published weights are those of epoch 102, counted from 0: here training ends
there at the latest.

The age networks learn seven ranges from UTKFace and facial-age together, and keep the epoch that is best on the thirty
per cent that they are scored on. Our copy of these images has 96×96 pixels, enlarged to the 200×200 of the source. The
shear of 0.2 in its generator is degrees, hence nothing. Its seven ranges cannot be derived from FairFace's nine, so
…-improved is trained on these, with Mien's training: those figures are not comparable with the published ones.
"""

from __future__ import annotations

from dataclasses import replace

from mien.labels import SEVEN_AGE_RANGES, age_bin_names
from mien.published.recipes.recipe_parts import (
    BOTH_TESTS,
    CONSTANT,
    EMOTIONS,
    FLIP,
    MIRROR,
    PLATEAU,
    RAW_MEAN,
    RAW_STD,
    ROTATE,
    SMOOTHING,
    TRANSLATE,
    adam,
    improved_recipe,
    search_space,
    space_for,
)
from mien.recipes.age import AGE_CPU
from mien.training.config import NO_AUGMENTATION, HeadSpec, Recipe, ScheduleConfig, SplitRoles
from mien.training.search_space import Uniform

SMALL_CNN = Recipe(
    name="small-cnn",
    summary="Bassani's first network as its author trained it",
    task="emotion",
    network="small-cnn",
    heads=EMOTIONS,
    epochs=30,
    batch_size=64,
    mean=RAW_MEAN,
    std=RAW_STD,
    augment=FLIP,
    optimizer=adam(5e-4, keras=True),
    schedule=ScheduleConfig("plateau", factor=0.1, patience=1, least=1e-5),
    ema=None,
    gradient_clip=None,
    splits=BOTH_TESTS,
    space=search_space((1e-5, 1e-2), (32, 64, 128), *PLATEAU, MIRROR, ROTATE, SMOOTHING),
)

LARGE_CNN = replace(
    SMALL_CNN, name="large-cnn", summary="Bassani's larger network as its author trained it", network="large-cnn"
)

MINI_XCEPTION = Recipe(
    name="mini-xception",
    summary="Mini-Xception as its authors trained it",
    task="emotion",
    network="mini-xception",
    heads=EMOTIONS,
    epochs=103,
    batch_size=32,
    mean=(0.5,),
    std=(0.5,),
    augment=replace(NO_AUGMENTATION, flip=0.5, rotate=10.0, translate=0.1, scale=(0.9, 1.1)),
    optimizer=adam(1e-3, keras=True),
    schedule=ScheduleConfig("plateau", factor=0.1, patience=11),
    ema=None,
    early_stopping=50,
    select="loss",
    gradient_clip=None,
    splits=BOTH_TESTS,
    space=search_space((1e-4, 1e-2), (32, 64, 128), ROTATE, TRANSLATE, SMOOTHING),
)

AGE_CNN = Recipe(
    name="age-cnn",
    summary="Bassani's age network on seven ranges as its author trained it",
    task="age",
    network="age-cnn",
    heads=(HeadSpec("age", age_bin_names(SEVEN_AGE_RANGES), "emotion"),),
    epochs=60,
    batch_size=256,
    mean=(0.0,),
    std=(1.0,),
    augment=replace(NO_AUGMENTATION, flip=0.5, rotate=15.0, translate=0.1, scale=(0.8, 1.2), shear=0.2),
    optimizer=adam(1e-3, keras=True),
    schedule=CONSTANT,
    ema=None,
    gradient_clip=None,
    splits=SplitRoles(test=("validation",)),
    space=search_space(
        (1e-4, 1e-2), (64, 128, 256), ROTATE, TRANSLATE, Uniform("heads.age.neighbour_smoothing", 0.0, 0.5)
    ),
)

AGE_CNN_SMALL = replace(
    AGE_CNN,
    name="age-cnn-small",
    summary="Bassani's smaller age network on seven ranges as its author trained it",
    network="age-cnn-small",
)

AGE_CNN_IMPROVED = replace(
    AGE_CPU,
    name="age-cnn-improved",
    summary="Bassani's age network on FairFace's nine bins with Mien's training",
    network="age-cnn",
    mean=(0.5,),
    std=(0.25,),
    augment=replace(AGE_CPU.augment, saturation=(1.0, 1.0)),
    optimizer=replace(AGE_CPU.optimizer, lr=1e-3),
    space=space_for("age-cnn", AGE_CPU.space),
)

AGE_CNN_SMALL_IMPROVED = replace(
    AGE_CNN_IMPROVED,
    name="age-cnn-small-improved",
    summary="Bassani's smaller age network on FairFace's nine bins with Mien's training",
    network="age-cnn-small",
)

RECIPES = (
    SMALL_CNN,
    LARGE_CNN,
    MINI_XCEPTION,
    improved_recipe("small-cnn", epochs=30),
    improved_recipe("large-cnn", epochs=30),
    improved_recipe("mini-xception", epochs=60),
    AGE_CNN,
    AGE_CNN_SMALL,
    AGE_CNN_IMPROVED,
    AGE_CNN_SMALL_IMPROVED,
)
