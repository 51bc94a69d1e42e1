"""What smoothing over time buys and costs: flicker, delay, the start of a track, the interval of a vote, pooled ages.

    python benchmarks/smoothing.py --json docs/results/smoothing.json
    python benchmarks/smoothing.py --data fairface.parquet --json docs/results/smoothing.json    also pools ages
    python benchmarks/smoothing.py --photos photos.parquet …    also portraits that begin to smile
    python benchmarks/smoothing.py --only clip --json docs/results/smoothing.json    one part, beside the others

Sequences: a face shows one of eight emotions for 1 s and an exponential time of 3 s, then another. Each frame's
logits are the true emotion's plus noise that fades with a time constant (pose, blinks, speech) plus noise of the frame.
Live: as for cameras, from the frames so far. File: with later frames.
Smiles (with --photos, a Parquet file that holds the Face Research Lab London Set): a neutral and a smiling portrait of
one person, aligned by their landmarks and blended into each other within 0.2 s, with a shaking camera, uneven light and
grain, as the networks see them. There are no videos of expressions whose licence lets anyone measure them; a blend is
not a face that moves.
Clip: scikit-image's astronaut, moved, turned, lit and coarsened at random, as the emotion network sees it; the
expression never changes, so every change of the label is wrong.
Votes: stationary sequences whose true share is known; how often the 95 % interval holds it, and how often a majority is
reported.
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

from mien.labels import AGE_BINS, FERPLUS, age_bin_names
from mien.models.card import Head
from mien.results.faces import Faces
from mien.results.prediction import Predictions
from mien.smoothing import SmoothedFaces, Smoother, SmoothingOptions
from mien.smoothing.look_ahead import LookAheadSmoother
from mien.smoothing.voting import MajorityVote, wilson

EMOTION = Head("ferplus", FERPLUS.names)
AGE = Head("age", age_bin_names(AGE_BINS), ordered=True, interval=0.2)

K = len(FERPLUS.names)
SECONDS = 300
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


def noisy_rows(rng: np.random.Generator, truth: NDArray[np.int64], fps: int, kind: str) -> NDArray[np.float32]:
    """What the network predicts for each frame: (n, 8) probabilities."""
    strength, slow, constant, quick = NOISE[kind]
    logits = strength * np.eye(K)[truth] + slow * fading(rng, len(truth), K, keep_of(fps, constant))
    logits += quick * rng.standard_normal(logits.shape)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def face(emotions: NDArray[np.float32]) -> Faces:
    bare = Faces.detected(np.array([[0, 0, 80, 80]]), np.ones(1), None, (640, 480))
    return replace(bare, predictions={"emotion": Predictions(EMOTION, emotions[None])}, tracks=np.ones(1, np.int64))


def smoothed(emotions: NDArray[np.float32], fps: float, *, live: bool, **options: float) -> list[SmoothedFaces]:
    """The results of each frame."""
    values = SmoothingOptions(**options)
    if live:
        smoother = Smoother({"emotion": EMOTION}, values, interval=1 / fps)
        return [smoother.update(i, i / fps, face(row)) for i, row in enumerate(emotions)]
    ahead = LookAheadSmoother({"emotion": EMOTION}, values, interval=1 / fps)
    out = [one for i, row in enumerate(emotions) for one in ahead.update(i, i / fps, face(row))]
    return out + ahead.finish()


def followed(
    emotions: NDArray[np.float32], fps: float, *, live: bool, **options: float
) -> dict[str, NDArray[np.int64]]:
    """Label of each frame: of the frame alone, of the filtered emotions, the stable one (−1 for none)."""
    results = [one.nominal["emotion"] for one in smoothed(emotions, fps, live=live, **options)]
    stable = [-1 if one.labels[0] is None else FERPLUS.index[one.labels[0]] for one in results]
    filtered = [int(one.probabilities[0].argmax()) for one in results]
    return {"frame": emotions.argmax(axis=1), "filtered": np.array(filtered), "stable": np.array(stable)}


def changes(labels: NDArray[np.int64], fps: float) -> float:
    """Changes a minute."""
    return float((labels[1:] != labels[:-1]).sum() / (len(labels) / fps) * 60)


def shortest(labels: NDArray[np.int64], fps: float) -> float:
    """Seconds of the shortest stretch of one label, without the last one, which the end cuts off."""
    ends = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    lengths = np.diff([0, *ends]) / fps
    return float(lengths[labels[np.maximum(ends - 1, 0)] >= 0].min(initial=math.inf))


def delays(labels: NDArray[np.int64], truth: NDArray[np.int64], fps: float) -> Float:
    """Seconds from each true change until the label first follows, negative where it is ahead; NaN where it never does
    before the next one."""
    starts = np.flatnonzero(truth[1:] != truth[:-1]) + 1
    late = []
    for a, b in zip(starts, [*starts[1:], len(truth)], strict=True):
        hits = np.flatnonzero(labels[a:b] == truth[a])
        first = a + (hits[0] if len(hits) else 0)
        while len(hits) and hits[0] == 0 and first > 0 and labels[first - 1] == truth[a]:
            first -= 1
        late.append((first - a) / fps if len(hits) else math.nan)
    return np.array(late)


def flicker() -> list[dict[str, Any]]:
    rows = []
    for kind in NOISE:
        for fps in FPS:
            rng = np.random.default_rng(3)
            truth = shown(rng, fps, SECONDS)
            emotions = noisy_rows(rng, truth, fps, kind)
            found = {f"live {name}": one for name, one in followed(emotions, fps, live=True).items()}
            found |= {f"file {name}": one for name, one in followed(emotions, fps, live=False).items()}
            found["frame"] = found.pop("live frame")
            del found["file frame"]
            for name, labels in found.items():
                late = delays(labels, truth, fps)
                rows.append(
                    {
                        "noise": kind,
                        "fps": fps,
                        "label": name,
                        "true_changes": changes(truth, fps),
                        "changes": changes(labels, fps),
                        "shortest": shortest(labels, fps),
                        "right": float((labels == truth).mean()),
                        "delay_median": float(np.nanmedian(late)),
                        "delay_90": float(np.nanquantile(late, 0.9)),
                        "delay_10": float(np.nanquantile(late, 0.1)),
                        "missed": float(np.isnan(late).mean()),
                    }
                )
    return rows


def steps() -> dict[str, float]:
    """Delay on a change without any noise, from 0.9 for one emotion to 0.9 for another."""
    rest = 0.1 / (K - 1)
    rows = np.full((100, K), rest, np.float32)
    rows[:50, 0] = rows[50:, 1] = 0.9
    return {
        f"{how} {name}": float(np.flatnonzero(one == 1)[0] / 25 - 2)
        for how in ("live", "file")
        for name, one in followed(rows, 25, live=how == "live").items()
    }


def choices() -> list[dict[str, Any]]:
    """The strong noise at 25 frames per second with other options."""
    live = [
        {"time_constant": constant, "margin": margin, "hold": hold}
        for constant in (0.3, 0.5, 0.8)
        for margin, hold in ((0.1, 0.5), (0.15, 0.3), (0.15, 0.5), (0.15, 0.8), (0.3, 0.5))
    ]
    file = [{"change_cost": cost, "min_label": least} for cost in (0.05, 0.1, 0.15, 0.2) for least in (0.2, 0.3, 0.5)]
    rows = []
    for how, all_options in (("live", live), ("file", file)):
        for options in all_options:
            rng = np.random.default_rng(3)
            truth = shown(rng, 25, SECONDS)
            labels = followed(noisy_rows(rng, truth, 25, "strong"), 25, live=how == "live", **options)
            late = delays(labels["stable"], truth, 25)
            rows.append(
                {
                    "how": how,
                    **options,
                    "changes": changes(labels["stable"], 25),
                    "right": float((labels["stable"] == truth).mean()),
                    "delay_median": float(np.nanmedian(late)),
                    "delay_90": float(np.nanquantile(late, 0.9)),
                    "missed": float(np.isnan(late).mean()),
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
    emotions = noisy_rows(rng, truth, 25, "strong").astype(np.float64).reshape(tracks, n, K)
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
    from public_portraits import portrait

    from mien.media.image import load_image
    from mien.models.catalog import read_model
    from mien.models.model import Model
    from mien.pipeline.analyzer import Analyzer
    from mien.predict.classify import crop_faces, predict_crops

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
            crops = crop_faces(model, picture, faces, "mtcnn")
            emotions.append(predict_crops("emotion", model, crops)["emotion"].probabilities[0])
        labels = {
            name if name == "frame" else f"{how} {name}": one
            for how in ("live", "file")
            for name, one in followed(np.array(emotions), 25, live=how == "live").items()
        }
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


# ---------------------------------------------------------------- smiles


SMILE, BLEND = 1.6, 0.2
"""Seconds that a face is neutral, smiles and is neutral again, each; and seconds of a change."""


def smiles(path: Path, people: int = 60) -> dict[str, Any]:
    """When the stable label of a person follows the smile, and whether the age range stays."""
    from mien.models.catalog import read_model
    from mien.models.model import Model
    from mien.predict.classify import crop_faces, predict_crops

    emotion, age = (Model(read_model(name), threads=1) for name in ("emotion", "age"))
    fps, rows = 25, []
    for number, (neutral, smiling, landmarks) in enumerate(portraits(path, people)):
        rng = np.random.default_rng((11, number))
        n = round((3 * SMILE + 2 * BLEND) * fps)
        moves = 0.5 * fading(rng, n, 5, keep_of(fps, 0.4))
        emotions, ages, shares = [], [], []
        for i, move in enumerate(moves):
            t = i / fps
            share = min(max((t - SMILE) / BLEND, 0), max(1 - (t - 2 * SMILE - BLEND) / BLEND, 0), 1)
            blend = np.asarray(neutral * (1 - share) + smiling * share, np.uint8)
            picture, points = moved(blend, landmarks, move, 0.5, 4.0, rng)
            faces = Faces.detected(np.array([[110, 90, 310, 330]]), np.ones(1), points[None], (420, 420))
            emotions.append(
                predict_crops("emotion", emotion, crop_faces(emotion, picture, faces, "mtcnn"))[
                    "emotion"
                ].probabilities[0]
            )
            crops = crop_faces(age, picture, faces, "mtcnn")
            ages.append(None if i % 5 else predict_crops("age", age, crops)["age"].probabilities[0])
            shares.append(share)
        table = np.array(emotions)
        happy = FERPLUS.index["happy"]
        middle = round((SMILE + BLEND / 2) * fps)
        row: dict[str, Any] = {
            "frames_happy": float((table.argmax(axis=1) == happy)[middle:][: round(1.6 * fps)].mean())
        }
        for how in ("live", "file"):
            labels = followed(table, fps, live=how == "live")["stable"]
            row[how] = {"shortest": shortest(labels, fps), "delay": follow(labels == happy, middle, fps)}
        ranges = {how: age_ranges(ages, lead) for how, lead in (("pooled", 0.0), ("with a lead", None))}
        row["age_changes"] = {how: int((one[25:] != one[24:-1]).sum()) for how, one in ranges.items()}
        row["age_moves"] = {how: bool((one[middle:] != one[middle - 1]).any()) for how, one in ranges.items()}
        rows.append(row)
    # a person whose smile the network does not see has no change to follow
    seen = [row for row in rows if row["frames_happy"] > 0.8]
    result: dict[str, Any] = {"people": len(rows), "smiles_seen": len(seen), "fps": fps}
    for how in ("live", "file"):
        late = np.array([row[how]["delay"] for row in seen])
        result[how] = {
            "delay_median": float(np.nanmedian(late)),
            "delay_90": float(np.nanquantile(late, 0.9)),
            "missed": float(np.isnan(late).mean()),
            "shortest": min(row[how]["shortest"] for row in rows),
        }
    for how in ("pooled", "with a lead"):
        result[how] = {
            "changes": float(np.mean([row["age_changes"][how] for row in rows])),
            "moved_by_the_smile": float(np.mean([row["age_moves"][how] for row in rows])),
        }
    return result


def follow(is_happy: NDArray[np.bool_], middle: int, fps: float) -> float:
    """Seconds from the middle of the change until the label is "happy"; NaN for never."""
    hits = np.flatnonzero(is_happy[middle - round(0.6 * fps) :])
    return float((hits[0] - round(0.6 * fps)) / fps) if len(hits) else math.nan


def age_ranges(ages: list[NDArray[np.float32] | None], lead: float | None) -> NDArray[np.int64]:
    """Most probable range of each frame, pooled so far; a new one needs this lead, by default the package's."""
    from mien.smoothing import head_state

    before = head_state.LEAD
    head_state.LEAD = before if lead is None else lead
    try:
        state, ranges = head_state.OrderedState(AGE), []
        for row in ages:
            if row is not None:
                state.add_frame(row.astype(float).tolist(), 1.0)
            ranges.append(int(np.argmax(state.pooled)))
    finally:
        head_state.LEAD = before
    return np.array(ranges)


def portraits(path: Path, people: int) -> list[tuple[Float, Float, Float]]:
    """Neutral portrait, smiling portrait aligned to it, and the landmarks; RGB ``(420, 420, 3)``."""
    import io
    import re

    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(path, columns=["set", "source", "faces", "image"], filters=[("set", "=", "london")])
    pairs: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        match = re.search(r"(neutral|smiling)_front/(\d+)_", row["source"])
        if match is not None and row["faces"]:
            pairs.setdefault(match[2], {})[match[1]] = row
    out = []
    for number in sorted(pairs)[:people]:
        pair = pairs[number]
        if len(pair) < 2:
            continue
        rgb = {
            name: np.asarray(
                Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB").resize((420, 420)), np.float64
            )
            for name, row in pair.items()
        }
        points = {name: np.array(row["faces"][0]["landmarks"], np.float64) for name, row in pair.items()}
        # eyes and nose: the mouth is what moves
        matrix, _ = cv2.estimateAffinePartial2D(points["smiling"][:3], points["neutral"][:3])
        smiling = cv2.warpAffine(rgb["smiling"], matrix, (420, 420), borderMode=cv2.BORDER_REPLICATE)
        out.append((rgb["neutral"], np.asarray(smiling, np.float64), points["neutral"]))
    return out


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
    """Coverage where more than two labels run, 4 s at 25 frames per second: the winner is chosen for its luck, too."""
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
    """Microseconds of processor time per frame, by number of faces; and after ten thousand frames as after one."""
    spent = {}
    heads = {"emotion": EMOTION, "age": AGE}
    for how in ("live", "file"):
        for n in (1, 3, 10):
            rng = np.random.default_rng(1)
            truth = shown(rng, 25, 100)
            emotions = np.stack([noisy_rows(rng, truth, 25, "strong") for _ in range(n)], axis=1)
            frames = []
            for row in emotions[:1000]:
                corner = rng.uniform(0, 400, (n, 2))
                bare = Faces.detected(
                    np.hstack([corner, corner + 80]), rng.uniform(0.5, 1, n), rng.uniform(0, 80, (n, 5, 2)), (640, 480)
                )
                ages = rng.dirichlet(np.ones(len(AGE_BINS)), n).astype(np.float32)
                predictions = {"emotion": Predictions(EMOTION, row), "age": Predictions(AGE, ages)}
                frames.append(replace(bare, predictions=predictions, tracks=np.arange(1, n + 1)))
            smoother: Any = Smoother(heads) if how == "live" else LookAheadSmoother(heads)
            laps = []
            for lap in range(10):
                start = time.process_time()
                for i, faces in enumerate(frames):
                    smoother.update(1000 * lap + i, (1000 * lap + i) / 25, faces)
                laps.append((time.process_time() - start) / 1000 * 1e6)
            spent[f"{how} {n}"] = float(np.median(laps))
            if n == 1:
                spent[f"{how} 1, first thousand frames"] = laps[0]
                spent[f"{how} 1, last thousand frames"] = laps[-1]
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
    parser.add_argument("--photos", type=Path, help="the Parquet file of photos that holds the London set")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these parts alone")
    arguments = parser.parse_args()
    result = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.is_file() else {}
    for part in arguments.only:
        if (part == "ages" and arguments.data is None) or (part == "smiles" and arguments.photos is None):
            continue
        result[part] = rounded(measure(part, arguments.data, arguments.photos))
        print(json.dumps({part: result[part]}, indent=1))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


PARTS = ("speed_us", "flicker", "step_delay", "choices", "starts", "smiles", "clip", "coverage", "races", "ages")


def measure(part: str, data: Path | None, photos: Path | None) -> Any:
    """One of `PARTS`."""
    if part == "coverage":
        return [
            *coverage(25, 4, 4.0, 600),
            *coverage(10, 4, 4.0, 600),
            *coverage(60, 4, 4.0, 300),
            *coverage(25, 30, None, 200),
        ]
    if part == "smiles" and photos is not None:
        return smiles(photos)
    if part == "ages" and data is not None:
        return ages(data)
    parts: dict[str, Callable[[], Any]] = {
        "speed_us": speed, "flicker": flicker, "step_delay": steps, "choices": choices, "starts": starts, "clip": clip,
        "races": races,
    }  # fmt: skip
    return parts[part]()


if __name__ == "__main__":
    main()
