"""One colour per label; those of emotions are distinguishable with any common colour blindness."""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Mapping, Sequence

Rgb = tuple[int, int, int]

COLOURS: Mapping[str, Rgb] = {
    "neutral": (187, 187, 187),
    "happy": (240, 228, 66),
    "surprise": (230, 159, 0),
    "sad": (86, 180, 233),
    "angry": (213, 94, 0),
    "disgust": (0, 158, 115),
    "fear": (204, 121, 167),
    "contempt": (40, 130, 200),
}
"""RGB, after Okabe and Ito (2008), "Color Universal Design"; grey replaces their black, and their blue is a little
lighter, because bars lie on a dark background."""

PLAIN: Rgb = (235, 235, 235)
"""Colour of a face without a label."""


@functools.lru_cache(maxsize=256)
def label_colours(labels: tuple[str, ...]) -> Mapping[str, Rgb]:
    """Label → RGB for the labels of one head: emotions have their own colours, other labels the first free ones.

    Examples:
        >>> label_colours(("calm", "happy"))
        {'calm': (230, 159, 0), 'happy': (240, 228, 66)}
    """
    free = [colour for name, colour in COLOURS.items() if name not in labels and name != "neutral"]
    colours: dict[str, Rgb] = {}
    for label in labels:
        if label in COLOURS:
            colours[label] = COLOURS[label]
        elif free:
            colours[label] = free.pop(0)
        else:  # hues at steps of the golden ratio stay distinct however many there are
            red, green, blue = colorsys.hls_to_rgb(len(colours) * 0.618 % 1.0, 0.6, 0.6)
            colours[label] = round(255 * red), round(255 * green), round(255 * blue)
    return colours


def colour_of(label: str | None, labels: Sequence[str] = ()) -> Rgb:
    """The RGB colour of a label among the ``labels`` of its head; `PLAIN` for None and for unknown ones."""
    if label is None:
        return PLAIN
    return label_colours(tuple(labels)).get(label, COLOURS.get(label, PLAIN))


def luminance(colour: Rgb) -> float:
    """Relative luminance, 0 (black) to 1 (white), as WCAG 2.2 defines it for contrast."""
    linear = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
