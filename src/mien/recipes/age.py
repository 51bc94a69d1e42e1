"""Age range: nine FairFace bins, colour, on crops made by the photo pipeline itself.

mien data prepare fairface/ --crop age --out fairface.parquet

mien train age-cpu --data fairface.parquet --out runs/age-cpu
    one of two processor cores, 51 minutes beside other work (docs/results/age_cpu_metrics.csv); 52.9 % exact, 91.7 %
    one-off on the crops of the detector that was the default then (MTCNN)

mien export runs/age-cpu --out start.onnx
mien train age --data fairface.parquet --init start.onnx --epochs 43 --out runs/age
    on the crops of Mien's own detector: 43 epochs of 2.1 minutes on one core that does nothing else
    (docs/results/age_metrics.csv); 55.5 % exact, 93.3 % one-off. On a GPU from random weights with all its epochs

mien export runs/age --out age.onnx
mien train age-finish --data fairface.parquet --init age.onnx --epochs 18 --out runs/age-finish
    the same network on noisy, small and unevenly lit images: 18 epochs of 4.2 minutes
    (docs/results/age_finish_metrics.csv)

mien export runs/age-finish/last.safetensors --blend age.onnx --blend-share 0.6 --name age --out age.onnx
    the shipped model: the mean of both weights. The share is the one of 0.3 to 0.7 with the highest exact accuracy on
    the validation images; more of the new weights bear noise better and find fewer people over 70
"""

from __future__ import annotations

from dataclasses import replace

from mien.labels import AGE_BINS, age_bin_names
from mien.training.config import Augmentation, HeadSpec, OptimizerConfig, Recipe, ScheduleConfig
from mien.training.search_space import LogUniform, SearchSpace, Uniform

AGE_CPU = Recipe(
    name="age-cpu",
    summary="age: nine bins, 1 M parameters; for two processor cores; the shipped model started from it",
    task="age",
    network="age",
    heads=(HeadSpec("age", age_bin_names(AGE_BINS), "age", neighbour_smoothing=0.2),),
    epochs=18,
    mean=(0.5, 0.4, 0.35),
    std=(0.25, 0.25, 0.25),
    augment=Augmentation(
        rotate=10.0, translate=0.05, scale=(0.9, 1.1), contrast=(0.7, 1.3), brightness=(0.8, 1.2), gamma=(0.8, 1.25),
        saturation=(0.6, 1.4), erase=0.25,
    ),
    optimizer=OptimizerConfig(lr=3e-3, weight_decay=0.05),
    schedule=ScheduleConfig(warmup_epochs=1.0),
    ema=0.998,
    space=SearchSpace(
        (
            LogUniform("optimizer.lr", 3e-4, 1e-2),
            LogUniform("optimizer.weight_decay", 1e-3, 0.3),
            Uniform("heads.age.neighbour_smoothing", 0.0, 0.5),
            Uniform("dropout", 0.0, 0.5),
            Uniform("augment.rotate", 0.0, 20.0),
            Uniform("augment.erase", 0.0, 0.5),
        )
    ),
)  # fmt: skip

AGE = replace(
    AGE_CPU,
    name="age",
    summary="the same network for longer; the shipped model is 43 epochs of it, and age-finish",
    epochs=70,
    augment=replace(AGE_CPU.augment, mixup=0.2),
    schedule=ScheduleConfig(warmup_epochs=3.0),
    ema=0.999,
)

AGE_FINISH = replace(
    AGE,
    name="age-finish",
    summary="the end of age on images of any quality (noise, small, side light); started from its export",
    epochs=32,
    augment=replace(AGE.augment, noise=0.1, resolution=0.5, light=0.2, sharpness=(-0.6, 0.8)),
    optimizer=OptimizerConfig(lr=1.5e-3, weight_decay=0.05),
    schedule=ScheduleConfig(warmup_epochs=1.0, final=0.02),
)
