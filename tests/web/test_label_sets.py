"""Sets of labels in the browser are those of Python; run in Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mien.models.card import Head
from mien.models.label_sets import FUZZ, SetRule
from mien.web.page_files import page_files

pytestmark = pytest.mark.browser

RUN = """
import { readFileSync } from "node:fs";
import { labelSet } from "./label_sets.js";
const cases = JSON.parse(readFileSync("cases.json"));
console.log(JSON.stringify(cases.map(({ head, probabilities }) => labelSet(head, probabilities))));
"""
NOMINAL = Head("emotion", ("happy", "sad", "neutral", "fear"))
ORDERED = Head("age", ("0-2", "3-9", "10-19", "20-29", "30-99"), ordered=True)


def test_sets_are_those_of_python(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    rng = np.random.default_rng(0)
    cases, expected = [], []
    for head in (NOMINAL, ORDERED):
        for i in range(200):
            k = len(head.labels)
            row = rng.dirichlet(np.full(k, 0.6))
            if i < 20:  # ties
                row = np.full(k, 1 / k) if i % 2 else np.array([0.3, 0.1, 0.3, *[0.3 / (k - 3)] * (k - 3)])
            rule = SetRule(0.9, True, tuple(rng.uniform(0.2, 1, k).tolist()))
            inside = rule.members(row[None], ordered=head.ordered)[0]
            labels = [label for label, there in zip(head.labels, inside, strict=True) if there]
            ends = {}
            if head.ranges is not None:
                covered = [one for one, there in zip(head.ranges, inside, strict=True) if there]
                ends = {"low": covered[0][0], "high": covered[-1][1]}
            expected.append({"set": labels, **ends})
            limits = [limit + FUZZ for limit in rule.limits]
            described = {"labels": head.labels, "ordered": head.ordered, "ranges": head.ranges, "set_limits": limits}
            cases.append({"head": described, "probabilities": row.tolist()})
    described = cases[0]["head"] | {"set_limits": None}
    cases.append({"head": described, "probabilities": cases[0]["probabilities"]})
    expected.append({})
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "label_sets.js").write_bytes(page_files()["label_sets.js"])
    (tmp_path / "run.js").write_text(RUN)
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run([node, "run.js"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(done.stdout) == expected
    assert len({tuple(one.get("set", ())) for one in expected}) > 15
