"""The table of README.md that compares Mien with other packages, from what the benchmarks wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_tables import table

from mien.text import percent

PROTOCOL, LABELS = "ferplus majority-7", "fer2013"
"""The protocols that all networks share: seven emotions by the majority of FER+, and FER2013's own labels."""
NETWORKS = {
    "emotion": "mien",
    "emotion-int8": "mien-int8",
    "fer": "fer-haar",
    "face-api": "face-api-ssd",
    "human": "human-emotion",
}
"""Model of the scoreboard → what `benchmarks/peers.py` measured with it: the package's defaults; the emotion alone for human."""
TITLES = {"emotion": "**Mien**", "emotion-int8": "Mien, `emotion-int8`"}


def comparison_table(results: Path) -> str:
    """Accuracy, calibration, time and size of each package; a dash where something was not measured."""
    board, others, peers = (
        json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("scoreboard", "scoreboard_peers", "peers")
    )
    scores = {one["model"]: one for one in [*board["rows"], *others["rows"]] if _is_default(one)}
    rows = []
    for model, peer in NETWORKS.items():
        measured, one = peers["peers"][peer], scores[model]
        speed, ratio = (
            measured["warm"]["one"]["astronaut"]["ms"]["median"],
            measured["warm"]["one"]["astronaut"]["ratio"]["median"],
        )
        size = peers["environments"][measured["environment"]]["mb"]
        name = TITLES.get(model) or measured["title"].partition(",")[0].partition(":")[0]
        rows.append([name, *_scores(one["results"]), f"{speed:.0f} ms ({ratio:.1f}×)", f"{size:,.0f}"])
    unable = [one for one in peers["peers"].values() if "cannot" in one]
    rows += [
        [one["title"], "–", "–", "–", "–", f"{peers['environments'][one['environment']]['mb']:,.0f}"] for one in unable
    ]
    header = ["", "FER+, 7 emotions", "FER2013", "ECE", "time per photo, one thread", "installed, MB"]
    note = (
        f"Accuracy on the test images of FER+ (`majority-7`, {scores['emotion']['results'][PROTOCOL]['n']:,} images) and FER2013, without test-time "
        f"augmentation; 95 % intervals are on the [scoreboard](docs/scoreboard.md) ({board['date']}). ECE: expected calibration error on FER+, less is better. "
        f"Times are processor time for one portrait, and Mien's include the age; times and sizes were measured on {peers['machine']['date']}"
    )
    if "opencv-python-headless" in peers["environments"]["mien"]["versions"]:
        note += ", when Mien detected with MTCNN and needed OpenCV; an installation has become [smaller](docs/install.md) since"
    note += ". A dash: the weights could not be downloaded where this was measured ([benchmarks](docs/benchmarks.md#compared-with-other-packages))."
    return "\n".join([*table(header, rows), note])


def _is_default(one: dict[str, Any]) -> bool:
    return one["split"] == "test" and not one["flip"] and one["prior"] in ("default", "its own")


def _scores(results: dict[str, Any]) -> list[str]:
    return [
        percent(results[PROTOCOL]["accuracy"]),
        percent(results[LABELS]["accuracy"]),
        f"{results[PROTOCOL]['ece']:.3f}",
    ]
