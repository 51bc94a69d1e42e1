"""The faces of a picture drawn on it: a box in the colour of the label, and a panel beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.draw.blur import Blur
from mien.draw.label_layout import PanelPlacement, place_panels
from mien.draw.mark import mark_options
from mien.draw.palette import Rgb
from mien.draw.panel import FacePanel, PanelDetail
from mien.draw.rounded_rectangles import blend, stroke
from mien.errors import InputError
from mien.files import atomic_path, is_special, output_file
from mien.geometry import clip_boxes
from mien.media.image import FORMATS, load_image
from mien.output_checks import refuse_inputs
from mien.results.faces import Faces

_CASING = (0, 0, 0)
"""A dark rim on both sides of the line, so that a light box is visible on a light background."""
_QUALITY: Mapping[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
}
"""The usual settings blur small coloured text."""
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}


def draw_faces(faces: Faces, image: NDArray[np.uint8] | None = None, *, blur: Blur | None = None) -> NDArray[np.uint8]:
    """A copy of the picture with a box and a label for each face.

    The panel shows the number that the face has in tables, the most probable label and its probability, the three most
    probable ones as bars, and the labels of other heads such as the age range, as far as the models ran and the room
    allows; a face without predictions shows the detector's score. Panels lie inside the picture, beside their face
    where there is room, and off other faces and labels where possible.

    Args:
        faces: the faces, in pixels of the picture.
        image: RGB uint8 ``(h, w, 3)``; by default ``faces.image``, or the file that the faces come from. It may be the
            picture at a half, a quarter or an eighth of its size, as `mien.media.image.load_image` decodes very large
            ones.
        blur: faces that are made unrecognisable, by their numbers in tables; None for none.

    Returns:
        RGB uint8 of the shape of the picture that was drawn on.

    Raises:
        InputError: there is no picture, or it has another size than the faces' picture.
        ImageError: the file that the faces come from cannot be read any more.
        MissingFileError: it does not exist any more.

    Examples:
        >>> draw_faces(result).shape
        (512, 512, 3)
        >>> faces = analyzer.analyze_batch(["photo.jpg"])[0]
        >>> draw_faces(faces, mien.load_image("photo.jpg").rgb).shape
        (512, 512, 3)
    """
    rgb = _picture_to_draw_on(faces, image).copy()
    if rgb.shape[1::-1] != faces.image_size:
        faces = faces.scaled((rgb.shape[1], rgb.shape[0]))
    if blur is not None:
        if not isinstance(blur, Blur):
            raise InputError(f"blur is a Blur, got {blur!r}", advice='pass mien.draw.blur.Blur("all")')
        numbered = enumerate(faces.boxes.tolist(), 1)
        rgb = blur.apply(rgb, [(number, (b[0], b[1], b[2], b[3])) for number, b in numbered if blur.hides(number)])
    boxes, rows = drawable_boxes(faces)
    placements = place_labels(faces)
    width = line_width(faces.image_size)
    for row, box in zip(rows, boxes, strict=True):
        draw_outline(rgb, box, width, _panel(faces, row, PanelDetail.NAME, 1).colour)
    for row, placement in enumerate(placements):
        if placement is not None:
            blend(rgb, _panel(faces, row, placement.detail, placement.em).render(), placement.rect[:2])
    return rgb


def draw_outline(rgb: NDArray[np.uint8], box: NDArray[np.float32], width: float, colour: Rgb) -> None:
    """Draw the line around a face, inside its box (xyxy pixels), on RGB uint8 pixels in place."""
    x1, y1, x2, y2 = (float(v) for v in box)
    inset = width / 2
    middle = (x1 + inset, y1 + inset, max(x2 - inset, x1 + inset), max(y2 - inset, y1 + inset))
    radius = min(4.0 * width, 0.12 * min(x2 - x1, y2 - y1))
    casing = (width + 2 * max(1.0, 0.35 * width), _CASING, 0.45)
    stroke(rgb, middle, width=width, radius=radius, colour=colour, casing=casing)


def save_faces(faces: Faces, path: str | os.PathLike[str], *, blur: Blur | None = None) -> Path:
    """Write the annotated picture; the format follows the suffix, PNG for a device. Returns the path.

    Args:
        faces: with their picture.
        path: the file.
        blur: faces that are made unrecognisable, by their numbers in tables; None for none.

    Raises:
        InputError: no picture format that can be written has this suffix, the format cannot hold a picture of this
            size, the result has no picture to draw on, or ``path`` is the picture that was analysed.
        OutputError: the file cannot be written.

    Examples:
        >>> save_faces(result, "annotated.jpg").name
        'annotated.jpg'
    """
    from PIL import Image

    target = Path(path)
    suffix = ".png" if not target.suffix and is_special(target) else target.suffix.lower()
    name = Image.registered_extensions().get(suffix)
    # Pillow also registers suffixes that it only reads, or passes to another program
    if name not in FORMATS or name not in Image.SAVE or name == "ICO":
        raise InputError(f"no picture format has the suffix {target.suffix!r}", path=target, advice="use .png or .jpg")
    if max(faces.image_size) > _LONGEST_SIDE.get(name, math.inf):
        raise InputError(f"{name} holds at most {_LONGEST_SIDE[name]} pixels per side", path=target, advice="use .png")
    if faces.source is not None:
        refuse_inputs(target, [faces.source])
    output_file(target)
    picture = Image.fromarray(draw_faces(faces, blur=blur))
    with atomic_path(target) as temporary:
        picture.save(temporary, name, **_QUALITY.get(name, {}), **mark_options(name))
    return target


def place_labels(faces: Faces) -> list[PanelPlacement | None]:
    """The position of each face's label in `draw_faces`; None where there is no room for one, or no visible box."""
    boxes, rows = drawable_boxes(faces)
    placed = place_panels(
        boxes,
        faces.image_size,
        lambda k, detail, em: _panel(faces, rows[k], detail, em).size,
        gap=max(2, round(1.5 * line_width(faces.image_size))),
    )
    placements: list[PanelPlacement | None] = [None] * len(faces)
    for row, placement in zip(rows, placed, strict=True):
        placements[row] = placement
    return placements


def _panel(faces: Faces, row: int, detail: PanelDetail, em: int) -> FacePanel:
    """The label of one face, with its number in tables."""
    return replace(FacePanel.of(faces[row], detail, em), number=row + 1)


def line_width(size: tuple[int, int]) -> float:
    """Width of the line around a face in a picture of (width, height), pixels."""
    short = min(size)
    return max(1.0, min(2.0, short / 60), round(short / 220, 1))


def drawable_boxes(faces: Faces) -> tuple[NDArray[np.float32], list[int]]:
    """The boxes inside the picture, and their rows; boxes that are not finite or lie outside are left out."""
    clipped = clip_boxes(faces.boxes, faces.image_size)
    finite = np.isfinite(faces.boxes).all(axis=1)
    visible = finite & (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return clipped[visible], [int(i) for i in np.flatnonzero(visible)]


def _picture_to_draw_on(faces: Faces, image: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    rgb, path = image, None
    if rgb is None:
        rgb = faces.image
    if rgb is None and faces.source is None:
        raise InputError("these faces hold no picture", advice="pass the picture that they come from, as draw(image)")
    if rgb is None and faces.source is not None:
        path = faces.source
        if not Path(faces.source).is_file():
            raise InputError(
                "these faces hold no picture, and their source is not a file",
                path=path,
                advice="pass the picture, as draw(image)",
            )
        rgb = load_image(faces.source).rgb
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        got = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise InputError(f"a picture to draw on is an RGB uint8 array (height, width, 3), got {got}")
    width, height = faces.image_size
    if all(rgb.shape[:2] != (-(-height // by), -(-width // by)) for by in (1, 2, 4, 8)):
        raise InputError(
            f"the picture has {rgb.shape[1]} × {rgb.shape[0]} pixels, that of the faces {width} × {height}",
            path=path,
            advice="pass the same picture",
        )
    return rgb
