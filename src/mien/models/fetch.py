"""Fetching a file over HTTPS into the user's cache: temporary file, hash, move. Only ever called when asked for."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from mien.errors import DownloadError
from mien.files import atomic_path

CACHE_VARIABLE = "MIEN_CACHE"
"""Environment variable that names the cache folder."""

_SCHEMES = ("https",)
_TIMEOUT = 30.0
_CHUNK = 1 << 20


def cache_dir() -> Path:
    """The folder for fetched files: ``$MIEN_CACHE``, or the platform's own place for caches. It may not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mien"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cached(filename: str, sha256: str) -> Path | None:
    """The file in the cache when it is there and its hash is right, else None."""
    path = cache_dir() / filename
    return path if path.is_file() and file_sha256(path) == sha256 else None


def fetch(url: str, filename: str, sha256: str, *, max_bytes: int = 1 << 30) -> Path:
    """The file in the cache, downloaded first unless a good one is there already.

    Args:
        url: an https address.
        filename: name in the cache.
        sha256: hash of the content, hexadecimal.
        max_bytes: a longer answer is given up on.

    Returns:
        Its path in `cache_dir`.

    Raises:
        DownloadError: the address is not https, cannot be reached, or answers with other content. Nothing is left
            behind.
    """
    import http.client  # here, because they take as long to import as a photo to analyse

    target = cache_dir() / filename
    if (path := cached(filename, sha256)) is not None:
        return path
    if urlsplit(url).scheme not in _SCHEMES:
        raise DownloadError(f"{url}: only https addresses are fetched")
    cure = f"check the network, or download it another way and put it at {target}"
    with atomic_path(target) as temporary:
        try:
            found = _download(url, temporary, max_bytes)
        except DownloadError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(f"cannot fetch {url} ({error}): {cure}") from error
        if found != sha256:
            raise DownloadError(
                f"{url} answered with another file (SHA-256 {found[:12]}…, expected {sha256[:12]}…), which was "
                f"thrown away: {cure}"
            )
    return target


def _download(url: str, path: Path, max_bytes: int) -> str:
    """Write the answer to ``path``; its SHA-256."""
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "mien"})
    digest, length = hashlib.sha256(), 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, path.open("wb") as file:
        if urlsplit(answer.geturl()).scheme not in _SCHEMES:
            raise DownloadError(f"{url} leads to {answer.geturl()}: only https addresses are fetched")
        while chunk := answer.read(_CHUNK):
            length += len(chunk)
            if length > max_bytes:
                raise DownloadError(f"{url} answers with more than {max_bytes} bytes: check the address")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
