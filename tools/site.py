"""What the site has beside the files of this folder: the pages that live at the top of the repository (a hook of mkdocs)."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Page of the site → file of the repository."""
TRY = """<iframe src="try/" title="Mien, in this page" loading="lazy" allow="camera; fullscreen"
style="width: 100%; height: 46rem; border: 1px solid var(--md-default-fg-color--lightest)"></iframe>
<p><a href="try/">Open it alone</a>. It runs in your browser: no picture leaves your device.</p>

"""
"""The first thing that the site shows: the page, which `make site` writes into the folder ``try``."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages, with links as they are from inside this folder."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\]\(docs/", "](", text)))
    return files


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the page that analyses pictures before everything else of the first page."""
    return TRY + html if page.file.src_uri == "index.md" else html
