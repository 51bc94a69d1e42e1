"""What the site has beside the files of this folder: the pages that live at the top of the repository (a hook of mkdocs)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
"""Page of the site → file of the repository."""
TRY = """
<p><strong>Try it here</strong>, or <a href="try/">on a page of its own</a>. It runs in your browser: no picture leaves your
device.</p>
<iframe src="try/" title="Mien, in this page" loading="lazy" allow="camera; fullscreen"
style="width: 100%; height: 46rem; border: 1px solid var(--md-default-fg-color--lightest)"></iframe>
"""
"""The page that analyses pictures, which `make site` writes into the folder ``try``; below the README's first sentence."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages, with links as they are from inside this folder."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = re.sub(r"\]\(docs/", "](", text)
        for other, file in PAGES.items():
            text = text.replace(f"]({file}", f"]({other}")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link names of the Python API, and put the page that analyses pictures below the first sentence of the first page."""
    html = link_names(html, public_names())
    if page.file.src_uri != "index.md":
        return html
    before, end, after = html.partition("</p>")
    return before + end + TRY + after


@functools.cache
def public_names() -> dict[str, str]:
    """Name as texts write it, with or without its module → the name that the reference lists."""
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md"))]
    listed = re.findall(r"^::: (\S+)$", "\n".join(pages), re.MULTILINE)
    return {one.rpartition(".")[2]: one for one in listed} | {one: one for one in listed}


def link_names(html: str, names: Mapping[str, str]) -> str:
    """Code such as ``Faces.draw`` or ``mien.errors.ImageError`` links to the reference; headings and links stay.

    Below the heading of a class or of one of its members, the bare name of a member, such as ``draw``, links to it too.
    """
    anchors = set(re.findall(r'<h\d id="([^"]+)"', html))
    place = ""

    def link(found: re.Match[str]) -> str:
        nonlocal place
        name = found["name"]
        if name is None:
            place = found["place"] or place
            return found[0]
        # a member belongs to the class before its dot; only classes begin with a capital
        owner, _, member = name.rpartition(".")
        beside = [
            one for one in (f"{place}.{name}", f"{place.rpartition('.')[0]}.{name}") if one in anchors and one != place
        ]
        if beside:
            target = beside[0]
        elif name in names:
            target = names[name]
        elif owner in names and owner.rpartition(".")[2][0].isupper():
            target = f"{names[owner]}.{member}"
        else:
            return found[0]
        return f'<autoref identifier="{target}" optional>{found[0]}</autoref>'

    kept = r'<h\d(?: id="(?P<place>[^"]+)")?.*?</h\d>|<a\b.*?</a>|<autoref.*?</autoref>|<pre.*?</pre>'
    return re.sub(rf"{kept}|<code>(?P<name>[A-Za-z_][\w.]*)</code>", link, html, flags=re.DOTALL)
