"""Every error Mien raises on purpose. Each is also a builtin, and its message says what to do next."""

from __future__ import annotations

_LONGEST, _END = 1500, 300
"""Characters of a message, and of its end, which says what to do, where more would be left out."""


class MienError(Exception):
    """Base of all errors of this package; the command line prints its message as one line.

    Messages quote files and the libraries that read them. Whatever these hold comes out as one line of printable
    characters: a file must not tell a terminal what to do.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if not text.isprintable():
            words = " ".join(text.split())
            text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - _END]} … {text[-_END:]}"


class InputError(MienError, ValueError):
    """An argument, array or option that cannot be used."""


class ImageError(MienError, ValueError):
    """A file or a byte string that is not a readable image."""


class ImageTooLargeError(ImageError):
    """An image that declares more pixels than are allowed; it was not decoded."""


class VideoError(MienError, ValueError):
    """A video or stream that cannot be read."""


class MissingFileError(MienError, FileNotFoundError):
    """A path that does not exist, or a folder without anything to read."""


class DataError(MienError, ValueError):
    """A dataset whose layout, rows or labels are not as its format says."""


class ModelError(MienError, RuntimeError):
    """A model file that is damaged, of the wrong kind, or whose hash is wrong."""


class ExportError(MienError, RuntimeError):
    """An exported model that does not compute what the trained one does."""


class TrainingError(MienError, RuntimeError):
    """A run that cannot be started, resumed or continued."""


class DownloadError(MienError, OSError):
    """A file that could not be fetched or whose hash was wrong after the fetch."""


class OutputError(MienError, OSError):
    """A result that could not be written: a full disk, a folder that may not be written to."""


class MissingExtraError(MienError, ImportError):
    """A feature whose optional packages are not installed."""

    def __init__(self, package: str, extra: str, what: str) -> None:
        super().__init__(f"{what} needs the package '{package}': pip install 'mien[{extra}]'")
        self.package = package
        self.extra = extra
