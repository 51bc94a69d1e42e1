"""The page as files that need no server: a folder for any static host, or one file that opens from a double click.

The page is that of ``mien serve``, which may compute in the browser as well, without what needs the server. Large files
are stored compressed, so that every host sends them so.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mien
from mien import defaults
from mien.detect.mien import LANDMARKS, NETWORK, MienDetector
from mien.draw.palette import COLOURS
from mien.errors import InputError
from mien.files import atomic_path, is_file, output_errors
from mien.models.catalog import read_model
from mien.models.priors import DEFAULT
from mien.output_checks import refuse_foreign_files
from mien.predict.model_set import ModelSet
from mien.web.model_description import describe_models, described_columns
from mien.web.page_files import page_files
from mien.web.pipeline_config import pipeline_config
from mien.web.runtime import BINARY, MODULES, PACKAGES

DEFAULT_MODELS: Mapping[str, str] = {"emotion": "emotion-int8", "age": "age"}
"""Name in results → model. The emotion network in 8 bits: the page is 3 MB smaller."""
_SETTINGS, _SERVICE_WORKER = "settings.json", "service-worker.js"
_IMPORT = re.compile(r'(\bfrom |\bimport )"\./([\w-]+\.js)"')
_CSP = "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"
_FOLDER_CSP = (
    f"{_CSP}; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; worker-src 'self'"
)


@dataclass(frozen=True, slots=True)
class Site:
    """The page's files.

    Attributes:
        index: the page.
        static: name → content of scripts, style and pictures.
        assets: name → content of settings, networks and runtime, those in ``settings.json`` compressed.
        service_worker: keeps the files for later without a network.
    """

    index: str
    static: dict[str, bytes]
    assets: dict[str, bytes]
    service_worker: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return len(self.index) + sum(map(len, [*self.static.values(), *self.assets.values()]))


def build_site(
    runtime: Mapping[str, bytes],
    models: Mapping[str, str] = DEFAULT_MODELS,
    *,
    prior: str = DEFAULT,
    coverage: float | None = None,
    by_class: bool = False,
    min_face: int | None = defaults.MIN_FACE,
) -> Site:
    """The page with these models.

    Args:
        runtime: from `mien.web.runtime.read_runtime`.
        models: name in results → name of a shipped model or path of an ONNX file.
        prior: as for `mien.predict.model_set.ModelSet.open`.
        coverage: as there.
        by_class: as there.
        min_face: height of the smallest face to detect, pixels; None as for `mien.detect.mien.MienDetector`.

    Raises:
        InputError: a model that takes more than pixels.
        ModelError, MissingFileError: a model that cannot be read.
    """
    loaded = ModelSet.open(dict(models), threads=1, prior=prior, coverage=coverage, by_class=by_class)
    networks = {name: read_model(file) for name, file in models.items()}
    assets = device_assets(runtime, loaded, networks, min_face=min_face)
    static = dict(page_files()) | {name: runtime[name] for name in MODULES}
    index, worker = device_page(static.pop("index.html").decode()), static.pop(_SERVICE_WORKER).decode()
    index = _with_preloads(index, static, assets)
    names = ["./", *(f"static/{name}" for name in static), *(f"assets/{name}" for name in assets)]
    version = hashlib.sha256(b"".join([index.encode(), *static.values(), *assets.values()])).hexdigest()[:16]
    worker = worker.replace("@VERSION@", version).replace("/* @FILES@ */ []", json.dumps(names))
    return Site(index, static, assets, worker)


def device_assets(
    runtime: Mapping[str, bytes],
    models: ModelSet,
    networks: Mapping[str, bytes],
    *,
    min_face: int | None = defaults.MIN_FACE,
    level: int = 9,
) -> dict[str, bytes]:
    """What the page computes with: settings, networks and runtime; name → content.

    Args:
        runtime: from `mien.web.runtime.read_runtime`.
        models: what predicts.
        networks: name of each of them → content of its file.
        min_face: height of the smallest face to detect, pixels; None as for `mien.detect.mien.MienDetector`.
        level: of the compression, 1 (fast) to 9 (small).

    Raises:
        InputError: a model that takes more than pixels.
    """
    for name, model in models.models.items():
        if model.card.features:
            raise InputError(f"model {name!r} takes {', '.join(model.card.features)} features, which the page has not")
    contents = {
        "runtime": (BINARY, runtime[BINARY]),
        "detector": ("detector.onnx", NETWORK.read()),
        "landmarks": ("landmarks.onnx", LANDMARKS.read()),
        **{name: (f"model-{name}.onnx", content) for name, content in networks.items()},
    }
    files: dict[str, dict[str, Any]] = {}
    assets: dict[str, bytes] = {}
    for name, (file, content) in contents.items():
        compressed = gzip.compress(content, level, mtime=0)
        sha256 = hashlib.sha256(content).hexdigest()
        # with its hash in the name, a file in a browser's cache is never an older one
        stem, suffix = file.rsplit(".", 1)
        stored = f"{stem}-{sha256[:8]}.{suffix}.gz"
        assets[stored] = compressed
        files[name] = {"file": stored, "bytes": len(compressed), "sha256": sha256}
    settings = {
        "files": files,
        "config": pipeline_config(models, min_face=min_face),
        "max_pixels": defaults.PAGE_PIXELS,
        "models": {"models": _described(models), **describe_models(models)},
        "video_columns": described_columns(models, video=True),
        "colours": {label: f"#{bytes(rgb).hex()}" for label, rgb in COLOURS.items()},
    }
    return {_SETTINGS: json.dumps(settings, ensure_ascii=False).encode(), **assets}


def parse_models(text: str) -> dict[str, str]:
    """``NAME=MODEL,MODEL`` → name in results → model; one without a name is named by the task on its card.

    Raises:
        InputError: two models of one name.
        ModelError, MissingFileError: a model that cannot be read.
    """
    models: dict[str, str] = {}
    for one in (part.strip() for part in text.split(",")):
        if not one:
            continue
        (name,) = ModelSet.open([one], threads=1).models
        if name in models:
            raise InputError(f"two models are named {name!r}", advice="give one another name, NAME=FILE")
        models[name] = one.partition("=")[2] or one
    return models


def write_folder(site: Site, folder: Path) -> None:
    """Write the page as a folder for any static host; ``index.html`` comes last.

    Raises:
        InputError: the folder holds another page, which would be replaced.
        OutputError: it cannot be written.
    """
    licences = "Mien: Apache-2.0.\n" + "".join(f"{one.name} {one.version}: {one.licence}\n" for one in PACKAGES)
    files = {f"static/{name}": content for name, content in site.static.items()}
    files |= {f"assets/{name}": content for name, content in site.assets.items()}
    files |= {
        _SERVICE_WORKER: site.service_worker.encode(),
        "licences.txt": licences.encode(),
        "index.html": _with_policy(site.index, _FOLDER_CSP).encode(),
    }
    if not _is_page(folder):
        refuse_foreign_files(folder, list(files))
    with output_errors(folder):
        for name, content in files.items():
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)


def _is_page(folder: Path) -> bool:
    """Whether a folder holds an earlier page of ours."""
    worker = folder / _SERVICE_WORKER
    with output_errors(worker):
        return is_file(worker) and b'"mien-' in worker.read_bytes()


def write_single(site: Site, file: Path) -> None:
    """Write the page as one HTML file that needs nothing beside it.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(file) as temporary:
        temporary.write_text(single_page(site), encoding="utf-8")


def device_page(page: str) -> str:
    """The page of the service without what needs a server."""
    page = re.sub(r"<!-- server -->.*?<!-- /server -->", "", page, flags=re.DOTALL)
    return re.sub(r"\n\s*\n+", "\n\n", page)


def single_page(site: Site) -> str:
    """The page as one file: style and loader inline, allowed by their hashes; everything else as data."""
    modules = {name: text.decode() for name, text in site.static.items() if name.endswith((".js", ".mjs"))}
    theme, loader = modules.pop("theme.js"), modules.pop("single_file.js")
    style = site.static["style.css"].decode()
    policy = (
        f"{_CSP}; script-src {_hash(theme)} {_hash(loader)} blob: 'wasm-unsafe-eval'; style-src {_hash(style)}; "
        "img-src blob: data:; media-src blob:; connect-src data:"
    )
    page = _with_policy(site.index, policy)
    for name, content in site.static.items():
        if name.endswith((".webp", ".svg")):
            page = page.replace(f"static/{name}", _data_address(name, content))
    page = re.sub(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{style}</style>", page)
    page = re.sub(r'<script src="static/theme.js"></script>', lambda _: f"<script>{theme}</script>", page)
    page = re.sub(r'\n<script type="module"[^>]*></script>|\n<link rel="(?:module)?preload"[^>]*>', "", page)
    data = [_data_block("modules", json.dumps(_in_order(modules)).encode())]
    data += [_data_block(name, content) for name, content in site.assets.items()]
    return page.replace("</body>", "\n".join([*data, f"<script>{loader}</script>", "</body>"]))


def _described(models: ModelSet) -> dict[str, Any]:
    """What the results depend on, as of the service."""
    return {"detector": MienDetector.name, "models": models.describe(), "version": mien.__version__}


def _with_policy(page: str, policy: str) -> str:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy, quote=True)}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{meta}', 1)


def _with_preloads(page: str, static: Mapping[str, bytes], assets: Mapping[str, bytes]) -> str:
    """Names in the page what it loads, so that the browser fetches all of it at once, the scripts first."""
    reached = ["app.js"]
    for name in reached:
        imported = [one for _, one in _IMPORT.findall(static[name].decode())]
        reached += [one for one in dict.fromkeys(imported) if one not in reached]
    links = [f'<link rel="modulepreload" href="static/{name}">' for name in reached[1:]]
    links += [f'<link rel="preload" as="fetch" href="assets/{name}" crossorigin>' for name in assets]
    return page.replace("</head>", "\n".join([*links, "</head>"]), 1)


def _in_order(modules: Mapping[str, str]) -> list[tuple[str, str]]:
    """(name, source), each after those that it imports: the loader makes an address of each, which the next need."""
    ordered: dict[str, str] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        for _, imported in _IMPORT.findall(modules[name]):
            add(imported)
        ordered[name] = modules[name]

    for name in modules:
        add(name)
    return list(ordered.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data_address(name: str, content: bytes) -> str:
    kind = "image/svg+xml" if name.endswith(".svg") else "image/webp"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _data_block(name: str, content: bytes) -> str:
    return f'<script type="application/octet-stream" data-file="{name}">{base64.b64encode(content).decode()}</script>'
