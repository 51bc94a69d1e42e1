"""Pages and notebooks of the docs, run as a reader runs them: their blocks in order, in one folder.

    run_page(page, folder)      # raises PageError with the line of the page where what it shows is not what happens

A block is fenced with ``sh``, ``python`` or ``r``. Python blocks of a page share their names, as in one session; shell
blocks run in bash, where a line that starts `mien serve` is a service of its own until the page ends. A ``text`` or
``json`` block that follows is what the block before it prints: numbers may differ by `TOLERANCE`, runs of blanks by
their length, and ``…`` stands for anything.

Comments before a block or at the top of a page steer this, and are not shown:

    <!-- test: needs pandas, Rscript -->    modules or programs without which the page is left out
    <!-- test: not run: a camera -->        the next block is checked for known commands alone (tests/test_house.py)

``pip install`` lines check that the extras exist and install nothing. A `mien train` line without ``--epochs`` runs for
one epoch, because made data need no more.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from helpers.serving import ServeProcess

TOLERANCE = 0.03
"""Share by which a number that a page shows may differ; small whole numbers may not."""
SHELLS, PYTHON, R, OUTPUTS = ("sh", "bash"), ("python",), ("r",), ("text", "json")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!-- test: (.*?) -->")
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:e-?\d+)?")
PORT = "8000"
"""The port that pages show; tests use a free one."""
EPOCHS = "1"
MIEN = (sys.executable, "-m", "mien")


class PageError(AssertionError):
    """What a page shows and what happens differ."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, or a cell of a notebook.

    Attributes:
        page: its file.
        line: of the page where it starts.
        language: of the block.
        text: what it holds.
        shown: what the page shows as its output; None where it shows none.
        run: whether it is run.
    """

    page: Path
    line: int
    language: str
    text: str
    shown: str | None
    run: bool

    @property
    def place(self) -> str:
        return f"{self.page.name}, line {self.line}"


def read_blocks(page: Path) -> list[Block]:
    """The blocks of a Markdown page or a notebook that can be run, in order."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        return _cells(page, json.loads(text))
    blocks: list[Block] = []
    fences = list(FENCE.finditer(text))
    for index, fence in enumerate(fences):
        language = fence[1]
        if language not in (*SHELLS, *PYTHON, *R):
            continue
        before = text[fences[index - 1].end() if index else 0 : fence.start()]
        after = fences[index + 1] if index + 1 < len(fences) else None
        follows = after is not None and after[1] in OUTPUTS and not text[fence.end() : after.start()].strip()
        left_out = any(note.startswith("not run") for note in COMMENT.findall(before))
        line = text.count("\n", 0, fence.start()) + 2
        blocks.append(Block(page, line, language, fence[2], after[2] if after and follows else None, not left_out))
    return blocks


def _cells(page: Path, notebook: dict[str, Any]) -> list[Block]:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [
        Block(
            page,
            number,
            "python",
            "".join(cell["source"]),
            "".join("".join(out["text"]) for out in cell["outputs"] if out["output_type"] == "stream"),
            True,
        )
        for number, cell in enumerate(cells, 1)
    ]


def missing(page: Path) -> list[str]:
    """Modules and programs that a page needs and that are not there."""
    notes = COMMENT.findall(page.read_text(encoding="utf-8"))
    needs = [name.strip() for note in notes if note.startswith("needs ") for name in note[6:].split(",")]
    return [name for name in needs if find_spec(name) is None and shutil.which(name) is None]


def run_page(page: Path, folder: Path, *, programs: Path, mien: Sequence[str] = MIEN) -> int:
    """Run the blocks of a page in ``folder``, which must be the current one, and compare what they print.

    Args:
        page: a Markdown file or a notebook.
        folder: where it is run.
        programs: an empty folder for the commands that a page calls: mien, python, pip.
        mien: what runs the command line, see `helpers.command_server`.

    Returns:
        The number of blocks that were run.

    Raises:
        PageError: a block fails or prints something else than the page shows.
    """
    blocks = [block for block in read_blocks(page) if block.run]
    with Session(folder, programs, mien) as session:
        for block in blocks:
            printed = session.run(block)
            if block.shown is not None and (difference := compare(block.shown, printed)):
                raise PageError(f"{block.place}: {difference}\n--- printed ---\n{printed}")
    return len(blocks)


class Session:
    """One reader at one page: the names that Python blocks made, and the service that a shell block started."""

    def __init__(self, folder: Path, programs: Path, mien: Sequence[str] = MIEN) -> None:
        self._folder, self._names = folder, {"__name__": "__page__"}
        self._service: ServeProcess | None = None
        self._port = PORT
        _write_programs(programs, mien)
        self._environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
        }

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self._names.clear()
        if self._service is not None:
            self._service.__exit__(*exc)

    def run(self, block: Block) -> str:
        """What a block prints."""
        if block.language in PYTHON:
            return self.run_python(block)
        if block.language in R:
            session = f'if (file.exists(".RData")) load(".RData")\n{block.text}\nsave.image()\n'
            return self.run_program(block, "Rscript", "-e", session)
        return self.run_shell(block)

    def run_shell(self, block: Block) -> str:
        """What a shell block prints on stdout and stderr, as a terminal shows it."""
        printed = ""
        for index, part in enumerate(re.split(r"^(mien serve.*\n)", block.text, flags=re.MULTILINE)):
            if index % 2:
                self._serve(part)
            elif part.strip():
                script = part.replace(f":{PORT}", f":{self._port}")
                printed += self.run_program(block, "bash", "-euo", "pipefail", "-c", script)
        return printed

    def run_program(self, block: Block, *command: str) -> str:
        """What a program prints on stdout and stderr."""
        run = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        if run.returncode != 0:
            raise PageError(f"{block.place}: exit code {run.returncode}\n{block.text}--- printed ---\n{run.stdout}")
        return run.stdout.replace(f":{self._port}", f":{PORT}")

    def run_python(self, block: Block) -> str:
        """What a Python block prints on stdout."""
        source = block.text.replace(f":{PORT}", f":{self._port}")
        printed = io.StringIO()
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if block.page.suffix == ".ipynb" else 0
        try:
            code = compile(source, f"<{block.place}>", "exec", flags)
            with contextlib.redirect_stdout(printed):
                exec(code, self._names)
        except Exception as error:
            raise PageError(f"{block.place}: {type(error).__name__}: {error}\n{block.text}") from error
        return printed.getvalue().replace(f":{self._port}", f":{PORT}")

    def _serve(self, line: str) -> None:
        if self._service is not None:
            self._service.__exit__()
        self._service = ServeProcess(*shlex.split(line, comments=True)[2:])
        self._port = str(self._service.port)


def _write_programs(folder: Path, command: Sequence[str]) -> None:
    """The commands of a reader's environment, which is the one of the tests."""
    mien = (
        f'run() {{ exec {shlex.join(command)} "$@"; }}\n'
        'case "$1 $*" in "train "*--epochs*|"train "*--list*|"train "*--help*|"train svm-"*) run "$@" ;;\n'
        f'"train "*) run "$@" --epochs {EPOCHS} ;; *) run "$@" ;; esac\n'
    )
    pip = f'exec {shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).with_name("page_pip.py")))} "$@"\n'
    python = f'exec {shlex.quote(sys.executable)} "$@"\n'
    for name, text in (("mien", mien), ("pip", pip), ("python", python), ("python3", python)):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


def compare(shown: str, printed: str) -> str:
    """What differs between what a page shows and what was printed; empty where nothing does."""
    printed_lines = [line for line in map(_squeeze, printed.splitlines()) if line]
    at, skipping = 0, False
    for line in (line for line in map(_squeeze, shown.splitlines()) if line):
        if line == "…":
            skipping = True
            continue
        found = next(_matches(line, printed_lines[at:], anywhere=skipping), None)
        if found is None:
            near = "nothing more" if at >= len(printed_lines) else repr(printed_lines[at])
            return f"the page shows {line!r}, printed was {near if not skipping else 'no such line'}"
        at, skipping = at + found + 1, False
    if not skipping and at < len(printed_lines):
        return f"the page does not show {printed_lines[at]!r}"
    return ""


def _matches(line: str, lines: list[str], *, anywhere: bool) -> Iterator[int]:
    for index, one in enumerate(lines if anywhere else lines[:1]):
        if _same_line(line, one):
            yield index


def _squeeze(line: str) -> str:
    return " ".join(re.sub(r"[│┃|┌┐└┘├┤┬┴┼─━┏┓┗┛┡┩╇┳]+", " ", line).split())


def _same_line(shown: str, printed: str) -> bool:
    """Whether words are equal and numbers near; ``…`` in the shown line stands for anything."""
    pattern = "(.*?)".join(
        r"(-?\d+(?:[.,]\d+)*(?:e-?\d+)?)".join(re.escape(text) for text in NUMBER.split(part))
        for part in shown.split("…")
    )
    match = re.fullmatch(pattern, printed)
    if match is None:
        return False
    parts = shown.split("…")
    numbers: list[str | None] = []
    for index, part in enumerate(parts):
        numbers += [None] * bool(index) + NUMBER.findall(part)
    return all(one is None or _near(one, got) for one, got in zip(numbers, match.groups(), strict=True))


def _near(shown: str, printed: str) -> bool:
    try:
        one, other = (float(text.replace(",", "")) for text in (shown, printed))
    except ValueError:
        return shown == printed
    digits = len(shown.partition(".")[2])
    slack = 1.5 * 10.0**-digits if digits else 0.0
    whole = not digits and abs(one) < 20
    return one == other if whole else abs(one - other) <= max(TOLERANCE * abs(one), slack, 0.0)
