"""What travels to a machine with a GPU: prepared files, photos and faces in few bytes, and back again.

Images are WebP of the best quality that fits a limit. A note in the file names the quality.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

QUALITIES = (101, 95, 90, 85, 80, 75, 70, 60, 50, 40)
"""Of WebP, best first; above 100 it is lossless."""
LEAST_QUALITY = 60
"""Of photos."""
SAMPLE = 400
"""Images whose size is measured to choose the quality."""
FACE_QUALITY = 80
MOST_FACES = 14_000
"""Faces that are located, as the recipe of the detector does."""


def pack(data: Path, out: Path, limit: int) -> dict[str, Any]:
    """Write a prepared file's rows as one small file; ``unpack`` makes a prepared file of it again.

    Args:
        data: a file of `mien data prepare`.
        out: the ``.npz`` file.
        limit: bytes that it may have.

    Returns:
        ``{"bytes", "quality", "quality_scored"}``: of WebP, of training images and of the others; above 100 is lossless.

    Raises:
        SystemExit: nothing is small enough.
    """
    from mien.datasets.prepared_file import read_prepared

    dataset = read_prepared(data)
    learnt = dataset.split == "train"
    rng = np.random.default_rng(0)

    def size(rows: NDArray[np.bool_], quality: int) -> float:
        where = np.flatnonzero(rows)
        if not len(where):
            return 0.0
        some = rng.choice(where, min(SAMPLE, len(where)), replace=False)
        return float(np.mean([len(encode(dataset.images[i], quality)) for i in some]) * len(where))

    room = 0.97 * limit - 64 * len(dataset)
    scored = next((quality for quality in QUALITIES[:2] if size(~learnt, quality) < 0.45 * room), QUALITIES[2])
    rest = room - size(~learnt, scored)
    quality = next((quality for quality in QUALITIES if size(learnt, quality) < rest), None)
    if quality is None:
        raise SystemExit(f"{data}: {limit / 2**20:.0f} MiB are too few")
    files = [encode(image, quality if t else scored) for image, t in zip(dataset.images, learnt, strict=True)]
    ends = np.cumsum([len(file) for file in files])
    note = f"images of training went through WebP of quality {quality}, others of {scored}; above 100 is lossless"
    info = asdict(replace(dataset.info, notes=(*dataset.info.notes, note)))
    arrays = {f"label_{name}": values for name, values in dataset.labels().items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as stream:
        np.savez_compressed(
            stream, ends=ends, files=np.frombuffer(b"".join(files), np.uint8), split=dataset.split, row=dataset.row,
            info=np.array(json.dumps(info)), **arrays,
        )  # fmt: skip
    return {"bytes": out.stat().st_size, "quality": quality, "quality_scored": scored}


def unpack(packed: Path, out: Path) -> None:
    """The prepared file of what `pack` wrote."""
    from mien.datasets.dataset import Dataset, DatasetInfo
    from mien.datasets.prepared_file import write_prepared

    with np.load(packed, allow_pickle=False) as held:
        images = _decode_all(held)
        raw = json.loads(str(held["info"]))
        gray = bool((images == images[..., :1]).all())
        info = DatasetInfo(**{key: _tuples(value) for key, value in raw.items()})
        labels = {name.removeprefix("label_"): held[name] for name in held.files if name.startswith("label_")}
        images = np.ascontiguousarray(images[..., :1] if gray else images)
        write_prepared(Dataset(images, held["split"], held["row"], info, **labels), out)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _decode_all(held: Any) -> NDArray[np.uint8]:
    """``(n, h, w, 3)`` RGB of the arrays ``files`` and ``ends``, on all cores."""
    from mien.datasets.image_codec import parallel_map

    parts = np.split(held["files"], held["ends"][:-1])
    return np.stack(parallel_map(lambda part: cv2.imdecode(part, cv2.IMREAD_COLOR_RGB), parts))


def encode(image: NDArray[np.uint8], quality: int) -> bytes:
    """WebP of an RGB or gray ``(h, w, 1 or 3)`` image."""
    bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.shape[2] == 1 else cv2.COLOR_RGB2BGR)
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def pack_photos(photos: Path, out: Path, limit: int) -> dict[str, Any]:
    """A file of photos to train on, with its pictures as WebP of the best quality that fits; boxes stay, since sizes do.

    Where the least quality is too large, rows are left out, evenly.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mien.datasets.detection import read_detection
    from mien.recipes.detector import split_photos

    # photos held out stay here: nothing there needs them, and a part of them would not be recognised as such
    table = pq.read_table(photos).take(np.flatnonzero(~split_photos(read_detection(photos))))
    pictures = table.column("image").to_pylist()
    step = max(1, len(pictures) // SAMPLE)

    def recoded(content: bytes, quality: int) -> bytes:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        made: bytes = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
        return min(made, content, key=len)

    def size(quality: int) -> float:
        return float(np.mean([len(recoded(one["bytes"], quality)) for one in pictures[::step]]) * len(pictures))

    lossy = [quality for quality in QUALITIES if LEAST_QUALITY <= quality <= 100]
    quality = next((each for each in lossy if size(each) < 0.9 * limit), LEAST_QUALITY)
    share = min(1.0, 0.9 * limit / size(quality))
    chosen = np.unique(np.linspace(0, len(pictures) - 1, max(1, int(share * len(pictures)))).astype(int))
    table, pictures = table.take(chosen), [pictures[i] for i in chosen]
    column = table.schema.get_field_index("image")
    images = [{**one, "bytes": recoded(one["bytes"], quality)} for one in pictures]
    field = table.schema.field(column)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.set_column(column, field, pa.array(images, field.type)), out)
    return {"bytes": out.stat().st_size, "quality": quality, "rows": len(pictures)}


def pack_faces(pictures: Path, out: Path, limit: int, most: int = MOST_FACES) -> dict[str, Any]:
    """The faces that the detector's recipe pastes, located here and not where every minute counts.

    Args:
        pictures: file of pictures of one face each, such as FairFace's train.parquet.
        out: the ``.npz`` file.
        limit: bytes that it may have.
        most: pictures that are looked at.
    """
    from mien.training.detection.face_tiles import locate_faces, read_pictures
    from mien.training.detection.mtcnn_faces import padded_mtcnn

    count = min(most, limit // 1500)
    tiles = locate_faces(read_pictures(pictures, count, 0), padded_mtcnn())
    files = [encode(pixels, FACE_QUALITY) for pixels in tiles.pixels]
    ends = np.cumsum([len(file) for file in files])
    kept = int(np.searchsorted(ends, 0.97 * limit - 64 * len(files), side="right"))
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as stream:
        np.savez(stream, ends=ends[:kept], files=np.frombuffer(b"".join(files[:kept]), np.uint8),
                 boxes=tiles.boxes[:kept], landmarks=tiles.landmarks[:kept])  # fmt: skip
    return {"bytes": out.stat().st_size, "quality": FACE_QUALITY, "faces": kept}


def unpack_faces(packed: Path, out: Path) -> None:
    """The file of located faces that `mien train detector --faces` reads, of what `pack_faces` wrote."""
    from mien.training.detection.face_tiles import FaceTiles, save_tiles

    with np.load(packed, allow_pickle=False) as held:
        save_tiles(FaceTiles(_decode_all(held), held["boxes"], held["landmarks"]), out)
