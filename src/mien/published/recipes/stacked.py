"""Architecture search of "Touchy Feely: An Emotion Recognition Challenge" (Amin, Chase & Sinha).

mien reproduce stack-final --data fer2013.parquet           published: 60.37 % validation (mean of 4 runs), 61.05 % test
mien reproduce stack-baseline --data fer2013.parquet        published, validation: 39.82 %
stack-pooled 51 %, stack-normed 55.42 %, stack-lean 56.5 %; and …-improved of all five

Raw pixels, ten epochs, Adam at the rate that the course's notes propose (1e-3), batches of 64 as in its exercises: the
report states neither number. `mien.published.networks.stacked` lists what it leaves open about the networks.
"""

from __future__ import annotations

from dataclasses import replace

from mien.published.recipes.recipe_parts import (
    CONSTANT,
    DROPOUT,
    EMOTIONS,
    MIRROR,
    RAW_MEAN,
    RAW_STD,
    ROTATE,
    SMOOTHING,
    adam,
    improved_recipe,
    search_space,
    space_for,
)
from mien.training.config import NO_AUGMENTATION, Recipe

FINAL = Recipe(
    name="stack-final",
    summary="the final network of Touchy Feely as its authors trained it",
    task="emotion",
    network="stack-final",
    heads=EMOTIONS,
    epochs=10,
    batch_size=64,
    mean=RAW_MEAN,
    std=RAW_STD,
    augment=NO_AUGMENTATION,
    optimizer=adam(1e-3),
    schedule=CONSTANT,
    ema=None,
    gradient_clip=None,
    space=search_space((1e-5, 1e-2), (32, 64, 128, 256), DROPOUT, MIRROR, ROTATE, SMOOTHING),
)

STATIONS = tuple(
    replace(
        FINAL,
        name=f"stack-{name}",
        network=f"stack-{name}",
        summary=f"Touchy Feely's experiment: {name}",
        space=space_for(f"stack-{name}", FINAL.space),
    )
    for name in ("baseline", "pooled", "normed", "lean")
)

RECIPES = (
    FINAL,
    *STATIONS,
    improved_recipe("stack-final", epochs=30),
    improved_recipe("stack-normed"),
    # without normalisation after the pixels, training does not start at a high rate
    *(improved_recipe(f"stack-{name}", epochs=30, lr=1e-3) for name in ("baseline", "pooled", "lean")),
)
