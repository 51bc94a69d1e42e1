"""The photo pipeline on real portraits, with the shipped models."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mien
from helpers.pictures import astronaut, hopper, noise
from helpers.tiny_models import OneFace
from mien.detect.mtcnn import MTCNN
from mien.errors import InputError, MissingFileError, ModelError
from mien.labels import AGE_BINS, FERPLUS
from mien.media.frame import Frame
from mien.media.image import load_image
from mien.results.faces import Faces


@pytest.fixture(scope="module")
def analyzer() -> mien.Analyzer:
    return mien.Analyzer(threads=1)


def same(a: Faces, b: Faces, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-2)
    np.testing.assert_allclose(a.emotions, b.emotions, atol=tolerance)
    np.testing.assert_allclose(a.ages, b.ages, atol=tolerance)


def test_a_smiling_astronaut(analyzer: mien.Analyzer) -> None:
    faces = analyzer.analyze(astronaut(), color="rgb")
    assert len(faces) == 1
    face = faces[0]
    assert face.emotion == "happy"
    assert face.emotions["happy"] > 0.7
    x1, y1, x2, y2 = face.box
    assert x1 < 203 < 247 < x2
    assert y1 < 100 < y2
    assert face.score > 0.9
    assert face.landmarks is not None
    assert 20 <= face.age <= 60
    assert sum(face.emotions.values()) == pytest.approx(1, abs=1e-4)
    assert sum(face.ages.values()) == pytest.approx(1, abs=1e-4)
    assert faces.emotion_labels == FERPLUS.names
    assert faces.age_bins == AGE_BINS
    assert faces.fer2013 is not None
    assert faces.fer2013.shape == (1, 7)
    assert 0 <= face.entropy <= 1


def test_every_kind_of_source_gives_the_same(analyzer: mien.Analyzer, tmp_path: Path) -> None:
    picture = Image.fromarray(astronaut())
    path = tmp_path / "a.png"
    picture.save(path)
    content = path.read_bytes()
    first = analyzer.analyze(path)
    assert first.source == str(path)
    for other in (str(path), content, io.BytesIO(content), memoryview(content)):
        same(first, analyzer.analyze(other))
    same(first, analyzer.analyze(np.ascontiguousarray(astronaut()[..., ::-1]), color="bgr"))
    same(first, analyzer.analyze(Frame(astronaut())))


def test_wrong_channel_order_would_be_seen(analyzer: mien.Analyzer) -> None:
    with pytest.raises(InputError, match="color"):
        analyzer.analyze(astronaut())


def test_a_batch_gives_what_one_by_one_gives(analyzer: mien.Analyzer) -> None:
    pictures = [astronaut(), noise(120, 160, blur=4), hopper(), np.vstack([astronaut(), astronaut()])]
    batch = analyzer.analyze_batch([Frame(p, source=str(i)) for i, p in enumerate(pictures)])
    assert [len(faces) for faces in batch] == [1, 0, 1, 2]
    assert [faces.source for faces in batch] == ["0", "1", "2", "3"]
    for faces, picture in zip(batch, pictures, strict=True):
        assert faces.image is None
        assert faces.image_size == (picture.shape[1], picture.shape[0])
        same(faces, analyzer.analyze(picture, color="rgb"), 1e-4)
    assert analyzer.analyze_batch([]) == []


def test_a_batch_is_searched_side_by_side(tmp_path: Path) -> None:
    seen = set()

    class Watched(OneFace):
        def detect(self, rgb: NDArray[np.uint8]) -> Faces:
            seen.add(threading.current_thread())
            both.wait(30)
            return super().detect(rgb)

    both = threading.Barrier(2)
    watching = mien.Analyzer(detector=Watched(), models=(), threads=2)
    assert [len(faces) for faces in watching.analyze_batch([astronaut(), hopper()], color="rgb")] == [1, 1]
    assert len(seen) == 2
    assert threading.current_thread() not in seen
    pictures = [astronaut(), noise(120, 160, blur=4), hopper()]
    together = mien.Analyzer(threads=2).analyze_batch(pictures, color="rgb")
    for faces, alone in zip(together, mien.Analyzer(threads=1).analyze_batch(pictures, color="rgb"), strict=True):
        same(faces, alone, 1e-4)
    with pytest.raises(MissingFileError):
        mien.Analyzer(threads=2).analyze_batch([astronaut(), tmp_path / "none.png"], color="rgb")


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_files_are_decoded_no_larger_than_faces_need(tmp_path: Path, orientation: int) -> None:
    large = cv2.resize(astronaut(), (1601, 1601), interpolation=cv2.INTER_CUBIC)[:1501]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = large if orientation == 1 else np.ascontiguousarray(np.rot90(large))
    path = tmp_path / "large.jpg"
    Image.fromarray(stored).save(path, quality=92, exif=exif)
    analyzer = mien.Analyzer(threads=1, min_face=130)
    assert [mien.Analyzer(min_face=n, models=()).reduction for n in (40, 127, 128, 256, 600)] == [
        1, 1, 2, 4, 8,
    ]  # fmt: skip
    (expected,) = analyzer.analyze_batch([load_image(path)])
    (found,) = analyzer.analyze_batch([path])
    assert found.image_size == expected.image_size == (1601, 1501)
    assert len(found) == len(expected) == 1
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=12)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=12)
    assert found.labels() == expected.labels()
    assert found.draw().shape == (1501, 1601, 3)
    smaller = load_image(path, reduce=2)
    assert (smaller.size, smaller.full_size) == ((801, 751), (1601, 1501))
    same(analyzer.analyze(smaller), found)
    assert analyzer.analyze(smaller).draw().shape == (751, 801, 3)


def test_a_photo_above_the_limit_is_analysed_smaller_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(cv2.resize(astronaut(), (2001, 2001), interpolation=cv2.INTER_CUBIC)).save(path, quality=92)
    # what little resembles a face depends on the size at which it is searched
    analyzer = mien.Analyzer(threshold=0.7, threads=1)
    expected = analyzer.analyze(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # as if it had 200 megapixels
    monkeypatch.setattr(
        "mien.media.image.load_image.__kwdefaults__", {**load_image.__kwdefaults__, "max_pixels": 2_000_000}
    )
    for found in (analyzer.analyze(path), *analyzer.analyze_batch([path])):
        assert found.image_size == (2001, 2001)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=12)
        assert found.labels() == expected.labels()
        assert found.draw().shape == (1001, 1001, 3)


def test_a_detector_of_ones_own_sees_whole_pictures(tmp_path: Path) -> None:
    sizes = []

    class Watched(OneFace):
        def detect(self, rgb: NDArray[np.uint8]) -> Faces:
            sizes.append(rgb.shape)
            return super().detect(rgb)

    Image.fromarray(astronaut()).save(tmp_path / "a.jpg")
    mien.Analyzer(detector=Watched(), models=(), min_face=300).analyze_batch([tmp_path / "a.jpg"])
    assert sizes == [(512, 512, 3)]


def test_no_face_is_an_empty_result(analyzer: mien.Analyzer) -> None:
    for picture in (noise(200, 300, blur=6), np.zeros((1, 1, 3), np.uint8), np.full((1, 500, 3), 255, np.uint8)):
        faces = analyzer.analyze(picture, color="rgb")
        assert len(faces) == 0
        assert faces.to_dicts() == []
        assert faces.emotions is not None
        assert faces.emotions.shape == (0, 8)
        assert faces.draw().shape == picture.shape
        assert faces.labels() == []


def test_threads_share_one_analyzer(analyzer: mien.Analyzer) -> None:
    pictures = [astronaut(), hopper(), noise(200, 200)] * 4
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda p: analyzer.analyze(p, color="rgb"), pictures))
    for i, faces in enumerate(results):
        same(faces, results[i % 3])


def test_flip_averaging_is_symmetric() -> None:
    flipping = mien.Analyzer(threads=1, flip=True)
    a = flipping.analyze(astronaut(), color="rgb")
    plain = mien.Analyzer(threads=1).analyze(astronaut(), color="rgb")
    assert not np.allclose(a.emotions, plain.emotions, atol=1e-6)
    np.testing.assert_allclose(a.emotions.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("change", "tolerance"), [("turn", 0.35), ("shrink", 0.35), ("enlarge", 0.3)])
def test_the_answer_survives_turning_and_scaling(analyzer: mien.Analyzer, change: str, tolerance: float) -> None:
    picture = astronaut()
    changes: dict[str, Callable[[], np.ndarray]] = {
        "turn": lambda: cv2.warpAffine(picture, cv2.getRotationMatrix2D((225, 110), 15, 1), (512, 512)),
        "shrink": lambda: cv2.resize(picture, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        "enlarge": lambda: cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    }
    faces = analyzer.analyze(changes[change](), color="rgb")
    assert faces.labels()[0] == "happy"
    assert np.abs(faces.emotions[0] - analyzer.analyze(picture, color="rgb").emotions[0]).max() < tolerance


def test_a_loaded_model_may_be_given(analyzer: mien.Analyzer) -> None:
    from mien.models.catalog import read_model
    from mien.models.model import Model

    loaded = mien.Analyzer(models=(Model(read_model("emotion"), threads=1), "age"), threads=1)
    same(loaded.analyze(astronaut(), color="rgb"), analyzer.analyze(astronaut(), color="rgb"))


def test_models_can_be_left_out() -> None:
    faces = mien.Analyzer(models=(), threads=1).analyze(astronaut(), color="rgb")
    assert faces.emotions is None
    assert faces.ages is None
    assert faces[0].emotion is None
    with pytest.raises(InputError, match="have no predictions"):
        faces.labels()


def test_any_detector_of_the_protocol_may_be_given() -> None:
    class Whole:
        name = "whole"

        def detect(self, rgb: np.ndarray) -> Faces:
            height, width = rgb.shape[:2]
            return Faces.detected(np.array([[0, 0, width, height]]), np.ones(1), None, (width, height))

    faces = mien.Analyzer(detector=Whole(), threads=1).analyze(astronaut()[40:180, 160:290], color="rgb")
    assert faces.labels() == ["happy"]
    assert isinstance(MTCNN(threads=1).name, str)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"models": ["nonsense"]}, InputError, "no model 'nonsense'; there are emotion, age, "),
        ({"models": ["age", "age"]}, InputError, "two models predict 'age'"),
        ({"models": "emotion"}, InputError, r"give \['emotion'\]"),
        ({"models": ["nowhere.onnx"]}, MissingFileError, "check the path"),
        ({"threshold": 1.5}, InputError, "threshold"),
        ({"max_side": 0}, InputError, "max_side"),
        ({"detector": "haar", "threshold": 0.5}, InputError, "has no scores"),
        ({"detector": "nonsense"}, InputError, "mtcnn"),
        ({"min_face": 0}, InputError, "min_face"),
        ({"threads": 0}, InputError, "threads"),
    ],
)
def test_bad_options_say_what_to_do(options: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        mien.Analyzer(**options)  # type: ignore[arg-type]


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="cannot be loaded"):
        mien.Analyzer(models=(tmp_path / "x.onnx",))


def test_results_carry_into_files(analyzer: mien.Analyzer, tmp_path: Path) -> None:
    import pandas as pd

    faces = analyzer.analyze(np.vstack([astronaut(), astronaut()]), color="rgb")
    assert faces.save(tmp_path / "out.jpg").stat().st_size > 10_000
    frame = pd.read_parquet(faces.to_parquet(tmp_path / "out.parquet"))
    assert frame["emotion"].tolist() == ["happy", "happy"]
    assert faces.to_pandas()["age_range"].tolist() == [face.age_range for face in faces]
    assert len(faces.filter(label="happy", min_confidence=0.5)) == 2
    assert len(faces.filter(label="sad")) == 0
    with pytest.raises(InputError, match="suffix"):
        faces.save(tmp_path / "out.nonsense")
    drawn = faces.draw()
    assert drawn.shape == (1024, 512, 3)
    assert (drawn != np.vstack([astronaut(), astronaut()])).any()


def test_a_batch_result_reads_its_file_again_to_draw(analyzer: mien.Analyzer, tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "a.png")
    faces = analyzer.analyze_batch([tmp_path / "a.png"])[0]
    np.testing.assert_array_equal(faces.draw(), replace(faces, image=astronaut()).draw())


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, mien; mien.__version__; dir(mien); "
        "heavy = {'numpy', 'torch', 'cv2', 'onnxruntime', 'PIL', 'pandas', 'rich'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_analysing_loads_no_training_package(tmp_path: Path) -> None:
    Image.fromarray(astronaut()).save(tmp_path / "a.png")
    code = (
        "import sys, mien; assert mien.analyze(sys.argv[1]).labels() == ['happy']; "
        "heavy = {'torch', 'pandas', 'pyarrow', 'matplotlib', 'lightning'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)


def test_photos_load_nothing_that_only_videos_need(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    code = (
        "import sys; from mien.cli import main\n"
        "sys.argv = ['mien', 'analyze', sys.argv[1], '--json']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "videos = {n for n in sys.modules if n.startswith(('mien.smoothing.', 'mien.tracking.'))} "
        "- {'mien.smoothing.options', 'mien.tracking.options'}; sys.exit(str(videos) if videos else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], capture_output=True, text=True)
    assert '"faces"' in done.stdout
    assert done.returncode == 0, done.stderr


def test_public_names() -> None:
    assert all(getattr(mien, name) is not None for name in mien.__all__)
    assert mien.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mien.nonsense


@pytest.mark.parametrize(("picture", "emotion"), [(astronaut, "happy"), (hopper, "neutral")])
def test_a_face_turned_by_any_angle_is_read_as_the_upright_one(
    analyzer: mien.Analyzer, picture: Callable[[], NDArray[np.uint8]], emotion: str
) -> None:
    portrait = Image.fromarray(picture()[:384, 60:444]).resize((160, 160), Image.Resampling.LANCZOS)
    for angle in range(0, 360, 15):
        turned = portrait.rotate(-angle, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
        [face] = analyzer.analyze(np.asarray(turned), color="rgb")
        assert face.emotion == emotion, angle
        points = np.asarray(face.landmarks)
        x, y = points[3:5].mean(axis=0) - points[:2].mean(axis=0)
        roll = np.degrees(np.arctan2(-x, y))
        assert abs((roll - angle + 180) % 360 - 180) < 30, angle
