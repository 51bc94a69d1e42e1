"""Opening a file that a caller names, with errors that give advice."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from mien.errors import InputError, MissingFileError


def open_file(path: str) -> BinaryIO:
    """Open a file for reading bytes.

    Raises:
        MissingFileError: no such file.
        InputError: a folder, or a file that cannot be opened.
    """
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise MissingFileError(
            "no such file", path=path, advice=f"check the path, relative ones start at {Path.cwd()}"
        ) from None
    except NotADirectoryError:
        raise MissingFileError("no such file", path=path, advice="a part of the path is a file, not a folder") from None
    except IsADirectoryError:
        raise InputError("is a folder", path=path, advice="give the files in it, one at a time") from None
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=path) from None
    except ValueError as error:
        raise InputError(f"is not a path: {error}", path=path) from None
