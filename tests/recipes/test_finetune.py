"""Classes of one's own from a trained network: what is refused, what stays frozen, and the way to a photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from helpers.pictures import astronaut
from mien.datasets.prepared_file import read_prepared
from mien.errors import DataError, InputError
from mien.models.card import Card
from mien.models.crop_frames import FRAMES
from mien.recipes.finetune import MIN_IMAGES, check_classes, finetune_recipe, input_note, read_source
from mien.training.config import recipe_from_dict, recipe_to_dict

torch = pytest.importorskip("torch")
CliRunner = pytest.importorskip("click.testing").CliRunner


def call(*arguments: object) -> tuple[int, str]:
    from mien.cli import cli

    done = CliRunner().invoke(cli, [str(one) for one in arguments])
    plain = done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output if plain else str(done.exception)


def write_classes(folder: Path, counts: Mapping[str, Mapping[str, int]]) -> Path:
    """Folders split/class of crops of one portrait, mirrored for the second class and in light of its own."""
    rng = np.random.default_rng(0)
    face = np.asarray(Image.fromarray(astronaut()).crop((170, 60, 275, 165)).resize((48, 48)).convert("L"), np.float32)
    for split, classes in counts.items():
        for k, (name, n) in enumerate(classes.items()):
            target = folder / split / name
            target.mkdir(parents=True)
            for i in range(n):
                shown = face if k == 0 else face[::-1]
                pixels = shown * rng.uniform(0.7, 1.05) + rng.normal(0, 6, (48, 48))
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(target / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared file of upright and inverted faces."""
    folder = tmp_path_factory.mktemp("own")
    counts = {split: {"upright": n, "inverted": n} for split, n in (("train", 40), ("validation", 12), ("test", 12))}
    write_classes(folder / "pictures", counts)
    code, text = call("data", "prepare", folder / "pictures", "--labels", "own", "--out", folder / "own.parquet")
    assert code == 0, text
    return folder / "own.parquet"


def labels(path: Path) -> tuple[str, ...]:
    return read_prepared(path).info.classes


@pytest.mark.parametrize(("source", "network"), [("emotion", "emotion-fast"), ("age", "age")])
def test_only_the_last_stage_and_the_heads_learn(source: str, network: str) -> None:
    from mien.training.module import TrainingModule, make_optimizer

    _, card, blocks = read_source(source)
    recipe = finetune_recipe(("a", "b"), card, blocks, own=True)
    module = TrainingModule(recipe).train()
    named = [(name.split("."), p) for name, p in module.network.named_parameters()]
    learn = {".".join(parts[:2]) for parts, p in named if p.requires_grad}
    assert learn == {f"blocks.{blocks - 2}", f"blocks.{blocks - 1}", "heads.own"}
    assert not module.network.get_submodule("stem").training
    assert module.network.get_submodule(f"blocks.{blocks - 1}").training
    groups = make_optimizer(module.network, recipe.optimizer).param_groups
    optimised = sum(p.numel() for group in groups for p in group["params"])
    assert optimised == sum(p.numel() for p in module.network.parameters() if p.requires_grad)
    assert recipe_from_dict(recipe_to_dict(recipe)) == recipe
    # the card of the age network is of before cards named their network: its recipe does
    assert (recipe.mean, recipe.std, recipe.network) == (card.mean, card.std, network)


def test_the_start_has_the_weights_of_the_network_and_reads_the_classes_before_any_epoch(own: Path) -> None:
    from mien.training.data import make_loader
    from mien.training.module import TrainingModule
    from mien.training.preprocessing import unit_range
    from mien.training.run import load_initial

    path, card, blocks = read_source("emotion")
    recipe = finetune_recipe(labels(own), card, blocks, own=True)
    torch.manual_seed(0)
    module = TrainingModule(recipe)
    data = read_prepared(own)
    load_initial(module, path, make_loader(data, recipe, "train"))
    (batch,) = make_loader(data, recipe, "validation")
    module.eval()
    with torch.no_grad():
        found = module(unit_range(batch["images"]), {})["own"].argmax(1)
    assert (found == batch["label"]["own"]).float().mean() > 0.9


def test_from_folders_to_a_photo(own: Path, tmp_path: Path) -> None:
    run, model, complete = tmp_path / "run", tmp_path / "own.onnx", tmp_path / "complete.onnx"
    code, text = call(
        "train", "finetune", "--data", own, "--out", run, "--epochs", 2, "--threads", 1, "--no-progress"
    )  # fmt: skip
    assert code == 0, text
    code, text = call("export", run, "--out", model, "--name", "own")
    assert code == 0, text
    code, text = call("calibrate", model, "--data", own, "--sets", "--out", complete)
    assert code == 0, text
    analyzer = mien.Analyzer(models={"emotion": "emotion", "posture": complete}, coverage=0.9, threads=1)
    faces = analyzer.analyze(astronaut(), color="rgb")
    assert faces[0].predictions["posture"].label == "upright"
    assert faces[0].predictions["posture"].set == ("upright",)
    assert faces[0].emotion is not None
    code, text = call("evaluate", complete, "--data", own, "--coverage", 0.9, "--bootstrap", 0)
    assert code == 0, text
    assert "sets of 90%" in text


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        (("smile",), "has one class, 'smile', and two are needed; add images of what is not in the class"),
        ((), "holds no folders of images; give a folder that holds one folder of images per class"),
        (
            ("test", "train"),
            "its folders are splits (test, train) and hold images without a class; put the images of each class in a "
            "folder of its own, such as test/smiling/",
        ),
        (("train",), "its folders are splits (train) and hold images without a class"),
    ],
)
def test_a_folder_without_two_classes_is_one_clear_line(folders: Sequence[str], reason: str, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name in folders:
        (tmp_path / "pictures" / name).mkdir()
        Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "pictures" / name / "0.png")
    code, text = call(
        "data", "prepare", tmp_path / "pictures", "--labels", "own", "--out", tmp_path / "own.parquet"
    )  # fmt: skip
    assert code == 1
    assert reason in text
    assert len(text.strip().splitlines()) == 1
    assert not (tmp_path / "own.parquet").exists()


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"train": {"smile": 20}, "validation": {"smile": 5}}, "has 1 class, and training needs two"),
        ({"train": {"smile": 20, "not": 5}, "validation": {"smile": 5, "not": 5}}, "'not' has 5 training images"),
        ({"train": {"smile": 20, "not": 20}, "validation": {"smile": 5}}, "'not' has no validation image"),
        ({"train": {"smile": 20}, "validation": {"smile": 5, "not": 20}}, "'not' has 0 training images"),
    ],
)
def test_data_from_which_nothing_can_be_learned_are_one_clear_line(
    counts: Mapping[str, Mapping[str, int]], reason: str, tmp_path: Path
) -> None:
    write_classes(tmp_path / "pictures", counts)
    path = tmp_path / "own.parquet"
    code, text = call("data", "prepare", tmp_path / "pictures", "--labels", "own", "--out", path)
    if code == 0:
        with pytest.raises(DataError, match=reason) as error:
            check_classes(read_prepared(path), labels(path), path)
        text = str(error.value)
    lines = [line for line in text.splitlines() if line.startswith("mien") or "class" in line]
    assert len(lines) >= 1
    assert not (tmp_path / "runs").exists()


def test_five_pictures_and_unreadable_ones_are_one_clear_line_each(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "pictures", {"train": {"smile": 3, "not": 2}})
    path = tmp_path / "own.parquet"
    code, text = call("data", "prepare", folder / "train", "--labels", "own", "--out", path)
    assert (code, MIN_IMAGES) == (0, 10), text
    code, text = call("train", "finetune", "--data", path, "--out", tmp_path / "run")
    assert code != 0
    assert "training image" in text
    assert not (tmp_path / "run").exists()
    (folder / "train" / "smile" / "broken.png").write_bytes(b"no picture")
    code, text = call("data", "prepare", folder / "train", "--labels", "own", "--out", path)
    assert "broken.png" in text


def test_a_network_in_8_bits_and_a_file_of_another_network_cannot_be_continued() -> None:
    _, card, blocks = read_source("emotion-int8")
    with pytest.raises(InputError, match="cannot be trained further"):
        finetune_recipe(("a", "b"), card, blocks, own=True)
    _, plain, blocks = read_source("emotion")
    other: Card = replace(plain, training={"network": "stack-baseline"})
    with pytest.raises(InputError, match="cannot be trained further"):
        finetune_recipe(("a", "b"), other, blocks, own=True)


def test_faces_lie_where_the_network_learned_them_after_a_second_time_too() -> None:
    for name in ("emotion", "age"):
        _, card, blocks = read_source(name)
        first = finetune_recipe(("a", "b"), card, blocks, own=True)
        again = finetune_recipe(("a", "b"), replace(card, task=first.task), blocks, own=True)
        assert first.task == again.task == "own"
        assert FRAMES[first.frame_name] == FRAMES[again.frame_name] == card.frame


def test_gray_images_for_a_network_of_colours_and_small_ones_get_a_hint(own: Path, tmp_path: Path) -> None:
    code, text = call("train", "finetune", "--from", "age", "--data", own, "--out", tmp_path / "run", "--epochs", 1)
    assert code == 0, text
    (note,) = (line for line in text.splitlines() if line.startswith("note: "))
    assert note == (
        f"note: {own} holds gray images of 48×48 pixels, and age takes colour crops of 64×64: accuracy is lost; "
        "prepare the colour pictures that they were made from with --crop age"
    )
    data = read_prepared(own)
    age, emotion = read_source("age")[1], read_source("emotion")[1]
    assert input_note(data, emotion, own) is None
    colour = replace(data, images=np.zeros((len(data), 64, 64, 3), np.uint8))
    assert input_note(colour, age, own) is None
    small = input_note(replace(data, images=np.zeros((len(data), 40, 40, 1), np.uint8)), emotion, own)
    assert small is not None
    assert small.endswith("prepare the pictures that they were made from with --crop emotion")


def test_from_is_for_finetune_alone(own: Path) -> None:
    code, text = call("train", "classes", "--from", "emotion", "--data", own)
    assert (code, "--from is for finetune" in text) == (2, True)
    code, text = call("train", "finetune", "--init", "a.onnx", "--data", own)
    assert (code, "leave out --init and --teacher" in text) == (2, True)
