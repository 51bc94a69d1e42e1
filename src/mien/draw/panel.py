"""The label of one face: a dark panel with light text, so that it is legible on any picture."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.draw.palette import Rgb, colour_of
from mien.draw.rounded_rectangles import rounded_rectangle
from mien.results.face_columns import nominal_heads
from mien.results.faces import Face

if TYPE_CHECKING:
    from PIL import ImageFont

Rgba = tuple[int, int, int, int]
Tile = NDArray[np.uint8]
_GROUND = (20, 22, 27, 222)
_TRACK = (255, 255, 255, 46)
_TEXT = (248, 248, 248, 255)
_QUIET = (196, 201, 208, 255)
_TITLE = 1.3
_DASH = 0.58
_LONGEST = 14


class PanelDetail(IntEnum):
    """How much a panel shows; less where there is less room."""

    FULL = 0
    """Title, the three most probable labels as bars, the labels of other heads."""
    SHORT = 1
    """Title and the labels of other heads."""
    TITLE = 2
    """The label and its probability."""
    NAME = 3
    """The label."""


@dataclass(frozen=True, slots=True)
class FacePanel:
    """The content and size of the label of one face.

    Attributes:
        title: left and right part of the first line.
        bars: (name, probability) of the lines with a bar.
        others: (head, label) of the heads that have no bars, such as ("age", "20–29"), one line each.
        colour: RGB of the stripe.
        em: size of the small text, pixels.
        number: of the track, or of the face in a photo; None for none.
        labels: all labels of the head of title and bars, in order; they decide the colours.
        keep_size: reserve room for the longest of ``labels``, so that a panel keeps its size in a video.
    """

    title: tuple[str, str]
    bars: tuple[tuple[str, float], ...]
    others: tuple[tuple[str, str], ...]
    colour: Rgb
    em: int
    number: int | None = None
    labels: tuple[str, ...] = ()
    keep_size: bool = False

    @classmethod
    def of(cls, face: Face, detail: PanelDetail, em: int) -> FacePanel:
        """The panel of a face at one level of detail, with text of ``em`` pixels."""
        shown = next(iter(nominal_heads({name: one.head for name, one in face.predictions.items()})), None)
        first = None if shown is None else face.predictions[shown]
        ranked = [] if first is None else sorted(first.probabilities.items(), key=lambda item: -item[1])[:3]
        others = [
            (name, one.label) for name, one in face.predictions.items() if name != shown and not one.head.auxiliary
        ]
        labels = () if first is None else first.head.labels
        return cls(
            title=(
                plain_text(first.label if first else "face"),
                "" if detail is PanelDetail.NAME else panel_percent(first.confidence if first else face.score),
            ),
            bars=tuple((plain_text(label), p) for label, p in ranked) if detail is PanelDetail.FULL else (),
            others=tuple((plain_text(name), plain_text(label)) for name, label in others)
            if detail <= PanelDetail.SHORT
            else (),
            colour=colour_of(first.label if first else None, labels),
            em=em,
            labels=labels,
        )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        pad, stripe = self._pad, self._stripe
        widths = [self._number_width + max(_length(name, self._large) for name in (self.title[0], *self._names))]
        if self.title[1]:
            share = "100 %" if self.keep_size else self.title[1]
            widths[0] += 0.6 * self.em + _length(share, self._large)
        if self.bars:
            widths.append(self._name_width + self._bar_width + _length("100 %", self.em) + 1.1 * self.em)
        widths += [_length(f"{name} {label}", self.em) for name, label in self.others]
        lines = self._title_height + self._row * (len(self.bars) + len(self.others))
        gap = self._gap * ((len(self.bars) > 0) + (len(self.others) > 0 and len(self.bars) > 0))
        return round(max(widths) + 2 * pad + stripe), round(lines + gap + 2 * self._pad_y)

    def render(self) -> Tile:
        """The panel as RGBA uint8 ``(height, width, 4)`` of `size`."""
        # in a video only the numbers change from frame to frame, so the rest is cached
        fixed = replace(self, title=(self.title[0], ""), bars=tuple((name, 0.0) for name, _ in self.bars))
        tile = _background(fixed, self.size).copy()
        left, right = self._stripe + self._pad, tile.shape[1] - self._pad
        middle = self._pad_y + self._title_height / 2
        _write(tile, (right, middle), self.title[1], self._large, _TEXT, right=True)
        for (name, share), middle in zip(self.bars, self._rows, strict=False):
            _write(tile, (right, middle), panel_percent(share), self.em, _QUIET, right=True)
            self._bar(tile, left + self._name_width + 0.55 * self.em, middle, share, (*self._bar_colour(name), 255))
        return tile

    def background(self, size: tuple[int, int]) -> Tile:
        """Everything but the numbers and bars, as RGBA uint8 ``(height, width, 4)``."""
        width, height = size
        tile = np.empty((height, width, 4), np.uint8)
        tile[:] = _GROUND
        tile[:, : self._stripe] = (*self.colour, 255)
        left = self._stripe + self._pad
        middle = self._pad_y + self._title_height / 2
        if self.number is not None:
            _write(tile, (left, middle), f"#{self.number}", self.em, _QUIET)
        _write(tile, (left + self._number_width, middle), self.title[0], self._large, _TEXT)
        rows = self._rows
        for (name, _), middle in zip(self.bars, rows, strict=False):
            _write(tile, (left, middle), name, self.em, _QUIET)
            self._bar(tile, left + self._name_width + 0.55 * self.em, middle, 1.0, _TRACK)
        for (name, label), middle in zip(self.others, rows[len(self.bars) :], strict=True):
            _write(tile, (left, middle), name, self.em, _QUIET)
            _write(tile, (left + _length(f"{name} ", self.em), middle), label, self.em, _TEXT)
        corners = rounded_rectangle(width, height, 0.35 * self.em)
        tile[..., 3] = np.minimum(tile[..., 3], corners)
        return tile

    def _bar(self, tile: Tile, left: float, middle: float, share: float, colour: Rgba) -> None:
        width, height = round(self._bar_width), max(2, round(0.5 * self.em))
        filled = round(width * min(share, 1.0)) if share > 0 else 0  # nothing for NaN
        if filled > 0:
            # never shorter than its round ends, so that a small share stays visible
            filled = max(filled, height)
            _stamp(tile, _pill(filled, height), (round(left), round(middle - height / 2)), colour)

    @property
    def _rows(self) -> tuple[float, ...]:
        """Middles of the lines below the title, pixels."""
        top = self._pad_y + self._title_height + (self._gap if self.bars else 0)
        bars = [top + (i + 0.5) * self._row for i in range(len(self.bars))]
        top += len(bars) * self._row + (self._gap if bars else 0)
        return (*bars, *(top + (i + 0.5) * self._row for i in range(len(self.others))))

    @property
    def _names(self) -> tuple[str, ...]:
        """Texts for which room is reserved."""
        return tuple(plain_text(label) for label in self.labels) if self.keep_size else ()

    def _bar_colour(self, name: str) -> Rgb:
        return next(
            (colour_of(label, self.labels) for label in self.labels if plain_text(label) == name), colour_of(name)
        )

    @property
    def _number_width(self) -> float:
        return 0.0 if self.number is None else _length(f"#{self.number}", self.em) + 0.4 * self.em

    @property
    def _large(self) -> int:
        return round(_TITLE * self.em)

    @property
    def _pad(self) -> int:
        return max(2, round(0.6 * self.em))

    @property
    def _pad_y(self) -> int:
        return max(1, round((0.5 if self.bars or self.others else 0.3) * self.em))

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
        return max(_length(name, self.em) for name in (*self._names, *(name for name, _ in self.bars)))


@functools.lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's bundled scalable font (Aileron) at a size in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]


def panel_percent(share: float) -> str:
    """``0.934`` → ``93 %``; a small share is ``<1 %``, and NaN is ``?``."""
    if share != share:
        return "?"
    return "<1 %" if 0 < share < 0.005 else f"{min(max(share, 0.0), 1.0) * 100:.0f} %"


@functools.lru_cache(maxsize=1024)
def plain_text(text: str) -> str:
    """Text in the characters of the bundled font, with an en dash between numbers, shortened to a label's length."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip() or "?"
    short = letters if len(letters) <= _LONGEST else letters[: _LONGEST - 1] + "…"
    low, dash, high = short.partition("-")
    return f"{low}–{high}" if dash and low.isdigit() and high.isdigit() else short


@functools.lru_cache(maxsize=1024)
def _length(text: str, em: int) -> float:
    return sum(font(em).getlength(part) for part in text.split("–")) + text.count("–") * _DASH * em


@functools.lru_cache(maxsize=256)
def _background(panel: FacePanel, size: tuple[int, int]) -> Tile:
    return panel.background(size)


@functools.lru_cache(maxsize=1024)
def _pill(width: int, height: int) -> Tile:
    return rounded_rectangle(width, height, height / 2)


def _write(tile: Tile, at: tuple[float, float], text: str, em: int, colour: Rgba, *, right: bool = False) -> None:
    """Text whose digits are centred on ``at``."""
    if text:
        mask, reach = _text(text, em)
        x = round(at[0] - _length(text, em) if right else at[0])
        _stamp(tile, mask, (x - reach, round(at[1] + 0.36 * em) - mask.shape[0] * 3 // 4), colour)


@functools.lru_cache(maxsize=2048)
def _text(text: str, em: int) -> tuple[Tile, int]:
    """Coverage of a text, 0–255, with its baseline at three quarters of the height; and pixels left of its start.

    The bundled font has no en dash, so that one is drawn.
    """
    from PIL import Image, ImageDraw

    reach = em // 2
    image = Image.new("L", (round(_length(text, em)) + 2 * reach, 4 * (em // 2 + 1)))
    draw = ImageDraw.Draw(image)
    x, baseline = float(reach), image.height * 3 // 4
    for i, part in enumerate(text.split("–")):
        if i:
            top, thick = baseline - round(0.32 * em), max(1, round(0.08 * em))
            left, wide = round(x + 0.08 * em), round(0.42 * em)
            draw.rectangle((left, top, left + wide, top + thick - 1), fill=255)
            x += _DASH * em
        draw.text((x, baseline), part, font=font(em), fill=255, anchor="ls")
        x += _length(part, em)
    return np.asarray(image), reach


def _stamp(tile: Tile, mask: Tile, at: tuple[int, int], colour: Rgba) -> None:
    """Paint a colour on an RGBA tile where a mask (0–255) covers it, in place; parts outside are left out."""
    (x, y), (height, width) = at, mask.shape
    left, top = max(-x, 0), max(-y, 0)
    region = tile[y + top : y + height, x + left : x + width]
    cover = mask[top : top + region.shape[0], left : left + region.shape[1], None] / np.float32(255)
    ink = np.array(colour, np.float32)
    if colour[3] < 255:  # translucent: the background keeps its own opacity
        cover, ink = cover * np.float32(colour[3] / 255), np.append(ink[:3], 0)
        ink = np.broadcast_to(ink, region.shape).copy()
        ink[..., 3] = region[..., 3]
    region[...] = (region + (ink - region) * cover + np.float32(0.5)).astype(np.uint8)
