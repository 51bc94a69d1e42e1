"""The page as static files: what is written, and what it allows itself."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from helpers.tiny_models import write_model
from mien.errors import InputError
from mien.models.catalog import read_model
from mien.web.runtime import BINARY, SCRIPT, VIDEO_READER
from mien.web.site import DEFAULT_MODELS, Site, build_site, parse_models, single_page, write_folder

RUNTIME = {SCRIPT: b"export const runtime = 1;\n", BINARY: bytes(1000), VIDEO_READER: b"export const reader = 1;\n"}


@pytest.fixture(scope="module")
def site() -> Site:
    return build_site(RUNTIME)


def test_the_folder_has_every_file_that_it_names(site: Site, tmp_path: Path) -> None:
    write_folder(site, tmp_path)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    index = (tmp_path / "index.html").read_text()
    assert set(re.findall(r'(?:src|href|data-sample)="([^"#]+)"', index)) <= written
    worker = (tmp_path / "service-worker.js").read_text()
    (listed,) = re.findall(r"^const FILES = (\[.*\]);$", worker, flags=re.MULTILINE)
    assert set(json.loads(listed)) == {"./", *(name for name in written if "/" in name)}
    assert "@VERSION@" not in worker
    settings = json.loads((tmp_path / "assets" / "settings.json").read_text())
    for row in settings["files"].values():
        content = gzip.decompress((tmp_path / "assets" / row["file"]).read_bytes())
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
    assert settings["config"]["models"]["emotion"]["heads"][0]["shown"] == "emotion"
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', index)
    assert len(policy) == 1
    assert "unsafe-inline" not in policy[0]
    assert "unsafe-eval" not in policy[0].replace("wasm-unsafe-eval", "")


def test_the_page_names_what_it_loads_so_that_all_of_it_is_fetched_at_once(site: Site) -> None:
    fetched = re.findall(r'<link rel="preload" as="fetch" href="assets/([^"]+)" crossorigin>', site.index)
    assert set(fetched) == site.assets.keys()
    modules = ["app.js", *re.findall(r'<link rel="modulepreload" href="static/([^"]+)">', site.index)]
    assert len(modules) == len(set(modules))
    imported = {
        one for name in modules for one in re.findall(r'(?:from|import) "\./([\w-]+\.js)"', site.static[name].decode())
    }
    assert {*imported, "app.js"} == set(modules)


def test_a_page_of_twelve_megabytes_at_most(site: Site) -> None:
    runtime = (
        3_700_000 + 75_000 + 690_000
    )  # of onnxruntime-web 1.30.0, of which the binary is compressed, and mediabunny
    assert site.size + runtime < 12_000_000


def test_the_single_file_needs_nothing_beside_it(site: Site) -> None:
    page = single_page(site)
    assert not re.search(r'(?:src|href|data-sample)="(?!data:|#)', page)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    allowed = set(re.findall(r"sha256-([\w+/=]+)", policy))
    inline = re.findall(r"<script>(.*?)</script>|<style>(.*?)</style>", page, flags=re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256((a or b).encode()).digest()).decode() for a, b in inline}
    assert hashes == allowed
    assert len(hashes) == 3
    # modules come after those that they import
    (text,) = re.findall(r'data-file="modules">([^<]+)<', page)
    seen: set[str] = set()
    for name, source in json.loads(base64.b64decode(text)):
        assert set(re.findall(r'(?:from|import) "\./([\w-]+\.js)"', source)) <= seen, name
        seen.add(name)
    assert {"app.js", "sessions.js", SCRIPT} <= seen


def test_models_by_name(tmp_path: Path) -> None:
    assert parse_models("emotion=emotion-int8, age") == dict(DEFAULT_MODELS)
    own = write_model(tmp_path / "mood.onnx", "mood", ("calm", "tense"))
    assert parse_models(f"{own}") == {"mood": str(own)}
    with pytest.raises(InputError, match="two models"):
        parse_models("emotion,emotion=emotion-int8")
    built = build_site(RUNTIME, {"mood": str(own)})
    assert gzip.decompress(
        next(data for name, data in built.assets.items() if name.startswith("model-mood-"))
    ) == read_model(own)
    assert json.loads(built.assets["settings.json"])["models"]["heads"]["mood"]["labels"] == ["calm", "tense"]


def test_the_page_expects_labels_as_often_as_the_prior_says(site: Site) -> None:
    def readouts(made: Site) -> tuple[list[float], str]:
        settings = json.loads(made.assets["settings.json"])
        heads = settings["config"]["models"]["emotion"]["heads"]
        return [head["readout"]["removed"] for head in heads], settings["models"]["models"]["models"]["emotion"]

    removed, described = readouts(build_site(RUNTIME, prior="balanced"))
    assert removed == [1.0, 1.0]
    assert described.endswith("prior balanced")
    plain, described = readouts(site)
    assert all(0 < one < 1 for one in plain)
    assert "prior" not in described


@pytest.mark.parametrize("name", ["index.html", "service-worker.js"])
def test_another_page_in_the_folder_is_not_replaced(name: str, site: Site, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r"exists already, and need not be a result of mien"):
        write_folder(site, tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
