from __future__ import annotations

import json
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from helpers.pictures import astronaut, noise
from mien.detect.detector import RefiningDetector
from mien.detect.mien import MienDetector
from mien.detect.mtcnn import MTCNN, _crop_from_picture, _crop_from_pyramid, _image_pyramid
from mien.errors import InputError
from mien.geometry import iou
from mien.results.faces import Faces
from mien.tracking.optical_flow import track_box
from mien.tracking.propagation import BoxPropagator
from mien.tracking.tracker import Tracker

SIZE = 640, 480


@pytest.fixture(scope="module", params=[MTCNN, MienDetector], ids=["mtcnn", "mien"])
def refining(request: pytest.FixtureRequest) -> RefiningDetector:
    detector = request.param(min_face=40, threads=1)
    assert isinstance(detector, RefiningDetector)
    return detector


class Plain:
    """A detector that can only search."""

    name = "plain"

    def __init__(self, detector: MienDetector | None = None) -> None:
        self._detector = detector

    def detect(self, rgb: np.ndarray) -> Faces:
        assert self._detector is not None
        return self._detector.detect(rgb)


def scene(x: float, y: float = 0.0, zoom: float = 1.0, angle: float = 0.0, times: int = 1) -> np.ndarray:
    """The astronaut's head, moved from the middle of a textured 640×480 picture; twice for ``times=2``."""
    canvas = cv2.resize(noise(60, 80, blur=1.5, seed=3), SIZE, interpolation=cv2.INTER_CUBIC)
    head = np.ascontiguousarray(astronaut()[10:230, 120:330])
    for k in range(times):
        matrix = cv2.getRotationMatrix2D((105, 110), angle, zoom)
        matrix[:, 2] += (320 + x - 105 - 300 * k, 240 + y - 110)
        cv2.warpAffine(head, matrix, SIZE, dst=canvas, borderMode=cv2.BORDER_TRANSPARENT)
    return np.asarray(canvas, np.uint8)


def moved(faces: Faces, x: float, y: float = 0.0) -> np.ndarray:
    return faces.boxes + np.array([x, y, x, y], np.float32)


class TestRefine:
    def test_leads_to_what_a_search_finds(self, refining):
        picture = scene(0, times=2)
        found = refining.detect(picture)
        assert len(found) == 2
        size = found.sizes[:, None]
        for shift in (-0.12, 0.0, 0.12):
            boxes = found.boxes + size * np.array([shift, 0.5 * shift, shift, 0.5 * shift], np.float32)
            refined, origin = refining.refine(picture, boxes)
            assert sorted(origin.tolist()) == [0, 1]
            assert (iou(refined.boxes, found.boxes[origin]).diagonal() > 0.8).all()
            np.testing.assert_allclose(refined.landmarks, found.landmarks[origin], atol=0.07 * size.max())
            assert (refined.scores > 0.8).all()
            assert (np.diff(refined.scores) <= 0).all()

    def test_does_not_drift(self, refining):
        picture = scene(0)
        found = refining.detect(picture)
        faces = found
        for _ in range(40):
            faces, _ = refining.refine(picture, faces.boxes)
        assert iou(faces.boxes, found.boxes)[0, 0] > 0.8

    def test_nothing_where_there_is_no_face(self, refining):
        boxes = np.array([[20, 20, 110, 120], [500, 300, 600, 420], [-900, -900, -800, -800]])
        faces, origin = refining.refine(scene(0), boxes)
        assert len(faces) == len(origin) == 0
        assert faces.image_size == SIZE

    def test_two_boxes_on_one_face_leave_one(self, refining):
        picture = scene(0)
        box = refining.detect(picture).boxes
        faces, origin = refining.refine(picture, np.concatenate([box + 300, box + 3, box]))
        assert len(faces) == 1
        assert origin[0] in (1, 2)

    @pytest.mark.parametrize(
        "boxes", [[], [[5, 5, 5, 5]], [[9, 9, 3, 3]], [[-1e7, -1e7, 1e7, 1e7]], [[0, 0, 1e-6, 1e-6]]]
    )
    def test_odd_boxes_give_nothing(self, refining, boxes):
        faces, origin = refining.refine(scene(0), np.array(boxes, np.float64).reshape(-1, 4))
        assert len(faces) == 0
        assert origin.dtype == np.intp

    def test_boxes_that_are_none(self, refining):
        with pytest.raises(InputError, match="finite"):
            refining.refine(scene(0), np.array([[0, 0, np.nan, 5]]))

    @pytest.mark.parametrize("side", [24, 48])
    def test_local_crops_are_those_of_the_pyramid(self, side):
        picture = scene(0)
        boxes = np.array(
            [
                [100, 90, 340, 330],
                [-30.3, -20, 160.7, 171],
                [500, 300, 701.2, 501.2],
                [300, 200, 330, 230],
                [0, 0, 480, 480],
            ],
            np.float32,
        )
        local = _crop_from_picture(picture, boxes, side)
        whole = _crop_from_pyramid(_image_pyramid(picture, 12), boxes, side)
        assert np.abs(local.astype(int) - whole).max() <= 3

    def test_costs_a_fraction_of_a_search(self, refining):
        picture = scene(0)
        boxes = refining.detect(picture).boxes
        whole = type(refining)(min_face=20, threads=1)

        def cost(work, runs):
            work()
            start = time.process_time()
            for _ in range(runs):
                work()
            return (time.process_time() - start) / runs

        assert cost(lambda: refining.refine(picture, boxes), 20) < 0.6 * cost(lambda: whole.detect(picture), 5)


class TestFlow:
    face = np.array([277.0, 180.0, 363.0, 288.0], np.float32)
    points = np.array([[303, 220], [347, 222], [324, 247], [302, 259], [345, 261]], np.float32)

    @pytest.mark.parametrize(
        ("x", "y", "zoom", "angle"),
        [(0, 0, 1, 0), (7, -4, 1, 0), (30, 10, 1, 0), (0, 0, 1.06, 0), (3, 2, 0.95, 0), (2, 1, 1, 6)],
    )
    def test_moves_box_and_landmarks(self, x, y, zoom, angle):
        result = track_box(scene(0), scene(x, y, zoom, angle), self.face, self.points, self.face)
        assert result is not None
        box, landmarks, share = result
        turn = cv2.getRotationMatrix2D((320, 240), angle, zoom)
        turn[:, 2] += (x, y)
        np.testing.assert_allclose(landmarks, self.points @ turn[:, :2].T + turn[:, 2], atol=1.5)
        middle = (self.face[:2] + self.face[2:]) / 2 @ turn[:, :2].T + turn[:, 2]
        np.testing.assert_allclose((box[:2] + box[2:]) / 2, middle, atol=1.5)
        np.testing.assert_allclose(box[2:] - box[:2], zoom * (self.face[2:] - self.face[:2]), rtol=0.03)
        assert share > 0.7

    def test_the_expectation_reaches_far(self):
        far = np.float32([150, 60, 150, 60])
        result = track_box(scene(0), scene(150, 60), self.face, self.points, self.face + far + 6)
        assert result is not None
        np.testing.assert_allclose(result[0], self.face + far, atol=1.5)

    def test_a_face_that_is_gone_is_lost(self):
        empty = scene(2000)
        assert track_box(scene(0), empty, self.face, self.points, self.face) is None
        assert track_box(scene(0), np.zeros_like(empty), self.face, self.points, self.face) is None

    def test_no_landmarks_stay_none(self):
        result = track_box(scene(0), scene(5), self.face, np.full((5, 2), np.nan, np.float32), self.face)
        assert result is not None
        assert np.isnan(result[1]).all()

    @pytest.mark.parametrize("box", [[5, 5, 5, 5], [-90, -90, -50, -50], [-50, -40, 900, 800], [630, 470, 800, 700]])
    def test_odd_boxes_are_survived(self, box):
        place = np.array(box, np.float32)
        result = track_box(scene(0), scene(3), place, self.points, place)
        assert result is None or np.isfinite(result[0]).all()


class TestCarrier:
    def play(self, carrier: BoxPropagator, refining: MienDetector, frames: int, *, every: int) -> list[Faces]:
        tracker, out = Tracker(), []
        for k in range(frames):
            picture, t = scene(4.0 * k, times=2), k / 25
            faces = carrier.propagate(picture, *tracker.predict(t)) if k % every else refining.detect(picture)
            faces = replace(faces, tracks=tracker.update(faces, t, picture))
            carrier.remember(picture, faces)
            out.append(faces)
        return out

    @pytest.mark.parametrize("plain", [False, True], ids=["refine", "flow"])
    def test_faces_are_carried_with_their_numbers(self, refining, plain):
        frames = self.play(BoxPropagator(Plain() if plain else refining), refining, 11, every=5)
        numbers = [dict(zip(f.tracks.tolist(), f.boxes[:, 0].tolist(), strict=True)) for f in frames]
        assert all(set(row) == {1, 2} for row in numbers)
        for k, row in enumerate(numbers):
            assert row[1] < row[2]
            searched = refining.detect(scene(4.0 * k, times=2))
            overlap = iou(frames[k].boxes, searched.boxes).max(axis=1)
            assert (overlap > 0.7).all()
            assert np.isfinite(frames[k].landmarks).all()

    @pytest.mark.parametrize("plain", [False, True], ids=["refine", "flow"])
    def test_a_lost_face_is_left_out(self, refining, plain):
        carrier = BoxPropagator(Plain() if plain else refining)
        first, gone = scene(0), scene(2000)
        faces = replace(refining.detect(first), tracks=np.array([7]))
        carrier.remember(first, faces)
        carried = carrier.propagate(first, np.array([7]), faces.boxes)
        assert carried.tracks is not None
        assert carried.tracks.tolist() == [7]
        empty = carrier.propagate(gone, np.array([7]), faces.boxes)
        assert len(empty) == 0
        assert empty.tracks is not None
        assert empty.image_size == SIZE

    @pytest.mark.parametrize("plain", [False, True], ids=["refine", "flow"])
    def test_nobody_to_carry(self, refining, plain):
        carrier = BoxPropagator(Plain() if plain else refining)
        assert len(carrier.propagate(scene(0), np.zeros(0, np.int64), np.zeros((0, 4), np.float32))) == 0
        carrier.remember(scene(0), replace(Faces.empty(SIZE), tracks=np.zeros(0, np.int64)))
        assert len(carrier.propagate(scene(0), np.array([3]), np.array([[20, 20, 90, 100]], np.float32))) == 0

    def test_flow_has_nothing_to_go_by_when_the_size_of_frames_changes(self, refining):
        carrier = BoxPropagator(Plain())
        faces = replace(refining.detect(scene(0)), tracks=np.array([1]))
        carrier.remember(scene(0), faces)
        assert len(carrier.propagate(scene(0)[:400], np.array([1]), faces.boxes)) == 0

    def test_rescue_adds_what_the_search_missed_and_nothing_else(self, refining):
        picture = scene(0, times=2)
        both = refining.detect(picture)
        carrier = BoxPropagator(refining)
        ids, expected = np.array([1, 2, 3]), np.concatenate([both.boxes + 4, [[500, 20, 580, 110]]]).astype(np.float32)
        again = carrier.recover_missed(picture, both[[1]], ids, expected)
        assert len(again) == 2
        assert iou(again.boxes, both.boxes).max(axis=1).min() > 0.8
        assert (np.diff(again.scores) <= 0).all()
        assert carrier.recover_missed(picture, both, ids, expected) is both
        nobody = Faces.empty(SIZE)
        assert len(carrier.recover_missed(picture, nobody, ids, expected)) == 2
        assert BoxPropagator(Plain()).recover_missed(picture, nobody, ids, expected) is nobody

    @pytest.mark.parametrize("plain", [False, True], ids=["refine", "flow"])
    def test_a_restored_one_continues(self, refining, plain):
        def make() -> BoxPropagator:
            return BoxPropagator(Plain() if plain else refining)

        first, second = scene(0, times=2), scene(6, times=2)
        faces = replace(refining.detect(first), tracks=np.array([4, 9]))
        faces = replace(faces, landmarks=np.where(np.arange(2)[:, None, None] == 1, np.nan, faces.landmarks))
        whole = make()
        whole.remember(first, faces)
        expected = whole.propagate(second, np.array([9, 4]), faces.boxes[::-1])
        restored = make()
        restored.restore(json.loads(json.dumps(whole.state(), allow_nan=False)))
        restored.set_previous_frame(first)
        carried = restored.propagate(second, np.array([9, 4]), faces.boxes[::-1])
        assert len(carried) == 2
        for name in ("boxes", "scores", "landmarks", "tracks"):
            np.testing.assert_array_equal(getattr(carried, name), getattr(expected, name))
        fresh = make()
        fresh.restore(json.loads(json.dumps(make().state())))
