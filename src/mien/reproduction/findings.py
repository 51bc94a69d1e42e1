"""What was found where our figure and the published one differ; the page shows it beside rows that have run."""

from __future__ import annotations

from collections.abc import Mapping

FINDINGS: Mapping[str, str] = {}
"""Row → why ours differs, in words; every row more than a point below its published figure has one."""
