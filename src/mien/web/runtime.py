"""What the page takes from npm, pinned by hash: ONNX Runtime for browsers, and a reader of video files.

The files are taken from archives or folders, from the cache, or fetched with npm, which is run only then.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DownloadError, MissingFileError, ModelError
from mien.files import atomic_path
from mien.logger import get_logger
from mien.models.file_cache import cache_dir

log = get_logger(__name__)

SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""ONNX Runtime: its module, and what that runs."""
VIDEO_READER = "mediabunny.min.mjs"
"""Reads containers of videos and decodes their frames with the browser's WebCodecs."""
MODULES = (SCRIPT, VIDEO_READER)
"""Those that the page imports."""


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """A package of npm.

    Attributes:
        name: of the package.
        version: the pinned one.
        licence: with its owner.
        integrity: of its archive, as registries state it.
        folder: in the archive, that of the files.
        files: file → SHA-256.
    """

    name: str
    version: str
    licence: str
    integrity: str
    folder: str
    files: Mapping[str, str]

    @property
    def spec(self) -> str:
        """Name and version, as npm takes them."""
        return f"{self.name}@{self.version}"


PACKAGES: tuple[NpmPackage, ...] = (
    NpmPackage(
        "onnxruntime-web",
        "1.30.0",
        "MIT, © Microsoft Corporation",
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        "package/dist",
        {
            SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
            BINARY: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
        },
    ),
    NpmPackage(
        "mediabunny",
        "1.61.0",
        "MPL-2.0, © Vanilagy and contributors; its source: https://github.com/Vanilagy/mediabunny",
        "sha512-WciPOYwKZwgYkoBKcEK6JzzIf+w5whypPzFdOihOylZ/5Qv19FmNfRnTcaprH+jD136YpEASU30Eb6VNCJiz3A==",
        "package/dist/bundles",
        {VIDEO_READER: "fa696c53494b6b09a8b310ec51e3c44a59e79513234fb832255a38c686162009"},
    ),
)
_SECONDS = 600.0


def read_runtime(sources: Sequence[Path] = ()) -> dict[str, bytes]:
    """The files of the packages: name → content.

    Args:
        sources: archives of packages (``npm pack`` writes them), or folders that hold the files, such as
            ``node_modules/onnxruntime-web/dist``; what none of them holds comes from the cache, which npm fills.

    Raises:
        MissingFileError: a source holds none of the packages, or npm is not installed.
        ModelError: a file is another than the pinned one.
        DownloadError: npm failed, or fetched another archive.
    """
    given: dict[str, bytes] = {}
    for source in sources:
        found = _from_source(source)
        if not found:
            specs = ", ".join(package.spec for package in PACKAGES)
            raise MissingFileError(f"holds none of {specs}", path=source, advice=_advice(PACKAGES[0]))
        given |= found
    for package in PACKAGES:
        if not package.files.keys() <= given.keys():
            given |= _cached(package) or _fetch(package)
    return given


def cached_runtime() -> dict[str, bytes] | None:
    """The files of the packages from the cache; None where one is not there.

    Raises:
        ModelError: a file is another than the pinned one.
    """
    found = [_cached(package) for package in PACKAGES]
    return {name: content for each in found for name, content in (each or {}).items()} if all(found) else None


def _cache(package: NpmPackage) -> Path:
    return cache_dir() / f"{package.name}-{package.version}"


def _cached(package: NpmPackage) -> dict[str, bytes] | None:
    return _from_folder(package, _cache(package))


def _fetch(package: NpmPackage) -> dict[str, bytes]:
    files = _from_archive(package, _fetch_archive(package))
    if files is None:
        raise DownloadError(f"npm fetched another {package.spec} than the pinned one", advice="check npm's registry")
    for name, content in files.items():
        with atomic_path(_cache(package) / name) as temporary:
            temporary.write_bytes(content)
    return files


def _from_source(source: Path) -> dict[str, bytes]:
    """The files of every package that an archive or a folder holds whole."""
    found: dict[str, bytes] = {}
    archive = source.read_bytes() if source.is_file() else None
    for package in PACKAGES:
        files = _from_folder(package, source) if archive is None else _from_archive(package, archive, source)
        found |= files or {}
    return found


def _from_folder(package: NpmPackage, folder: Path) -> dict[str, bytes] | None:
    """The files of a package; None where the folder lacks one of them."""
    if not all((folder / name).is_file() for name in package.files):
        return None
    return {name: _checked(package, name, (folder / name).read_bytes(), folder / name) for name in package.files}


def _from_archive(package: NpmPackage, archive: bytes, path: Path | None = None) -> dict[str, bytes] | None:
    """The files of a package; None where the archive is none of it."""
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for name in package.files:
                member = tar.extractfile(f"{package.folder}/{name}")
                if member is None:
                    return None
                files[name] = _checked(package, name, member.read(), path)
    except (tarfile.TarError, KeyError, OSError):
        return None
    return files


def _checked(package: NpmPackage, name: str, content: bytes, path: Path | None) -> bytes:
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != package.files[name]:
        raise ModelError(
            f"{name}: SHA-256 is {sha256[:12]}…, expected {package.files[name][:12]}… of {package.spec}",
            path=path,
            advice=_advice(package),
            code="hash-mismatch",
            details={"sha256": sha256, "expected": package.files[name]},
        )
    return content


def _fetch_archive(package: NpmPackage) -> bytes:
    npm, spec = shutil.which("npm"), package.spec
    if npm is None:
        raise MissingFileError(
            f"{package.name} {package.version} is not in the cache, and npm, which fetches it, is not installed",
            advice=f"install Node.js, or run 'npm pack {spec}' elsewhere and give --runtime FILE.tgz",
        )
    log.info("fetching %s with npm", spec)
    with tempfile.TemporaryDirectory(prefix="mien-npm-") as folder:
        command = [npm, "pack", spec, "--silent", "--pack-destination", folder]
        try:
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise DownloadError(f"npm did not fetch {spec} in {_SECONDS:g} s", advice="try again") from None
        archives = list(Path(folder).glob("*.tgz"))
        if run.returncode or len(archives) != 1:
            reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise DownloadError(f"npm could not fetch {spec}: {reason}", advice="check the connection, try again")
        content = archives[0].read_bytes()
    if "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode() != package.integrity:
        raise DownloadError(f"npm fetched another {spec} than the pinned one", advice="check npm's registry")
    return content


def _advice(package: NpmPackage) -> str:
    return f"give the archive that 'npm pack {package.spec}' writes"
