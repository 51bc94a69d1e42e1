"""Learning curves as SVG text, which is the same on every machine, so that checks can compare it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, MARGIN, GAP = 360, 220, 44, 24
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's, distinguishable for most colour-blind readers."""

CurveRows = Sequence[Mapping[str, float]]


def curves_svg(rows: CurveRows, title: str) -> str:
    """Losses beside validation accuracies over the epochs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [name for name in names if name.endswith("_loss")]
    accuracies = [name for name in names if name.endswith("_accuracy")]
    whole = 2 * WIDTH + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{title}</title>",
        f'<rect width="{whole}" height="{HEIGHT}" fill="white"/>',
        *_panel(rows, losses, "loss", 0),
        *_panel(rows, accuracies, "validation accuracy", WIDTH + GAP),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(rows: CurveRows, names: Sequence[str], title: str, left: int) -> list[str]:
    values = [row[name] for row in rows for name in names if name in row]
    if not values:
        return []
    low, high = min(values), max(values)
    high = high if high > low else low + 1.0
    last = max(row["epoch"] for row in rows)
    right, bottom = left + WIDTH - 8, HEIGHT - 30
    top = 30

    def at(epoch: float, value: float) -> str:
        x = left + MARGIN + (right - left - MARGIN) * (epoch - 1) / max(last - 1, 1)
        y = bottom - (bottom - top) * (value - low) / (high - low)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<text x="{left + MARGIN}" y="16" font-size="13">{title}</text>',
        f'<path d="M{left + MARGIN},{top} V{bottom} H{right}" fill="none" stroke="#888"/>',
        *(
            f'<text x="{left + MARGIN - 4}" y="{y + 4}" text-anchor="end">{value:.3g}</text>'
            for y, value in ((top, high), (bottom, low))
        ),
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">epoch {last:.0f}</text>',
    ]
    for i, name in enumerate(names):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join(at(row["epoch"], row[name]) for row in rows if name in row)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        label = name.removeprefix("val_").removesuffix("_accuracy").replace("_", " ")
        label = f"validation {label}" if name == "val_loss" else label
        parts.append(f'<text x="{right - 4}" y="{top + 14 * i + 4}" fill="{colour}" text-anchor="end">{label}</text>')
    return parts
