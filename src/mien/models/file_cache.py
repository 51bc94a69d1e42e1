"""The user's cache of downloaded files: fetched over HTTPS into a temporary file, verified by hash, then moved.

Nothing is downloaded unless the user asks for it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from mien.errors import DownloadError
from mien.files import atomic_path
from mien.logger import get_logger

_log = get_logger(__name__)

CACHE_VARIABLE = "MIEN_CACHE"
"""Environment variable that names the cache folder."""

_SCHEMES = ("https",)
_TIMEOUT = 30.0
_CHUNK = 1 << 20


def cache_dir() -> Path:
    """The folder for fetched files: ``$MIEN_CACHE``, or the platform's own place for caches. It may not exist yet."""
    folder = os.environ.get(CACHE_VARIABLE)
    if folder:
        return Path(folder).expanduser()
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


def find_cached(filename: str, sha256: str) -> Path | None:
    """The file in the cache where it exists and its hash is right, else None."""
    path = cache_dir() / filename
    return path if path.is_file() and file_sha256(path) == sha256 else None


def fetch_file(url: str, filename: str, sha256: str, *, max_bytes: int = 1 << 30) -> Path:
    """Path of the file in the cache; it is downloaded first unless it is there already with the right hash.

    Args:
        url: an https address.
        filename: name in the cache.
        sha256: hash of the content, hexadecimal.
        max_bytes: a longer response is refused.

    Returns:
        Path in `cache_dir`.

    Raises:
        DownloadError: the address is not https, cannot be reached, or returns other content. Nothing is left behind.
    """
    import http.client  # here, because they take as long to import as a photo to analyse

    target = cache_dir() / filename
    if (path := find_cached(filename, sha256)) is not None:
        return path
    if urlsplit(url).scheme not in _SCHEMES:
        raise DownloadError("only https addresses are fetched", path=url)
    advice = f"check the network, or download it another way and put it at {target}"
    with atomic_path(target) as temporary:
        try:
            received = _download(url, temporary, max_bytes)
        except DownloadError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(f"cannot be fetched ({error})", path=url, advice=advice) from error
        if received != sha256:
            raise DownloadError(
                f"returned another file (SHA-256 {received[:12]}…, expected {sha256[:12]}…), which was deleted",
                path=url,
                advice=advice,
                code="hash-mismatch",
                details={"sha256": received, "expected": sha256},
            )
    _log.info("%s: downloaded to %s", url, target)
    return target


def _download(url: str, path: Path, max_bytes: int) -> str:
    """Write the response to ``path`` and return its SHA-256."""
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "mien"})
    digest, length = hashlib.sha256(), 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, path.open("wb") as file:
        if urlsplit(response.geturl()).scheme not in _SCHEMES:
            raise DownloadError(f"redirects to {response.geturl()}; only https addresses are fetched", path=url)
        while chunk := response.read(_CHUNK):
            length += len(chunk)
            if length > max_bytes:
                raise DownloadError(
                    f"the response is longer than {max_bytes} bytes", path=url, advice="check the address"
                )
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
