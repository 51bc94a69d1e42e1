"""The VGG13 of the paper that introduced FER+ (Barsoum et al. 2016): the yardstick of its majority protocol.

mien reproduce ferplus-vgg13 --data fer2013.parquet         published: 84.72 % (cross-entropy targets, mean of 5 runs)
mien reproduce ferplus-vgg13-improved --data fer2013.parquet

Momentum SGD at 0.05 in a toolkit whose momentum averages gradients (factor 1 − 0.9), hence 0.005 here; halved after 20
epochs, a tenth after 40; batches of 32; 100 epochs; the epoch with the best validation accuracy. One difference: pixels
are normalised by 0.5 and 0.25 here, where the source equalises histograms and subtracts a plane of illumination.
"""

from __future__ import annotations

from dataclasses import replace

from mien.labels import FERPLUS
from mien.published.recipes.recipe_parts import improved_recipe
from mien.training.config import NO_AUGMENTATION, HeadSpec, OptimizerConfig, Recipe, ScheduleConfig

FERPLUS_VGG13 = Recipe(
    name="ferplus-vgg13",
    summary="VGG13 as the authors of FER+ trained it",
    task="emotion",
    network="ferplus-vgg13",
    heads=(HeadSpec("ferplus", FERPLUS.names, "crossentropy"),),
    epochs=100,
    batch_size=32,
    mean=(0.5,),
    std=(0.25,),
    augment=replace(NO_AUGMENTATION, flip=0.5, rotate=20.0, translate=0.08, scale=(1 / 1.05, 1.05), shear=2.9),
    optimizer=OptimizerConfig("sgd", lr=0.005, weight_decay=0.0, momentum=0.9),
    schedule=ScheduleConfig("steps", warmup_epochs=0.0, steps=((20, 0.5), (40, 0.1))),
    ema=None,
    gradient_clip=None,
)

RECIPES = (FERPLUS_VGG13, improved_recipe("ferplus-vgg13", epochs=30, lr=1e-3))
