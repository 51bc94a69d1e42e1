"""The faces of a video drawn frame by frame: panels show the stable label and keep their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.draw.boxes import draw_outline, drawable_boxes, line_width
from mien.draw.label_layout import PanelPlacement, place_panels
from mien.draw.palette import colour_of
from mien.draw.panel import FacePanel, PanelDetail, panel_percent, plain_text
from mien.draw.rounded_rectangles import blend
from mien.results.faces import Faces
from mien.results.video import VideoFrame

_FORGET = 50
"""Frames without a face after which the position of its label is forgotten."""
_AHEAD = 0.03
"""Lead of probability with which a label moves up in the list, so that equal ones do not swap in every frame."""
_BARS = 3


class VideoOverlay:
    """Draws one video's frames in their order.

    Each face has a box in the colour of its stable label, and a panel: the number of its track, the stable label with
    its smoothed probability, the three most probable ones as bars, and the labels of other heads, such as the age range
    pooled so far. A panel keeps its size and its side of the face from frame to frame, and moves elsewhere only when it
    would cover something.

    Examples:
        >>> overlay = VideoOverlay()
        >>> with analyzer.stream("clip.mp4", end=0.2) as frames:
        ...     pictures = [overlay.draw(frame) for frame in frames]
        >>> len(pictures), pictures[0].shape
        (5, (144, 320, 3))
    """

    def __init__(self) -> None:
        self._previous: dict[int, _FaceMemory] = {}
        self._frame = 0

    def draw(self, moment: VideoFrame) -> NDArray[np.uint8]:
        """The frame with its faces drawn on it: RGB uint8 ``(h, w, 3)``, a copy."""
        if moment.cut:
            self._previous = {}
        self._frame += 1
        faces = moment.faces
        size = moment.frame.size
        rgb = moment.frame.rgb.copy()
        boxes, rows = drawable_boxes(faces)
        contents = [_PanelContent.of(moment, row, self._previous) for row in rows]
        previous = [self._previous.get(content.track) for content in contents]
        placements = place_panels(
            boxes,
            size,
            lambda k, detail, em: contents[k].panel(detail, em).size,
            gap=max(2, round(1.5 * line_width(size))),
            before=[None if memory is None else memory.placement for memory in previous],
        )
        for box, face in zip(boxes, contents, strict=True):
            draw_outline(rgb, box, line_width(size), colour_of(face.label, face.names))
        for face, placement in zip(contents, placements, strict=True):
            if placement is not None:
                blend(rgb, face.panel(placement.detail, placement.em).render(), placement.rect[:2])
            self._previous[face.track] = _FaceMemory(placement, face.order, self._frame)
        self._previous = {t: memory for t, memory in self._previous.items() if memory.frame > self._frame - _FORGET}
        return rgb


def draw_video_frame(moment: VideoFrame, overlay: VideoOverlay | None = None) -> NDArray[np.uint8]:
    """One frame with its faces drawn on it: RGB uint8 ``(h, w, 3)``, a copy.

    Args:
        moment: the frame.
        overlay: keeps the positions of the labels in the previous frame; None draws the frame alone.

    Examples:
        >>> with analyzer.stream("clip.mp4", end=0.2) as frames:
        ...     print(draw_video_frame(next(iter(frames))).shape)
        (144, 320, 3)
    """
    return (overlay or VideoOverlay()).draw(moment)


@dataclass(frozen=True, slots=True)
class _FaceMemory:
    """The last label of a face, the order of its bars, and the frame in which it was drawn."""

    placement: PanelPlacement | None
    order: tuple[int, ...]
    frame: int


@dataclass(frozen=True, slots=True)
class _PanelContent:
    """Content of the panel of one face."""

    track: int
    label: str | None
    share: float
    smoothed: tuple[float, ...]
    order: tuple[int, ...]
    names: tuple[str, ...]
    others: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, moment: VideoFrame, row: int, previous: dict[int, _FaceMemory]) -> _PanelContent:
        faces = moment.faces
        track = -1 if faces.tracks is None else int(faces.tracks[row])
        shown = next(iter(moment.smoothed.values()), None)
        names = () if shown is None else shown.head.labels
        smoothed = () if shown is None else tuple(shown.probabilities[row].tolist())
        label = None if shown is None else shown.labels[row]
        before = previous[track].order if track in previous and len(previous[track].order) == len(names) else ()
        return cls(
            track=track,
            label=label,
            share=float(faces.scores[row]) if not names else smoothed[names.index(label)] if label else np.nan,
            smoothed=smoothed,
            order=_stable_order(smoothed, before),
            names=names,
            others=_other_labels(faces, row, next(iter(moment.smoothed), None)),
        )

    def panel(self, detail: PanelDetail, em: int) -> FacePanel:
        """The label at one level of detail, with text of ``em`` pixels."""
        name = "face" if not self.names else plain_text(self.label) if self.label else "…"
        known = self.share == self.share
        bars = self.order[:_BARS] if detail is PanelDetail.FULL else ()
        return FacePanel(
            title=(name, panel_percent(self.share) if known and detail is not PanelDetail.NAME else ""),
            bars=tuple((plain_text(self.names[i]), self.smoothed[i]) for i in bars),
            others=self.others if detail <= PanelDetail.SHORT else (),
            colour=colour_of(self.label, self.names),
            em=em,
            number=self.track if self.track >= 0 else None,
            labels=self.names,
            keep_size=bool(self.names),
        )


def _stable_order(shares: Sequence[float], before: Sequence[int]) -> tuple[int, ...]:
    """Indices, the greatest share first; in the order of the previous frame as long as that is nearly right."""
    if not before:
        return tuple(int(i) for i in np.argsort(-np.asarray(shares), kind="stable"))
    order = list(before)
    for end in range(1, len(order)):
        at = end
        while at > 0 and shares[order[at]] > shares[order[at - 1]] + _AHEAD:
            order[at - 1], order[at] = order[at], order[at - 1]
            at -= 1
    return tuple(order)


def _other_labels(faces: Faces, row: int, shown: str | None) -> tuple[tuple[str, str], ...]:
    """(head, label) of the heads that have no bars."""
    labels = []
    for name, head in faces.heads.items():
        best = int(faces.predictions[name].best[row])
        if name != shown and best >= 0:
            labels.append((plain_text(name), plain_text(head.labels[best])))
    return tuple(labels)
