"""Do faces keep their numbers, and what does carrying them between searches cost? Generated videos with known truth.

    python benchmarks/tracking.py --json docs/results/tracking.json

Scenes (`benchmarks/scenarios.py`, `benchmarks/sequences.py`): people made of two public-domain portraits before
pictured backgrounds, 640×480, 25 frames per second unless stated otherwise, several variants per scene. Faces are
detected by the default detector, scene cuts by `SceneCutDetector`; parameters were chosen on the variants 1–6, these
here are others. Scene cuts alone are measured by `benchmarks/scene_cuts.py`.
Times are processor time of one thread; still, run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scenarios import SCENARIOS, sequence
from sequences import HEIGHT, WIDTH, Sequence, Truth

from mien.detect.detector import Detector
from mien.detect.mien import MienDetector
from mien.geometry import iou
from mien.media.frame import Frame
from mien.models.catalog import read_model
from mien.models.model import Model
from mien.predict.classify import predict
from mien.results.faces import Faces
from mien.tracking.assignment import assign
from mien.tracking.propagation import BoxPropagator
from mien.tracking.scene_cuts import SceneCutDetector
from mien.tracking.tracker import Tracker

OVERLAP, VISIBLE = 0.5, 0.5


@dataclass
class Score:
    """Counts of one or several sequences.

    Faces of the truth less than half visible are left out, and so is what lies on them. A face counts as found when
    its box and the truth's overlap by half (intersection over union); pairs of the frame before are kept while they
    do, others are chosen for the greatest total overlap.

    Attributes:
        truth: faces in the truth.
        found: of these, found.
        false: boxes without a face.
        switches: times a person has another number than when found last.
        mergers: times a number is on another person than when found last.
        fragments: times a person that was found is missed and found again.
        identity: faces found under the number that, of all one-to-one assignments of numbers to people over a whole
            sequence, suits best.
        overlap: sum of the overlaps of those found.
        numbers: tracks that were given out.
    """

    truth: int = 0
    found: int = 0
    false: int = 0
    switches: int = 0
    mergers: int = 0
    fragments: int = 0
    identity: int = 0
    overlap: float = 0.0
    numbers: int = 0
    bearer: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    together: dict[tuple[int, int], int] = field(default_factory=dict)

    def frame(self, truth: Truth, faces: Faces) -> None:
        tracks = faces.tracks
        overlaps = iou(truth.boxes, faces.boxes).astype(np.float64)
        same = np.array([[self.held.get(p) == t for t in tracks.tolist()] for p in truth.ids.tolist()], bool)
        rows, columns = assign(np.where(overlaps >= OVERLAP, -overlaps - 2 * same.reshape(overlaps.shape), np.inf))
        clear = truth.visible >= VISIBLE
        self.truth += int(clear.sum())
        self.false += len(faces) - len(columns)
        pairs = dict(zip(truth.ids[rows].tolist(), zip(rows.tolist(), columns.tolist(), strict=True), strict=True))
        self.held = {}
        for i, who in enumerate(truth.ids.tolist()):
            if who in pairs:
                self.held[who] = int(tracks[pairs[who][1]])
            if not clear[i]:
                continue
            if who not in pairs:
                if who in self.last:
                    self.lost.add(who)
                continue
            number = self.held[who]
            self.found += 1
            self.overlap += float(overlaps[pairs[who]])
            self.switches += self.last.get(who, number) != number
            self.mergers += self.bearer.get(number, who) != who
            self.bearer[number] = who
            self.fragments += who in self.lost
            self.lost.discard(who)
            self.last[who] = number
            for j in np.flatnonzero(overlaps[i] >= OVERLAP).tolist():
                key = who, int(tracks[j])
                self.together[key] = self.together.get(key, 0) + 1

    def close(self) -> Score:
        """After the last frame of a sequence."""
        people = sorted({who for who, _ in self.together})
        numbers = sorted({number for _, number in self.together})
        counts = np.array([[self.together.get((p, n), 0) for n in numbers] for p in people]).reshape(len(people), -1)
        rows, columns = assign(-counts.astype(np.float64))
        self.identity = int(counts[rows, columns].sum())
        return self

    def __add__(self, other: Score) -> Score:
        names = ("truth", "found", "false", "switches", "mergers", "fragments", "identity", "overlap", "numbers")
        return Score(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def recall(self) -> float:
        return self.found / max(self.truth, 1)

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.false, 1)

    @property
    def mota(self) -> float:
        return 1 - (self.truth - self.found + self.false + self.switches) / max(self.truth, 1)

    @property
    def idf1(self) -> float:
        return 2 * self.identity / max(self.truth + self.found + self.false, 1)

    @property
    def iou(self) -> float:
        return self.overlap / max(self.found, 1)


@dataclass(frozen=True)
class Mode:
    """One way to follow faces.

    Attributes:
        every: search every N-th frame, carry in between.
        appearance: whether looks count.
        flow: carry by optical flow, as for a detector that cannot look at places.
        rescue: look again where a search missed a track.
    """

    every: int = 1
    appearance: bool = True
    flow: bool = False
    rescue: bool = True


MODES = {
    "every frame": Mode(),
    "every frame, without looks": Mode(appearance=False),
    "every frame, no second look": Mode(rescue=False),
    "every 3rd frame": Mode(every=3),
    "every 5th frame": Mode(every=5),
    "every 3rd frame, flow": Mode(every=3, flow=True),
    "every 5th frame, flow": Mode(every=5, flow=True),
}
SEEDS = (101, 102, 103)


class SearchOnly:
    """The detector without its other talents."""

    name = MienDetector.name

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def detect(self, rgb: NDArray[np.uint8]) -> Faces:
        return self._detector.detect(rgb)


class Clock:
    """Processor seconds and calls by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def __call__(self, name: str, work: Callable[[], Any], calls: int = 1) -> Any:
        start = time.thread_time()
        out = work()
        self.seconds[name] += time.thread_time() - start
        self.calls[name] += calls
        return out

    def ms(self, name: str) -> float:
        return 1000 * self.seconds[name] / max(self.calls[name], 1)


class Follower:
    """What one mode remembers of a sequence."""

    def __init__(self, mode: Mode, detector: Detector, clock: Clock) -> None:
        self.mode, self.clock = mode, clock
        self.tracker = Tracker(appearance=mode.appearance)
        self.propagator = BoxPropagator(SearchOnly(detector) if mode.flow else detector)
        self.score = Score()
        self.numbers: set[int] = set()

    def step(self, index: int, time_: float, rgb: NDArray[np.uint8], found: Faces, cut_: bool, truth: Truth) -> Faces:
        if cut_:
            self.tracker.end_tracks()
        if index % self.mode.every == 0 or cut_:
            faces = found
            if self.mode.rescue and not cut_:
                where = self.tracker.predict(time_)
                faces = self.clock("second look", lambda: self.propagator.recover_missed(rgb, found, *where))
        else:
            where = self.tracker.predict(time_)
            name = "flow" if self.mode.flow else "refine"
            faces = self.clock(name, lambda: self.propagator.propagate(rgb, *where), len(where[0]))
        tracks = self.clock("update", lambda: self.tracker.update(faces, time_, rgb))
        faces = replace(faces, tracks=tracks)
        self.propagator.remember(rgb, faces)
        self.numbers.update(tracks.tolist())
        self.score.frame(truth, faces)
        return faces


def dropped(faces: Faces, share: float, seed: int, index: int) -> Faces:
    if not share:
        return faces
    return faces[np.random.default_rng((seed, index)).random(len(faces)) >= share]


def people_seen(truth: Truth, faces: Faces) -> dict[int, int]:
    """Person → row of the face that lies on them."""
    overlaps = iou(truth.boxes, faces.boxes).astype(np.float64)
    overlaps[truth.visible < VISIBLE] = 0
    rows, columns = assign(np.where(overlaps >= OVERLAP, -overlaps, np.inf))
    return dict(zip(truth.ids[rows].tolist(), columns.tolist(), strict=True))


@dataclass
class Drift:
    """How much the emotions change by carrying: total variation distances, 0–1."""

    distances: list[float] = field(default_factory=list)
    other_label: int = 0

    def add(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
        self.distances.append(float(np.abs(a - b).sum() / 2))
        self.other_label += int(a.argmax() != b.argmax())

    def row(self) -> dict[str, float]:
        n = max(len(self.distances), 1)
        return {"faces": len(self.distances), "distance": sum(self.distances) / n, "other_label": self.other_label / n}


def follow(
    video: Sequence, seed: int, detector: Detector, model: Model, clock: Clock, drifts: dict[str, Drift]
) -> dict[str, Score]:
    """One sequence in all modes."""
    followers = {name: Follower(mode, detector, clock) for name, mode in MODES.items()}
    cuts = SceneCutDetector()
    before: dict[int, NDArray[np.float32]] = {}
    for index in range(len(video)):
        rgb, truth = video.frame(index)
        found = clock("search", functools.partial(detector.detect, rgb))
        cut_ = clock("cuts", functools.partial(cuts.update, rgb))
        kept = dropped(found, video.missing, seed, index)
        faces = {name: one.step(index, video.time(index), rgb, kept, cut_, truth) for name, one in followers.items()}
        # both every 3rd and every 5th carry these; the frame before one of them gives what two searches differ by
        if video.missing or index % 15 not in (1, 2, 7, 8, 13, 14):
            continue

        def emotions(
            which: Faces, rgb: NDArray[np.uint8] = rgb, truth: Truth = truth
        ) -> dict[int, NDArray[np.float32]]:
            predicted = predict([Frame(rgb)], [which], detector.name, {"emotion": model})[0].emotions
            return {who: predicted[row] for who, row in people_seen(truth, which).items()} if len(which) else {}

        now = emotions(found)
        if index % 15 in (2, 8, 14):
            for name, drift in drifts.items():
                other = before if name == "neighbouring frames, both searched" else emotions(faces[name])
                for who in now.keys() & other.keys():
                    drift.add(now[who], other[who])
        before = now
    for one in followers.values():
        one.score.numbers = len(one.numbers)
    return {name: one.score.close() for name, one in followers.items()}


def score_row(name: str, mode: str, score: Score) -> dict[str, Any]:
    return {
        "scene": name,
        "mode": mode,
        "faces": score.truth,
        "switches": score.switches,
        "mergers": score.mergers,
        "fragments": score.fragments,
        "recall": score.recall,
        "precision": score.precision,
        "idf1": score.idf1,
        "mota": score.mota,
        "iou": score.iou,
    }


def measure_scenes(detector: Detector, model: Model, seeds: tuple[int, ...]) -> dict[str, Any]:
    clock = Clock()
    names = ["neighbouring frames, both searched", *(name for name, mode in MODES.items() if mode.every > 1)]
    drifts = {name: Drift() for name in names}
    rows, frames = [], 0
    totals = {(kind, mode): Score() for kind in ("all", "all, some dropped") for mode in MODES}
    for scene in SCENARIOS:
        scores = {mode: Score() for mode in MODES}
        for seed in seeds:
            video = sequence(scene, seed)
            frames += len(video)
            for mode, score in follow(video, seed, detector, model, clock, drifts).items():
                scores[mode] += score
        kind = "all, some dropped" if video.missing else "all"
        for mode, score in scores.items():
            totals[kind, mode] += score
            rows.append(score_row(scene, mode, score))
        one = scores["every frame"]
        print(f"{scene}: {one.switches} switches, {one.mergers} mergers, IDF1 {one.idf1:.3f}", flush=True)
    rows += [score_row(kind, mode, score) for (kind, mode), score in totals.items()]
    for row in rows[-2 * len(MODES) :]:
        print(
            f"{row['scene']}, {row['mode']}: {row['switches']} switches, {row['mergers']} mergers, "
            f"recall {row['recall']:.3f}, IDF1 {row['idf1']:.3f}"
        )
    faces = sum(totals[kind, "every frame"].truth for kind in ("all", "all, some dropped")) / frames
    times = {name: clock.ms(name) for name in ("search", "second look", "refine", "flow", "update", "cuts")}
    return {
        "frames": frames,
        "faces_a_frame": faces,
        "rows": rows,
        "drift": {name: drift.row() for name, drift in drifts.items()},
        "ms": times,
    }


def measure_crowds() -> list[dict[str, float]]:
    """Time of an update by number of faces, over a long video."""
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    rows = []
    for n, frames in ((1, 20_000), (5, 2_000), (20, 1_000), (100, 400)):
        rng = np.random.default_rng(n)
        side = int(np.ceil(np.sqrt(n)))
        x, y = np.meshgrid((np.arange(side) + 0.5) * WIDTH / side, (np.arange(side) + 0.5) * HEIGHT / side)
        middle = np.stack([x.ravel(), y.ravel()], axis=1)[:n]
        half = min(WIDTH, HEIGHT) / side / 3
        tracker, times = Tracker(), []
        for k in range(frames):
            places = middle + 10 * np.sin(k / 20) + rng.normal(0, 0.5, middle.shape)
            faces = Faces.detected(
                np.concatenate([places - half, places + half], axis=1), np.ones(n), None, (WIDTH, HEIGHT)
            )
            start = time.thread_time()
            tracker.update(faces, k / 25, rgb)
            times.append(time.thread_time() - start)
        tenth = max(frames // 10, 1)
        rows.append(
            {
                "faces": n,
                "updates": frames,
                "ms": 1000 * float(np.median(times)),
                # what an update takes at least: other work on the machine comes and goes
                "ms_first": 1000 * float(np.percentile(times[:tenth], 10)),
                "ms_last": 1000 * float(np.percentile(times[-tenth:], 10)),
            }
        )
        print(f"update with {n} faces: {rows[-1]['ms']:.2f} ms")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="variants of every scene")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    cv2.setNumThreads(1)
    detector = MienDetector(threads=1)
    model = Model(read_model("emotion"), threads=1)
    seeds = tuple(options.seeds)
    result = {"seeds": list(seeds), "videos": len(SCENARIOS) * len(seeds)}
    result |= measure_scenes(detector, model, seeds)
    result["crowds"] = measure_crowds()
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
