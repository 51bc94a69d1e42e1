"""The label of one face: a dark panel with light text, so that it is legible on any picture."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from mien.faces import Face
from mien.render.palette import Rgb, colour_of
from mien.render.shapes import rounded

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

_GROUND = (20, 22, 27, 222)
_TRACK = (255, 255, 255, 46)
_TEXT = (248, 248, 248, 255)
_QUIET = (196, 201, 208, 255)
_TITLE = 1.3
_DASH = 0.58
_LONGEST = 14


class Detail(IntEnum):
    """How much a panel tells; less where there is less room."""

    FULL = 0
    """Title, the three most probable emotions as bars, age range."""
    SHORT = 1
    """Title and age range."""
    TITLE = 2
    """The emotion and its probability."""
    NAME = 3
    """The emotion."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What will be drawn for one face, and how large it is.

    Attributes:
        title: left and right part of the first line.
        bars: (name, probability) of the lines with a bar.
        age: the age range, None when it is not told.
        colour: RGB of the stripe.
        em: size of the small text, pixels.
    """

    title: tuple[str, str]
    bars: tuple[tuple[str, float], ...]
    age: str | None
    colour: Rgb
    em: int

    @classmethod
    def of(cls, face: Face, detail: Detail, em: int) -> Panel:
        """The panel of a face at one level of detail, with text of ``em`` pixels."""
        name = face.emotion or "face"
        share = face.score if face.confidence is None else face.confidence
        ranked = sorted(face.emotions.items(), key=lambda item: -item[1])[:3]
        return cls(
            title=(plain(name), "" if detail is Detail.NAME else percent(share)),
            bars=tuple((plain(label), p) for label, p in ranked) if detail is Detail.FULL else (),
            age=plain(face.age_range) if face.age_range and detail <= Detail.SHORT else None,
            colour=colour_of(face.emotion),
            em=em,
        )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        pad, stripe = self._pad, self._stripe
        widths = [_length(self.title[0], self._large)]
        if self.title[1]:
            widths[0] += 0.6 * self.em + _length(self.title[1], self._large)
        if self.bars:
            widths.append(self._name_width + self._bar_width + _length("100 %", self.em) + 1.1 * self.em)
        if self.age:
            widths.append(_length(f"age {self.age}", self.em))
        lines = self._title_height + self._row * (len(self.bars) + (self.age is not None))
        gap = self._gap * ((len(self.bars) > 0) + (self.age is not None and len(self.bars) > 0))
        return round(max(widths) + 2 * pad + stripe), round(lines + gap + 2 * self._pad_y)

    def render(self) -> Image.Image:
        """The panel as an RGBA image of `size`."""
        from PIL import Image, ImageDraw

        width, height = self.size
        tile = Image.new("RGBA", (width, height), _GROUND)
        draw = ImageDraw.Draw(tile)
        draw.rectangle((0, 0, self._stripe - 1, height), fill=(*self.colour, 255))
        left, right = self._stripe + self._pad, width - self._pad
        y = float(self._pad_y)
        middle = y + self._title_height / 2
        _write(draw, (left, middle), self.title[0], self._large, _TEXT)
        _write(draw, (right, middle), self.title[1], self._large, _TEXT, right=True)
        y += self._title_height
        if self.bars:
            y += self._gap
            for name, share in self.bars:
                middle = y + self._row / 2
                _write(draw, (left, middle), name, self.em, _QUIET)
                _write(draw, (right, middle), percent(share), self.em, _QUIET, right=True)
                self._bar(tile, left + self._name_width + 0.55 * self.em, middle, share, name)
                y += self._row
        if self.age:
            y += self._gap if self.bars else 0
            middle = y + self._row / 2
            _write(draw, (left, middle), "age", self.em, _QUIET)
            _write(draw, (left + _length("age ", self.em), middle), self.age, self.em, _TEXT)
        corners = Image.fromarray(rounded(width, height, 0.35 * self.em))
        alpha = tile.getchannel("A")
        tile.putalpha(Image.composite(alpha, Image.new("L", tile.size), corners))
        return tile

    def _bar(self, tile: Image.Image, left: float, middle: float, share: float, name: str) -> None:
        from PIL import Image

        width, height = round(self._bar_width), max(2, round(0.5 * self.em))
        at = (round(left), round(middle - height / 2))
        track = Image.fromarray(rounded(width, height, height / 2))
        ground = tile.crop((*at, at[0] + width, at[1] + height))
        light = Image.alpha_composite(ground, Image.new("RGBA", (width, height), _TRACK))
        tile.paste(light, at, track)
        filled = round(width * min(share, 1.0)) if share > 0 else 0  # nothing for NaN
        if filled > 0:
            # never shorter than its round ends, so that a trace is still seen
            filled = max(filled, height)
            tile.paste((*colour_of(name), 255), at, Image.fromarray(rounded(filled, height, height / 2)))

    @property
    def _large(self) -> int:
        return round(_TITLE * self.em)

    @property
    def _pad(self) -> int:
        return max(2, round(0.6 * self.em))

    @property
    def _pad_y(self) -> int:
        return max(1, round((0.5 if self.bars or self.age else 0.3) * self.em))

    @property
    def _stripe(self) -> int:
        return max(2, round(0.3 * self.em))

    @property
    def _row(self) -> float:
        return 1.35 * self.em

    @property
    def _title_height(self) -> float:
        return 1.3 * _TITLE * self.em

    @property
    def _gap(self) -> float:
        return 0.25 * self.em

    @property
    def _bar_width(self) -> float:
        return 4.5 * self.em

    @property
    def _name_width(self) -> float:
        return max(_length(name, self.em) for name, _ in self.bars)


@functools.lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's bundled scalable font (Aileron) at a size in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]


def percent(share: float) -> str:
    """``0.934`` → ``93 %``; a trace is ``<1 %``, and what is no number ``?``."""
    if share != share:
        return "?"
    return "<1 %" if 0 < share < 0.005 else f"{min(max(share, 0.0), 1.0) * 100:.0f} %"


def plain(text: str) -> str:
    """Text in the characters the bundled font has, a dash between numbers, cut to a label's length."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip() or "?"
    short = letters if len(letters) <= _LONGEST else letters[: _LONGEST - 1] + "…"
    low, dash, high = short.partition("-")
    return f"{low}–{high}" if dash and low.isdigit() and high.isdigit() else short


@functools.lru_cache(maxsize=1024)
def _length(text: str, em: int) -> float:
    return sum(font(em).getlength(part) for part in text.split("–")) + text.count("–") * _DASH * em


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    em: int,
    fill: tuple[int, int, int, int],
    *,
    right: bool = False,
) -> None:
    """Text whose digits are centred on ``at``; the bundled font has no en dash, so that one is drawn."""
    x, y = at
    if right:
        x -= _length(text, em)
    baseline = round(y + 0.36 * em)
    for i, part in enumerate(text.split("–")):
        if i:
            top, thick = baseline - round(0.32 * em), max(1, round(0.08 * em))
            left, wide = round(x + 0.08 * em), round(0.42 * em)
            draw.rectangle((left, top, left + wide, top + thick - 1), fill=fill)
            x += _DASH * em
        draw.text((x, baseline), part, font=font(em), fill=fill, anchor="ls")
        x += _length(part, em)
