"""Writing files so that an interrupted run leaves no partial file, and checks of what files state about themselves.

Every writer of the package uses `atomic_path` or `AppendFile`, which treat targets alike: links are followed, devices
and pipes are written through, and errors of the system become one `OutputError`. What must not be replaced is refused
before the work, by `mien.output_checks`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.errors import InputError, MienError, OutputError
from mien.file_lock import FileLock, lock_descriptor, lock_folder, output_locked_error

STDOUT = Path("/dev/stdout")
"""The path that means standard output, on every system."""
OUTPUT_MARKER = ".mien-output"
"""File in a folder of annotated pictures or videos: folders that have it are no inputs of a later run."""
FULL = frozenset({"ENOSPC", "EDQUOT", "EFBIG", "EROFS"})
"""``details["errno"]`` of an `OutputError` after which no other file can be written there either."""

PARTS = ".parts"
"""End of the name of a `PartsFolder`."""

_LONGEST_NAME = 255
_SHORT_NAME = 32
"""Bytes of a temporary name that any file system holds, whatever the final name."""
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]+)")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], *, folder: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is moved into place, on any error it is removed.

    The temporary name keeps the suffix, because encoders choose the format by it. Parent folders are made. Links are
    followed. A device or a pipe is written at the end, with the whole content.

    Args:
        path: the file to write.
        folder: folder of the temporary file, on the same disk; by default that of ``path``. A kill leaves the temporary
            file, so a folder that is cleaned up later is a good place.

    Raises:
        InputError: ``path`` is a folder.
        OutputError: the system refuses to write; also for an `OSError` of the body.
    """
    target = output_file(path)
    with output_errors(target):
        special = is_special(target)
        if special:
            parent = Path(tempfile.gettempdir())
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            parent = target.parent if folder is None else folder
        handle, name = tempfile.mkstemp(*_temporary_name(target, Path(path).suffix), dir=parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if special:
                _copy_into(temporary, target)
                return
            # mkstemp makes files private; a result has the permissions any new file of the user has
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a UTF-8 file, whole or not at all, and return its path; `OutputError` where that fails.

    Bytes of a file name that are not valid text become escapes.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file, whole or not at all, and return its path; `OutputError` where that fails."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


@contextlib.contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the system while ``path`` is written (disk full, no permission) into one `OutputError`.

    Its ``details`` hold the name of the system's error, such as "ENOSPC", as ``errno``.
    """
    try:
        yield
    except (MienError, BrokenPipeError):
        raise
    except OSError as error:
        raise OutputError(
            f"cannot be written: {error.strerror or error}",
            path=path,
            advice="what was written before is kept",
            details={"errno": errno.errorcode.get(error.errno or 0)},
        ) from None


def output_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file to be written, with links followed; `InputError` where it is a folder.

    Raises:
        InputError: ``path`` is a folder.
        OutputError: it cannot be written: one of its parents is a file, or the nearest folder that exists may not be
            written to.
    """
    with output_errors(path):
        target = _follow_links(Path(path))
        if target.is_dir():
            raise InputError("is a folder", path=path, advice="give the name of a file in it")
        if is_special(target):
            return target
        _check_folder(path, target.parent)
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target


def output_folder(path: str | os.PathLike[str]) -> Path:
    """The path of a folder to write into, with links followed; it need not exist.

    Raises:
        InputError: it is a file.
        OutputError: it, or the nearest folder that exists, may not be written to.
    """
    with output_errors(path):
        target = _follow_links(Path(path))
        if target.exists() and not target.is_dir():
            raise InputError("is a file", path=path, advice="give a folder to write to")
        _check_folder(path, target)
    return target


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder to write into, with its parents; errors as those of `output_folder`."""
    target = output_folder(path)
    with output_errors(path):
        target.mkdir(parents=True, exist_ok=True)
    return target


@contextlib.contextmanager
def marked_folder(folder: Path) -> Iterator[None]:
    """Make a folder for results, lock it, and mark it, so that it is not analysed later as a part of its parent.

    A folder that holds something already is never marked: its files may be originals. Where nothing is written, a new
    folder is removed again.

    Raises:
        InputError: with the code "output-locked": another run writes into it.
        OutputError: it cannot be made.
    """
    marker = folder / OUTPUT_MARKER
    is_new = not os.path.lexists(folder)
    make_folder(folder)
    with output_errors(folder):
        lock = lock_folder(folder)
        mark = is_new or not any(folder.iterdir())
        if mark:
            marker.touch()
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            if mark and {path.name for path in folder.iterdir()} <= {OUTPUT_MARKER}:
                marker.unlink(missing_ok=True)
                if is_new:
                    folder.rmdir()


def _check_folder(path: str | os.PathLike[str], folder: Path) -> None:
    for parent in (folder, *folder.parents):
        if parent.is_dir():
            if not os.access(parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        if os.path.lexists(parent):
            raise NotADirectoryError(errno.ENOTDIR, f"{parent} is not a folder")


def check_temporary_folder() -> Path:
    """The folder for temporary files; `OutputError` where none can be written to."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise OutputError(
            "no temporary folder can be written to", advice="make room, or set TMPDIR to a folder with some"
        ) from None


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for intermediate files, removed at the end; `OutputError` where it cannot be written."""
    where = check_temporary_folder()
    with output_errors(where), tempfile.TemporaryDirectory(prefix="mien-") as folder:
        yield Path(folder)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a device, a pipe or an open descriptor: written through, never replaced."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - that of Path raises for names from a damaged list
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """Number of the open file that a path such as ``/dev/stdout`` means, None for any other path."""
    text = Path(path).as_posix()
    if text == STDOUT.as_posix():
        return 1
    if text == "/dev/stderr":
        return 2
    match = _DESCRIPTOR.fullmatch(text)
    return int(match[1]) if match else None


def companion(path: Path, suffix: str) -> Path:
    """The file or folder ``<name><suffix>`` beside a file that is not finished; a hash where the name is too long."""
    name = f"{path.name}{suffix}"
    if len(os.fsencode(name)) + len("..done") > _LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}{suffix}"
    return path.with_name(name)


class PartsFolder:
    """The folder for the parts of a file that is not finished, ``<name>.parts`` beside it; one run holds it at a time.

    For a device or a pipe it is a temporary one, because a later run cannot continue it. A folder of that name that
    Mien did not make is never touched: `OUTPUT_MARKER` is in those that it made.

    Attributes:
        path: the folder.
    """

    def __init__(self, file: Path, *, keep: bool) -> None:
        """Make the folder.

        Args:
            file: the file that its parts will become.
            keep: leave what an earlier run wrote into it.

        Raises:
            InputError: another run holds it, or it holds something else.
            OutputError: it cannot be made.
        """
        self._temporary = is_special(file)
        self._lock: FileLock | None = None
        with output_errors(file):
            if self._temporary:
                self.path = Path(tempfile.mkdtemp(prefix="mien-"))
                return
            self.path = companion(file, PARTS)
            self._claim(keep)

    def _claim(self, keep: bool) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / OUTPUT_MARKER).exists() and any(self.path.iterdir()):
            raise InputError(
                "holds files that Mien did not write", path=self.path, advice="move them, or choose another output"
            )
        self._lock = lock_folder(self.path)
        (self.path / OUTPUT_MARKER).touch()
        if not keep:
            for old in self.path.iterdir():
                if old.name != OUTPUT_MARKER and not old.is_dir():
                    old.unlink()

    def remove(self) -> None:
        """Remove the folder and its parts; others may write the file from now on."""
        if os.name != "posix":
            self.release()  # folders with open files are not renamed there
        remove_folder(self.path)
        self.release()

    def stop(self) -> None:
        """Leave the parts to a later run, where there are any and it can find them."""
        empty = self.path.is_dir() and all(one.name == OUTPUT_MARKER for one in self.path.iterdir())
        if self._temporary or empty:
            self.remove()
        self.release()

    def release(self) -> None:
        """Let another run have the folder."""
        if self._lock is not None:
            self._lock.release()


def unique_name(stem: str, suffix: str, used: set[str], *, room: int = 0) -> str:
    """``stem + suffix``, or with a number where that is in ``used``; the name is added to it.

    Args:
        stem: the name, which is shortened where the file system could not hold the whole.
        suffix: its end.
        used: the names so far.
        room: bytes that will be added to the name.

    Examples:
        >>> unique_name("a", ".png", {"a.png"})
        'a-2.png'
    """
    ends = itertools.chain([suffix], (f"-{i}{suffix}" for i in itertools.count(2)))
    names = (_shortened(stem, _LONGEST_NAME - room - len(os.fsencode(end))) + end for end in ends)
    name = next(name for name in names if name not in used)
    used.add(name)
    return name


def _shortened(name: str, most: int) -> str:
    """The beginning of a name, in ``most`` bytes at most."""
    while len(os.fsencode(name)) > most:
        name = name[:-1]
    return name


def _follow_links(path: Path) -> Path:
    """Where a file is written: the end of a chain of links, which need not exist yet."""
    for _ in range(40):
        if is_special(path) or not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return path


def _temporary_name(target: Path, suffix: str) -> tuple[str, str]:
    """Suffix and prefix for mkstemp: a hidden name, not longer than the final one or than a few characters."""
    suffix = suffix if len(os.fsencode(suffix)) <= _SHORT_NAME // 2 else ""
    room = max(len(os.fsencode(target.name)), _SHORT_NAME) - len(os.fsencode(f".-12345678{suffix}"))
    return suffix, f".{_shortened(target.stem, room)}-"


def _open_special(path: Path) -> int:
    """A handle on a device or a pipe, or on what an open descriptor writes to, at its place."""
    descriptor = descriptor_of(path)
    if descriptor is not None:
        return os.dup(descriptor)
    return os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))


def _open_or_create(path: Path) -> tuple[int, bool]:
    """A handle for writing, and whether the file is new."""
    flags = os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, flags), False


def _copy_into(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as content, os.fdopen(_open_special(target), "wb") as stream:
        shutil.copyfileobj(content, stream)


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if os.name != "posix" and Path(path).is_dir():
        return  # only POSIX opens folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder atomically: it is renamed first, so that no other process reads it half empty."""
    renamed = folder.with_name(f".{folder.name}.done")
    shutil.rmtree(renamed, ignore_errors=True)
    if folder.is_dir():
        with output_errors(folder):
            folder.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)


class AppendFile:
    """A file that grows at its end. A failed or interrupted `append` leaves the file as it was before."""

    def __init__(self, path: Path, keep: int = 0) -> None:
        """Open ``path`` for appending after its first ``keep`` bytes.

        The rest is truncated by the first `append` or `sync`.

        Raises:
            InputError: with the code "output-locked": another run writes to it.
            OutputError: it cannot be written.
        """
        self._path = path
        self._truncated = self._created = self._written = False
        self._end = keep
        with output_errors(path):
            # a pipe or a terminal can be written too, but neither truncated nor synchronised
            self._regular = not is_special(path)
            if self._regular:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._handle, self._created = _open_or_create(path)
                try:
                    if not lock_descriptor(self._handle):
                        raise output_locked_error(path)
                    sync(path.parent)
                except BaseException:
                    os.close(self._handle)
                    raise
            else:
                self._handle = _open_special(path)

    def append(self, data: bytes) -> None:
        """Write all of ``data``, or, with an `OutputError`, none of it."""
        rest = memoryview(data)
        try:
            with output_errors(self._path):
                self._truncate_once()
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                self._truncate()
            raise
        self._end += len(data)
        self._written = True

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        if self._regular:
            with output_errors(self._path):
                self._truncate_once()
                os.fsync(self._handle)
                self._written = True

    def close(self) -> None:
        """Close the file, and remove it where it is new and nothing was written; without effect where it is closed."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            with output_errors(self._path):
                if self._created and not self._written:
                    self._path.unlink(missing_ok=True)
                os.close(handle)

    def _truncate_once(self) -> None:
        if not self._truncated:
            self._truncate()
            self._truncated = True

    def _truncate(self) -> None:
        if self._regular:
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)


def append(path: Path, data: bytes, keep: int) -> None:
    """Add to a file after its first ``keep`` bytes, all or nothing; `OutputError` where that fails."""
    file = AppendFile(path, keep)
    try:
        file.append(data)
    finally:
        file.close()


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file; False for a name that no file can have, such as one that is too long."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for impossible names, as from a damaged list


def can_hold(size: int, rows: Sequence[int]) -> bool:
    """Whether a Parquet file of ``size`` bytes can hold row groups of so many rows, with at least one bit per row.

    Readers allocate memory for as many rows as a file states, so a damaged number has to be refused first.
    """
    return all(count >= 0 for count in rows) and sum(rows) <= 8 * size
