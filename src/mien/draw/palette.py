"""One colour an emotion, told apart by readers with any common colour blindness."""

from __future__ import annotations

from collections.abc import Mapping

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
"""RGB, after Okabe and Ito (2008), "Color Universal Design"; grey stands for their black, and their blue is a little
lighter here, because bars lie on a dark ground."""

PLAIN: Rgb = (235, 235, 235)
"""A face without emotions, or with a label of another taxonomy."""


def colour_of(emotion: str | None) -> Rgb:
    """The RGB colour of an emotion; `PLAIN` for None and for unknown names."""
    return COLOURS.get(emotion or "", PLAIN)


def luminance(colour: Rgb) -> float:
    """Relative luminance, 0 (black) to 1 (white), as WCAG 2.2 defines it for contrast."""
    linear = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
