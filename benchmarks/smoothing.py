"""What smoothing over time buys and costs: flicker, delay, the start of a track, the interval of a vote, pooled ages.

    python benchmarks/smoothing.py --json docs/results/smoothing.json
    python benchmarks/smoothing.py --data fairface.parquet --json docs/results/smoothing.json    also pools ages
    python benchmarks/smoothing.py --only clip --json docs/results/smoothing.json    the part that asks the network

Sequences: a face shows one of eight emotions for 1 s and an exponential time of 3 s, then another. Each frame's
logits are the true emotion's plus noise that fades with a time constant (pose, blinks, speech) plus noise of the frame.
Clip: scikit-image's astronaut, moved, turned, lit and coarsened at random, as the emotion network sees it; the
expression never changes, so every change of the label is wrong.
Votes: stationary sequences whose true share is known; how often the 95 % interval holds it, and how often a majority is
told.
Ages (with --data, a file of `mien data prepare fairface/ --crop age`): validation faces, each as twelve damaged frames.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.labels import AGE_BINS, FERPLUS
from mien.results.faces import Faces
from mien.smoothing import Smoother
from mien.smoothing.voting import MajorityVote, wilson

K = len(FERPLUS.names)
SECONDS = 1200
FPS = (10, 25, 60)
NOISE = {
    # strength of the true emotion, deviation of the slow noise, its time constant in seconds, deviation of a frame's
    "mild": (3.0, 1.0, 0.15, 0.7),
    "strong": (2.0, 1.0, 0.15, 0.7),
    "slow": (2.5, 1.0, 0.4, 0.5),
}
CORRELATION = (0.0, 0.1, 0.2, 0.4, 0.8)
SHARES = (0.5, 0.6, 0.8, 0.9, 0.97)

Float = NDArray[np.float64]


# ---------------------------------------------------------------- labels of synthetic sequences


def shown(rng: np.random.Generator, fps: int, seconds: float) -> NDArray[np.int64]:
    """Index of the emotion that is shown in each frame."""
    frames: list[int] = []
    emotion = int(rng.integers(K))
    while len(frames) < fps * seconds:
        frames += [emotion] * round(fps * (1 + rng.exponential(3)))
        emotion = (emotion + int(rng.integers(1, K))) % K
    return np.array(frames[: int(fps * seconds)])


def fading(rng: np.random.Generator, n: int, columns: int, keep: float) -> Float:
    """Noise of deviation 1 of which each frame keeps the part ``keep`` of the one before: (n, columns)."""
    fresh = rng.standard_normal((n, columns))
    noise = np.empty((n, columns))
    noise[0] = fresh[0]
    for i in range(1, n):
        noise[i] = keep * noise[i - 1] + math.sqrt(1 - keep**2) * fresh[i]
    return noise


def keep_of(fps: int, constant: float) -> float:
    return math.exp(-1 / fps / constant) if constant else 0.0


def told(rng: np.random.Generator, truth: NDArray[np.int64], fps: int, kind: str) -> NDArray[np.float32]:
    """What the network says of each frame: (n, 8) probabilities."""
    strength, slow, constant, quick = NOISE[kind]
    logits = strength * np.eye(K)[truth] + slow * fading(rng, len(truth), K, keep_of(fps, constant))
    logits += quick * rng.standard_normal(logits.shape)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def face(emotions: NDArray[np.float32]) -> Faces:
    return replace(
        Faces.detected(np.array([[0, 0, 80, 80]]), np.ones(1), None, (640, 480)),
        emotions=emotions[None],
        emotion_labels=FERPLUS.names,
        tracks=np.ones(1, np.int64),
    )


def followed(emotions: NDArray[np.float32], fps: float, **options: float) -> dict[str, NDArray[np.int64]]:
    """Label of each frame: of the frame alone, of the filtered emotions, the stable one (−1 for none)."""
    smoother = Smoother(FERPLUS.names, (), **options)
    stable, leading = [], []
    for i, row in enumerate(emotions):
        out = smoother.update(i, i / fps, face(row))
        stable.append(-1 if out.labels[0] is None else FERPLUS.index[out.labels[0]])
        leading.append(int(out.smoothed[0].argmax()))
    return {"frame": emotions.argmax(axis=1), "filtered": np.array(leading), "stable": np.array(stable)}


def changes(labels: NDArray[np.int64], fps: float) -> float:
    """Changes a minute."""
    return float((labels[1:] != labels[:-1]).sum() / (len(labels) / fps) * 60)


def delays(labels: NDArray[np.int64], truth: NDArray[np.int64], fps: float) -> Float:
    """Seconds from each true change until the label first follows; NaN where it never does before the next."""
    starts = np.flatnonzero(truth[1:] != truth[:-1]) + 1
    ends = [*starts[1:], len(truth)]
    hits = [np.flatnonzero(labels[a:b] == truth[a]) for a, b in zip(starts, ends, strict=True)]
    return np.array([hit[0] / fps if len(hit) else math.nan for hit in hits])


def flicker() -> list[dict[str, Any]]:
    rows = []
    for kind in NOISE:
        for fps in FPS:
            rng = np.random.default_rng(3)
            truth = shown(rng, fps, SECONDS)
            found = followed(told(rng, truth, fps, kind), fps)
            for name, labels in found.items():
                late = delays(labels, truth, fps)
                rows.append(
                    {
                        "noise": kind,
                        "fps": fps,
                        "label": name,
                        "true_changes": changes(truth, fps),
                        "changes": changes(labels, fps),
                        "right": float((labels == truth).mean()),
                        "delay_median": float(np.nanmedian(late)),
                        "delay_90": float(np.nanquantile(late, 0.9)),
                        "missed": float(np.isnan(late).mean()),
                    }
                )
    return rows


def steps() -> dict[str, float]:
    """Delay on a change without any noise, from 0.9 for one emotion to 0.9 for another."""
    rest = 0.1 / (K - 1)
    rows = np.full((100, K), rest, np.float32)
    rows[:50, 0] = rows[50:, 1] = 0.9
    labels = followed(rows, 25)
    return {name: float(np.flatnonzero(one == 1)[0] / 25 - 2) for name, one in labels.items()}


def choices() -> list[dict[str, float]]:
    """The strong noise at 25 frames a second with other options."""
    rows = []
    for constant in (0.3, 0.5, 0.8):
        for margin, hold in ((0.1, 0.5), (0.15, 0.3), (0.15, 0.5), (0.15, 0.8), (0.3, 0.5)):
            rng = np.random.default_rng(3)
            truth = shown(rng, 25, SECONDS)
            labels = followed(told(rng, truth, 25, "strong"), 25, time_constant=constant, margin=margin, hold=hold)
            rows.append(
                {
                    "time_constant": constant,
                    "margin": margin,
                    "hold": hold,
                    "changes": changes(labels["stable"], 25),
                    "right": float((labels["stable"] == truth).mean()),
                    "delay_median": float(np.nanmedian(delays(labels["stable"], truth, 25))),
                }
            )
    return rows


def starts() -> dict[str, dict[str, float]]:
    """Share of short tracks whose filtered emotions lead with the true one, so long after their first frame.

    "held": the plain filter, p ← p + (1 − exp(−Δt/τ)) (x − p) from the first frame on, which clings to that frame;
    "weighed": Mien's, in which the first frame weighs as much as any other.
    """
    rng = np.random.default_rng(4)
    tracks, n = 1000, 26
    fade = math.exp(-1 / 25 / 0.5)
    right: dict[str, dict[str, float]] = {"held": {}, "weighed": {}}
    truth = np.repeat(rng.integers(K, size=tracks), n)
    emotions = told(rng, truth, 25, "strong").astype(np.float64).reshape(tracks, n, K)
    truth = truth[::n]
    plain = weighed = emotions[:, 0]
    mass = 1 - fade
    for i in range(1, n):
        plain = plain + (1 - fade) * (emotions[:, i] - plain)
        mass = mass * fade + 1 - fade
        weighed = weighed + (1 - fade) / mass * (emotions[:, i] - weighed)
        if i in (5, 10, 25):
            right["held"][f"{i / 25:.1f}"] = float((plain.argmax(axis=1) == truth).mean())
            right["weighed"][f"{i / 25:.1f}"] = float((weighed.argmax(axis=1) == truth).mean())
    return right


# ---------------------------------------------------------------- a clip


def clip() -> dict[str, Any]:
    """Changes a minute on a portrait that never changes its expression, as the emotion network sees it."""
    from mien.cli.demo import portrait
    from mien.media.image import load_image
    from mien.models.catalog import read_model
    from mien.models.model import Model
    from mien.pipeline.analyzer import Analyzer
    from mien.predict.classify import cut, with_emotions

    rgb = load_image(portrait()).rgb
    found = Analyzer().analyze(rgb, color="rgb")[:1]
    model = Model(read_model("emotion"), threads=1)
    rows = {}
    for name, (coarse, rough) in {"sharp": (1.0, 2.0), "coarse": (0.12, 8.0)}.items():
        rng = np.random.default_rng(6)
        moves = fading(rng, 1500, 5, keep_of(25, 0.4))
        emotions = []
        for move in moves:
            picture, points = moved(rgb, found.landmarks[0], move, coarse, rough, rng)
            box = found.boxes[0] + np.tile(points.mean(axis=0) - found.landmarks[0].mean(axis=0), 2)
            faces = Faces.detected(box[None], found.scores, points[None], found.image_size)
            emotions.append(with_emotions(faces, model, cut(model, picture, faces, "mtcnn")).emotions[0])
        labels = followed(np.array(emotions), 25)
        rows[name] = {
            "changes": {kind: changes(one[5:], 25) for kind, one in labels.items()},
            "most_frequent": {kind: float(np.bincount(one[5:]).max() / len(one[5:])) for kind, one in labels.items()},
        }
    return rows


def moved(
    rgb: NDArray[np.uint8], landmarks: Float, move: Float, coarse: float, rough: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Float]:
    """The picture turned, scaled, shifted and lit by five numbers of deviation 1, coarsened; and its landmarks."""
    centre = landmarks.mean(axis=0)
    turn = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), 8 * move[0], math.exp(0.08 * move[1]))
    turn[:, 2] += 6 * move[2:4]
    height, width = rgb.shape[:2]
    picture = cv2.warpAffine(rgb, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    small = (max(1, round(width * coarse)), max(1, round(height * coarse)))
    picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(np.float32) * math.exp(0.25 * move[4])
    picture += rng.normal(0, rough, picture.shape)
    picture = cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (width, height))
    points = landmarks @ turn[:, :2].T + turn[:, 2] + rng.normal(0, 1.0 + 0.15 / coarse, (5, 2))
    return picture, points


# ---------------------------------------------------------------- votes


def switching(rng: np.random.Generator, m: int, n: int, keep: float, share: float) -> NDArray[np.bool_]:
    """A frame keeps the vote of the one before with probability ``keep``, else it draws a new one: (m, n)."""
    drawn = rng.random((m, n)) < share
    kept = rng.random((m, n)) < keep
    kept[:, 0] = False
    source = np.maximum.accumulate(np.where(kept, 0, np.arange(n)), axis=1)
    return np.take_along_axis(drawn, source, axis=1)


def swaying(rng: np.random.Generator, m: int, n: int, keep: float, share: float) -> NDArray[np.bool_]:
    """A frame votes by whether fading noise lies below a threshold."""
    return NormalDist().inv_cdf(share) > fading(rng, n, m, keep).T


def trembling(rng: np.random.Generator, m: int, n: int, keep: float, share: float) -> NDArray[np.bool_]:
    """Likewise, half of the noise being a frame's own."""
    noise = (fading(rng, n, m, keep).T + rng.standard_normal((m, n))) / math.sqrt(2)
    return noise < NormalDist().inv_cdf(share)


KINDS: dict[str, Callable[..., NDArray[np.bool_]]] = {
    "switching": switching,
    "swaying": swaying,
    "trembling": trembling,
}


def coverage(fps: int, seconds: float, window: float | None, sequences: int) -> list[dict[str, Any]]:
    rows = []
    for constant in CORRELATION:
        each: list[dict[str, float]] = []
        for kind, make in KINDS.items():
            for share in SHARES:
                rng = np.random.default_rng(8)
                votes = make(rng, sequences, round(fps * seconds), keep_of(fps, constant), share)
                each.append(held(votes, fps, share, window, rng) | {"kind": kind, "share": share})  # type: ignore[arg-type]
        rows.append(
            {
                "fps": fps,
                "seconds": seconds,
                "window": window,
                "constant": constant,
                "frames_alone": float(np.mean([one["naive"] for one in each])),
                "covered": float(np.mean([one["covered"] for one in each])),
                "covered_worst": float(min(one["covered"] for one in each)),
                "votes": float(np.mean([one["votes"] for one in each])),
                **{
                    f"decided_{share}": float(np.mean([one["decided"] for one in each if one["share"] == share]))
                    for share in SHARES
                },
            }
        )
    return rows


def held(
    votes: NDArray[np.bool_], fps: int, share: float, window: float | None, rng: np.random.Generator
) -> dict[str, float]:
    """How often the interval of the last vote holds the true share of its winner, and how often "this" is decided.

    Where the shares are equal, either is counted: both would be wrong.
    """
    covered, naive, decided, effective = [], [], [], []
    for row in votes.tolist():
        ballot = MajorityVote(("this", "other"), window=window, vote_seconds=0.4)
        start = rng.uniform(0, 10)
        for i, this in enumerate(row):
            ballot.cast(0 if this else 1, start + i / fps, 1 / fps)
        ballot.forget(start + (len(row) - 1) / fps)
        vote = ballot.result()
        true = share if vote.label == "this" else 1 - share
        covered.append(vote.low <= true <= vote.high)
        low, high = wilson(vote.share, vote.n)
        naive.append(low <= true <= high)
        decided.append(vote.decided and (vote.label == "this" or share == 0.5))
        effective.append(vote.effective)
    return {
        "covered": float(np.mean(covered)),
        "naive": float(np.mean(naive)),
        "decided": float(np.mean(decided)),
        "votes": float(np.median(effective)),
    }


def races(sequences: int = 1000) -> list[dict[str, Any]]:
    """Coverage where more than two labels run, 4 s at 25 frames a second: the winner is chosen for its luck, too."""
    rows = []
    for shares in ((0.7, 0.1, 0.1, 0.1), (0.5, 0.2, 0.1, 0.1, 0.1), (0.4, 0.3, 0.1, 0.1, 0.1), (0.2,) * 5):
        for constant in (0.1, 0.2, 0.4):
            rng = np.random.default_rng(9)
            covered, wrong = [], []
            for _ in range(sequences):
                drawn = rng.choice(len(shares), 100, p=shares)
                kept = rng.random(100) < keep_of(25, constant)
                kept[0] = False
                ballot = MajorityVote(FERPLUS.names[: len(shares)], window=4.0, vote_seconds=0.4)
                for i, label in enumerate(drawn[np.maximum.accumulate(np.where(kept, 0, np.arange(100)))].tolist()):
                    ballot.cast(label, i / 25, 1 / 25)
                vote = ballot.result()
                true = shares[FERPLUS.index[str(vote.label)]]
                covered.append(vote.low <= true <= vote.high)
                wrong.append(vote.decided and true <= 0.5)
            rows.append(
                {
                    "shares": list(shares),
                    "constant": constant,
                    "covered": float(np.mean(covered)),
                    "wrongly_decided": float(np.mean(wrong)),
                }
            )
    return rows


# ---------------------------------------------------------------- ages


def damaged(face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A face as another frame of a video might show it; three of ten are blurred and coarse as well."""
    side = len(face)
    middle = side / 2 - 0.5
    turn = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 6), 1 + rng.normal(0, 0.06))
    turn[:, 2] += rng.normal(0, side / 32, 2)
    out = cv2.warpAffine(face, turn, (side, side), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    out = out * math.exp(rng.normal(0, 0.2)) + rng.normal(0, 8)
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 2.0))
        small = int(rng.integers(side // 3, side))
        out = cv2.resize(cv2.resize(out, (small, small), interpolation=cv2.INTER_AREA), (side, side))
    out = out + rng.normal(0, rng.uniform(0, 4), out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def ages(path: Path, faces: int = 1500, frames: int = 12) -> dict[str, dict[str, float]]:
    from mien.datasets.prepared_file import read_prepared
    from mien.models.catalog import read_model
    from mien.models.model import Model

    part = read_prepared(path)
    rng = np.random.default_rng(0)
    rows = rng.choice(np.flatnonzero(part.split == "validation"), faces, replace=False)
    truth = part.age[rows].astype(int)
    model = Model(read_model("age"), threads=1)
    each = np.stack(
        [model(np.stack([damaged(part.images[row], rng) for _ in range(frames)]))["age"] for row in rows]
    ).astype(np.float64)
    logs = np.log(np.maximum(each, 1e-4)).mean(axis=1)
    pooled = {"one frame": each[:, 0], "mean of probabilities": each.mean(axis=1), "mean of logarithms": np.exp(logs)}
    centres = np.array([(a + b + 1) / 2 for a, b in AGE_BINS])
    scores = {}
    for name, p in pooled.items():
        p = p / p.sum(axis=1, keepdims=True)
        scores[name] = {
            "accuracy": float((p.argmax(axis=1) == truth).mean()),
            "one_off": float((abs(p.argmax(axis=1) - truth) <= 1).mean()),
            "log_loss": float(-np.log(np.maximum(p[np.arange(faces), truth], 1e-12)).mean()),
            "years": float(abs(p @ centres - centres[truth]).mean()),
        }
    return scores


# ---------------------------------------------------------------- speed


def speed() -> dict[str, float]:
    """Microseconds of processor time an update, by number of faces; and after ten thousand frames as after one."""
    spent = {}
    for n in (1, 3, 10):
        rng = np.random.default_rng(1)
        frames = []
        for _ in range(100):
            corner = rng.uniform(0, 400, (n, 2))
            faces = Faces.detected(
                np.hstack([corner, corner + 80]), rng.uniform(0.5, 1, n), rng.uniform(0, 80, (n, 5, 2)), (640, 480)
            )
            frames.append(
                replace(
                    faces,
                    emotions=rng.dirichlet(np.full(K, 0.3), n).astype(np.float32),
                    emotion_labels=FERPLUS.names,
                    ages=rng.dirichlet(np.ones(len(AGE_BINS)), n).astype(np.float32),
                    age_bins=AGE_BINS,
                    tracks=np.arange(1, n + 1),
                )
            )
        smoother = Smoother(FERPLUS.names, AGE_BINS)
        laps = []
        for lap in range(100):
            start = time.process_time()
            for i, faces in enumerate(frames):
                smoother.update(100 * lap + i, (100 * lap + i) / 25, faces)
            laps.append((time.process_time() - start) / 100 * 1e6)
        spent[f"{n}"] = float(np.median(laps))
        if n == 1:
            spent["1, first thousand frames"] = float(np.median(laps[:10]))
            spent["1, last thousand frames"] = float(np.median(laps[-10:]))
    return spent


def rounded(value: Any) -> Any:
    """Floats to four digits."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="FairFace, prepared with --crop age")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=["clip"], help="measure this part alone, as after a change of the network")
    arguments = parser.parse_args()
    earlier = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    result: dict[str, Any] = earlier | {"clip": clip()} if arguments.only else measure(arguments.data, earlier)
    result = rounded(result)
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(data: Path | None, earlier: dict[str, Any]) -> dict[str, Any]:
    """Every part; ages only with ``data``."""
    return {
        "speed_us": speed(),
        "flicker": flicker(),
        "step_delay": steps(),
        "choices": choices(),
        "starts": starts(),
        "clip": clip(),
        "coverage": [
            *coverage(25, 4, 4.0, 600),
            *coverage(10, 4, 4.0, 600),
            *coverage(60, 4, 4.0, 300),
            *coverage(25, 30, None, 200),
        ],
        "races": races(),
        "ages": ages(data) if data else earlier.get("ages"),
    }


if __name__ == "__main__":
    main()
