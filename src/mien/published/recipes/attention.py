"""Attentional networks: "Facial Emotion Recognition by Attentional Convolutional Network" (Chen, Yang & Ning).

mien reproduce attention-sequential --data fer2013.parquet  published: 48.7 % of seven classes, test
mien reproduce attention-parallel --data fer2013.parquet    published: 57.8 %, the same
mien reproduce attention-deep --clean-data cleaned.parquet  published: 64.3 % of four classes of cleaned images
mien reproduce attention-deep-faster --clean-data …         the same at the rate of the first two
and …-improved of the three networks

Batches of 128, pixels normalised with 0.5 and 0.5, the weights of the last epoch. The first two results are those of
the implementation that the source started from (github.com/omarsayed7/Deep-Emotion, "directly"), whose settings are
Adam at 5e-3 and 100 epochs; for the third the source states Adam at 1e-5 and 120 epochs.
"""

from __future__ import annotations

from dataclasses import replace

from mien.published.recipes.recipe_parts import (
    CONSTANT,
    DROPOUT,
    EMOTIONS,
    MIRROR,
    ROTATE,
    SMOOTHING,
    adam,
    improved_recipe,
    search_space,
)
from mien.training.config import NO_AUGMENTATION, HeadSpec, Recipe

FOUR = ("angry", "happy", "sad", "neutral")

SEQUENTIAL = Recipe(
    name="attention-sequential",
    summary="the transformer before the features, as its authors trained it",
    task="emotion",
    network="attention-sequential",
    heads=EMOTIONS,
    epochs=100,
    batch_size=128,
    mean=(0.5,),
    std=(0.5,),
    augment=NO_AUGMENTATION,
    optimizer=adam(5e-3),
    schedule=CONSTANT,
    ema=None,
    gradient_clip=None,
    precision="float32",
    space=search_space((1e-5, 3e-2), (32, 64, 128, 256), DROPOUT, MIRROR, ROTATE, SMOOTHING),
)

PARALLEL = replace(
    SEQUENTIAL,
    name="attention-parallel",
    summary="the transformer beside the features, as its authors trained it",
    network="attention-parallel",
)

DEEP = replace(
    SEQUENTIAL,
    name="attention-deep",
    summary="parallel with one more convolution, on four classes of cleaned images, as its authors trained it",
    network="attention-deep",
    heads=(HeadSpec("emotion", FOUR, "emotion", subset=True),),
    epochs=120,
    optimizer=adam(1e-5),
)

DEEP_FASTER = replace(
    DEEP,
    name="attention-deep-faster",
    summary="the same at the rate and for the epochs of the implementation its authors started from",
    epochs=SEQUENTIAL.epochs,
    optimizer=SEQUENTIAL.optimizer,
)

RECIPES = (
    SEQUENTIAL,
    PARALLEL,
    DEEP,
    DEEP_FASTER,
    *(
        replace(improved_recipe(network, epochs=60), precision="float32")
        for network in ("attention-sequential", "attention-parallel", "attention-deep")
    ),
)
