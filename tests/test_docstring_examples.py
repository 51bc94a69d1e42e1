"""Every public name is in the reference (`docs/api`), and has a docstring with an example that runs."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import functools
import importlib
import inspect
import itertools
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from helpers.clips import Pan, clip, side_by_side
from helpers.pictures import astronaut, hopper
from mien.datasets.dataset import Dataset, DatasetInfo
from mien.datasets.prepared_file import write_prepared
from mien.labels import FER2013
from mien.training.config import HeadSpec, Recipe
from mien.training.run import train

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
LISTED = dict(
    pair
    for page in PAGES
    for pair in re.findall(
        r"^::: (\S+)$(?:\n {4}options:\n {6}members: \[(.+)\]$)?", page.read_text(encoding="utf-8"), re.MULTILINE
    )
)
"""Public name → the members that its page shows, in one text; empty for all."""
NAMES = list(LISTED)
"""The public names: those that the pages of the reference list."""
ROOMS = sorted(file.parent for file in (ROOT / "src" / "mien").rglob("__init__.py"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


# ---------------------------------------------------------------- what a name stands for


def owner_and_rest(name: str) -> tuple[ModuleType, list[str]]:
    """The module of a name, and the names inside it."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            return importlib.import_module(".".join(parts[:end])), parts[end:]
        except ModuleNotFoundError as error:
            if error.name is None or not ".".join(parts[:end]).startswith(error.name):
                raise
    raise ModuleNotFoundError(name)


def value_of(name: str) -> Any:
    module, rest = owner_and_rest(name)
    return functools.reduce(getattr, rest, module)


def docstring_of(name: str) -> str:
    """The docstring of a name; that of a constant is the text below its assignment."""
    value = value_of(name)
    if inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value)):
        return inspect.getdoc(value) or ""
    module, rest = owner_and_rest(name)
    statements = ast.parse(inspect.getsource(module)).body
    imported = [s.module for s in statements if isinstance(s, ast.ImportFrom) and rest[0] in {a.name for a in s.names}]
    if imported:
        return docstring_of(f"{imported[0]}.{rest[0]}")
    for assignment, text in itertools.pairwise(statements):
        targets = getattr(assignment, "targets", None) or [getattr(assignment, "target", None)]
        if rest[0] in {one.id for one in targets if isinstance(one, ast.Name)} and isinstance(text, ast.Expr):
            return inspect.cleandoc(ast.literal_eval(text.value))
    return ""


def members_of(name: str) -> dict[str, str]:
    """Public method or property of a class → its docstring; those that a class has from elsewhere are left out."""
    value = value_of(name)
    if not inspect.isclass(value):
        return {}
    classes = [one for one in value.__mro__ if one.__module__.startswith("mien.")]
    names = {key: member for one in reversed(classes) for key, member in vars(one).items() if not key.startswith("_")}
    if LISTED[name]:
        names = {key: names[key] for key in LISTED[name].split(", ")}
    code = (property, classmethod, staticmethod, functools.cached_property)
    return {
        key: inspect.getdoc(getattr(value, key)) or ""
        for key, member in names.items()
        if isinstance(member, code) or inspect.isfunction(inspect.unwrap(member))
    }


def examples_in(text: str, name: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(text, name)


# ---------------------------------------------------------------- what examples have at hand


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("examples"))


def make_files(folder: Path) -> Path:
    Image.fromarray(astronaut()).save(folder / "photo.jpg", quality=95)
    Image.fromarray(hopper()).save(folder / "other.jpg", quality=95)
    draw = side_by_side(*(make((160, 144), eye_distance=30.0) for make in (Pan.astronaut, Pan.hopper)))
    clip(folder / "clip.mp4", frames=25, draw=draw)
    return folder


@pytest.fixture(scope="module")
def at_hand(files: Path) -> dict[str, Any]:
    """What `docs/api/index.md` states: the values that examples use without making them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(files)
        return values_at_hand()


def values_at_hand() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    dataset = Dataset(
        images=rng.integers(0, 256, (70, 48, 48, 1), np.uint8),
        split=np.repeat(["train", "validation", "test"], [42, 14, 14]),
        row=np.arange(70, dtype=np.int32),
        info=DatasetInfo("made", "fer2013"),
        emotion=np.tile(np.arange(7, dtype=np.int8), 10),
    )
    write_prepared(dataset, "made.parquet")
    recipe = Recipe(
        name="small",
        summary="one epoch",
        task="emotion",
        network="emotion-fast",
        heads=(HeadSpec("fer2013", FER2013.names, "emotion"),),
        epochs=1,
        mean=(0.5,),
        std=(0.25,),
        ema=None,
        precision="float32",
    )
    analyzer = mien.Analyzer(threads=1)
    return {
        "mien": mien,
        "np": np,
        "Path": Path,
        "analyzer": analyzer,
        "result": analyzer.analyze("photo.jpg"),
        "report": analyzer.video("clip.mp4"),
        "dataset": dataset,
        "recipe": recipe,
        "run": train(recipe, Path("made.parquet"), Path("run"), threads=1, progress=False),
    }


def run_examples(text: str, name: str, at_hand: dict[str, Any]) -> str:
    """What doctest reports about the examples of a text; empty where all print what is written."""
    value = inspect.unwrap(value_of(name))
    defined_in = value.__module__ if inspect.isclass(value) or inspect.isfunction(value) else None
    module = owner_and_rest(name)[0] if defined_in is None else importlib.import_module(defined_in)
    test = doctest.DocTestParser().get_doctest(text, {**vars(module), **at_hand}, name, None, None)
    lines: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lines.append)
    return "".join(lines)


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_public_names_run(
    name: str, files: Path, at_hand: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [docstring_of(name), *members_of(name).values()]
    assert examples_in(texts[0], name), f"{name} has no example"
    skipped = [e.source for text in texts for e in examples_in(text, name) if e.options.get(doctest.SKIP)]
    assert not skipped, "an example that is skipped shows nothing"
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for text in texts:
        failures = run_examples(text, name, at_hand)
        assert not failures, failures


@pytest.mark.parametrize("name", NAMES)
def test_methods_of_public_classes_are_shown(name: str) -> None:
    members = members_of(name)
    used = "".join(e.source for text in (docstring_of(name), *members.values()) for e in examples_in(text, name))
    unseen = [m for m, text in members.items() if not text or not re.search(rf"\.{m}\b", used)]
    assert not unseen


FIELDS_ELSEWHERE = {"mien.server.limits.ServiceLimits"}
"""Data classes whose fields describe themselves: `mien.server.limits.describe_limits`."""


@pytest.mark.parametrize("name", NAMES)
def test_public_docstrings_state_arguments_and_fields(name: str) -> None:
    value = value_of(name)
    text = docstring_of(name)
    if inspect.isclass(value) and dataclasses.is_dataclass(value) and name not in FIELDS_ELSEWHERE:
        assert "Attributes:" in text
    functions = [(value, text)] if inspect.isfunction(inspect.unwrap(value)) else []
    for member, own in members_of(name).items():
        if inspect.isfunction(inspect.unwrap(getattr(value, member))) or inspect.ismethod(getattr(value, member)):
            functions.append((getattr(value, member), own))
    for function, own in functions:
        parameters = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
        if len(parameters) > 1:
            missing = [one for one in parameters if not re.search(rf"^    \*{{0,2}}{one}: ", own, re.MULTILINE)]
            assert not missing, f"{function.__qualname__}: {missing}"


def test_the_reference_names_everything_once() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert len(re.findall(r"^::: ", text, re.MULTILINE)) == len(NAMES) > 200
    values = [id(value_of(name)) for name in NAMES if callable(value_of(name))]
    assert len(values) == len(set(values))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: ".".join(room.relative_to(ROOT / "src").parts))
def test_what_a_package_offers_is_in_the_reference(room: Path) -> None:
    package = importlib.import_module(".".join(room.relative_to(ROOT / "src").parts))
    offered = {f"{package.__name__}.{name}" for name in getattr(package, "__all__", ())}
    assert not offered - set(NAMES)


def test_every_page_of_the_reference_is_in_its_overview_and_in_the_navigation() -> None:
    overview = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"api/{page.name}" in navigation
        assert page.name == "index.md" or f"({page.name})" in overview
