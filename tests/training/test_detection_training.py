"""Training of the detector: transforms, crops, composites, assignment, losses, steps, runs that resume, export."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mien.models
from mien.datasets.detection import DetectionPhotos, PhotoLabels, from_labels
from mien.errors import InputError, TrainingError
from mien.networks.detector import DetectorShape, FaceDetector
from mien.training.detection.assignment import assign, cell_centres
from mien.training.detection.augment import augment_pixels, cover_faces
from mien.training.detection.compositing import paste_faces
from mien.training.detection.crops import CropMix, CropSampler, TrainingCrop
from mien.training.detection.export import INPUT, describe, export_detector, fold_batch_norm, quantize_detector
from mien.training.detection.face_tiles import FaceTiles, load_tiles, locate_faces, save_tiles
from mien.training.detection.hard_negatives import false_alarm_weights
from mien.training.detection.initial_weights import load_exported
from mien.training.detection.losses import BatchTargets, LossWeights, detector_losses, flatten
from mien.training.detection.module import DetectorTrainer, TrapezoidSchedule, collate
from mien.training.detection.muon import orthogonal
from mien.training.detection.photo_store import PhotoStore, build_store
from mien.training.detection.run import CHECKPOINT, DetectorConfig, TrainingPhotos, load_detector, train_detector
from mien.training.detection.transforms import index_matrix, move_boxes, move_points, warp_matrix

TINY = DetectorShape(widths=(4, 4, 8, 8, 8), blocks=(1, 1, 1), pyramid=8, towers=(1, 1, 1))
FACE = (50, 40, 90, 96)
"""A bright box in the photo below, which stands for a face."""
POINTS = np.array([[60, 60], [80, 60], [70, 72], [62, 84], [78, 84]], np.float32)


def photo(with_face: bool, seed: int = 0) -> bytes:
    pixels = np.full((160, 200, 3), 30, np.uint8)
    if with_face:
        x1, y1, x2, y2 = FACE
        y, x = np.mgrid[0:160, 0:200] + 0.5
        inside = ((x - (x1 + x2) / 2) / (x2 - x1) * 2) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1) * 2) ** 2 < 1
        pixels[inside] = 250
    else:
        pixels[::7] = np.random.default_rng(seed).integers(0, 60, (len(pixels[::7]), 200, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photos() -> DetectionPhotos:
    face = PhotoLabels(photo(True), np.array([FACE]), POINTS[None], size=(200, 160), source="a")
    free = PhotoLabels(photo(False), np.empty((0, 4)), size=(200, 160), source="b")
    return from_labels([face, free, face, free])


@pytest.fixture(scope="module")
def store(photos: DetectionPhotos, tmp_path_factory: pytest.TempPathFactory) -> PhotoStore:
    return build_store(photos, tmp_path_factory.mktemp("store") / "photos.u8")


@pytest.fixture(scope="module")
def tiles() -> FaceTiles:
    pixels = np.full((3, 64, 64, 3), 255, np.uint8)
    points = np.array([[24, 26], [40, 26], [32, 34], [26, 44], [38, 44]], np.float32)
    return FaceTiles(pixels, np.repeat([[16.0, 12, 48, 54]], 3, 0).astype(np.float32), np.repeat(points[None], 3, 0))


def test_the_store_returns_the_photos_and_their_halvings(photos: DetectionPhotos, store: PhotoStore) -> None:
    np.testing.assert_array_equal(store.level(0, 0), photos.pixels(0))
    assert store.size(0) == (200, 160)
    assert [store.level(0, i).shape[:2] for i in range(store.levels(0))] == [(160, 200), (80, 100), (40, 50)]
    even = photos.pixels(0).reshape(80, 2, 100, 2, 3).mean(axis=(1, 3))
    assert np.abs(store.level(0, 1) - even).max() <= 0.51
    assert len(store.select(np.array([1, 3]))) == 2


def test_a_photo_and_its_labels_move_together() -> None:
    matrix, flip = warp_matrix((70, 68), (100, 90), 1.5, 12, flip=True)
    moved = move_points(POINTS[None], matrix, flip=flip)[0]
    assert moved[0, 0] < moved[1, 0]
    assert moved[3, 0] < moved[4, 0]
    box = move_boxes(np.array([FACE], np.float32), matrix)[0]
    np.testing.assert_allclose([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], [100, 90], atol=1e-3)
    # a face that is turned by a quarter swaps width and height, and no more
    quarter, _ = warp_matrix((70, 68), (0, 0), 1, 90, flip=False)
    np.testing.assert_allclose(move_boxes(np.array([FACE], np.float32), quarter)[0], [-28, -20, 28, 20], atol=1e-3)
    np.testing.assert_allclose(index_matrix(np.array([[1.0, 0, 0], [0, 1, 0]])), [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("closeup", [False, True])
@pytest.mark.parametrize("number", range(12))
def test_the_box_of_a_crop_lies_around_the_face_in_its_pixels(
    photos: DetectionPhotos, store: PhotoStore, number: int, closeup: bool
) -> None:
    rng = np.random.default_rng(number)
    sampler = CropSampler(photos, store, None, 128)
    crop = sampler._closeup(rng) if closeup else sampler._around_face(float(rng.uniform(30, 60)), rng)
    if not len(crop.boxes):
        pytest.skip("less than 60 % of the face is in this crop")
    bright = np.argwhere(crop.pixels[..., 0] > 140)
    x1, y1, x2, y2 = crop.boxes[0]
    np.testing.assert_allclose([bright[:, 1].min(), bright[:, 0].min()], [x1, y1], atol=2.5)
    np.testing.assert_allclose([bright[:, 1].max() + 1, bright[:, 0].max() + 1], [x2, y2], atol=2.5)


def test_a_crop_follows_from_its_seed_and_number(photos: DetectionPhotos, store: PhotoStore, tiles: FaceTiles) -> None:
    sampler = CropSampler(photos, store, tiles, 96)
    crops = [sampler.crop(3, i) for i in range(40)]
    again = CropSampler(photos, store, tiles, 96)
    for i in (0, 17, 39):
        np.testing.assert_array_equal(again.crop(3, i).pixels, crops[i].pixels)
        np.testing.assert_array_equal(again.crop(3, i).boxes, crops[i].boxes)
    assert any(not len(crop.boxes) for crop in crops)
    for crop in crops:
        assert crop.pixels.shape == (96, 96, 3)
        assert crop.pixels.dtype == np.uint8
        assert (crop.boxes >= 0).all()
        assert (crop.boxes <= 96).all()
        assert len(crop.boxes) == len(crop.landmarks) == len(crop.trust)


def test_crops_of_small_faces_and_of_faces_that_fill_the_crop_are_added(
    photos: DetectionPhotos, store: PhotoStore, tiles: FaceTiles
) -> None:
    def heights(**shares: float) -> np.ndarray:
        mix = CropMix(negatives=0, composites=0, places=0, rotate=0, smallest=30, largest=34, **shares)
        sampler = CropSampler(photos, store, tiles, 128, mix)
        crops = [sampler.crop(1, i) for i in range(60)]
        return np.concatenate([crop.boxes[:, 3] - crop.boxes[:, 1] for crop in crops])

    neither = heights(closeups=0, small=0)
    assert ((neither > 20) & (neither < 40)).all()
    closeups = heights(closeups=0.5, small=0)
    assert 0.3 < (closeups > 0.6 * 128).mean() < 0.7
    small = heights(closeups=0, small=0.5, small_height=31)
    assert small.max() < 40
    assert CropSampler(photos, store, None, 128, CropMix(closeups=1, negatives=0, places=0)).crop(0, 0).pixels.any()


def test_photos_that_are_weighted_are_drawn_more_often(photos: DetectionPhotos, store: PhotoStore) -> None:
    mix = CropMix(negatives=1.0, hard=1.0)
    hard = np.array([0, 0, 0, 1.0])
    sampler = CropSampler(photos, store, None, 64, mix, hard)
    assert all(not len(sampler.crop(0, i).boxes) for i in range(5))
    with pytest.raises(InputError, match="photos with faces"):
        CropSampler(photos.select([1]), store, None, 64)


def test_photos_with_false_boxes_weigh_more_and_photos_with_faces_nothing(
    photos: DetectionPhotos, store: PhotoStore
) -> None:
    calls = 0

    def forward(images: np.ndarray) -> list[np.ndarray]:
        nonlocal calls
        calls += 1
        outputs = [np.full((1, 15, images.shape[1] // s, images.shape[2] // s), -9, np.float32) for s in (8, 16, 32)]
        if calls == 1:
            outputs[1][0, :, 3, 3] = 0
        return outputs

    weights = false_alarm_weights(photos, store, forward)
    assert weights[[0, 2]].tolist() == [0, 0]
    assert weights[1] > weights[3] > 0
    assert calls == 2


def test_pasted_faces_lie_where_their_boxes_say(tiles: FaceTiles) -> None:
    background = np.zeros((128, 128, 3), np.uint8)
    pixels, boxes, points = paste_faces(background, tiles, np.array([40.0, 24.0]), np.random.default_rng(5))
    assert 1 <= len(boxes) == len(points) <= 2
    for box, five in zip(boxes, points, strict=True):
        x, y = ((box[:2] + box[2:]) / 2).astype(int)
        assert pixels[y, x].mean() > 60
        assert (five > box[:2] - 8).all()
        assert (five < box[2:] + 8).all()
    assert background.max() == 0


def test_pixels_change_but_never_their_shape() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for _ in range(60):
        changed = augment_pixels(picture, rng)
        assert changed.shape == picture.shape
        assert changed.dtype == np.uint8
    covered = cover_faces(picture, np.repeat([[10.0, 10, 40, 40]], 6, axis=0).astype(np.float32), rng)
    assert (covered != picture).any()


def test_faces_are_kept_where_exactly_one_is_found_for_sure(tmp_path: Path) -> None:
    pictures = [np.full((64, 64, 3), i, np.uint8) for i in range(4)]
    centred = np.array([[12, 8, 52, 60]], np.float32)

    def locate(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = {0: 1, 1: 2, 2: 1, 3: 0}[int(picture[0, 0, 0])]
        boxes = np.repeat(centred, n, axis=0)
        return boxes, np.full(n, 0.5 if picture[0, 0, 0] == 2 else 0.99), np.zeros((n, 5, 2), np.float32)

    tiles = locate_faces(pictures, locate)
    assert len(tiles) == 1
    save_tiles(tiles, tmp_path / "tiles.npz")
    np.testing.assert_array_equal(load_tiles(tmp_path / "tiles.npz").pixels, tiles.pixels)


@pytest.mark.parametrize(("height", "strides"), [(10, {8}), (40, {8, 16}), (60, {16}), (96, {16, 32}), (200, {32})])
def test_a_face_goes_to_the_strides_of_its_height(height: float, strides: set[int]) -> None:
    box = np.array([[20, 30, 20 + 0.8 * height, 30 + height]], np.float32)
    targets = assign(256, box, np.empty((0, 4), np.float32))
    centres, stride = cell_centres(256)
    assert set(stride[targets.cells].astype(int)) == strides
    middle = (box[0, :2] + box[0, 2:]) / 2
    assert (np.abs(centres[targets.cells] - middle).max(axis=1) < 1.3 * stride[targets.cells]).all()
    assert not targets.ignored[targets.cells].any()


def test_the_smaller_face_gets_a_cell_that_two_want_and_tiny_ones_are_ignored() -> None:
    boxes = np.array([[40, 40, 72, 80], [50, 52, 62, 68], [200, 200, 204, 205]], np.float32)
    targets = assign(256, boxes, np.array([[100, 100, 140, 140]], np.float32))
    assert 1 in targets.faces
    assert 2 not in targets.faces
    centres, stride = cell_centres(256)
    where = {tuple(c) for c in centres[targets.ignored & (stride == 8)].tolist()}
    assert (204.0, 204.0) in where
    assert (116.0, 116.0) in where
    assert (12.0, 12.0) not in where


def batch_of(crop: TrainingCrop, n: int = 2) -> object:
    return collate([crop] * n)


def test_perfect_outputs_have_almost_no_loss() -> None:
    box = np.array([[20, 24, 44, 56]], np.float32)
    points = np.array([[[28, 36], [38, 36], [33, 42], [29, 49], [37, 49]]], np.float32)
    targets = assign(64, box, np.empty((0, 4), np.float32))
    centres, strides = (torch.from_numpy(a) for a in cell_centres(64))
    outputs = torch.full((len(centres), 15), -9.0)
    for cell in targets.cells.tolist():
        outputs[cell, 0] = 9
        distances = np.concatenate([centres[cell].numpy() - box[0, :2], box[0, 2:] - centres[cell].numpy()])
        outputs[cell, 1:5] = torch.from_numpy(np.log(distances / strides[cell].numpy()))
        outputs[cell, 5:] = torch.from_numpy(((points[0] - [32, 40]) / [24, 32]).ravel())
    given = BatchTargets(
        torch.from_numpy(targets.cells),
        torch.from_numpy(box[targets.faces]),
        torch.from_numpy(points[targets.faces]),
        torch.ones(len(targets.cells)),
        torch.from_numpy(targets.ignored),
    )
    losses = detector_losses(outputs, centres, strides, given, LossWeights())
    assert float(losses["total"]) < 0.01
    worse = detector_losses(outputs + 0.3, centres, strides, given, LossWeights())
    assert float(worse["box"]) > 0.1
    assert float(worse["points"]) > 0.1


def test_the_learning_rate_rises_stays_and_falls_to_zero() -> None:
    schedule = TrapezoidSchedule(peak=1.0, warmup=10, decay=0.25)
    assert schedule.rate(0, 0.0) == pytest.approx(0.1)
    assert schedule.rate(100, 0.5) == 1
    assert schedule.rate(100, 0.875) == pytest.approx(0.5)
    assert schedule.rate(100, 1.0) == 0


def test_an_orthogonal_update_has_singular_values_near_one() -> None:
    matrix = torch.randn(8, 40, generator=torch.Generator().manual_seed(0))
    for one in (matrix, matrix.T):
        values = torch.linalg.svdvals(orthogonal(one))
        assert float(values.min()) > 0.4
        assert float(values.max()) < 1.4


def test_steps_on_one_batch_lower_its_losses(photos: DetectionPhotos, store: PhotoStore) -> None:
    torch.manual_seed(0)
    mix = CropMix(negatives=0, composites=0, places=0, closeups=0, small=0, smallest=30, largest=60)
    sampler = CropSampler(photos, store, None, 96, mix)
    batch = collate([sampler.crop(0, i) for i in range(4)])
    trainer = DetectorTrainer(FaceDetector(TINY), LossWeights(), bfloat16=False)
    schedule = TrapezoidSchedule(peak=3e-3, warmup=1)
    losses = [trainer.train_step(batch, schedule, 0.0)[0]["total"] for _ in range(25)]
    assert losses[-1] < 0.9 * losses[0]


def randomise_statistics(net: FaceDetector) -> None:
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)


CONFIG = DetectorConfig(shape=TINY, side=64, batch=4, large_side=96, large_batch=2, large_every=3, steps=6)


def test_a_step_is_computed_on_the_device_alone(
    photos: DetectionPhotos, store: PhotoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch's device without values stands for a graphics processor: an operation on two devices is an error
    monkeypatch.setattr(torch, "autocast", lambda device, dtype, enabled: contextlib.nullcontext())
    sampler = CropSampler(photos, store, None, 64)
    trainer = DetectorTrainer(FaceDetector(TINY), LossWeights(), device=torch.device("meta"))
    losses = trainer.losses(collate([sampler.crop(0, i) for i in range(6)]))
    losses["total"].backward()
    trainer.kernels.step()
    trainer.others.step()
    trainer.averaged.update(trainer.module, 1)
    made = [*losses.values(), *trainer.module.parameters(), *trainer.averaged.module.state_dict().values()]
    made += [each.grad for each in trainer.module.parameters() if each.grad is not None]
    made += [each for one in trainer.kernels.state.values() for each in one.values()]
    assert {each.device.type for each in made} == {"meta"}


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    photos: DetectionPhotos, store: PhotoStore, tiles: FaceTiles, tmp_path: Path
) -> None:
    data = TrainingPhotos(photos, store, tiles)
    whole = train_detector(data, CONFIG, tmp_path / "whole", workers=0, log_every=2)

    class InterruptionError(Exception):
        pass

    calls = 0
    original = DetectorTrainer.train_step

    def interrupted(self: DetectorTrainer, *arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise InterruptionError
        return original(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DetectorTrainer, "train_step", interrupted)
        with pytest.raises(InterruptionError):
            train_detector(data, CONFIG, tmp_path / "parts", workers=0, checkpoint_every=0.0)
    parts = train_detector(data, CONFIG, tmp_path / "parts", workers=0)
    first, second = (torch.load(path, weights_only=True) for path in (whole, parts))
    assert first["step"] == second["step"] == 6
    for name, value in first["module"].items():
        torch.testing.assert_close(second["module"][name], value, rtol=0, atol=0)
    for name, value in first["averaged"].items():
        torch.testing.assert_close(second["averaged"][name], value, rtol=0, atol=0)
    assert len((tmp_path / "whole" / "curves.csv").read_text().splitlines()) == 4
    assert isinstance(load_detector(whole), FaceDetector)


@pytest.mark.slow
def test_training_continues_from_an_export_that_it_computes_exactly(
    photos: DetectionPhotos, store: PhotoStore, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = FaceDetector(TINY)
    randomise_statistics(net)
    path = tmp_path / "detector.onnx"
    path.write_bytes(export_detector(net.eval()))
    pictures = [np.random.default_rng(i).integers(0, 256, (64, 64, 3)).astype(np.uint8) for i in range(20)]
    again = load_exported(path, iter(pictures), TINY, batch=8)
    assert not again.training
    x = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(flatten(again(x)), flatten(net(x)), rtol=1e-4, atol=1e-4)
    # the statistics are those of the pictures: with them computed from the batch the network does the same
    pixels = (torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() - 128) / 128
    with torch.inference_mode():
        expected = flatten(again(pixels))
        torch.testing.assert_close(flatten(again.train()(pixels)), expected, rtol=0.02, atol=0.02)
    # kernels have the size that they have in a new network
    for name, value in FaceDetector(TINY).state_dict().items():
        if name.startswith(("stem.", "stages.", "towers.")) and value.ndim == 4:
            size = again.state_dict()[name].square().mean().sqrt()
            assert float(size / value.square().mean().sqrt()) == pytest.approx(1, abs=0.3), name
    calls = []

    def initial() -> FaceDetector:
        calls.append(1)
        return load_exported(path, pictures, TINY)

    data = TrainingPhotos(photos, store, None)
    still = replace(CONFIG, schedule=TrapezoidSchedule(peak=0.0), steps=1)
    checkpoint = train_detector(data, still, tmp_path / "run", workers=0, initial=initial)
    with torch.inference_mode():
        torch.testing.assert_close(flatten(load_detector(checkpoint)(x)), flatten(net(x)), rtol=0.05, atol=0.05)
    train_detector(data, replace(still, steps=2), tmp_path / "run", workers=0, initial=initial)
    assert len(calls) == 1, "a run that is resumed does not start from the export again"


def test_what_is_no_export_of_this_network_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(TrainingError, match="not a readable ONNX file"):
        load_exported(path, [])
    shipped = Path(mien.models.__file__).with_name("files")
    with pytest.raises(TrainingError, match="not part of a float32 export"):
        load_exported(shipped / "detector-int8.onnx", [])
    with pytest.raises(TrainingError, match="not part of a float32 export"):
        load_exported(shipped / "detector.onnx", [], TINY)
    with pytest.raises(TrainingError, match="no picture"):
        load_exported(shipped / "detector.onnx", [])


def test_a_file_that_is_no_checkpoint_is_reported(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        load_detector(tmp_path / CHECKPOINT)


@pytest.mark.slow
def test_the_export_computes_what_the_network_does_in_float_and_nearly_so_in_8_bits() -> None:
    import onnx
    import onnxruntime

    torch.manual_seed(0)
    net = FaceDetector(TINY)
    randomise_statistics(net)
    net.eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(flatten(fold_batch_norm(net)(x)), flatten(net(x)), rtol=1e-4, atol=1e-4)
    content = describe(export_detector(net), {"name": "made"})
    assert json.loads(onnx.load_from_string(content).metadata_props[0].value) == {"name": "made"}
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(4)]
    small = quantize_detector(content, pictures)
    outputs = []
    for each in (content, small):
        session = onnxruntime.InferenceSession(each, providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, {INPUT: np.stack(pictures)}))
    for exact, rounded in zip(*outputs, strict=True):
        assert exact.shape == rounded.shape
        assert np.abs(exact - rounded).max() < 0.1 * max(np.abs(exact).max(), 1)
