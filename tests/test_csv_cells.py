"""`mien.csv_cells`, and the same rules in the page's ``csv.js``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import mien
from helpers.browser import browser
from mien.csv_cells import cell_text, csv_cells

CASES: list[tuple[Any, bool, Any]] = [
    (None, False, None),
    (True, False, "TRUE"),
    (False, False, "FALSE"),
    (-0.5, False, -0.5),
    (3, False, 3),
    ("photo.jpg", False, "photo.jpg"),
    ("a-1.jpg", False, "a-1.jpg"),
    ("2024-05-01 10.00.jpg", False, "2024-05-01 10.00.jpg"),
    ("", False, ""),
    ("=HYPERLINK(1).jpg", False, "'=HYPERLINK(1).jpg"),
    ("+1.jpg", False, "'+1.jpg"),
    ("-dash.jpg", False, "'-dash.jpg"),
    ("@SUM(A1).jpg", False, "'@SUM(A1).jpg"),
    ("\ttab.jpg", False, "'\ttab.jpg"),
    ("\rreturn.jpg", False, "'\rreturn.jpg"),
    ("  =1+1.jpg", False, "'  =1+1.jpg"),
    ("＝1.jpg", False, "'＝1.jpg"),
    ("'=1.jpg", False, "''=1.jpg"),
    ("'quoted'.jpg", False, "'quoted'.jpg"),
    ("3-9", False, "'3-9"),
    ("3-9", True, "3 to 9"),
    ("20-29", True, "20 to 29"),
    ("0-2", True, "0 to 2"),
    ("70+", True, "70+"),
    ("1/2", True, "'1/2"),
    ("10.11", True, "'10.11"),
    ("2024-01-31", True, "'2024-01-31"),
    ("1:30", True, "'1:30"),
    ("MAR1", True, "'MAR1"),
    ("3 Sept", True, "'3 Sept"),
    ("may", True, "may"),
    ("happy", True, "happy"),
    ("-ve", True, "'-ve"),
    ('say "a", b', True, 'say "a", b'),
]


@pytest.mark.parametrize(("value", "label", "cell"), CASES, ids=[f"{v!r}, {n}" for v, n, _ in CASES])
def test_cells(value: Any, label: bool, cell: Any) -> None:
    assert csv_cells([value], labels=label) == [cell]


@pytest.mark.parametrize("text", [value for value, _, _ in CASES if isinstance(value, str)])
def test_text_comes_back(text: str) -> None:
    assert cell_text(csv_cells([text])[0]) == text


@pytest.mark.browser
def test_the_page_writes_the_same_cells(chromium: Path, tmp_path: Path) -> None:
    script = (Path(mien.__file__).parent / "web" / "static" / "csv.js").read_text(encoding="utf-8")
    (tmp_path / "csv.html").write_text("<meta charset=utf-8><title>csv</title>", encoding="utf-8")
    with browser(chromium, tmp_path / "none.mjpeg") as chrome:
        page = chrome.new_page()
        page.goto((tmp_path / "csv.html").as_uri())
        text = page.evaluate(
            """async ([script, cases]) => {
                const { csvText } = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
                const columns = [{ name: "text", label: false }, { name: "label", label: true }];
                return csvText(columns, cases.map(([value, label]) => (label ? [0, value] : [value, 0])));
            }""",
            [script, json.loads(json.dumps([case[:2] for case in CASES]))],
        )
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["text", "label"]
    assert [row[label] for row, (_, label, _) in zip(rows, CASES, strict=True)] == [
        "" if cell is None else str(cell) for _, _, cell in CASES
    ]
