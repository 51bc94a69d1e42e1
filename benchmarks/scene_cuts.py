"""Scene cuts on filmed photos: how many are detected, by kind, and how many are reported where there is none.

    python benchmarks/scene_cuts.py --photos photos.parquet --faces fairface/validation.parquet \
        --json docs/results/scene_cuts.json

There are few videos with known cuts whose licence lets anyone measure, so the clips are made: a camera moves over
photos (still, handheld, pan, zoom, whip pan, someone who walks close by, a caption that appears, a light that changes)
with grain and drifting exposure, and the film is encoded as H.264 or MJPEG and decoded again. Cuts join
    unlike: photos of two sources;
    alike: two photos of one source, mostly of one event;
    other view: two parts of one photo;
    two portraits: London set or FairFace, where two people fill the same part of the picture;
    flash: unlike, where a flash lights the frames around the cut.
A fade through black is one cut, anywhere between its black frames and a quarter of a second after it; frames inside
fades and dissolves count otherwise neither as right nor as wrong. Photos are halved by source: `--part fit` shows the
half on which the thresholds were chosen, the default the other one.

Generated scenes (`benchmarks/shots.py`) are measured beside: people of two portraits before drawn places, without
compression.

``--photos`` is a Parquet file with the columns ``image`` (``bytes``), ``set``, ``source``; ``--faces`` one of FairFace.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from shots import film as generated_film

from mien.media.video import open_video
from mien.tracking.scene_cuts import SceneCutDetector

WIDTH, HEIGHT = 320, 240
CAMERAS = ("still", "handheld", "pan", "zoom", "whip pan", "walk close by", "caption", "light changes", "flash")
JOINTS = ("unlike", "alike", "other view", "two portraits", "flash", "fade", "dissolve")
WEIGHTS = (0.26, 0.26, 0.12, 0.16, 0.05, 0.08, 0.07)
HARD = JOINTS[:5]
FADE = 0.4
"""Seconds of a fade to black, of one from black, and of a dissolve."""

Rgb = NDArray[np.uint8]


# ---------------------------------------------------------------- photos


class Photos:
    """Photos of one half, grouped by source.

    Args:
        path: the Parquet file of photos.
        faces: the Parquet file of faces.
        part: "fit" or "test".
        most: photos per source at most.
    """

    def __init__(self, path: Path, faces: Path, part: str, most: int = 40) -> None:
        table = pq.read_table(path, columns=["set", "source", "image"])
        sources = table.column("source").to_pylist()
        sets = table.column("set").to_pylist()
        self._images = table.column("image")
        self._faces = pq.read_table(faces, columns=["image"]).column("image")
        self.groups: dict[str, list[int]] = defaultdict(list)
        self.portraits: list[int] = []
        for row, (kind, source) in enumerate(zip(sets, sources, strict=True)):
            group = source.split()[0]
            half = "fit" if hashlib.sha256((source if kind == "london" else group).encode()).digest()[0] % 2 else "test"
            if half != part:
                continue
            if kind == "london":
                self.portraits.append(row)
            elif len(self.groups[group]) < most * 4:
                self.groups[group].append(row)
        start = 0 if part == "fit" else len(self._faces) // 2
        self._face_rows = range(start, start + len(self._faces) // 2)
        self.groups = {group: rows for group, rows in self.groups.items() if len(rows) >= 2}

    def photo(self, row: int) -> Rgb:
        """One photo, at least 1.25 times as large as a frame."""
        return _large_enough(self._images[row].as_py()["bytes"])

    def face(self, rng: np.random.Generator) -> Rgb:
        """One of the faces, which fills the picture."""
        row = int(rng.choice(self._face_rows))
        return _large_enough(self._faces[row].as_py()["bytes"])


def _large_enough(data: bytes) -> Rgb:
    rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    height, width = rgb.shape[:2]
    scale = max(1.25 * WIDTH / width, 1.25 * HEIGHT / height, 1.0)
    if scale == 1.0:
        return rgb
    size = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)


# ---------------------------------------------------------------- shots


@dataclass(frozen=True)
class Shot:
    """One take of a photo.

    Attributes:
        photo: what is filmed.
        camera: one of `CAMERAS`.
        joint: how it begins, one of `JOINTS`; "start" for the first one.
        view: (x, y, width) of the camera's first view, as parts of the photo.
        seconds: its length.
    """

    photo: Rgb
    camera: str
    joint: str
    view: tuple[float, float, float]
    seconds: float


@dataclass
class Truth:
    """What a film shows, frame by frame.

    Attributes:
        cuts: frame → kind of the cut that it begins.
        fades: first and last frame at which a fade may be reported.
        free: frames on which a report is neither right nor wrong.
        cameras: of each frame.
    """

    cuts: dict[int, str] = field(default_factory=dict)
    fades: list[tuple[int, int]] = field(default_factory=list)
    free: set[int] = field(default_factory=set)
    cameras: list[str] = field(default_factory=list)


def plan(photos: Photos, seed: int, shots: int) -> list[Shot]:
    """The shots of one film."""
    rng = np.random.default_rng((seed, 17))
    groups = sorted(photos.groups)
    portraits = bool(rng.random() < 0.25)
    group, row, rgb = "", -1, np.zeros((1, 1, 3), np.uint8)
    takes: list[Shot] = []
    for index in range(shots):
        joint = "start" if not index else str(rng.choice(JOINTS, p=WEIGHTS))
        if portraits and joint in ("unlike", "alike", "other view"):
            joint = "two portraits"
        view = _view(rng)
        if joint == "two portraits" and takes and takes[-1].joint != "two portraits" and not portraits:
            portraits = True  # the next ones are cuts from portrait to portrait
            joint = "unlike"
        elif joint in ("unlike", "flash") and portraits:
            portraits = False
        if joint == "other view" and index:
            x, _, _ = takes[-1].view
            view = (0.02 if x > 0.2 else 0.42, float(rng.uniform(0.0, 0.3)), 0.52)
        elif portraits:
            joint = "two portraits" if joint not in ("start", "fade", "dissolve", "unlike") else joint
            rgb = photos.photo(int(rng.choice(photos.portraits))) if rng.random() < 0.5 else photos.face(rng)
            if index and joint == "two portraits" and len(takes[-1].photo) > 1:
                view = (*takes[-1].view[:2], min(takes[-1].view[2], 0.9))
            else:
                view = (0.1, 0.1, 0.8)
        elif joint == "alike" and group:
            rows = photos.groups[group]
            at = rows.index(row)
            near = [r for r in rows[max(at - 6, 0) : at + 7] if r != row]
            row = int(rng.choice(near))
            rgb = photos.photo(row)
        else:
            joint = "unlike" if joint == "alike" else joint
            others = [g for g in groups if g != group]
            group = str(rng.choice(others))
            row = int(rng.choice(photos.groups[group]))
            rgb = photos.photo(row)
        camera = CAMERAS[int(rng.integers(len(CAMERAS)))]
        takes.append(Shot(rgb, camera, joint, view, float(rng.uniform(0.7, 2.6))))
    return takes


def _view(rng: np.random.Generator) -> tuple[float, float, float]:
    width = float(rng.uniform(0.5, 0.85))
    return float(rng.uniform(0, 1 - width)), float(rng.uniform(0, 0.3)), width


def film_shot(shot: Shot, fps: float, rng: np.random.Generator, walker: Rgb) -> Iterator[Rgb]:
    """The frames of a shot."""
    height, width = shot.photo.shape[:2]
    x0, y0, part = shot.view
    scale = WIDTH / (part * width)
    scale = max(scale, HEIGHT / height)
    frames = max(round(shot.seconds * fps), 3)
    sign, speed = rng.choice([-1.0, 1.0]), rng.uniform(0.05, 0.45)
    rate, shake = rng.uniform(0.08, 0.35), rng.uniform(0.003, 0.02)
    grain, drift = rng.uniform(1.5, 6.0), rng.uniform(0.0, 0.12)
    at, gain, lift = rng.uniform(0.3, 0.7) * shot.seconds, rng.uniform(1.3, 2.5), rng.uniform(10, 120)
    dark, caption = rng.uniform(0.35, 0.7), rng.uniform(0.15, 0.3)
    blur = rng.uniform(1, 6) if rng.random() < 0.25 else 0.0  # out of focus
    night = rng.uniform(0.2, 0.6) if rng.random() < 0.2 else 1.0
    phases = rng.uniform(0, 2 * math.pi, 6)
    jitter = rng.normal(0, 1, (frames, 2))
    for i in range(frames):
        t = i / fps
        dx = dy = 0.0
        zoom = 1.0
        if shot.camera == "pan":
            dx = sign * speed * t
        elif shot.camera == "whip pan":
            dx = sign * 0.9 * (1 + math.tanh(8 * (t - at)))
        elif shot.camera == "zoom":
            zoom = math.exp(sign * rate * t)
        amount = shake if shot.camera == "handheld" else 0.002
        dx += amount * (math.sin(5.1 * t + phases[0]) + math.sin(13 * t + phases[1]) + 0.5 * jitter[i, 0])
        dy += amount * (math.sin(6.3 * t + phases[2]) + math.sin(11 * t + phases[3]) + 0.5 * jitter[i, 1])
        left, top = (x0 * width) * scale + dx * WIDTH, (y0 * height) * scale + dy * HEIGHT
        k = scale * zoom
        matrix = np.array([[k, 0, -left - (zoom - 1) * WIDTH / 2], [0, k, -top - (zoom - 1) * HEIGHT / 2]], np.float64)
        rgb = cv2.warpAffine(
            shot.photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101
        ).astype(np.float32)
        if blur:
            rgb = cv2.GaussianBlur(rgb, (0, 0), blur)
        rgb *= night
        if shot.camera == "walk close by":
            _walk(rgb, walker, sign * (t / shot.seconds - 0.5) * 2.4)
        if shot.camera == "caption" and abs(t - shot.seconds / 2) < shot.seconds / 4:
            rows = round(HEIGHT * caption)
            rgb[HEIGHT - rows : HEIGHT - 8, 16:-16] *= 0.3
            cv2.putText(rgb, "the name of a person", (24, HEIGHT - rows // 2), 0, 0.7, (250, 250, 250), 2)
        rgb *= 1 + drift * math.sin(2.2 * t + phases[4])
        if shot.camera == "light changes" and t >= at:
            rgb *= dark
        if (shot.camera == "flash" and 0 <= t - at < 0.09) or (shot.joint == "flash" and i < 2):
            rgb = rgb * gain + lift
        rgb += rng.normal(0, grain, (HEIGHT, WIDTH, 1)).astype(np.float32)
        yield np.clip(rgb, 0, 255).astype(np.uint8)


def _walk(rgb: NDArray[np.float32], walker: Rgb, place: float) -> None:
    """Someone who crosses the picture; ``place`` from −1.2 to 1.2."""
    width, height = round(WIDTH * 0.45), round(HEIGHT * 0.95)
    person = cv2.resize(walker, (width, height)).astype(np.float32)
    left = round((place + 1) / 2 * WIDTH - width / 2)
    a, b = max(left, 0), min(left + width, WIDTH)
    if a < b:
        ys, xs = np.mgrid[0:height, a - left : b - left]
        inside = ((xs - width / 2) / (width / 2)) ** 2 + ((ys - height / 2) / (height / 2)) ** 2 < 1
        part = rgb[HEIGHT - height :, a:b]
        part[inside] = person[:, a - left : b - left][inside]


def film(photos: Photos, seed: int, fps: float, shots: int = 8) -> tuple[list[Rgb], Truth]:
    """A film and what is true of it."""
    takes = plan(photos, seed, shots)
    rng = np.random.default_rng((seed, 23))
    pictures: list[Rgb] = []
    truth = Truth()
    fade = max(round(FADE * fps), 2)
    for take in takes:
        frames = list(film_shot(take, fps, rng, photos.face(rng)))
        start = len(pictures)
        if take.joint == "fade":
            for j in range(min(fade, start)):
                pictures[start - 1 - j] = (pictures[start - 1 - j] * (j / fade)).astype(np.uint8)
            for j in range(min(fade, len(frames))):
                frames[j] = (frames[j] * (j / fade)).astype(np.uint8)
            truth.fades.append((start - 2, start + fade + round(0.25 * fps)))
            truth.free.update(range(start - fade, start + fade + 2))
        elif take.joint == "dissolve":
            n = min(fade, start, len(frames))
            for j in range(n):
                share = (j + 1) / (n + 1)
                old = pictures[start - n + j]
                pictures[start - n + j] = (old * (1 - share) + frames[0] * share).astype(np.uint8)
            truth.free.update(range(start - n, start + 2))
        elif take.joint in HARD:
            truth.cuts[start] = take.joint
        pictures += frames
        truth.cameras += [take.camera] * len(frames)
    return pictures, truth


def coded(pictures: list[Rgb], fps: float, seed: int, folder: Path) -> list[Rgb]:
    """The pictures as they come out of a file."""
    rng = np.random.default_rng((seed, 31))
    codec = ("libx264", "mjpeg")[int(rng.random() < 0.3)]
    path = folder / f"{seed}.{'mp4' if codec == 'libx264' else 'avi'}"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = WIDTH, HEIGHT
        if codec == "libx264":
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": str(int(rng.integers(20, 36))), "preset": "veryfast", "threads": "1"}
        else:
            stream.pix_fmt = "yuvj420p"
            stream.options = {"q:v": str(int(rng.integers(2, 12)))}
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    with open_video(path) as source:
        frames = [frame.rgb for frame in source]
    path.unlink()
    return frames


# ---------------------------------------------------------------- figures


def measure(photos: Photos, fps: float, films: int, first: int = 0) -> dict[str, Any]:
    """Recall by kind of cut and false cuts by camera, over so many films of one rate."""
    found: dict[str, list[bool]] = defaultdict(list)
    false: dict[str, int] = defaultdict(int)
    frames: dict[str, int] = defaultdict(int)
    spent, total = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + films):
            pictures, truth = film(photos, seed, fps)
            pictures = coded(pictures, fps, seed, Path(folder))
            detector = SceneCutDetector()
            start = time.process_time()
            reported = {i for i, rgb in enumerate(pictures) if detector.update(rgb)}
            spent += time.process_time() - start
            total += len(pictures)
            for at, kind in truth.cuts.items():
                hits = reported & {at, at + 1}
                found[kind].append(bool(hits))
                reported -= hits
            for a, b in truth.fades:
                hits = reported & set(range(a, b + 1))
                found["fade"].append(len(hits) == 1)
                reported -= hits
            for i, camera in enumerate(truth.cameras):
                if i not in truth.free:
                    frames[camera] += 1
                    false[camera] += i in reported
    hard = [hit for kind in HARD for hit in found[kind]]
    wrong = sum(false.values())
    return {
        "fps": fps,
        "films": films,
        "seconds": total / fps,
        "cuts": {kind: {"n": len(found[kind]), "found": sum(found[kind])} for kind in (*HARD, "fade")},
        "recall": sum(hard) / len(hard),
        "false": {camera: {"frames": frames[camera], "cuts": false[camera]} for camera in CAMERAS},
        "false_per_minute": wrong / (sum(frames.values()) / fps) * 60,
        "precision": sum(hard) / (sum(hard) + wrong),
        "ms_per_frame": 1000 * spent / total,
    }


def measure_generated(fps: float, videos: int, shots: int = 10) -> dict[str, Any]:
    """Recall by joint and false cuts by camera in generated scenes."""
    joints: dict[str, list[bool]] = defaultdict(list)
    false: dict[str, list[bool]] = defaultdict(list)
    for seed in range(200, 200 + videos):
        detector = SceneCutDetector()
        for view in generated_film(seed, shots, fps):
            reported = detector.update(view.rgb)
            if view.between:
                continue
            if view.starts is None:
                false[view.camera].append(reported)
            else:
                joints[view.starts].append(reported)
    hits, wrong = sum(map(sum, joints.values())), sum(map(sum, false.values()))
    return {
        "fps": fps,
        "cuts": {kind: {"n": len(one), "found": sum(one)} for kind, one in joints.items()},
        "recall": hits / sum(map(len, joints.values())),
        "false": {camera: {"frames": len(one), "cuts": sum(one)} for camera, one in false.items()},
        "precision": hits / (hits + wrong),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--part", choices=["fit", "test"], default="test")
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    photos = Photos(arguments.photos, arguments.faces, arguments.part)
    rows = [measure(photos, fps, arguments.films) for fps in (25.0, 10.0)]
    generated = [measure_generated(fps, max(arguments.films // 8, 1)) for fps in (25.0, 10.0)]
    result = {"part": arguments.part, "sources": len(photos.groups), "rates": rows, "generated": generated}
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
