"""From annotated photos and a face dataset to the three files that ship with the detector, by its recipes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from helpers.pictures import ASTRONAUT_EYES, astronaut, hopper, noise
from mien.datasets.detection import PhotoLabels, from_labels
from mien.datasets.detection_file import write_detection
from mien.detect.mien import MienDetector
from mien.errors import TrainingError
from mien.networks.detector import DetectorShape
from mien.recipes import detector, detector_export, landmarks
from mien.training.detection.face_tiles import load_tiles, locate_faces
from mien.training.detection.mtcnn_faces import padded_mtcnn

HEAD = (slice(40, 200), slice(145, 305))
"""The astronaut's head, which fills the crop as faces of a face dataset do."""


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_faces_are_located_in_pictures_that_they_fill() -> None:
    head = np.ascontiguousarray(astronaut()[HEAD])
    tiles = locate_faces([head, noise(*head.shape[:2])], padded_mtcnn())
    assert len(tiles) == 1
    eyes = np.array(ASTRONAUT_EYES) - (HEAD[1].start, HEAD[0].start)
    assert np.abs(tiles.landmarks[0, :2] - eyes).max() < 5
    x1, y1, x2, y2 = tiles.boxes[0]
    assert (tiles.landmarks[0] > (x1, y1)).all()
    assert (tiles.landmarks[0] < (x2, y2)).all()


@pytest.mark.slow
def test_photos_and_faces_become_the_three_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = DetectorShape(widths=(4, 4, 8, 8, 8), blocks=(1, 1, 1), pyramid=8, towers=(1, 1, 1))
    monkeypatch.setattr(detector, "CONFIG", replace(detector.CONFIG, shape=shape))
    monkeypatch.setattr(landmarks, "CONFIG", replace(landmarks.CONFIG, batch=8))
    monkeypatch.setattr(detector_export, "CALIBRATION", 4)
    points = np.array([[203, 100], [247, 102], [224, 127], [201, 140], [245, 142]], np.float32)
    box = np.array([[178, 63, 266, 173]], np.float32)
    photos = from_labels(
        [
            PhotoLabels(encoded(astronaut()), box, points[None], size=(512, 512), source="a"),
            PhotoLabels(encoded(noise(200, 300, blur=5)), np.empty((0, 4)), size=(300, 200), source="b"),
        ]
    )
    write_detection(photos, tmp_path / "photos.parquet")
    faces = [{"bytes": encoded(np.ascontiguousarray(astronaut()[HEAD]))}] * 2
    pq.write_table(pa.table({"image": faces}), tmp_path / "faces.parquet")
    trained = detector.DetectorRun(
        tmp_path / "photos.parquet", tmp_path / "run", tmp_path / "faces.parquet", steps=1, workers=0, progress=False
    )
    detector.run(trained)
    assert len(load_tiles(tmp_path / "run" / "cache" / "tiles.npz")) == 2

    words = [tmp_path / "photos.parquet", "--faces", tmp_path / "faces.parquet", "--cache", tmp_path / "run" / "cache"]
    weights = tmp_path / "landmarks.pt"
    for steps, more in ((1, []), (1, ["--start", weights, "--seed", 1])):
        landmarks.main([str(word) for word in (*words, "--out", weights, "--steps", steps, *more)])
    (tmp_path / "described.json").write_text(json.dumps({"data": "two photos"}))
    call = [
        tmp_path / "run" / "checkpoint.pt", "--landmarks", weights, "--photos", words[0], *words[1:],
        "--description", tmp_path / "described.json", "--out", tmp_path / "files",
    ]  # fmt: skip
    detector_export.main([str(word) for word in call])

    files = {path.stem: onnx.load(path) for path in (tmp_path / "files").iterdir()}
    assert set(files) == {"detector", "detector-int8", "landmarks"}
    for name, model in files.items():
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert name in " ".join(facts.values())
        assert "two photos" in " ".join(facts.values())
    weights_of_8_bits = {
        name: sum(w.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) for w in model.graph.initializer)
        for name, model in files.items()
    }
    assert weights_of_8_bits["detector-int8"] > 10
    assert weights_of_8_bits["detector"] == weights_of_8_bits["landmarks"] == 0
    assert MienDetector(model=tmp_path / "files" / "detector.onnx", threads=1).detect(hopper()).image_size == (512, 600)

    torch.save({"other": torch.zeros(1)}, weights)
    with pytest.raises(TrainingError, match="not weights of the network of landmarks"):
        detector_export.main([str(word) for word in call])
