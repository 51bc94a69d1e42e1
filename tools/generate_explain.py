"""The section of docs/explain.md that follows from what `benchmarks/explain.py` measured."""

from __future__ import annotations

from typing import Any

from mien.text import percent


def explain_section(measured: dict[str, Any]) -> str:
    faithful, sane = measured["faithfulness"], measured["sanity"]
    lines = [
        "`python benchmarks/explain.py --data fer2013.parquet --json docs/results/explain.json`",
        "",
        f"The shipped emotion model, {faithful['images']} {measured['split']} images of FER2013 (seed {faithful['seed']}), the "
        "predicted class. Pixels are removed (deletion: replaced by the mean pixel) or restored on a blurred face "
        "(insertion) in the order of the map, most important first; the figure is the area under the probability of the class "
        "(Petsiuk et al. 2018, [1806.07421](https://arxiv.org/abs/1806.07421)), with its 95 % interval over the faces, and how "
        "often the method beats a random order. *Centre first* does not use the network.",
        "",
        "| order | deletion (lower is better) | beats random | insertion (higher is better) | beats random |",
        "|---|---|---|---|---|",
    ]
    for name, one in faithful["orders"].items():
        cells = [name]
        for way in ("deletion", "insertion"):
            low, high = one[way]["interval"]
            better = one[way]["better"]
            cells += [
                f"**{one[way]['auc']:.3f}** ({low:.3f}–{high:.3f})",
                percent(better, digits=0),
            ]
        lines.append(f"| {' | '.join(cells)} |")
    total = len(sane["layers"])
    lines += [
        "",
        "## Do they depend on what was learned?",
        "",
        f"Rank correlation (Spearman, of magnitudes) between a map and the map of the same face after the weights of more and "
        f"more layers, from the output on, were shuffled; {sane['images']} faces (Adebayo et al. 2018, "
        "[1810.03292](https://arxiv.org/abs/1810.03292)). A method whose maps stay similar shows the picture rather than the "
        "network. *Other faces* is the correlation between the trained network's maps of different faces. A constant map counts as 0.",
        "",
        f"| method | {' | '.join(f'{count} of {total} layers' for count in sane['shuffled'])} | SSIM, all layers | other faces |",
        "|" + "---|" * (len(sane["shuffled"]) + 3),
    ]
    for name, one in sane["methods"].items():
        values = " | ".join(f"{round(value, 2) + 0.0:.2f}" for value in one["spearman"])
        lines.append(f"| {name} | {values} | {one['ssim'][-1]:.2f} | {one['others']:.2f} |")
    return "\n".join(lines)
