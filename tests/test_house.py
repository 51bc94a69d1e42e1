"""The map of the code holds: every module stands in a layer, and what the docs name exists."""

from __future__ import annotations

import ast
import configparser
import importlib
import pkgutil
import re
from pathlib import Path

import click
import pytest

import mien
from mien.cli import cli

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "mien"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(m.name for m in pkgutil.walk_packages(mien.__path__, "mien.") if not m.name.endswith("__main__"))
ABOVE_ALL = {"mien"}
"""The package itself, which only names what is public."""
HISTORY = {"changelog.md", "CHANGELOG.md"}


def contract(name: str, key: str) -> set[str]:
    """The modules under a key of a contract."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    text = contracts[f"importlinter:contract:{name}"][key]
    return {one.strip() for line in text.splitlines() for one in line.split("|") if one.strip()}


def layered() -> set[str]:
    """What the layer contracts name."""
    return contract("layers", "layers") | contract("training", "layers")


def test_every_module_stands_in_a_layer() -> None:
    layers = layered()
    outside = [
        module
        for module in MODULES
        if not any(module == layer or module.startswith(f"{layer}.") for layer in layers)
        # a package whose modules stand in layers of their own holds no code
        and any(not line.startswith(('"""', "#")) for line in _code(module))
    ]
    assert not outside


def _code(module: str) -> list[str]:
    path = SRC.parent / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = re.sub(r'^""".*?"""', "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for line in text.splitlines() if line.strip()]


def test_layers_name_modules_that_exist() -> None:
    assert not [layer for layer in layered() if layer not in MODULES]


def test_no_module_of_inference_may_load_a_training_package() -> None:
    # the command line and the list of licences are about both
    inference = contract("layers", "layers") - {"mien.cli", "mien.provenance"}
    assert contract("inference-without-torch", "source_modules") == inference
    training = {".".join(layer.split(".")[:2]) for layer in contract("training", "layers")}
    training -= contract("layers", "layers")
    assert training | {"torch"} <= contract("inference-without-torch", "forbidden_modules")
    assert "mien.published" in training


def test_no_two_public_classes_have_one_name() -> None:
    found: dict[str, list[str]] = {}
    for file in sorted(SRC.rglob("*.py")):
        # classes of the HTTP schemas have the names of what they describe
        if file.name != "schemas.py":
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found.setdefault(node.name, []).append(str(file.relative_to(SRC)))
    assert not {name: files for name, files in found.items() if len(files) > 1}


def known(name: str) -> bool:
    """Whether ``mien.a.b.C.d`` is a module, or what one holds."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        module = ".".join(parts[:cut])
        if module not in MODULES and module != "mien":
            continue
        found: object = importlib.import_module(module)
        for part in parts[cut:]:
            fields = getattr(found, "__dataclass_fields__", {}) | getattr(found, "__annotations__", {})
            if part in fields:
                return True
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


KEYS = {"mien.card", "mien.dataset"}
"""Keys of metadata in files, which look like names."""
NAME = re.compile(r"`(mien(?:\.\w+)+)(?:\([^`]*\))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_in_the_docs_exist(page: Path) -> None:
    names = set(NAME.findall(page.read_text(encoding="utf-8"))) - KEYS
    assert not [name for name in names if not known(name)]


def test_names_in_docstrings_exist() -> None:
    wrong = []
    for file in sorted(SRC.rglob("*.py")):
        names = set(NAME.findall(file.read_text(encoding="utf-8"))) - KEYS
        wrong += [f"{file.relative_to(ROOT)}: {name}" for name in names if not known(name)]
    assert not wrong


CODE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.py)`")
FOLDER = re.compile(r"`((?:src|tests|docs|tools|benchmarks|examples|deploy)/[\w./-]*|(?:[a-z_]+/)+)`")
TOPS = ("src", "tests", "docs", "tools", "benchmarks", "examples", "deploy")
FILES = {*TOPS, *(str(p.relative_to(ROOT)) for top in TOPS
                  for p in (ROOT / top).rglob("*") if "__pycache__" not in p.parts)}  # fmt: skip
THEIRS = {
    "my.py",
    "train/",
    "labels/",
    "wider_face_split/",
    "val/",
    "validation/",
    "test/",
    "reports/",
    "report/",
    "runs/",
    "data/",
    "out/",
    "dist/",
    "docs/",
}
"""Files and folders of a user, in examples."""


def _stands(path: str) -> bool:
    wanted = path.rstrip("/")
    return any(f"/{file}".endswith(f"/{wanted}") for file in FILES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_in_the_docs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(CODE.findall(text)) | set(FOLDER.findall(text))
    assert not [path for path in sorted(named - THEIRS) if not _stands(path)]


CODE_SPAN = re.compile(r"`(mien [^`\n]+)`|^(?: {4}|\$ )?(mien [^\n]+)$", re.MULTILINE)


def _commands_in(text: str) -> list[str]:
    return [(span or line).strip() for span, line in CODE_SPAN.findall(text)]


def _command(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """The command that a line calls, and the words after its name."""
    found: click.Command = cli
    while words and isinstance(found, click.Group):
        inner = found.get_command(click.Context(found), words[0])
        if inner is None:
            return (None, words) if words[0].isalpha() and words[0].islower() else (found, words)
        found, words = inner, words[1:]
    return found, words


def _unknown(text: str) -> list[str]:
    wrong = []
    for line in _commands_in(text):
        command, rest = _command(line.split()[1:])
        if command is None:
            wrong.append(line)
            continue
        known = {
            name
            for parameter in (*command.params, *cli.params)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        given = {word.split("=")[0].rstrip(".,;:)]") for word in rest if word.startswith("--") and word != "--"}
        wrong += [f"{line}: {option}" for option in sorted(given - known - {"--help", "--version"})]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_in_the_docs_exist(page: Path) -> None:
    assert not _unknown(page.read_text(encoding="utf-8"))


def test_commands_and_options_in_docstrings_and_messages_exist() -> None:
    wrong = []
    for file in sorted(SRC.rglob("*.py")):
        spans = "\n".join(f"`{span}`" for span in re.findall(r"`(mien [^`\n]+)`", file.read_text(encoding="utf-8")))
        wrong += [f"{file.relative_to(ROOT)}: {one}" for one in _unknown(spans)]
    assert not wrong


def test_the_tree_of_the_architecture_names_what_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = text.split("```text\nsrc/mien/\n")[1].split("```")[0]
    at: list[str] = []
    named = set()
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        at = [*at[: depth - 1], line.split()[0]]
        named.add("".join(at))
    assert not [path for path in sorted(named) if not (SRC / path).exists()]
    stages = {f"{path.name}/" for path in SRC.iterdir() if (path / "__init__.py").is_file()}
    files = {path.name for path in SRC.glob("*.py") if path.name != "__main__.py"}
    assert not (stages | files) - named


def test_tests_that_tools_and_make_name_exist() -> None:
    check = (ROOT / "tools" / "release_check.py").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:WITH_TRAINING|PINNED|QUICK) = \((.*?)\)", check, re.DOTALL | re.MULTILINE)
    named = {f"tests/{name}" for text in lists for name in re.findall(r'"([^"]+)"', text)}
    named |= set(re.findall(r"tests/[\w/]+", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert len(named) > 20
    assert not [name for name in sorted(named) if not _stands(name) and not _stands(f"{name}.py")]
