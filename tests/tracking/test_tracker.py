from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.defaults import MAX_GAP
from mien.errors import InputError
from mien.results.faces import Faces
from mien.tracking.appearance import N_CELLS, color_descriptor, descriptor_distance
from mien.tracking.assignment import assign
from mien.tracking.motion import MotionModel, advance, correct
from mien.tracking.tracker import Tracker

SIZE = 640, 480
GRAY = np.full((480, 640, 3), 128, np.uint8)


@dataclass(frozen=True)
class Dummy:
    """A painted person: colours of hair, skin and clothes; ``at`` gives x, y, size at a time, None when away."""

    at: Callable[[float], tuple[float, float, float] | None]
    hair: tuple[int, int, int] = (60, 40, 20)
    clothes: tuple[int, int, int] = (30, 30, 160)


RED = {"hair": (200, 170, 90), "clothes": (190, 30, 30)}
GREEN = {"hair": (40, 30, 30), "clothes": (20, 140, 50)}


def paint(people: Sequence[Dummy], t: float) -> np.ndarray:
    """RGB picture; later people stand in front."""
    picture = np.full((480, 640, 3), (150, 150, 140), np.uint8)
    for person in people:
        place = person.at(t)
        if place is None:
            continue
        x, y, s = place
        for colour, (dx, dy), (w, h) in (
            (person.clothes, (0, 1.5), (0.9, 0.9)),
            (person.hair, (0, -0.2), (0.5, 0.6)),
            ((220, 170, 140), (0, 0.1), (0.4, 0.5)),
        ):
            centre = round(x + dx * s), round(y + dy * s)
            cv2.ellipse(picture, centre, (round(w * s), round(h * s)), 0, 0, 360, colour, -1)
    return picture


def faces_at(places: Sequence[tuple[float, float, float]], jitter: np.ndarray | float = 0.0) -> Faces:
    rows = np.array(places, np.float64).reshape(-1, 3)
    half = rows[:, 2:] / 2 * np.array([[0.9, 1.1]])
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1) + jitter
    return Faces.detected(boxes, np.full(len(rows), 0.99), None, SIZE)


def play(
    people: Sequence[Dummy],
    seconds: float,
    fps: float = 25.0,
    *,
    hidden: float = 0.6,
    missing: float = 0.0,
    tracker: Tracker | None = None,
    seed: int = 0,
) -> list[dict[int, int]]:
    """Per frame: person → track. A person nearer than ``hidden`` sizes behind a later one is not detected."""
    tracker = tracker or Tracker()
    rng = np.random.default_rng(seed)
    out = []
    for k in range(round(seconds * fps)):
        t = k / fps
        places = {i: p for i, person in enumerate(people) if (p := person.at(t)) is not None}
        shown = [
            i
            for i, (x, y, s) in places.items()
            if 0 < x < SIZE[0]
            and not any(j > i and math.hypot(x - q[0], y - q[1]) < hidden * s for j, q in places.items())
            and rng.random() >= missing
        ]
        jitter = rng.normal(0, 0.015, (len(shown), 4)) * np.array([places[i][2] for i in shown]).reshape(-1, 1)
        order = rng.permutation(len(shown))
        found = faces_at([places[i] for i in shown], jitter)[order]
        ids = tracker.update(found, t, paint(people, t))
        assert len(set(ids.tolist())) == len(ids)
        out.append({shown[i]: int(number) for i, number in zip(order.tolist(), ids.tolist(), strict=True)})
    return out


def tracks_of(frames: list[dict[int, int]], person: int) -> set[int]:
    return {frame[person] for frame in frames if person in frame}


def crossing(speed: float = 110, *, back: bool = False, fps: float = 25.0) -> list[Dummy]:
    def way(t: float) -> float:
        return -abs(t - 2) if back else t - 2

    return [
        Dummy(lambda t: (320 + speed * way(t), 200, 80), **RED),
        Dummy(lambda t: (320 - 1.1 * speed * way(t), 205, 84), **GREEN),
    ]


class TestAssignment:
    @staticmethod
    def brute(cost: np.ndarray) -> float:
        """Least sum over all one-to-one pairings, full or not."""
        n, m = cost.shape
        if n > m:
            return TestAssignment.brute(cost.T)
        worth = np.minimum(cost, 0)
        return min((worth[range(n), columns].sum() for columns in itertools.permutations(range(m), n)), default=0.0)

    @given(
        st.tuples(st.integers(0, 5), st.integers(0, 5)).flatmap(
            lambda shape: arrays(np.float64, shape, elements=st.integers(-6, 3).map(float))
        ),
        st.randoms(use_true_random=False),
    )
    def test_least_of_all_pairings(self, cost, random):
        for at in np.ndindex(cost.shape):
            if random.random() < 0.2:
                cost[at] = np.inf
        rows, columns = assign(cost)
        assert len(set(rows.tolist())) == len(rows)
        assert len(set(columns.tolist())) == len(columns)
        assert list(rows) == sorted(rows)
        assert (cost[rows, columns] < 0).all()
        assert cost[rows, columns].sum() == self.brute(cost)

    def test_beats_greedy(self):
        rows, columns = assign(np.array([[-10.0, -9.0], [-9.0, -1.0]]))
        assert columns[np.argsort(rows)].tolist() == [1, 0]

    def test_a_hundred_by_a_hundred_and_fifty_is_a_permutation_found_again(self):
        rng = np.random.default_rng(0)
        hidden = rng.permutation(150)[:100]
        # prices on both sides change what each pair costs, but not which pairs are best
        cost = rng.uniform(0, 1, (100, 150)) + rng.uniform(0, 50, (100, 1))
        cost[np.arange(100), hidden] = cost.min(axis=1) - 0.01
        rows, columns = assign(cost - 1000)
        assert columns.tolist() == hidden.tolist()
        assert rows.tolist() == list(range(100))


class TestMotion:
    process = MotionModel(speed=2.0, memory=0.5, noise=0.05)

    @given(st.lists(st.floats(1e-6, 2.0), min_size=1, max_size=6))
    def test_steps_add_up(self, steps):
        mean, spread = np.array([[[3.0, -1.5]]]), np.array([[0.3, 0.1, 0.8]])
        unit = np.array([40.0])
        whole = advance(mean, spread, sum(steps), self.process, unit)
        for step in steps:
            mean, spread = advance(mean, spread, step, self.process, unit)
        np.testing.assert_allclose(mean, whole[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(spread, whole[1], rtol=1e-7, atol=1e-6)

    def test_short_steps_are_constant_velocity_and_long_ones_come_to_rest(self):
        mean, spread, unit = np.array([[[0.0, 1.0]]]), np.zeros((1, 3)), np.ones(1)
        near, _ = advance(mean, spread, 0.01, self.process, unit)
        far, wide = advance(mean, spread, 100.0, self.process, unit)
        assert near[0, 0, 0] == pytest.approx(0.01, rel=0.02)
        assert far[0, 0].tolist() == pytest.approx([0.5, 0.0])
        assert wide[0, 2] == pytest.approx(self.process.speed**2)

    def test_a_measurement_is_weighed_by_its_variance(self):
        mean, spread = np.array([[[0.0, 0.0]]]), np.array([[1.0, 0.5, 1.0]])
        better, left = correct(mean, spread, np.array([[4.0]]), np.array([3.0]))
        assert better[0, 0].tolist() == [1.0, 0.5]
        assert left[0].tolist() == [0.75, 0.375, 0.9375]

    def test_a_hundred_thousand_updates(self):
        """The variances settle, stay a covariance, and the filter still follows."""
        rng = np.random.default_rng(0)
        unit = np.array([0.5, 1.0, 40.0, 300.0])
        mean, spread = np.zeros((4, 2, 2)), np.ones((4, 1)) * (1.0, 0.0, 1.0)
        steps, noise = rng.choice([0.0, 1e-3, 0.04, 0.5], 25_000), rng.normal(0, 0.05, 25_000)
        for step, error in zip(steps.tolist(), noise.tolist(), strict=True):
            mean, spread = advance(mean, spread, step, self.process, unit)
            mean, spread = correct(mean, spread, (7.0 + error) * unit[:, None] * np.ones(2), (0.05 * unit) ** 2)
        assert (spread[:, 0] > 0).all()
        assert (spread[:, 2] > 0).all()
        assert (spread[:, 0] * spread[:, 2] >= spread[:, 1] ** 2).all()
        np.testing.assert_allclose(mean[:, :, 0] / unit[:, None], 7.0, atol=0.15)


class TestLooks:
    def test_the_same_person_elsewhere_is_alike_and_another_is_not(self):
        people = [
            Dummy(lambda t: (200 + 100 * t, 180 + 20 * t, 80 + 10 * t), **RED),
            Dummy(lambda t: (450, 190, 90), **GREEN),
        ]
        views = []
        for t in (0.0, 1.0):
            places = np.array([person.at(t) for person in people], np.float32)
            views.append(color_descriptor(paint(people, t), places[:, :2], places[:, 2]))
        (first, first_seen), (second, second_seen) = views
        same, share = descriptor_distance(first, first_seen, second, second_seen)
        other, _ = descriptor_distance(first, first_seen, second[::-1], second_seen[::-1])
        assert (same < 0.3).all()
        assert (other > 0.6).all()
        assert (share > 0.9).all()

    def test_light_changes_little(self):
        people = [Dummy(lambda t: (200, 180, 80), **RED), Dummy(lambda t: (450, 190, 90), **GREEN)]
        places = np.array([person.at(0) for person in people], np.float32)
        picture = paint(people, 0)
        a = color_descriptor(picture, places[:, :2], places[:, 2])
        b = color_descriptor((picture * 0.7).astype(np.uint8), places[:, :2], places[:, 2])
        assert (descriptor_distance(*a, *b)[0] < 0.35).all()

    def test_cells_outside_the_picture_or_on_somebody_else_do_not_count(self):
        _, seen = color_descriptor(
            GRAY, np.array([[5.0, 240.0], [300.0, 240.0], [320.0, 240.0]], np.float32), np.full(3, 80, np.float32)
        )
        assert 0.4 * N_CELLS < seen[0].sum() < 0.7 * N_CELLS
        assert 0 < seen[1].sum() < 0.8 * N_CELLS
        nothing, share = descriptor_distance(
            *color_descriptor(GRAY, *(np.zeros((1, 2), np.float32) - 1000, np.ones(1, np.float32))) * 2
        )
        assert nothing.tolist() == [0.0]
        assert share.tolist() == [0.0]


class TestScenarios:
    @pytest.mark.parametrize("appearance", [True, False])
    def test_crossing(self, appearance):
        frames = play(crossing(), 4, tracker=Tracker(appearance=appearance))
        assert any(len(frame) == 1 for frame in frames)
        assert tracks_of(frames, 0) | tracks_of(frames, 1) == {1, 2}
        assert len(tracks_of(frames, 0)) == len(tracks_of(frames, 1)) == 1

    def test_crossing_and_turning_back(self):
        frames = play(crossing(back=True), 4)
        assert any(len(frame) == 1 for frame in frames)
        assert len(tracks_of(frames, 0)) == len(tracks_of(frames, 1)) == 1

    def test_two_who_look_the_same_cross(self):
        people = [Dummy(lambda t: (120 + 100 * t, 200, 80)), Dummy(lambda t: (520 - 100 * t, 200, 80))]
        frames = play(people, 4)
        assert any(len(frame) == 1 for frame in frames)
        assert len(tracks_of(frames, 0)) == len(tracks_of(frames, 1)) == 1

    @pytest.mark.parametrize("gap", [0.5, 1.0, MAX_GAP - 0.3])
    def test_a_short_absence(self, gap):
        people = [
            Dummy(lambda t: (450, 200, 80), **GREEN),
            Dummy(lambda t: None if 1 < t < 1 + gap else (150, 200, 80), **RED),
        ]
        frames = play(people, 2 + gap)
        assert len(tracks_of(frames, 1)) == 1

    def test_an_absence_longer_than_max_gap_is_somebody_new(self):
        people = [Dummy(lambda t: None if 1 < t < 3.5 + MAX_GAP else (150, 200, 80), **RED)]
        frames = play(people, 5 + MAX_GAP)
        assert tracks_of(frames, 0) == {1, 2}
        longer = play(people, 5 + MAX_GAP, tracker=Tracker(max_gap=3 + MAX_GAP))
        assert tracks_of(longer, 0) == {1}

    def test_somebody_else_comes_in_where_one_left(self):
        people = [
            Dummy(lambda t: (150, 200, 80) if t < 1 else None, **RED),
            Dummy(lambda t: (155, 205, 78) if t > 2 else None, **GREEN),
        ]
        frames = play(people, 3)
        assert tracks_of(frames, 0) == {1}
        assert tracks_of(frames, 1) == {2}

    def test_missed_detections(self):
        people = [
            Dummy(lambda t, i=i: (80 + 120 * i + 30 * math.sin(3 * t + i), 200, 70), clothes=(50 * i, 255 - 50 * i, 90))
            for i in range(5)
        ]
        frames = play(people, 6, missing=0.3)
        assert all(len(tracks_of(frames, i)) == 1 for i in range(5))
        assert set().union(*(tracks_of(frames, i) for i in range(5))) == {1, 2, 3, 4, 5}

    def test_zoom(self):
        people = [
            Dummy(lambda t, i=i: (320 + (2 * i - 1) * 100 * 2 ** math.sin(2 * t), 200, 60 * 2 ** math.sin(2 * t)))
            for i in range(2)
        ]
        frames = play(people, 4)
        assert [tracks_of(frames, i) for i in range(2)] == [{1}, {2}]

    def test_fast_pan(self):
        people = [Dummy(lambda t, i=i: (900 + 150 * i - 700 * t, 200, 70)) for i in range(3)]
        frames = play(people, 1.8)
        assert all(len(tracks_of(frames, i)) == 1 for i in range(3))

    def test_shake(self):
        shift = np.random.default_rng(3).normal(0, 12, (200, 2))
        people = [
            Dummy(lambda t, i=i: (150 + 160 * i + shift[round(25 * t), 0], 200 + shift[round(25 * t), 1], 70))
            for i in range(3)
        ]
        frames = play(people, 4)
        assert all(len(tracks_of(frames, i)) == 1 for i in range(3))

    @pytest.mark.parametrize("fps", [5.0, 12.0, 25.0, 60.0])
    def test_the_frame_rate_does_not_matter(self, fps):
        frames = play(crossing(), 4, fps)
        assert len(tracks_of(frames, 0)) == len(tracks_of(frames, 1)) == 1

    def test_irregular_times(self):
        tracker, rng = Tracker(), np.random.default_rng(0)
        people = crossing()
        seen: list[set[int]] = [set(), set()]
        for t in np.cumsum(rng.uniform(0.005, 0.15, 40)).tolist():
            ids = tracker.update(faces_at([p.at(t) for p in people]), t, paint(people, t))
            for person, number in zip(seen, ids.tolist(), strict=True):
                person.add(number)
        assert seen[0] | seen[1] == {1, 2}
        assert len(seen[0]) == len(seen[1]) == 1

    def test_a_cut_ends_every_track(self):
        tracker = Tracker()
        still = faces_at([(200, 200, 80), (400, 200, 80)])
        assert tracker.update(still, 0.0, GRAY).tolist() == [1, 2]
        tracker.end_tracks()
        assert tracker.live_tracks(0.04).tolist() == []
        assert len(tracker.predict(0.04)[0]) == 0
        assert tracker.update(still, 0.04, GRAY).tolist() == [3, 4]


class TestUpdate:
    def test_empty_frames(self):
        tracker = Tracker()
        nobody = Faces.empty(SIZE)
        assert tracker.update(nobody, 0.0, GRAY).shape == (0,)
        assert tracker.predict(0.0)[1].shape == (0, 4)
        one = faces_at([(200, 200, 80)])
        assert tracker.update(one, 0.1, GRAY).tolist() == [1]
        assert tracker.update(nobody, 0.2, GRAY).dtype == np.int64
        assert tracker.update(one, 0.3, GRAY).tolist() == [1]

    def test_duplicated_boxes_get_different_tracks_that_stay(self):
        tracker = Tracker()
        twice = faces_at([(200, 200, 80)] * 2)
        for k in range(20):
            assert sorted(tracker.update(twice, k / 25, GRAY).tolist()) == [1, 2]

    def test_landmarks_are_not_needed(self):
        tracker = Tracker()
        faces = faces_at([(200, 200, 80)])
        assert np.isnan(faces.landmarks).all()
        assert {int(tracker.update(faces, k / 25, GRAY)[0]) for k in range(5)} == {1}

    def test_a_huge_jump_is_somebody_new(self):
        tracker = Tracker(appearance=False)
        for k in range(10):
            tracker.update(faces_at([(200, 200, 50)]), k / 25, GRAY)
        assert tracker.update(faces_at([(550, 400, 50)]), 0.4, GRAY).tolist() == [2]
        assert tracker.update(faces_at([(200, 200, 200)]), 0.44, GRAY).tolist() == [3]

    def test_boxes_of_no_size_and_outside_are_survived(self):
        tracker = Tracker()
        boxes = np.array([[10, 10, 10, 10], [-500, -500, -400, -400], [1e6, 1e6, 2e6, 2e6], [50, 60, 40, 20]])
        faces = Faces.detected(boxes, np.ones(4), None, SIZE)
        for k in range(5):
            assert sorted(tracker.update(faces, k / 25, GRAY).tolist()) == [1, 2, 3, 4]
        assert np.isfinite(tracker.predict(0.5)[1]).all()

    def test_new_faces_are_numbered_from_left_to_right(self):
        faces = faces_at([(500, 100, 60), (100, 100, 60), (300, 100, 60)])
        assert Tracker().update(faces, 0.0, GRAY).tolist() == [3, 1, 2]

    def test_predict_leads_a_moving_face_and_orders_by_last_sight(self):
        tracker = Tracker()
        for k in range(25):
            places = [(100 + 4 * k, 200, 80), (500, 200, 60)][: 2 if k < 20 else 1]
            tracker.update(faces_at(places), k / 25, GRAY)
        ids, boxes = tracker.predict(25 / 25)
        assert ids.tolist() == [1, 2]
        assert (boxes[0, 0] + boxes[0, 2]) / 2 == pytest.approx(200, abs=3)
        np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], [72, 88], rtol=0.03)
        assert tracker.predict(25 / 25, within=0.1)[0].tolist() == [1]

    def test_predict_leaves_out_who_was_not_seen_for_long(self):
        tracker = Tracker(max_gap=3.0)
        tracker.update(faces_at([(100, 200, 80), (500, 200, 60)]), 0.0, GRAY)
        for k in range(1, 26):
            tracker.update(faces_at([(100, 200, 80)]), k / 25, GRAY)
        assert tracker.predict(1.04)[0].tolist() == [1]
        assert tracker.predict(1.04, within=None)[0].tolist() == [1, 2]

    def test_live(self):
        tracker = Tracker(max_gap=1.0)
        tracker.update(faces_at([(100, 200, 80), (500, 200, 60)]), 0.0, GRAY)
        tracker.update(faces_at([(100, 200, 80)]), 0.5, GRAY)
        assert tracker.live_tracks(1.0).tolist() == [1, 2]
        assert tracker.live_tracks(1.2).tolist() == [1]
        assert tracker.live_tracks(1.6).tolist() == []

    def test_time_that_stands_still_or_goes_back_a_little(self):
        tracker = Tracker()
        one = faces_at([(200, 200, 80)])
        assert [int(tracker.update(one, t, GRAY)[0]) for t in (1.0, 1.0, 0.9, 1.04)] == [1] * 4
        assert tracker.live_tracks(0.95).tolist() == [1]
        assert tracker.state()["time"] == 1.04

    def test_a_clock_that_restarts(self):
        tracker = Tracker(max_gap=1.0)
        one = faces_at([(200, 200, 80)])
        tracker.update(one, 100.0, GRAY)
        assert tracker.live_tracks(3.0).tolist() == []
        assert len(tracker.predict(3.0)[0]) == 0
        assert [int(tracker.update(one, t, GRAY)[0]) for t in (3.0, 3.04)] == [2, 2]

    @pytest.mark.parametrize("time", [math.nan, math.inf])
    def test_times_that_are_none(self, time):
        with pytest.raises(InputError, match="finite"):
            Tracker().update(faces_at([(200, 200, 80)]), time, GRAY)

    def test_boxes_that_are_none(self):
        with pytest.raises(InputError, match="finite boxes"):
            Tracker().update(faces_at([(math.nan, 200, 80)]), 0.0, GRAY)

    @pytest.mark.parametrize("gap", [-1.0, math.nan, math.inf])
    def test_options_outside_their_range(self, gap):
        with pytest.raises(InputError, match="max_gap"):
            Tracker(max_gap=gap)

    def test_ended_tracks_are_forgotten(self):
        """What is kept, and so the time of an update, does not grow with the video."""
        tracker = Tracker(max_gap=0.5)
        for k in range(400):
            tracker.update(faces_at([(50 + 97 * k % 500, 60 + 53 * k % 350, 40)]), k / 5, GRAY)
        assert len(tracker.state()["tracks"]["id"]) <= 4

    def test_a_hundred_faces(self):
        tracker, rng = Tracker(), np.random.default_rng(0)
        x, y = np.meshgrid(np.arange(10) * 64 + 32, np.arange(10) * 48 + 24)
        for k in range(8):
            places = np.stack([x.ravel() + 2 * k, y.ravel(), np.full(100, 30)], axis=1)
            order = rng.permutation(100)
            ids = tracker.update(faces_at(places[order].tolist(), rng.normal(0, 0.5, (100, 4))), k / 25, GRAY)
            first = ids[np.argsort(order)] if k == 0 else first  # noqa: F821
            assert ids[np.argsort(order)].tolist() == first.tolist()


class TestState:
    @pytest.mark.parametrize("stop", [0, 1, 30, 52, 80])
    def test_a_restored_tracker_continues_bit_by_bit(self, stop):
        people = [*crossing(), Dummy(lambda t: None if 1 < t < 1.5 else (90, 380, 50))]
        whole, first, second = Tracker(), Tracker(), Tracker()
        for k in range(100):
            t = k / 25
            places = [p for person in people if (p := person.at(t)) is not None]
            if k % 7 == 3:
                places = places[1:]
            faces, picture = faces_at(places, np.random.default_rng(k).normal(0, 1, (len(places), 4))), paint(people, t)
            expected = whole.update(faces, t, picture)
            if k == stop:
                second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
            ids = (first if k < stop else second).update(faces, t, picture)
            assert ids.tolist() == expected.tolist()
        assert second.state() == whole.state()
        np.testing.assert_array_equal(second.predict(4.1)[1], whole.predict(4.1)[1])

    def test_of_a_fresh_tracker(self):
        tracker = Tracker()
        tracker.restore(json.loads(json.dumps(Tracker().state())))
        assert tracker.update(faces_at([(200, 200, 80)]), 5.0, GRAY).tolist() == [1]


places = st.lists(st.tuples(st.floats(20, 620), st.floats(20, 460), st.floats(15, 150)), min_size=0, max_size=6)


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(places, min_size=1, max_size=5), st.randoms(use_true_random=False))
    def test_numbers_are_unique_and_follow_the_faces_order(self, frames, random):
        straight, shuffled = Tracker(), Tracker()
        known: set[int] = set()
        for k, frame in enumerate(frames):
            faces = faces_at(frame)
            order = list(range(len(frame)))
            random.shuffle(order)
            ids = straight.update(faces, k / 10, GRAY)
            other = shuffled.update(faces[order], k / 10, GRAY)
            assert ids.dtype == np.int64
            assert len(set(ids.tolist())) == len(frame)
            assert (ids >= 1).all()
            new = set(ids.tolist()) - known
            assert new == set(range(len(known) + 1, len(known) + len(new) + 1))
            known |= new
            if len({tuple(box) for box in faces.boxes.tolist()}) == len(frame):
                assert other.tolist() == ids[order].tolist()

    @settings(max_examples=30, deadline=None)
    @given(places)
    def test_faces_that_stand_still_keep_their_numbers(self, frame):
        tracker = Tracker()
        faces = faces_at(frame)
        first = tracker.update(faces, 0.0, GRAY)
        for k in range(1, 4):
            ids = tracker.update(faces, k / 25, GRAY)
            assert sorted(ids.tolist()) == sorted(first.tolist())
            if len({tuple(box) for box in faces.boxes.tolist()}) == len(frame):
                assert ids.tolist() == first.tolist()
