from __future__ import annotations

import csv
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.feature import hog as skimage_hog

from helpers.commands import runner
from helpers.datasets import made, noise
from helpers.pictures import astronaut
from mien.cli import cli
from mien.datasets.dataset import Dataset
from mien.datasets.image_folder_writer import write_image_folders
from mien.datasets.image_folders import read_image_folders
from mien.datasets.prepared_file import read_prepared, write_prepared
from mien.datasets.subsets import first_per_emotion
from mien.errors import InputError, MissingExtraError
from mien.published.features import (
    FEATURES,
    compute_features,
    compute_features_cached,
    concatenate_features,
    hog,
    landmarks,
    parse_feature_names,
)
from mien.published.features import catalog as catalog_module

FACES = noise(40, 48, 48)
needs_dlib = pytest.mark.skipif(find_spec("dlib") is None, reason="needs mien[landmarks]")


def astronaut_face() -> NDArray[np.uint8]:
    """(48, 48) gray, the face close about."""
    gray = cv2.cvtColor(astronaut()[55:180, 165:290], cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)


def edges(vertical: bool) -> NDArray[np.uint8]:
    """A step in the middle of every 16-pixel cell, dark to bright."""
    line = np.where(np.arange(48) % 16 < 8, 10, 200).astype(np.uint8)
    image = np.tile(line, (48, 1))
    return (image if vertical else image.T)[None]


@pytest.mark.parametrize(("vertical", "orientation"), [(True, 0), (False, 4)])
def test_hog_of_edges(vertical: bool, orientation: int) -> None:
    cells = hog.face_hog(edges(vertical)).reshape(9, 8)
    np.testing.assert_allclose(cells[:, orientation], 1, atol=1e-5)
    assert np.delete(cells, orientation, axis=1).max() == 0


def test_hog_of_a_slope() -> None:
    """Brightness grows right and down alike: every gradient points at 45°, and the border's do too."""
    y, x = np.mgrid[:48, :48]
    cells = hog.face_hog((x + 2 * y).astype(np.uint8)[None]).reshape(9, 8)
    at = int(np.degrees(np.arctan2(2, 1)) // 22.5)
    np.testing.assert_allclose(cells[:, at], 1, atol=1e-5)


def test_a_flat_face_has_no_gradient() -> None:
    assert not hog.face_hog(np.full((2, 48, 48), 77, np.uint8)).any()
    assert not hog.sliding_window_hog(np.zeros((2, 48, 48), np.uint8)).any()


def by_definition(image: NDArray[np.uint8], cell: int) -> NDArray[np.float64]:
    """HOG cell by cell with NumPy's gradient, as scikit-image 0.13 has it."""
    down, right = np.gradient(image.astype(float))
    strength, angle = np.hypot(right, down), np.rad2deg(np.arctan2(down, right)) % 180
    out = []
    for y in range(0, image.shape[0] - cell + 1, cell):
        for x in range(0, image.shape[1] - cell + 1, cell):
            here = (slice(y, y + cell), slice(x, x + cell))
            votes = [strength[here][(angle[here] >= a) & (angle[here] < a + 22.5)].sum() for a in np.arange(8) * 22.5]
            out.append(np.array(votes) / cell**2 / (sum(votes) / cell**2 + 1e-5))
    return np.concatenate(out) if out else np.zeros(0)


def test_hog_follows_its_definition() -> None:
    for image, vector, windows in zip(
        FACES[:6], hog.face_hog(FACES[:6]), hog.sliding_window_hog(FACES[:6]), strict=True
    ):
        np.testing.assert_allclose(vector, by_definition(image, 16), atol=1e-6)
        starts = [(y, x) for y in range(0, 48, 6) for x in range(0, 48, 6)]
        parts = [by_definition(image[y : y + 24, x : x + 24], 8) for y, x in starts]
        np.testing.assert_allclose(windows, np.concatenate(parts), atol=1e-6)


def test_hog_equals_scikit_image_where_the_edge_is_repeated() -> None:
    for image in np.pad(noise(8, 46, 46, seed=3), ((0, 0), (1, 1), (1, 1)), mode="edge"):
        expected = skimage_hog(image, 8, (16, 16), (1, 1), block_norm="L1")
        np.testing.assert_allclose(hog.face_hog(image[None])[0], expected, atol=1e-6)


def test_windows_are_cut_off_by_the_edge() -> None:
    """24 pixels hold 3 cells a side, 18 two, 12 one, 6 none: 5 × 3 + 2 + 1 cells each way."""
    assert (5 * 3 + 2 + 1) ** 2 * 8 == FEATURES["hog_sliding"].length == hog.sliding_window_hog(FACES[:1]).shape[1]
    changed = FACES[:1].copy()
    changed[0, 0, 0] ^= 255
    where = np.flatnonzero(hog.sliding_window_hog(FACES[:1])[0] != hog.sliding_window_hog(changed)[0])
    assert where.max() < 8  # the corner pixel is in the first cell of the first window alone


def test_hog_pictures() -> None:
    upright, level = hog.draw_hog(edges(True))[0], hog.draw_hog(edges(False))[0]
    assert upright.shape == (48, 48)
    assert upright.max() == level.max() == 255
    assert np.ptp(np.nonzero(upright[:16, :16])[0]) > 3 * np.ptp(np.nonzero(upright[:16, :16])[1])
    assert np.ptp(np.nonzero(level[:16, :16])[1]) > 3 * np.ptp(np.nonzero(level[:16, :16])[0])
    assert not hog.draw_hog(np.zeros((1, 48, 48), np.uint8)).any()


@needs_dlib
def test_landmarks_of_a_portrait() -> None:
    x, y = landmarks.face_landmarks(astronaut_face()[None]).reshape(68, 2).T
    eyes = (x[36:42].mean(), y[36:42].mean()), (x[42:48].mean(), y[42:48].mean())
    nose, mouth, chin = (x[30], y[30]), (x[48:].mean(), y[48:].mean()), (x[8], y[8])
    assert eyes[0][0] < nose[0] < eyes[1][0]
    assert max(eyes[0][1], eyes[1][1]) < nose[1] < mouth[1] < chin[1]
    assert x[0] < eyes[0][0] < eyes[1][0] < x[16]
    assert (x == np.rint(x)).all()


@needs_dlib
def test_landmarks_do_not_see_contrast() -> None:
    face = astronaut_face()
    faint = np.rint(100 + (face.astype(float) - face.min()) * 155 / np.ptp(face)).astype(np.uint8)
    stretched = landmarks._stretched(faint)
    assert (int(stretched.min()), int(stretched.max())) == (0, 255)
    assert np.abs(landmarks.face_landmarks(faint[None]) - landmarks.face_landmarks(face[None])).mean() < 1


def test_absent_dlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    landmarks._predictor.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[landmarks\]'"):
        landmarks.face_landmarks(FACES[:1])
    monkeypatch.setattr(catalog_module, "_CHUNK", 9)
    with pytest.raises(MissingExtraError, match="landmarks"):
        compute_features("landmarks", FACES, workers=2)


@pytest.mark.parametrize("name", FEATURES)
def test_every_row_keeps_what_it_says(name: str) -> None:
    if name == "landmarks":
        pytest.importorskip("dlib")
    vectors = compute_features(name, FACES[:3])
    assert vectors.shape == (3, FEATURES[name].length)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(vectors, compute_features(name, FACES[:3, :, :, None]))
    assert compute_features(name, FACES[:0]).shape == (0, FEATURES[name].length)


@needs_dlib
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(12)), name=st.sampled_from(["hog", "hog_sliding", "landmarks"]))
def test_a_face_keeps_its_vector_wherever_it_stands(order: list[int], name: str) -> None:
    np.testing.assert_array_equal(compute_features(name, FACES[order]), compute_features(name, FACES[:12])[order])


@needs_dlib
def test_many_processes_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "_CHUNK", 9)
    seen: list[tuple[int, int]] = []
    one = compute_features("landmarks", FACES)
    two = compute_features("landmarks", FACES, workers=2, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(one, two)
    assert seen == [(9, 40), (18, 40), (27, 40), (36, 40), (40, 40)]


def test_the_cache_gives_what_was_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compute_features_cached("hog", FACES, folder=tmp_path)
    np.testing.assert_array_equal(first, compute_features("hog", FACES))
    (file,) = tmp_path.iterdir()

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr("mien.published.features.cache.compute_features", refuse)
        np.testing.assert_array_equal(compute_features_cached("hog", FACES, folder=tmp_path), first)
        changed = FACES.copy()
        changed[7, 3, 3] ^= 1
        with pytest.raises(AssertionError, match="computed again"):
            compute_features_cached("hog", changed, folder=tmp_path)
        newer = {**FEATURES, "hog": replace(FEATURES["hog"], version=99)}
        patch.setattr("mien.published.features.cache.FEATURES", newer)
        with pytest.raises(AssertionError, match="computed again"):
            compute_features_cached("hog", FACES, folder=tmp_path)
    file.write_bytes(file.read_bytes()[:200])
    np.testing.assert_array_equal(compute_features_cached("hog", FACES, folder=tmp_path), first)
    assert len(np.load(file)) == len(FACES)


def test_names_of_features() -> None:
    assert parse_feature_names("hog-sliding+landmarks") == ("landmarks", "hog_sliding")
    assert (
        parse_feature_names(" hog , landmarks")
        == ("landmarks", "hog")
        == parse_feature_names(["hog", "landmarks", "hog"])
    )
    with pytest.raises(InputError, match="no feature 'sift': there are landmarks, hog, hog_sliding"):
        parse_feature_names("hog,sift")
    with pytest.raises(InputError, match="no feature ''"):
        parse_feature_names("")


@needs_dlib
def test_sets_of_features_are_as_long_as_published() -> None:
    vectors = {name: compute_features(name, FACES[:2]) for name in FEATURES}
    assert concatenate_features(vectors, ["landmarks", "hog"]).shape == (2, 208)
    both = concatenate_features(vectors, ["hog_sliding", "landmarks"])
    assert both.shape == (2, 2728)
    np.testing.assert_array_equal(both[:, :136], vectors["landmarks"])
    with pytest.raises(InputError, match=r"add it with `mien data prepare … --features hog`"):
        concatenate_features({"landmarks": vectors["landmarks"]}, ["hog"])


@pytest.mark.parametrize("images", [noise(2, 40, 48), noise(2, 48, 48, 3), noise(2, 48, 48).astype(np.float32)])
def test_other_pictures_are_refused(images: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match=r"uint8 gray faces \(n, 48, 48\).*--size 48"):
        compute_features("hog", images)


def with_features(n: int = 20, channels: int = 1) -> Dataset:
    base = made(n, channels, side=48)
    gray = np.ascontiguousarray(base.images[..., 0])
    return replace(
        base, features={"hog": compute_features("hog", gray), "hog_sliding": compute_features("hog_sliding", gray)}
    )


def test_features_are_written_read_and_picked(tmp_path: Path) -> None:
    data = with_features()
    path = write_prepared(data, tmp_path / "a.parquet")
    assert str(pq.read_schema(path).field("feature_hog").type) == "fixed_size_list<element: float>[72]"
    back = read_prepared(path)
    assert set(back.features) == {"hog", "hog_sliding"}
    rows = np.array([4, 0, 17])
    for name, vectors in data.features.items():
        np.testing.assert_array_equal(back.features[name], vectors)
        np.testing.assert_array_equal(back[rows].features[name], vectors[rows])
        np.testing.assert_array_equal(back.select("test").features[name], vectors[data.split == "test"])
    old = read_prepared(write_prepared(made(5), tmp_path / "old.parquet"))
    assert not old.features


def test_the_first_of_each_class() -> None:
    data = made(70)
    kept = first_per_emotion(data, 2)
    for split in ("train", "validation", "test"):
        part = data.select(split)
        for code in range(7):
            np.testing.assert_array_equal(
                kept.row[(kept.split == split) & (kept.emotion == code)], part.row[part.emotion == code][:2]
            )
    assert dict(kept.info.dropped) == {"beyond the limit of its class": 70 - len(kept)}
    with pytest.raises(InputError, match="at least 1"):
        first_per_emotion(data, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_read_back(tmp_path: Path, channels: int) -> None:
    data = with_features(20, channels)
    assert write_image_folders(data, tmp_path / "new", classes=[*reversed(data.taxonomy.names)]) == 20
    back = read_image_folders(tmp_path / "new")
    at = rows_in(tmp_path / "new")
    np.testing.assert_array_equal(back.images, data.images[at])
    np.testing.assert_array_equal(back.emotion, data.emotion[at])
    np.testing.assert_array_equal(back.split, data.split[at])
    for split in ("train", "validation", "test"):
        part, folder = data.select(split), tmp_path / "new" / split
        with (folder / "labels.csv").open(newline="") as stream:
            lines = list(csv.reader(stream))
        assert lines[0] == ["file", "row", "emotion", *reversed(data.taxonomy.names)]
        assert [int(line[1]) for line in lines[1:]] == part.row.tolist()
        assert all((folder / line[0]).is_file() and line[0].startswith(line[2]) for line in lines[1:])
        hot = np.load(folder / "labels.npy")
        np.testing.assert_array_equal(hot.argmax(axis=1), 6 - part.emotion)
        np.testing.assert_array_equal(hot, np.array([line[3:] for line in lines[1:]], np.uint8))
        np.testing.assert_array_equal(np.load(folder / "hog.npy"), part.features["hog"])


def rows_in(root: Path) -> NDArray[np.int64]:
    """The numbers in the files' names, in the order in which the folders are read."""
    folders = [folder for split in sorted(root.iterdir()) for folder in sorted(split.iterdir()) if folder.is_dir()]
    return np.array([int(path.stem) for folder in folders for path in sorted(folder.iterdir())])


def test_pictures_of_hog_as_jpeg(tmp_path: Path) -> None:
    data = made(10, side=48)
    write_image_folders(data, tmp_path / "hog", kind="hog", suffix="jpg")
    back = read_image_folders(tmp_path / "hog")
    drawn = hog.draw_hog(data.images[rows_in(tmp_path / "hog")][..., 0])[..., None]
    assert np.abs(back.images.astype(int) - drawn).mean() < 6


def test_pictures_refuse(tmp_path: Path) -> None:
    data = made(10, side=48)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not an empty folder"):
        write_image_folders(data, tmp_path)
    with pytest.raises(InputError, match="holds 'angry', which is not among the classes happy"):
        write_image_folders(data, tmp_path / "new", classes=["happy"])
    with pytest.raises(InputError, match="no images 'sift'"):
        write_image_folders(data, tmp_path / "new", kind="sift")
    with pytest.raises(InputError, match="in colour"):
        write_image_folders(made(10, 3, side=48), tmp_path / "new", kind="hog")
    assert not (tmp_path / "new").exists()


@needs_dlib
def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    source = write_prepared(made(40, side=48), tmp_path / "a.parquet")
    arguments = ["data", "prepare", str(source), "--expressions", "happy,angry", "--features", "hog,landmarks"]
    out = ["--out", str(tmp_path / "b.parquet"), "--images", str(tmp_path / "faces"), "--per-class", "2"]
    result = runner().invoke(cli, [*arguments, *out, "--workers", "1"], catch_exceptions=False)
    assert result.exit_code == 0
    data = read_prepared(tmp_path / "b.parquet")
    assert {data.taxonomy.names[i] for i in data.emotion} == {"happy", "angry"}
    np.testing.assert_array_equal(data.features["hog"], compute_features("hog", data.images))
    np.testing.assert_array_equal(data.features["landmarks"], compute_features("landmarks", data.images))
    header = (tmp_path / "faces" / "train" / "labels.csv").read_text().splitlines()[0]
    assert header == "file,row,emotion,happy,angry"
    assert np.load(tmp_path / "faces" / "train" / "landmarks.npy").shape == ((data.split == "train").sum(), 136)
    assert {path.name.partition("-")[0] for path in (tmp_path / "cache" / "features").iterdir()} == {"hog", "landmarks"}
    assert f"wrote {len(data)} pictures" in result.stderr
    with_more = [*arguments[:2], str(tmp_path / "b.parquet"), "--features", "hog-sliding", "--no-cache"]
    runner().invoke(cli, [*with_more, "--out", str(tmp_path / "c.parquet")], catch_exceptions=False)
    assert list(read_prepared(tmp_path / "c.parquet").features) == ["hog", "hog_sliding", "landmarks"]
    nothing = runner().invoke(cli, ["data", "prepare", str(source)])
    assert nothing.exit_code == 2
    assert "give --out FILE, --images FOLDER, or both" in nothing.stderr
