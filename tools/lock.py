"""Write requirements/core.lock and requirements/dev.lock: every package that `make` installs, with the hashes of its files.

make lock        (python tools/lock.py, with uv on PATH)

Versions are those of constraints.txt, and on Python 3.10, for which that names none, the newest that run there. Both files are
for Python 3.10 and later on Linux, macOS and Windows. Nothing is downloaded but the index's metadata. torch is left out: it has
one build per accelerator, from indexes of their own, so `make` installs the version of constraints.txt beside the lock.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "requirements"
BUILD = ("hatchling", "editables")
"""What builds Mien itself."""
OF_TORCH = ("filelock", "networkx", "setuptools", "sympy")
"""What torch needs and nothing else here does."""
HEADER = "# written by tools/lock.py (make lock); pip install --require-hashes --no-deps -r requirements/{name}\n"


def write(name: str, extras: tuple[str, ...], more: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        added, override, out = (Path(folder) / file for file in ("more.in", "override.txt", "out.txt"))
        added.write_text("\n".join(more) + "\n")
        override.write_text("torch ; python_version < '3'\n")
        subprocess.run(
            [
                "uv", "pip", "compile", "pyproject.toml", str(added), *(f"--extra={extra}" for extra in extras),
                "--constraint", "constraints.txt", "--override", str(override), "--universal", "--python-version", "3.10",
                "--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--output-file", str(out),
            ],
            cwd=ROOT,
            check=True,
        )  # fmt: skip
        (LOCKS / name).write_text(HEADER.format(name=name) + out.read_text())


def main() -> None:
    LOCKS.mkdir(exist_ok=True)
    write("core.lock", (), BUILD)
    write("dev.lock", ("all", "dev"), BUILD + OF_TORCH)


if __name__ == "__main__":
    main()
