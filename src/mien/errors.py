"""Every error Mien raises on purpose: one tree, and each is a builtin as well.

An error has fields, and its message is made from them: ``path: reason; advice``. Programs read ``code`` and the other
fields, people the message.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

_LONGEST, _END = 1500, 300
"""Characters of a message, and of its end, which holds the advice, where more would be left out."""
_MOST_NAMES = 20
"""Names in a message that has the nearest ones already."""
_LONGEST_PATH, _PATH_START, _PATH_END = 200, 120, 60
"""Characters of a path in a message, and of its two ends where it is longer."""

_Error = TypeVar("_Error", bound="MienError")


class MienError(Exception):
    """Base of all errors of this package; the command line prints its message as one line.

    Messages quote files and the libraries that read them. Whatever these hold comes out as one line of printable
    characters: a file must not control a terminal.

    Args:
        reason: what is wrong, for people; without the path and without the advice.
        path: the file, folder or address that it is about, None for none.
        advice: what to do next, None where the reason leaves no question.
        code: short name for programs, such as "image-unreadable"; stable over versions. By default that of the class.
        details: further facts for programs, such as ``{"pixels": 200_000_000}``; JSON-ready.

    Attributes:
        reason: as above.
        path: as text, None for none.
        advice: as above.
        code: as above.
        details: as above, empty by default.

    Examples:
        >>> error = ImageError("holds no picture", path="a.jpg", advice="check the file")
        >>> str(error), error.code, error.path
        ('a.jpg: holds no picture; check the file', 'image-unreadable', 'a.jpg')
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        reason: str,
        *,
        path: str | os.PathLike[str] | None = None,
        advice: str | None = None,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: str | None = None if path is None else os.fspath(path)
        self.advice = advice
        self.code = code or self.default_code
        self.details: Mapping[str, Any] = dict(details or {})

    def __str__(self) -> str:
        before = "" if self.path is None else f"{display_path(self.path)}: "
        after = "" if self.advice is None else f"; {self.advice}"
        return one_line(f"{before}{self.reason}{after}")

    def with_path(self: _Error, path: str | os.PathLike[str]) -> _Error:
        """The same error about ``path``, for a caller that knows which file was read.

        Examples:
            >>> str(ImageError("holds no picture").with_path("a.jpg"))
            'a.jpg: holds no picture'
        """
        fields = {"path": os.fspath(path), "advice": self.advice, "code": self.code, "details": self.details}
        return _rebuild(type(self), self.reason, fields)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {"path": self.path, "advice": self.advice, "code": self.code, "details": self.details}
        return _rebuild, (type(self), self.reason, fields)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields; those that are None or empty are left out.

        Examples:
            >>> InputError("top is at least 1, got 0").to_dict()
            {'code': 'input-invalid', 'reason': 'top is at least 1, got 0'}
        """
        fields = {"code": self.code, "reason": one_line(self.reason)}
        fields |= {} if self.path is None else {"path": self.path.encode("utf-8", "backslashreplace").decode()}
        fields |= {} if self.advice is None else {"advice": one_line(self.advice)}
        return fields | ({"details": dict(self.details)} if self.details else {})


def _rebuild(kind: type[_Error], reason: str, fields: Mapping[str, Any]) -> _Error:
    """What unpickling calls; constructors of subclasses may take other arguments."""
    error = kind.__new__(kind)
    MienError.__init__(error, reason, **fields)
    return error


def one_line(text: str) -> str:
    """``text`` as one line of printable characters, shortened in its middle where it is very long."""
    if not text.isprintable():
        text = _printable(" ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - _END]} … {text[-_END:]}"


def nearest_names(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that one may have been meant as, the nearest first.

    Examples:
        >>> nearest_names("emotoin-cpu", ("emotion-cpu", "age-cpu", "svm"))
        ['emotion-cpu']
    """
    import difflib  # only where something is wrong already

    own = {each.lower(): each for each in known}
    return [own[each] for each in difflib.get_close_matches(name.lower(), own, count, 0.6)]


def unknown_name(
    what: str, name: str, known: Iterable[str], *, code: str | None = None, details: Mapping[str, Any] | None = None
) -> InputError:
    """The error about a name that is not among the known ones, with the nearest of them.

    Examples:
        >>> str(unknown_name("recipe", "emotoin", ("emotion", "age")))
        "no recipe 'emotoin'; did you mean 'emotion'? There are emotion, age"
    """
    return InputError(f"no {what} {name!r}", advice=choose_one(name, known), code=code, details=details)


def choose_one(name: str, known: Iterable[str]) -> str:
    """Advice about a name that is not among the known ones: the nearest of them, and all there are, unless many.

    Examples:
        >>> choose_one("hapy", ("happy", "sad")), choose_one("x", ("happy", "sad"))
        ("did you mean 'happy'? There are happy, sad", 'there are happy, sad')
    """
    names = list(known)
    near = " or ".join(map(repr, nearest_names(name, names)))
    there_are = f"here are {', '.join(names)}"
    if near and len(names) > _MOST_NAMES:
        return f"did you mean {near}?"
    return f"did you mean {near}? T{there_are}" if near else f"t{there_are}"


def display_path(path: str) -> str:
    """A path or address as messages print it: printable, on one line, shortened in its middle where it is very long."""
    short = path if len(path) <= _LONGEST_PATH else f"{path[:_PATH_START]}…{path[-_PATH_END:]}"
    return _printable(short)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class InputError(MienError, ValueError):
    """An argument, array or option that cannot be used.

    Examples:
        >>> try:
        ...     mien.Analyzer(detector="mein")
        ... except mien.InputError as error:
        ...     print(error.code, "-", error)
        detector-unknown - no detector 'mein'; did you mean 'mien'? There are mien, mtcnn, yunet, res10, haar
    """

    default_code = "input-invalid"


class ImageError(MienError, ValueError):
    """A file or a byte string that is not a readable image.

    Examples:
        >>> try:
        ...     mien.load_image(b"no picture")
        ... except mien.ImageError as error:
        ...     print(error.code, "-", error.path)
        image-unreadable - <bytes>
    """

    default_code = "image-unreadable"


class ImageTooLargeError(ImageError):
    """An image that declares more pixels than are allowed; it was not decoded.

    ``details`` holds ``limit`` and ``pixels``, the number declared; None where Pillow's own limit refused the file.

    Examples:
        >>> try:
        ...     mien.load_image("photo.jpg", max_pixels=100)
        ... except ImageTooLargeError as error:
        ...     print(error.code, error.details)
        image-too-large {'pixels': 262144, 'limit': 100}
    """

    default_code = "image-too-large"


class VideoError(MienError, ValueError):
    """A video or stream that cannot be read.

    Examples:
        >>> _ = Path("damaged.mp4").write_bytes(Path("clip.mp4").read_bytes()[:200])
        >>> try:
        ...     analyzer.video("damaged.mp4")
        ... except mien.VideoError as error:
        ...     print(error.code, error.path)
        video-unreadable damaged.mp4
    """

    default_code = "video-unreadable"


class MissingFileError(MienError, FileNotFoundError):
    """A path that does not exist, or a folder without anything to read.

    Examples:
        >>> try:
        ...     mien.analyze("missing.jpg")
        ... except FileNotFoundError as error:
        ...     print(type(error).__name__, error.code, error.path)
        MissingFileError file-missing missing.jpg
    """

    default_code = "file-missing"


class DataError(MienError, ValueError):
    """A dataset whose layout, rows or labels are not as its format requires.

    Examples:
        >>> from mien.datasets import read_dataset
        >>> try:
        ...     read_dataset("photo.jpg")
        ... except mien.DataError as error:
        ...     print(error.code, error.path)
        dataset-unrecognised photo.jpg
    """

    default_code = "data-invalid"


class ModelError(MienError, RuntimeError):
    """A model file that is damaged, of the wrong kind, or whose hash is wrong.

    Examples:
        >>> _ = Path("damaged.onnx").write_bytes(b"no network")
        >>> try:
        ...     mien.Analyzer(models=["damaged.onnx"])
        ... except mien.ModelError as error:
        ...     print(error.code, error.path)
        model-invalid damaged.onnx
    """

    default_code = "model-invalid"


class ExportError(MienError, RuntimeError):
    """An exported model that does not compute what the trained one does.

    Examples:
        >>> issubclass(ExportError, RuntimeError), ExportError.default_code
        (True, 'export-differs')
    """

    default_code = "export-differs"


class TrainingError(MienError, RuntimeError):
    """A run that cannot be started, resumed or continued.

    Examples:
        >>> issubclass(TrainingError, RuntimeError), TrainingError.default_code
        (True, 'training-refused')
    """

    default_code = "training-refused"


class DownloadError(MienError, OSError):
    """A file that could not be fetched or whose hash was wrong after the fetch.

    Examples:
        >>> issubclass(DownloadError, OSError), DownloadError.default_code
        (True, 'download-failed')
    """

    default_code = "download-failed"


class OutputError(MienError, OSError):
    """A result that could not be written: a full disk, a folder that may not be written to.

    Examples:
        >>> _ = Path("file").write_text("not a folder")
        >>> try:
        ...     result.save("file/annotated.png")
        ... except mien.OutputError as error:
        ...     print(error.code)
        output-unwritable
    """

    default_code = "output-unwritable"


class MissingExtraError(MienError, ImportError):
    """A feature whose optional packages are not installed.

    Args:
        package: the package that is missing.
        extra: the extra of Mien that installs it.
        what: what needs it, as the subject of the message.

    Examples:
        >>> error = mien.MissingExtraError("av", "video", "reading videos")
        >>> error.package, error.extra
        ('av', 'video')
        >>> print(error)
        reading videos needs the package 'av'; pip install 'mien[video]'
    """

    default_code = "extra-missing"

    def __init__(self, package: str, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs the package '{package}'",
            advice=f"pip install 'mien[{extra}]'",
            details={"package": package, "extra": extra},
        )

    @property
    def package(self) -> str:
        """The package that is missing."""
        return str(self.details["package"])

    @property
    def extra(self) -> str:
        """The extra of Mien that installs it."""
        return str(self.details["extra"])
