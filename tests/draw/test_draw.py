"""Drawn results: labels stay inside the picture, off the face, and legible on anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.faces import predictions
from mien.draw.boxes import draw_faces, place_labels
from mien.draw.label_layout import text_size
from mien.draw.palette import COLOURS, PLAIN, colour_of
from mien.draw.panel import FacePanel, PanelDetail, panel_percent, plain_text
from mien.draw.rounded_rectangles import blend, rounded_rectangle, stroke
from mien.errors import ImageError, InputError, MissingFileError
from mien.geometry import clip_boxes, iou
from mien.labels import FERPLUS
from mien.results.faces import Faces


def classified(boxes: object, size: tuple[int, int], *, ages: bool = True, seed: int = 0) -> Faces:
    """Faces at these xyxy boxes with made-up distributions; ``size`` is (width, height)."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rng = np.random.default_rng(seed)
    faces = Faces.detected(boxes, np.full(len(boxes), 0.97), None, size)
    emotions = rng.dirichlet(np.full(8, 0.4), len(boxes)).astype(np.float32)
    years = rng.dirichlet(np.ones(9), len(boxes)).astype(np.float32) if ages else None
    return faces.with_predictions(predictions(emotions=emotions, ages=years))


def canvas(size: tuple[int, int], value: int = 127) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def rects(faces: Faces) -> np.ndarray:
    return np.array([p.rect for p in place_labels(faces) if p], np.float32).reshape(-1, 4)


def assert_inside(faces: Faces) -> None:
    width, height = faces.image_size
    for x1, y1, x2, y2 in rects(faces):
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


def corner_boxes(width: int, height: int, side: int) -> list[list[int]]:
    return [
        [x, y, x + side, y + side]
        for x in (0, (width - side) // 2, width - side)
        for y in (0, (height - side) // 2, height - side)
    ]


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (2000, 300), (300, 2000), (160, 120)])
@pytest.mark.parametrize("share", [0.15, 0.5, 0.95])
def test_labels_stay_inside_at_every_corner(size: tuple[int, int], share: float) -> None:
    side = int(min(size) * share)
    for box in corner_boxes(*size, side):
        faces = classified([box], size)
        assert len(rects(faces)) == 1
        assert_inside(faces)
        (place,) = place_labels(faces)
        assert place is not None
        # what is drawn is exactly as large as what was placed
        panel = replace(FacePanel.of(faces[0], place.detail, place.em), number=1)
        assert panel.render().shape[1::-1] == (
            place.rect[2] - place.rect[0],
            place.rect[3] - place.rect[1],
        )
    assert_inside(classified(corner_boxes(*size, side), size))


def test_panels_show_the_numbers_that_faces_have_in_tables() -> None:
    faces = classified([[60, 60, 160, 160], [400, 60, 500, 160], [230, 250, 330, 350]], (640, 480))
    drawn = draw_faces(faces, canvas((640, 480)))
    numbers = faces.to_table().to_columns()["face"]
    assert numbers == [1, 2, 3]
    for face, number, placement in zip(faces, numbers, place_labels(faces), strict=True):
        assert placement is not None
        panel = replace(FacePanel.of(face, placement.detail, placement.em), number=number)
        alone = canvas((640, 480))
        blend(alone, panel.render(), placement.rect[:2])
        x1, y1, x2, y2 = placement.rect
        assert np.array_equal(drawn[y1:y2, x1:x2], alone[y1:y2, x1:x2])
        blend(alone := canvas((640, 480)), replace(panel, number=None).render(), placement.rect[:2])
        assert not np.array_equal(drawn[y1:y2, x1:x2], alone[y1:y2, x1:x2])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    boxes=st.lists(st.tuples(*[st.floats(-300, 1200, width=32)] * 4), max_size=6),
    ages=st.booleans(),
)
def test_any_boxes_in_any_picture(width: int, height: int, boxes: list[tuple[float, ...]], ages: bool) -> None:
    faces = classified(boxes, (width, height), ages=ages)
    assert_inside(faces)
    picture = canvas((width, height))
    drawn = draw_faces(faces, picture)
    assert drawn.shape == picture.shape
    assert drawn.dtype == np.uint8
    assert (picture == 127).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (20, 20), (48, 48), (5, 400)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    faces = classified([[0, 0, *size]], size)
    drawn = draw_faces(faces, canvas(size))
    assert drawn.shape == (size[1], size[0], 3)
    assert (drawn != 127).any()
    assert_inside(faces)


@pytest.mark.parametrize("by", [2, 4, 8])
def test_boxes_of_a_whole_picture_are_drawn_on_a_smaller_version(by: int) -> None:
    faces = classified([[160, 80, 480, 400]], (801, 603))
    small = canvas((-(-801 // by), -(-603 // by)))
    drawn = draw_faces(faces, small)
    assert drawn.shape == small.shape
    assert np.array_equal(drawn, draw_faces(faces.scaled((small.shape[1], small.shape[0])), small))
    with pytest.raises(InputError, match="801 × 603"):
        draw_faces(faces, small[1:])


def test_huge_picture_has_large_text() -> None:
    size = (6000, 4000)
    faces = classified([[2800, 1800, 3300, 2400]], size)
    drawn = draw_faces(faces, canvas(size))
    assert_inside(faces)
    (place,) = place_labels(faces)
    assert place is not None
    assert place.detail is PanelDetail.FULL
    assert place.em >= 60
    assert (drawn != 127).any()


def test_the_face_is_left_free_where_there_is_room() -> None:
    for box in corner_boxes(800, 600, 150):
        faces = classified([box], (800, 600))
        assert iou(rects(faces), faces.boxes).max() == 0
        assert place_labels(faces)[0].detail is PanelDetail.FULL  # type: ignore[union-attr]


def test_labels_keep_off_one_another_and_off_other_faces() -> None:
    boxes = [[100 + 200 * i, 100 + 240 * j, 180 + 200 * i, 190 + 240 * j] for i in range(5) for j in range(3)]
    faces = classified(boxes, (1200, 900))
    placed = rects(faces)
    assert len(placed) == 15
    overlap = iou(placed, placed)
    np.fill_diagonal(overlap, 0)
    assert overlap.max() == 0
    assert iou(placed, faces.boxes).max() == 0


def test_a_face_that_fills_the_picture_is_mostly_seen() -> None:
    faces = classified([[0, 0, 400, 400]], (400, 400))
    x1, y1, x2, y2 = rects(faces)[0]
    assert (x2 - x1) * (y2 - y1) <= 0.2 * 400 * 400


def test_a_crowd_is_drawn_in_full() -> None:
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 700, (80, 2))
    faces = classified(np.hstack([corner, corner + 90]), (800, 800))
    assert len(rects(faces)) == 80
    assert_inside(faces)
    draw_faces(faces, canvas((800, 800)))


# ---------------------------------------------------------------- looks


def luminance(rgb: np.ndarray) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = np.where(rgb / 255 <= 0.04045, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("value", [0, 127, 255])
def test_text_has_contrast_on_any_background(value: int) -> None:
    faces = classified([[300, 300, 400, 400]], (800, 600))
    drawn = draw_faces(faces, canvas((800, 600), value))
    x1, y1, x2, y2 = (int(v) for v in rects(faces)[0])
    panel = drawn[y1:y2, x1:x2].reshape(-1, 3)
    brightness = panel.astype(int).sum(axis=1)
    text = luminance(panel[brightness >= np.quantile(brightness, 0.98)].mean(axis=0))
    ground = luminance(np.median(panel, axis=0))
    assert (text + 0.05) / (ground + 0.05) >= 7  # WCAG's enhanced level


def test_the_box_has_the_colour_of_its_emotion() -> None:
    for i, name in enumerate(FERPLUS.names):
        faces = classified([[300, 300, 400, 400]], (800, 600))
        faces = faces.with_predictions(predictions(emotions=np.eye(8, dtype=np.float32)[i : i + 1]))
        drawn = draw_faces(faces, canvas((800, 600)))
        assert tuple(drawn[350, 301]) == COLOURS[name]


def test_every_emotion_has_its_own_colour() -> None:
    assert set(COLOURS) == set(FERPLUS.names)
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert colour_of(None) == colour_of("bored") == PLAIN


def test_only_the_box_and_the_label_are_touched() -> None:
    size = (400, 300)
    faces = classified([[150, 100, 220, 190]], size)
    changed = (draw_faces(faces, canvas(size)) != 127).any(axis=2)
    allowed = np.zeros(changed.shape, bool)
    allowed[98:192, 148:222] = True
    allowed[110:180, 160:210] = False
    x1, y1, x2, y2 = (int(v) for v in rects(faces)[0])
    allowed[y1:y2, x1:x2] = True
    assert not (changed & ~allowed).any()


def test_faces_without_emotions_show_their_score() -> None:
    size = (400, 300)
    faces = Faces.detected(np.array([[150, 100, 220, 190]]), np.array([0.934]), None, size)
    panel = FacePanel.of(faces[0], PanelDetail.FULL, 12)
    assert (panel.title, panel.bars, panel.others, panel.colour) == (("face", "93 %"), (), (), PLAIN)
    assert (draw_faces(faces, canvas(size)) != 127).any()


def test_uncertain_faces_and_long_foreign_labels() -> None:
    faces = classified([[150, 100, 220, 190]], (400, 300))
    shares = np.full((1, 8), 0.125, np.float32)
    even = faces.with_predictions(predictions(emotions=shares))
    assert FacePanel.of(even[0], PanelDetail.FULL, 12).title[1] == "12 %"
    names = ("überraschend lange Bezeichnung", "厌恶", *FERPLUS.names[2:])
    foreign = faces.with_predictions(predictions(emotions=shares, emotion_labels=names))
    assert_inside(foreign)
    draw_faces(foreign, canvas((400, 300)))
    unseen = faces.with_predictions(predictions(emotions=np.full((1, 8), np.nan, np.float32)))
    draw_faces(unseen, canvas((400, 300)))


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.001, "<1 %"), (0.934, "93 %"), (0.996, "100 %"), (1.2, "100 %"), (-1.0, "0 %"), (np.nan, "?")],
)
def test_percent(share: float, text: str) -> None:
    assert panel_percent(share) == text


def test_plain_text() -> None:
    assert plain_text("20-29") == "20–29"
    assert plain_text("self-assured") == "self-assured"
    assert plain_text("dégoût") == "degout"
    assert plain_text("厌恶") == "?"
    assert plain_text("a very long label") == "a very long l…"


def test_text_grows_with_the_face_and_the_picture() -> None:
    small, large = np.array([0, 0, 40, 40], np.float32), np.array([0, 0, 400, 400], np.float32)
    assert text_size(small, (1000, 1000)) < text_size(large, (1000, 1000)) < text_size(large * 4, (4000, 4000))


# ---------------------------------------------------------------- shapes


def test_rounded_mask() -> None:
    mask = rounded_rectangle(20, 10, 4)
    assert mask.shape == (10, 20)
    assert mask[0, 0] == 0
    assert (mask[5, 1:-1] == 255).all()
    assert np.array_equal(mask, mask[::-1, ::-1])
    assert (rounded_rectangle(1, 1, 9) > 0).all()


@given(st.tuples(*[st.floats(-50, 150)] * 4), st.floats(0.5, 30), st.floats(0, 60))
@settings(max_examples=80, deadline=None)
def test_a_stroke_in_parts_is_the_stroke_at_once(box: tuple[float, ...], width: float, radius: float) -> None:
    """The frame is painted in four parts that never overlap, or half-transparent lines would show their seams."""
    x1, x2 = sorted(box[:2])
    y1, y2 = sorted(box[2:])
    picture = np.full((100, 120, 3), 200, np.uint8)
    stroke(picture, (x1, y1, x2, y2), width=width, radius=radius, colour=(0, 0, 0), opacity=0.5)
    assert picture.min() >= 100


# ---------------------------------------------------------------- which picture


def test_no_face_gives_an_equal_copy() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    drawn = draw_faces(Faces.empty((40, 30)), picture)
    assert np.array_equal(drawn, picture)
    assert not np.shares_memory(drawn, picture)


def test_the_carried_picture_is_used_and_kept() -> None:
    picture = canvas((200, 200))
    picture.setflags(write=False)
    faces = replace(classified([[50, 80, 90, 120]], (200, 200)), image=picture)
    assert (faces.draw() != 127).any()
    assert (picture == 127).all()
    assert np.array_equal(faces.draw(), draw_faces(faces, picture))


def test_the_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.fromarray(canvas((200, 200))).save(path)
    faces = replace(classified([[50, 80, 90, 120]], (200, 200)), source=str(path))
    assert np.array_equal(faces.draw(), faces.draw(canvas((200, 200))))


def test_save(tmp_path: Path) -> None:
    faces = replace(classified([[50, 80, 90, 120]], (200, 200)), image=canvas((200, 200)))
    path = faces.save(tmp_path / "new" / "out.png")
    with Image.open(path) as saved:
        assert np.array_equal(np.asarray(saved), faces.draw())
    with pytest.raises(InputError, match="no picture format has the suffix"):
        faces.save(tmp_path / "out.txt")
    wide = replace(Faces.empty((20_000, 1)), image=canvas((20_000, 1)))
    with pytest.raises(InputError, match=r"out\.webp: WEBP holds at most 16383 pixels per side; use \.png"):
        wide.save(tmp_path / "out.webp")
    wide.save(tmp_path / "out.png")


def test_missing_pictures(tmp_path: Path) -> None:
    faces = classified([[50, 80, 90, 120]], (200, 200))
    with pytest.raises(InputError, match=r"hold no picture; pass the picture that they come from, as draw\(image\)"):
        faces.draw()
    with pytest.raises(
        InputError, match=r"camera 0: .* their source is not a file; pass the picture, as draw\(image\)"
    ):
        replace(faces, source="camera 0").draw()
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(ImageError, match="holds text"):
        replace(faces, source=str(tmp_path / "text.jpg")).draw()
    assert issubclass(MissingFileError, FileNotFoundError)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (canvas((200, 100)), "the picture has 200 × 100 pixels, that of the faces 200 × 200; pass the same"),
        (np.zeros((200, 200), np.uint8), "is an RGB uint8 array (height, width, 3), got uint8 (200, 200)"),
        (np.zeros((200, 200, 3)), "got float64 (200, 200, 3)"),
        (np.zeros((200, 200, 4), np.uint8), "got uint8 (200, 200, 4)"),
        ("photo.jpg", "got str"),
    ],
)
def test_wrong_pictures(image: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        classified([[50, 80, 90, 120]], (200, 200)).draw(image)  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.parametrize(
    "box",
    [
        [np.nan, 0, 10, 10],
        [0, 0, np.inf, 10],
        [50, 50, 40, 40],
        [60, 60, 60, 60],
        [-90, -90, -10, -10],
        [500, 500, 600, 600],
        [-1e30, -1e30, 1e30, 1e30],
    ],
)
def test_boxes_that_are_none_do_no_harm(box: list[float]) -> None:
    faces = classified([box, [50, 80, 90, 120]], (200, 200))
    drawn = draw_faces(faces, canvas((200, 200)))
    assert (drawn != 127).any()
    assert place_labels(faces)[1] is not None
    assert_inside(faces)


def test_boxes_are_clipped_as_elsewhere() -> None:
    faces = classified([[-20, -20, 60, 60]], (200, 200))
    assert np.array_equal(clip_boxes(faces.boxes, faces.image_size), [[0, 0, 60, 60]])
    drawn = draw_faces(faces, canvas((200, 200)))
    assert (drawn[0:2, 20:40] != 127).any()  # the line runs inside the picture where the box leaves it
