"""Folders that a batch reads from and writes to: local ones, and any address that fsspec opens."""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from mien.errors import InputError, MienError, MissingExtraError, MissingFileError, OutputError
from mien.file_lock import FileLock, lock_folder
from mien.files import atomic_path, make_folder, output_errors, output_folder, sync, temporary_folder

ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})
"""Protocols whose files appear whole or not at all; elsewhere a file is written under another name and renamed."""


class OutputFolder(Protocol):
    """A folder that results are written to. A file appears whole or not at all; writing again replaces it."""

    name: str

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of what is in one of its folders, without hidden files; empty where there is no such folder."""
        ...

    def read(self, name: str) -> bytes:
        """Content of a file."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file; `OutputError` where that fails."""
        ...

    def remove_partial_files(self, folder: str) -> None:
        """Remove files that killed runs left half written in a folder."""
        ...

    def claim(self) -> None:
        """Lock the folder until `release`, where it has locks; `InputError` where another run holds it."""
        ...

    def release(self) -> None:
        """Unlock the folder."""
        ...


PARTIAL_FILES = (".part-*", ".manifest-*", ".manifest.json-*", ".plan-*", ".plan.parquet-*")
"""Names of files on the way to their final ones."""


def is_address(text: str) -> bool:
    """Whether ``text`` is a URL for fsspec, not a local path."""
    return "://" in text


def open_output_folder(where: str) -> OutputFolder:
    """The folder that a path or URL names; it need not exist.

    Raises:
        MissingExtraError: a URL, and fsspec or its package for this protocol is not installed.
        InputError: a file, or an unknown protocol.
    """
    if is_address(where):
        return RemoteFolder(where)
    return LocalFolder(output_folder(Path(where).absolute()))


class LocalFolder:
    """A folder on a local or mounted disk."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.name = folder, str(folder)
        self._lock: FileLock | None = None

    def names(self, folder: str = "") -> list[str]:
        """See `OutputFolder`."""
        try:
            return sorted(p.name for p in (self._folder / folder).iterdir() if not p.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=self.name) from None

    def read(self, name: str) -> bytes:
        """See `OutputFolder`."""
        path = self._folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise MissingFileError(f"cannot be read: {error.strerror}", path=path) from None

    def write(self, name: str, content: bytes) -> None:
        """See `OutputFolder`."""
        path = self._folder / name
        with output_errors(path):
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            sync(path.parent)

    def remove_partial_files(self, folder: str) -> None:
        """See `OutputFolder`."""
        for kind in PARTIAL_FILES:
            for left in (self._folder / folder).glob(kind):
                left.unlink(missing_ok=True)

    def claim(self) -> None:
        """See `OutputFolder`; the system releases the lock when the process ends."""
        make_folder(self._folder)
        with output_errors(self._folder):
            self._lock = lock_folder(self._folder)

    def release(self) -> None:
        """See `OutputFolder`."""
        if self._lock is not None:
            self._lock.release()


class RemoteFolder:
    """A folder behind an address."""

    def __init__(self, address: str) -> None:
        self.name = address.rstrip("/")
        self._files, self._root = filesystem(self.name)
        protocol = self._files.protocol
        self._atomic = bool(ATOMIC & {protocol} if isinstance(protocol, str) else ATOMIC & set(protocol))

    def names(self, folder: str = "") -> list[str]:
        """See `OutputFolder`."""
        path = self._path(folder)
        with convert_remote_errors(path):
            try:
                listing = self._files.ls(path, detail=False, refresh=True)
            except FileNotFoundError:
                return []
        names = {PurePosixPath(str(one)).name for one in listing if str(one).rstrip("/") != path.rstrip("/")}
        return sorted(name for name in names if name and not name.startswith("."))

    def read(self, name: str) -> bytes:
        """See `OutputFolder`."""
        with convert_remote_errors(self._path(name)):
            return bytes(self._files.cat_file(self._path(name)))

    def write(self, name: str, content: bytes) -> None:
        """See `OutputFolder`."""
        path = self._path(name)
        folder, _, file = path.rpartition("/")
        try:
            with convert_remote_errors(path):
                self._files.makedirs(folder, exist_ok=True)
                if self._atomic:
                    self._files.pipe_file(path, content)
                else:
                    # one name per process: two runs at once do not write into each other's file
                    temporary = f"{folder}/.{file}-{os.getpid()}"
                    self._files.pipe_file(temporary, content)
                    self._files.mv(temporary, path)
        except MienError as error:
            advice = "what was written before is kept"
            raise OutputError(error.reason, path=error.path, advice=advice) from None

    def remove_partial_files(self, folder: str) -> None:
        """See `OutputFolder`."""
        if self._atomic:
            return
        with convert_remote_errors(self._path(folder)):
            for kind in PARTIAL_FILES:
                for left in self._files.glob(f"{self._path(folder).rstrip('/')}/{kind}"):
                    self._files.rm_file(left)

    def claim(self) -> None:
        """See `OutputFolder`; nothing holds a lock behind an address."""

    def release(self) -> None:
        """See `OutputFolder`."""

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root.rstrip("/")


@functools.lru_cache(maxsize=16)
def filesystem(address: str) -> tuple[Any, str]:
    """Fsspec's file system for an address, and the path in it.

    Raises:
        MissingExtraError: fsspec, or what it needs for this protocol, is not installed.
        InputError: an unknown protocol.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError("fsspec", "batch", f"reading {address.split('://')[0]}://") from None
    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingExtraError(*_package_and_extra(address), f"{address.split('://')[0]}:// ({error})") from None
    except (ValueError, OSError, RuntimeError, TypeError, AttributeError) as error:
        # file systems that need more than an address raise errors of their own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(reason, path=address, advice="check the address") from None
    return files, str(path)


def read_files(paths: Sequence[str], *, ahead: int = 64) -> Iterator[bytes | MienError]:
    """The contents of files, in order, local or remote; for a file that cannot be read, its error.

    Remote files are fetched ``ahead`` at a time, because waiting for each in turn costs more than the analysis.
    """
    for root, alike in itertools.groupby(paths, root_of):
        if not root:
            yield from map(_read_local, alike)
            continue
        yield from _read_remote(list(alike), ahead)


def _read_remote(paths: Sequence[str], ahead: int) -> Iterator[bytes | MienError]:
    for start in range(0, len(paths), ahead):
        chunk = paths[start : start + ahead]
        try:
            files, _ = filesystem(root_of(chunk[0]))
        except MienError as error:
            yield from [error] * len(chunk)
            continue
        plain = [files._strip_protocol(path) for path in chunk]
        contents: dict[str, Any] = {}
        try:
            with convert_remote_errors(chunk[0]):
                contents = files.cat(plain, on_error="return", recursive=False)
        except MienError as error:
            contents = dict.fromkeys(plain, error)
        for path, name in zip(chunk, plain, strict=True):
            content = contents.get(name, FileNotFoundError())
            yield content if isinstance(content, bytes) else _file_error(path, content)


def root_of(address: str) -> str:
    """``s3://bucket/a/b.jpg`` → ``s3://``: files of a protocol share one file system. Empty for a local path."""
    return address.split("://", 1)[0] + "://" if is_address(address) else ""


@contextmanager
def open_stream(path: str) -> Iterator[Any]:
    """A file open for reading bytes, local or remote; reading it raises `OSError`, not opening it a `MienError`."""
    if not is_address(path):
        from mien.media.local_file import open_file

        with open_file(path) as stream:
            yield stream
        return
    files, name = filesystem(path)
    with convert_remote_errors(path):
        stream = files.open(name, "rb")
    with stream:
        yield stream


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """A local path: that of a local file, or of a copy that is removed at the end."""
    if not is_address(path):
        yield path
        return
    files, name = filesystem(path)
    with temporary_folder() as folder:
        copy = str(folder / (PurePosixPath(name).name or "file"))
        with convert_remote_errors(path):
            files.get_file(name, copy)
        yield copy


@contextmanager
def convert_remote_errors(path: str) -> Iterator[None]:
    """Errors of file systems become one `MienError` that names the file."""
    try:
        yield
    except MienError:
        raise
    except _remote_errors() as error:
        raise _file_error(path, error) from None


def _remote_errors() -> tuple[type[Exception], ...]:
    """What file systems raise; some raise classes of their own libraries, which are then loaded."""
    kinds: list[type[Exception]] = [OSError, ValueError]
    for module, names in (
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("aiohttp", ("ClientError",)),
        ("gcsfs.retry", ("HttpError",)),
        ("google.auth.exceptions", ("GoogleAuthError",)),
    ):
        if module in sys.modules:
            kinds += [getattr(sys.modules[module], name) for name in names]
    return tuple(kinds)


def _read_local(path: str) -> bytes | MienError:
    from mien.media.local_file import open_file

    try:
        with open_file(path) as stream:
            return stream.read()
    except MienError as error:
        return error
    except OSError as error:
        return _file_error(path, error)


def _file_error(path: str, error: BaseException) -> MienError:
    if isinstance(error, MienError):
        return error
    if isinstance(error, FileNotFoundError):
        return MissingFileError("no such file", path=path, advice="check the path")
    reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return InputError(f"cannot be read or written: {reason[:300]}", path=path)


def _package_and_extra(address: str) -> tuple[str, str]:
    protocol = address.split("://")[0]
    return {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}.get(protocol, (protocol, "batch"))
