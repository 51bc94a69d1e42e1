"""The faces of a video drawn frame by frame: panels show the stable label, and stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.draw.boxes import drawable, line_width, outline
from mien.draw.label_layout import PanelPlacement, place_panels
from mien.draw.palette import colour_of
from mien.draw.panel import Detail, Panel, percent, plain
from mien.draw.rounded_rectangles import blend
from mien.results.faces import Faces
from mien.results.video import VideoFrame

_FORGET = 50
"""Frames after which the label of a face that is not seen any more is forgotten."""
_AHEAD = 0.03
"""An emotion moves up in the list when its probability is greater by this: two equal ones do not dance."""
_BARS = 3


class VideoOverlay:
    """Draws one video's frames in their order.

    Each face has a box in the colour of its stable label, and a panel: the number of its track, the stable label with
    its smoothed probability, the three most probable ones as bars, and the labels of other heads, such as the age range
    pooled so far. A panel keeps its size and its side of the face from frame to frame, and moves elsewhere only when it
    would cover something.
    """

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._frame = 0

    def draw(self, moment: VideoFrame) -> NDArray[np.uint8]:
        """The frame with its faces drawn on it: RGB uint8 ``(h, w, 3)``, a copy."""
        if moment.cut:
            self._held = {}
        self._frame += 1
        faces = moment.faces
        size = moment.frame.size
        rgb = moment.frame.rgb.copy()
        boxes, rows = drawable(faces)
        contents = [_PanelContent.of(moment, row, self._held) for row in rows]
        places = place_panels(
            boxes,
            size,
            lambda k, detail, em: contents[k].panel(detail, em).size,
            gap=max(2, round(1.5 * line_width(size))),
            before=[None if held is None else held.placement for held in (self._held.get(t.track) for t in contents)],
        )
        for box, face in zip(boxes, contents, strict=True):
            outline(rgb, box, line_width(size), colour_of(face.label, face.names))
        for face, at in zip(contents, places, strict=True):
            if at is not None:
                blend(rgb, face.panel(at.detail, at.em).render(), at.rect[:2])
            self._held[face.track] = _Held(at, face.order, self._frame)
        self._held = {track: held for track, held in self._held.items() if held.frame > self._frame - _FORGET}
        return rgb


def draw_video_frame(moment: VideoFrame, overlay: VideoOverlay | None = None) -> NDArray[np.uint8]:
    """One frame with its faces drawn on it: RGB uint8 ``(h, w, 3)``, a copy.

    Args:
        moment: the frame.
        overlay: what remembers where the labels of the frame before were; None draws the frame by itself.
    """
    return (overlay or VideoOverlay()).draw(moment)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is remembered of a face: its label, the order of its emotions, and when it was seen."""

    placement: PanelPlacement | None
    order: tuple[int, ...]
    frame: int


@dataclass(frozen=True, slots=True)
class _PanelContent:
    """What the panel of one face shows."""

    track: int
    label: str | None
    share: float
    smoothed: tuple[float, ...]
    order: tuple[int, ...]
    names: tuple[str, ...]
    others: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, moment: VideoFrame, row: int, held: dict[int, _Held]) -> _PanelContent:
        faces = moment.faces
        track = -1 if faces.tracks is None else int(faces.tracks[row])
        shown = next(iter(moment.smoothed.values()), None)
        names = () if shown is None else shown.head.labels
        smoothed = () if shown is None else tuple(shown.probabilities[row].tolist())
        label = None if shown is None else shown.labels[row]
        before = held[track].order if track in held and len(held[track].order) == len(names) else ()
        return cls(
            track=track,
            label=label,
            share=float(faces.scores[row]) if not names else smoothed[names.index(label)] if label else np.nan,
            smoothed=smoothed,
            order=_ranked(smoothed, before),
            names=names,
            others=_others(faces, row, next(iter(moment.smoothed), None)),
        )

    def panel(self, detail: Detail, em: int) -> Panel:
        """The label at one level of detail, with text of ``em`` pixels."""
        name = "face" if not self.names else plain(self.label) if self.label else "…"
        known = self.share == self.share
        bars = self.order[:_BARS] if detail is Detail.FULL else ()
        return Panel(
            title=(name, percent(self.share) if known and detail is not Detail.NAME else ""),
            bars=tuple((plain(self.names[i]), self.smoothed[i]) for i in bars),
            others=self.others if detail <= Detail.SHORT else (),
            colour=colour_of(self.label, self.names),
            em=em,
            number=self.track if self.track >= 0 else None,
            labels=self.names,
            keep_size=bool(self.names),
        )


def _ranked(shares: Sequence[float], before: Sequence[int]) -> tuple[int, ...]:
    """Indices, the greatest share first; in the order of the frame before as long as that is nearly right."""
    if not before:
        return tuple(int(i) for i in np.argsort(-np.asarray(shares), kind="stable"))
    order = list(before)
    for end in range(1, len(order)):
        at = end
        while at > 0 and shares[order[at]] > shares[order[at - 1]] + _AHEAD:
            order[at - 1], order[at] = order[at], order[at - 1]
            at -= 1
    return tuple(order)


def _others(faces: Faces, row: int, shown: str | None) -> tuple[tuple[str, str], ...]:
    """(head, label) of the heads that have no bars."""
    found = []
    for name, head in faces.heads.items():
        best = int(faces.predictions[name].best[row])
        if name != shown and best >= 0:
            found.append((plain(name), plain(head.labels[best])))
    return tuple(found)
