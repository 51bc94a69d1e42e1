"""An analyzer in other processes, in forks and after its end; what `repr` shows of results."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

import mien
from helpers.clips import Pan, clip
from helpers.pictures import astronaut, noise
from helpers.tiny_models import OneFace, write_model
from mien.detect import DETECTORS
from mien.detect.yunet import FILENAME as YUNET
from mien.detect.yunet import SHA256 as YUNET_SHA256
from mien.errors import ImageError, InputError, MienError, MissingFileError, ModelError
from mien.models.file_cache import find_cached
from mien.models.thread_pool import ForkSafeLock, ThreadPool
from mien.results.faces import Faces

EMOTION = "happy"


def emotion_of(analyzer: mien.Analyzer, picture: np.ndarray) -> str | None:
    return analyzer.analyze(picture, color="rgb")[0].emotion


def send_emotion(sender: Connection, analyzer: mien.Analyzer, picture: np.ndarray) -> None:
    sender.send(emotion_of(analyzer, picture))


# ---------------------------------------------------------------- other processes


def test_a_pickled_analyzer_returns_the_same(tmp_path: Path) -> None:
    model = write_model(tmp_path / "mood.onnx", "mood", ("calm", "tense"))
    analyzer = mien.Analyzer(models=("emotion", str(model)), min_face=30, threads=2, flip=True)
    before = analyzer.analyze(astronaut(), color="rgb")
    copy = pickle.loads(pickle.dumps(analyzer))
    model.unlink()
    after = copy.analyze(astronaut(), color="rgb")
    assert after.to_dicts() == before.to_dicts()
    assert (copy.describe(), copy.threads, copy.heads) == (analyzer.describe(), 2, analyzer.heads)


@pytest.mark.parametrize("name", list(DETECTORS))
def test_every_detector_can_be_pickled(name: str) -> None:
    if name == "yunet" and not find_cached(YUNET, YUNET_SHA256):
        with pytest.raises(ModelError, match="weights are not part of the package"):
            mien.Analyzer(models=(), detector=name)
        return
    detector = mien.Analyzer(models=(), detector=name, threads=1)._detector
    copy = pickle.loads(pickle.dumps(detector))
    assert np.array_equal(copy.detect(astronaut()).boxes, detector.detect(astronaut()).boxes)


def test_an_analyzer_goes_into_another_process() -> None:
    """As pools of processes send it; these need semaphores, which a container may lack."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send_emotion, args=(sender, mien.Analyzer(threads=1), astronaut()))
    process.start()
    assert receiver.poll(120)
    assert receiver.recv() == EMOTION
    process.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 4])
def test_a_fork_analyses_and_ends_as_usual(threads: int, tmp_path: Path) -> None:
    """ONNX Runtime's threads do not exist in a fork; ending a session that has them would crash it."""
    film = clip(tmp_path / "clip.mp4", frames=6, draw=Pan.astronaut((192, 144), eye_distance=30.0))
    code = f"""
import os, sys
import mien
from helpers.pictures import astronaut
analyzer = mien.Analyzer(threads={threads})
unused = mien.Analyzer(threads={threads})
picture = astronaut()
def work():
    assert analyzer.analyze(picture, color="rgb")[0].emotion == "happy"
    assert [len(one) for one in analyzer.analyze_batch([picture] * 6, color="rgb")] == [1] * 6
    assert analyzer.video({str(film)!r}).coverage.frames == 6
work()
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        work()
        sys.exit(7)
    children.append(child)
work()
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (run.stdout, run.stderr, run.returncode) == ("[7, 7]\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_fork_has_open_locks_and_threads_of_its_own() -> None:
    lock, pool = ForkSafeLock(), ThreadPool(3)
    pool.map(abs, [1, 2, 3])
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    child = os.fork()
    if not child:
        with lock:
            both = threading.Barrier(3)  # met only where three threads work at once
            os._exit(sum(pool.map(lambda n: n + min(both.wait(60), 0), [1, 2, 3])))
    free.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6


# ---------------------------------------------------------------- its end


def test_a_closed_analyzer_frees_its_networks_and_threads() -> None:
    before = threading.active_count()
    with mien.Analyzer(threads=3) as analyzer:
        assert emotion_of(analyzer, astronaut()) == EMOTION
        networks = [weakref.ref(model) for model in analyzer.models.models.values()]
    gc.collect()
    assert [network() for network in networks] == [None, None]
    for thread in threading.enumerate():
        if thread.name.startswith("mien-worker"):
            thread.join(30)
    assert threading.active_count() <= before
    for use in (
        lambda: analyzer.analyze(astronaut(), color="rgb"),
        lambda: analyzer.analyze_batch([]),
        lambda: analyzer.pipeline(),
        lambda: analyzer.heads,
        lambda: analyzer.describe(),
    ):
        with pytest.raises(InputError, match="this analyzer is closed; make a new one"):
            use()
    analyzer.close()
    assert repr(analyzer) == "Analyzer(closed)"


def test_a_detector_of_the_user_is_not_closed() -> None:
    detector = OneFace()
    with mien.Analyzer(models=(), detector=detector) as analyzer:
        assert len(analyzer.analyze(astronaut(), color="rgb")) == 1
    assert len(detector.detect(astronaut())) == 1


# ---------------------------------------------------------------- one broken picture of many


def test_a_broken_picture_does_not_end_a_batch(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    pictures = [astronaut(), noise(64, 64), astronaut()[:200]]
    given = [pictures[0], tmp_path / "text.jpg", tmp_path / "none.jpg", pictures[1], b"", pictures[2]]
    for threads in (1, 2):
        with mien.Analyzer(threads=threads, models=("emotion",)) as analyzer:
            results = analyzer.analyze_batch(given, color="rgb", on_error="return")
            errors = [type(one) for one in results if isinstance(one, MienError)]
            assert errors == [ImageError, MissingFileError, ImageError]
            assert [isinstance(one, Faces) for one in results] == [True, False, False, True, False, True]
            good = analyzer.analyze_batch(pictures, color="rgb")
            assert [r.to_dicts() for r in results if isinstance(r, Faces)] == [r.to_dicts() for r in good]
            assert all(isinstance(one, MienError) for one in analyzer.analyze_batch([b"", b"x"], on_error="return"))
            with pytest.raises(ImageError, match=r"text\.jpg: holds text"):
                analyzer.analyze_batch(given, color="rgb")
    with pytest.raises(InputError, match='on_error is "raise" or "return", got \'skip\''):
        mien.analyze_batch([], on_error="skip")  # type: ignore[call-overload]


# ---------------------------------------------------------------- repr


def test_one_path_for_a_batch_and_a_function_to_cancel_are_refused(tmp_path: Path) -> None:
    analyzer = mien.Analyzer(threads=1)
    for one in ("photo.jpg", b"\xff\xd8", tmp_path):
        with pytest.raises(InputError, match="expected several pictures, got one"):
            analyzer.analyze_batch(one)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cancel is an event"):
        analyzer.video("clip.mp4", cancel=lambda: False)  # type: ignore[arg-type]


def test_reprs_are_short_lines_of_ascii(tmp_path: Path) -> None:
    film = clip(tmp_path / ("é" * 100 + ".mp4"), frames=12, draw=Pan.astronaut((192, 144), eye_distance=30.0))
    analyzer = mien.Analyzer(detector="mtcnn", min_face=40, threads=2)
    faces = replace(analyzer.analyze(astronaut(), color="rgb"), source="é" * 200 + ".jpg")
    many = faces[[0] * 1000]
    with analyzer.stream(film) as stream:
        frames = list(stream)
        report = stream.report(stream.rows(frames))
    models = analyzer.models
    shown = [
        analyzer, models, models.models["emotion"], models.models["emotion"].card, stream,
        faces, many, faces[0], Faces.empty((3, 4)), many.predictions["emotion"], faces[0].predictions["emotion"],
        faces.to_table(), report, report.rows, report.tracks[0], report.tracks[0].predictions["emotion"],
        frames[-1], frames[-1].frame, frames[-1].smoothed["emotion"],
    ]  # fmt: skip
    for one in shown:
        text = repr(one)
        assert text.isascii()
        assert text.isprintable()
        assert text.startswith(f"{type(one).__name__}(")
        assert len(text) <= 160, text
    assert repr(analyzer) == "Analyzer(models=emotion, age; detector='mtcnn', min_face=40, threads=2)"
    assert "512x512, 1,000 faces: 'happy', 'happy', 'happy', 'happy', 'happy', 995 more)" in repr(many)
    assert repr(Faces.empty((3, 4))) == "Faces(3x4, 0 faces)"
    assert "emotion='happy' 100%, age='" in repr(faces[0])
    assert repr(report).endswith("192x144, 0.5 s, 12 frames, 1 track)")
