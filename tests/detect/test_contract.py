"""What every row of `DETECTORS` promises. YuNet's weights are not at hand here: see test_detect_yunet.py."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from helpers.pictures import astronaut, hopper, noise
from mien import defaults
from mien.detect import DETECTORS, DetectionOptions, Detector, make_detector
from mien.errors import InputError, ModelError
from mien.geometry import iou, resize

ASTRONAUT_BOX = np.array([[179, 63, 265, 173]], np.float32)
ASTRONAUT_BESIDE = np.array([[691, 63, 777, 173]], np.float32)
HOPPER_BOX = np.array([[170, 110, 350, 332]], np.float32)


@pytest.fixture(scope="module", params=list(DETECTORS))
def detector(request) -> Detector:
    if DETECTORS[request.param].needs:
        try:
            return make_detector(DetectionOptions(request.param, 48), threads=1)
        except ModelError as error:
            pytest.skip(str(error))
    return make_detector(DetectionOptions(request.param, 48), threads=1)


@pytest.mark.parametrize(("picture", "box"), [(astronaut, ASTRONAUT_BOX), (hopper, HOPPER_BOX)])
def test_the_one_face_is_found(detector, picture, box):
    faces = detector.detect(picture())
    assert len(faces) == 1
    assert iou(faces.boxes, box)[0, 0] > 0.6
    assert faces.scores[0] > 0.8
    assert faces.image_size == (picture().shape[1], picture().shape[0])


def test_landmarks_are_there_exactly_where_the_table_lists_them(detector):
    faces = detector.detect(astronaut())
    assert np.isfinite(faces.landmarks).all() == DETECTORS[detector.name].landmarks


def test_two_faces_sorted_and_inside(detector):
    picture = np.concatenate([hopper()[:512], astronaut()], axis=1)
    faces = detector.detect(picture)
    # the two best are the two faces; Res10 also reports a weak third
    overlap = iou(faces.boxes[:2], np.concatenate([HOPPER_BOX, ASTRONAUT_BESIDE]))
    np.testing.assert_array_equal((overlap > 0.5).sum(axis=0), [1, 1])
    assert (np.diff(faces.scores) <= 0).all()
    assert ((faces.scores >= 0) & (faces.scores <= 1)).all()


def test_boxes_of_cut_faces_are_clamped(detector):
    for picture in (hopper()[150:400, 180:400], hopper()[:320], astronaut()[80:300, 150:280]):
        picture = np.ascontiguousarray(picture)
        faces = detector.detect(picture)
        height, width = picture.shape[:2]
        assert (faces.boxes >= 0).all()
        assert (faces.boxes <= [width, height, width, height]).all()
        assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((240, 320, 3), np.uint8),
        np.full((240, 320, 3), 255, np.uint8),
        np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (200, 1, 3)),
        noise(200, 300),
        noise(200, 300, blur=4),
    ],
    ids=["black", "white", "gradient", "noise", "clouds"],
)
def test_no_face_is_an_empty_result(detector, picture):
    faces = detector.detect(picture)
    assert len(faces) == 0
    assert faces.image_size == (picture.shape[1], picture.shape[0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (11, 13), (12, 12), (30, 900), (47, 47)])
def test_pictures_too_small_for_a_face_are_empty(detector, shape):
    assert len(detector.detect(noise(*shape))) == 0


def test_faces_below_min_face_are_not_found(detector):
    assert len(make_detector(DetectionOptions(detector.name, 300), threads=1).detect(astronaut())) == 0


@pytest.mark.parametrize("min_face", [24, 40, 100])
def test_a_face_of_min_face_pixels_is_found_in_pictures_of_any_size(detector, min_face):
    face = resize(astronaut(), (round(512 * min_face / 110),) * 2)
    side = len(face)
    for width, height, x, y in ((640, 480, 150, 11), (1000, 700, 517, 223)):
        picture = np.full((height, width, 3), 110, np.uint8)
        picture[y : y + side, x : x + side] = face[: height - y, : width - x]
        faces = make_detector(DetectionOptions(detector.name, min_face), threads=1).detect(picture)
        expected = ASTRONAUT_BOX * (side / 512) + np.array([x, y, x, y])
        assert len(faces), (width, height)
        assert iou(faces.boxes, expected).max() > 0.5, (width, height)


@pytest.mark.parametrize(("picture", "box"), [(astronaut, ASTRONAUT_BOX), (hopper, HOPPER_BOX)])
@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.15, 0.4])
def test_every_box_in_a_close_up_is_the_face(detector, picture, box, margin):
    x1, y1, x2, y2 = box[0]
    w, h = margin * (x2 - x1), margin * (y2 - y1)
    left, top, right, bottom = (int(max(v, 0)) for v in (x1 - w, y1 - h, x2 + w, y2 + h))
    faces = detector.detect(np.ascontiguousarray(picture()[top:bottom, left:right]))
    place = box - np.array([left, top, left, top])
    for found in faces.boxes:
        assert iou(found[None], place)[0, 0] > 0.3, (faces.boxes, place)
    if detector.name == defaults.DETECTOR:
        assert len(faces) == 1


def test_the_picture_is_not_changed_and_may_be_a_view(detector):
    picture = astronaut().copy()
    picture.flags.writeable = False
    expected = detector.detect(picture)
    np.testing.assert_array_equal(picture, astronaut())
    wide = np.zeros((512, 600, 3), np.uint8)
    wide[:, 40:552] = astronaut()
    view = detector.detect(wide[:, 40:552])
    np.testing.assert_array_equal(view.boxes, expected.boxes)
    flipped = detector.detect(astronaut()[:, ::-1])
    assert len(flipped) == 1


def test_threads_get_what_one_caller_gets(detector):
    pictures = [astronaut(), hopper(), noise(100, 100)] * 3
    alone = [detector.detect(p) for p in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, pictures))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.scores, b.scores)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_picture_is_refused(detector, wrong):
    with pytest.raises(InputError, match="RGB uint8"):
        detector.detect(wrong)


def test_the_name_is_the_key(detector):
    assert detector.name in DETECTORS


def test_options_are_checked():
    with pytest.raises(InputError, match=r"'nope'.*mtcnn.*haar"):
        make_detector(DetectionOptions("nope"))
    with pytest.raises(InputError, match=r"'nope'"):
        make_detector("nope")
    with pytest.raises(InputError, match="own weights"):
        make_detector(DetectionOptions("haar", detector_model=Path(__file__)))
    for name in DETECTORS:
        with pytest.raises(InputError, match="min_face"):
            make_detector(DetectionOptions(name, 0))
        with pytest.raises(InputError, match="threads"):
            make_detector(DetectionOptions(name), threads=0)
    for values in ({"threshold": 1.1}, {"threshold": -0.1}, {"max_side": 0}):
        with pytest.raises(InputError, match=next(iter(values))):
            DetectionOptions(**values)


def test_a_name_alone_and_nothing_leave_the_rest_at_the_defaults():
    assert make_detector("haar").name == "haar"
    assert make_detector().name == make_detector(DetectionOptions()).name == defaults.DETECTOR


def test_a_threshold_is_refused_where_faces_have_no_scores():
    for name in (name for name, info in DETECTORS.items() if not info.takes_threshold):
        with pytest.raises(InputError, match=f"detector '{name}' has no scores; leave the threshold out"):
            make_detector(DetectionOptions(name, threshold=0.5))


def test_the_table_is_complete_and_read_only():
    assert defaults.DETECTOR in DETECTORS
    for info in DETECTORS.values():
        assert info.summary
        assert info.licence
    with pytest.raises(TypeError):
        DETECTORS["x"] = DETECTORS["haar"]  # type: ignore[index]


def test_importing_the_table_loads_neither_opencv_nor_onnxruntime():
    code = "import sys, mien.detect; sys.exit(bool({'cv2', 'onnxruntime', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
