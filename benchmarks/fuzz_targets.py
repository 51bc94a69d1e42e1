"""What is fuzzed: one small target a surface, its valid beginnings made here, never a file of anybody's.

A target is built in the worker: `seeds` are valid inputs, `run` gives one input to the code as a user's file comes.
`run` returns where the input was taken, raises a `MienError` where it was refused, and anything else is a finding.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np

from helpers.tiny_models import OneFace, tiny_card, tiny_network
from mien.errors import InputError, MienError

Shape = Literal["bytes", "text", "json"]


@dataclass(frozen=True)
class Target:
    """One surface.

    Attributes:
        about: what it is, for people.
        seeds: valid inputs.
        run: gives one input to the code.
        shape: how inputs are mutated besides byte by byte.
    """

    about: str
    seeds: list[bytes]
    run: Callable[[bytes], object]
    shape: Shape = "bytes"


# ---------------------------------------------------------------- pictures and videos


def images(folder: Path) -> Target:
    from PIL import Image, ImageCms

    from helpers.hostile import KINDS
    from helpers.pictures import astronaut
    from mien.media.image import load_image

    whole = Image.fromarray(astronaut())
    small = whole.resize((23, 17))

    def saved(image: Any, kind: str, **options: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    seeds = [saved(small, kind) for kind in (*KINDS, "SGI", "PCX", "DIB")]
    seeds += [saved(small, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    seeds += [saved(small, kind, icc_profile=profile) for kind in ("JPEG", "PNG")]
    seeds += [
        saved(small.convert("CMYK"), "JPEG"),
        saved(small, "JPEG", progressive=True),
        saved(small.convert("L"), "JPEG"),
    ]
    seeds += [saved(small.convert(mode), "PNG") for mode in ("P", "LA", "RGBA", "1", "I;16")]
    seeds += [saved(small, "TIFF", compression=way) for way in ("tiff_deflate", "tiff_lzw", "jpeg", "packbits")]
    seeds += [saved(small.convert("1"), "TIFF", compression="group4"), saved(small.convert("F"), "TIFF")]
    seeds += [saved(small, kind, save_all=True, append_images=[small.rotate(90)]) for kind in ("GIF", "WEBP", "TIFF")]
    seeds += [saved(small, "WEBP", lossless=True), saved(small, "TGA", compression="tga_rle")]
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        seeds.append(saved(whole.resize((64, 64)), "HEIF"))
    except ImportError:
        pass
    return Target("photos: `load_image`", seeds, lambda data: load_image(data, max_pixels=1_000_000))


_CLIPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("h264.mp4", {"audio": 0.2}),
    ("turned.mov", {}),
    ("hevc.mp4", {"codec": "libx265", "size": (128, 96)}),  # x265 itself damages memory with smaller pictures
    ("av1.mp4", {"codec": "libsvtav1", "size": (64, 64)}),
    ("vp9.mkv", {"codec": "libvpx-vp9"}),
    ("ffv1.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}),
    ("vp8.webm", {"codec": "libvpx"}),
    ("mpeg4.avi", {"codec": "mpeg4", "bframes": 1}),
    ("mjpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ("mpeg2.ts", {"codec": "mpeg2video"}),
    ("h264.ts", {}),
    ("mpeg1.mpg", {"codec": "mpeg1video"}),
    ("flv1.flv", {"codec": "flv"}),
    ("wmv2.wmv", {"codec": "wmv2", "container": "asf"}),
    ("mpeg4.3gp", {"codec": "mpeg4"}),
    ("h264.h264", {}),
    ("h264.nut", {}),
    ("prores.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    ("mpeg2.mxf", {"codec": "mpeg2video"}),
    ("raw.y4m", {"codec": "rawvideo", "container": "yuv4mpegpipe"}),
)


def videos(folder: Path) -> Target:
    import av

    from helpers.clips import clip, turned
    from mien.media.video import open_video

    seeds = []
    for name, how in _CLIPS:
        try:
            path = clip(folder / name, **({"frames": 6, "size": (48, 32)} | how))
        except (av.error.FFmpegError, ValueError) as error:
            print(f"no {name}: {error}", file=sys.stderr)
            continue
        seeds.append((turned(path, 6) if name == "turned.mov" else path).read_bytes())
        path.unlink()
    given = folder / "clip"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        with open_video(given) as video:
            for i, _ in enumerate(video):
                if i >= 40:
                    break
            assert all(line.isprintable() for line in video.problems), video.problems

    return Target("videos: `open_video` and its frames, 20 containers and codecs", seeds, run)


# ---------------------------------------------------------------- datasets


def fer2013(folder: Path) -> Target:
    from helpers.datasets import fer2013_csv, fer2013_rows
    from mien.datasets.catalog import read_dataset

    rows = fer2013_rows(2)
    quoted = [[f'"{cell}"' for cell in row] for row in rows]
    written = [
        fer2013_csv(folder / "a.csv", rows),
        fer2013_csv(folder / "b.csv", rows, end="\r\n"),
        fer2013_csv(folder / "c.csv", quoted, ("usage", '"emotion"', '"pixels"')),
        fer2013_csv(folder / "d.csv", [row[::-1] for row in rows], ("Usage", "pixels", "emotion")),
        fer2013_csv(folder / "e.csv.gz", rows),
        fer2013_csv(folder / "f.csv.zip", rows),
    ]
    seeds = [path.read_bytes() for path in written]
    seeds.append(b"\xef\xbb\xbf" + seeds[0])
    given = folder / "fer2013.csv"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        read_dataset(given, "fer2013")

    return Target("FER2013's CSV, plain, .gz and .zip: `mien data prepare`", seeds, run, "text")


def ferplus(folder: Path) -> Target:
    from helpers.datasets import ferplus_csv, votes_for
    from mien.datasets.ferplus import read_votes

    written = ferplus_csv(folder / "votes.csv", votes_for(np.arange(7)))
    given = folder / "fer2013new.csv"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        read_votes(given)

    return Target("FER+ votes: `--ferplus`", [written.read_bytes()], run, "text")


def _small_picture(path: Path) -> Path:
    from helpers.datasets import write_image

    return write_image(path, np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8))


def fairface_csv(folder: Path) -> Target:
    from mien.datasets.catalog import read_dataset

    for name in ("train/1.png", "val/1.png"):
        _small_picture(folder / "faces" / name)
    given = folder / "faces" / "fairface_label_train.csv"
    rows = ("train/1.png,20-29,Female,Black,True", "val/1.png,more than 70,Male,Indian,False")
    seed = "\n".join(["file,age,gender,race,service_test", *rows, ""])

    def run(data: bytes) -> None:
        given.write_bytes(data)
        read_dataset(given.parent)

    return Target("FairFace's CSV beside pictures", [seed.encode()], run, "text")


def rafdb(folder: Path) -> Target:
    from helpers.datasets import rafdb as made
    from mien.datasets.catalog import read_dataset

    lines = ["train_00001.jpg 5", "test_0001.jpg 1"]
    root = made(folder / "raf", lines, np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8))
    given = root / "EmoLabel" / "list_patition_label.txt"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        read_dataset(root)

    return Target("RAF-DB's list beside pictures", [given.read_bytes()], run, "text")


def probabilities(folder: Path) -> Target:
    from helpers.datasets import made
    from mien.datasets.audit.external_predictions import read_external_predictions

    data = made(6)
    table = "row,angry,disgust,fear,happy,sad,surprise,neutral\n0,1,0,0,0,0,0,0\n3,0.1,0.1,0.2,0.3,0.1,0.1,0.1\n"
    stream = io.BytesIO()
    np.save(stream, np.full((6, 7), 1 / 7, np.float32))

    def run(content: bytes) -> None:
        given = folder / ("p.npy" if content[:6] == b"\x93NUMPY" else "p.csv")
        given.write_bytes(content)
        read_external_predictions(given, data)

    return Target("probabilities of `mien data audit`, CSV and .npy", [table.encode(), stream.getvalue()], run, "text")


def parquet(folder: Path) -> Target:
    from helpers.datasets import hf_parquet, made, votes_for
    from mien.datasets.catalog import read_dataset
    from mien.datasets.prepared_file import write_prepared

    base = made(5, side=8)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    columns = {"age": ["20-29", "0-2", "more than 70"], "gender": ["Male"] * 3, "race": ["Black"] * 3}
    written = [
        write_prepared(base, folder / "a.parquet"),
        write_prepared(
            replace(base, votes=votes_for(base.emotion), features={"hog": np.ones((5, 72), np.float32)}),
            folder / "b.parquet",
        ),
        hf_parquet(folder / "c.parquet", pictures, {"label": [0, 1, 2]}, {"label": ["angry", "sad", "happy"]}),
        hf_parquet(folder / "d.parquet", pictures, {"label": ["angry", "sad", "happy"]}),
        hf_parquet(folder / "e.parquet", pictures, columns),
    ]
    given = folder / "in" / "train.parquet"
    given.parent.mkdir()

    def run(data: bytes) -> None:
        given.write_bytes(data)
        read_dataset(given)

    return Target("Parquet files: prepared, Hugging Face, FairFace", [path.read_bytes() for path in written], run)


_KINDS = ("int8", "int32", "int64", "uint8", "float32", "float64", "bool", "string", "binary", "large_binary", "date32")


def parquet_fields(folder: Path) -> Target:
    """Well-formed Parquet whose columns and metadata are not what they should be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from helpers.datasets import encoded, hf_parquet, made
    from mien.datasets.catalog import read_dataset
    from mien.datasets.prepared_file import METADATA_KEY, write_prepared

    def described(path: Path) -> dict[str, Any]:
        table = pq.read_table(path)
        columns = {}
        for name in table.column_names:
            kind = str(table.column(name).type)
            values = table.column(name).to_pylist()
            if kind == "binary":
                values = [base64.b64encode(value).decode() for value in values]
            columns[name] = {"type": kind if kind in _KINDS else "struct" if kind.startswith("struct") else "auto"}
            if columns[name]["type"] == "struct":
                values = [base64.b64encode(value["bytes"]).decode() for value in values]
            columns[name]["values"] = values
        metadata = {k.decode(): json.loads(v) for k, v in (table.schema.metadata or {}).items() if k != b"ARROW:schema"}
        return {"metadata": metadata, "columns": columns}

    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    labels = {"label": ["angry", "sad", "happy"]}
    ages = {"age": ["20-29", "0-2", "more than 70"], "gender": ["Male"] * 3, "race": ["Black"] * 3}
    documents = [
        described(write_prepared(replace(made(5, side=8), found=np.ones(5, np.bool_)), folder / "a.parquet")),
        described(hf_parquet(folder / "c.parquet", pictures, {"label": [0, 1, 2]}, labels)),
        described(hf_parquet(folder / "e.parquet", pictures, ages)),
    ]
    assert METADATA_KEY.decode() in documents[0]["metadata"]
    picture = encoded(pictures[0])
    given = folder / "in" / "train.parquet"
    given.parent.mkdir()

    def value_of(kind: str, value: Any) -> Any:
        if value is None:
            return None
        if kind in ("binary", "large_binary", "struct"):
            blob = base64.b64decode(value) if isinstance(value, str) else picture
            return {"bytes": blob, "path": "x"} if kind == "struct" else blob
        return value

    def run(data: bytes) -> None:
        try:
            document = json.loads(data)
            arrays = {}
            for name, column in document["columns"].items():
                kind = column["type"]
                values = [value_of(kind, value) for value in column["values"]]
                if kind == "auto":
                    arrays[name] = pa.array(values)
                elif kind == "struct":
                    arrays[name] = pa.array(values, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
                else:
                    arrays[name] = pa.array(values, getattr(pa, kind if kind != "bool" else "bool_")())
            metadata = {k: v if isinstance(v, str) else json.dumps(v) for k, v in document["metadata"].items()}
            table = pa.table(arrays).replace_schema_metadata(metadata)
            pq.write_table(table, given)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, pa.ArrowException):
            raise InputError("not a table that can be written") from None
        read_dataset(given)

    return Target(
        "well-formed Parquet with other columns, types and metadata",
        [json.dumps(document).encode() for document in documents],
        run,
        "json",
    )


# ---------------------------------------------------------------- models


def _analysed(folder: Path) -> Callable[[bytes], None]:
    """Loads a model file as a user's, and reads the emotion of one face with it."""
    from mien.pipeline.analyzer import Analyzer

    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    given = folder / "model.onnx"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        analyzer = Analyzer(detector=OneFace(), models=(given,), threads=1)
        for face in analyzer.analyze(picture, color="rgb").to_dicts():
            json.dumps(face, allow_nan=False)

    return run


def onnx_files(folder: Path) -> Target:
    seeds = [tiny_network(json.dumps(tiny_card())), tiny_network("{}", 2, 2)]
    return Target("ONNX files with a card: `Analyzer(models=[FILE])` and one face", seeds, _analysed(folder))


def cards(folder: Path) -> Target:
    run = _analysed(folder)
    envelope = tiny_network("CARD")

    def one(data: bytes) -> None:
        import onnx

        model = onnx.load_from_string(envelope)
        try:
            onnx.helper.set_model_props(model, {"mien.card": data.decode()})
        except ValueError:
            raise InputError("not text, which the metadata of ONNX is") from None
        run(model.SerializeToString())

    return Target("the card inside an ONNX file, and one face", [json.dumps(tiny_card()).encode()], one, "json")


def _trained(folder: Path) -> Path:
    """A run folder of an untrained network."""
    from mien.networks.catalog import NETWORKS, get_network
    from mien.recipes.catalog import RECIPES
    from mien.training.config import recipe_to_dict
    from mien.training.run_folder import BEST, CONFIG, save_weights, write_json

    smallest = min(
        (name for name, row in NETWORKS.items() if not row.features), key=lambda name: NETWORKS[name].parameters
    )
    recipe = replace(next(iter(RECIPES.values())), network=smallest)
    if get_network(smallest).channels == "gray":
        recipe = replace(recipe, mean=recipe.mean[:1], std=recipe.std[:1])
    run = folder / "run"
    run.mkdir()
    write_json(run / CONFIG, recipe_to_dict(recipe))
    save_weights(get_network(smallest).module(recipe.head_sizes, recipe.dropout).state_dict(), run / BEST)
    return run


def _scored(run: Path) -> None:
    from helpers.datasets import made
    from mien.evaluation.scoring.scored_model import open_model, predict

    predict(open_model(run), made(2, side=48))


def run_configs(folder: Path) -> Target:
    from mien.training.run_folder import CONFIG

    folder = _trained(folder)

    def run(data: bytes) -> None:
        (folder / CONFIG).write_bytes(data)
        _scored(folder)

    return Target("config.json of a run folder: `mien evaluate RUN`", [(folder / CONFIG).read_bytes()], run, "json")


def safetensors(folder: Path) -> Target:
    from mien.training.run_folder import BEST

    folder = _trained(folder)
    whole = (folder / BEST).read_bytes()
    header = int.from_bytes(whole[:8], "little")

    def run(data: bytes) -> None:
        # an input is the head, which states what lies where; the numbers behind it stay
        (folder / BEST).write_bytes(data + whole[8 + header :])
        _scored(folder)

    return Target("weights of a run folder (safetensors)", [whole[: 8 + header]], run)


def _machine(folder: Path) -> Path:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from mien.published.recipes.svm import SVM_RECIPES
    from mien.published.svm.model_file import save_svm_model
    from mien.published.svm.run_folder import MODEL
    from mien.training.run_folder import CONFIG, write_json

    recipe = replace(SVM_RECIPES["svm-hog"], kernel="rbf", scaled=True)
    rng = np.random.default_rng(0)
    y = np.arange(20) % len(recipe.classes)
    x = rng.normal(0, 1, (20, 72)) + y[:, None]
    run = folder / "run"
    run.mkdir()
    save_svm_model(Pipeline([("scale", StandardScaler()), ("svm", SVC())]).fit(x, y), run / MODEL)
    write_json(run / CONFIG, asdict(recipe))
    return run


def _judged(run: Path) -> None:
    from helpers.datasets import made
    from mien.published.svm.scoring import evaluate_svm

    data = replace(made(20, side=8), features={"hog": np.ones((20, 72), np.float32)})
    evaluate_svm(run, data)


def svm_models(folder: Path) -> Target:
    from mien.published.svm.run_folder import MODEL

    run = _machine(folder)

    def one(data: bytes) -> None:
        (run / MODEL).write_bytes(data)
        _judged(run)

    return Target("support-vector machines (skops): `mien evaluate RUN`", [(run / MODEL).read_bytes()], one)


def svm_schemas(folder: Path) -> Target:
    """schema.json inside the zip states what is built; a zip around it is always whole."""
    from mien.published.svm.run_folder import MODEL

    run = _machine(folder)
    with zipfile.ZipFile(run / MODEL) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def one(data: bytes) -> None:
        with zipfile.ZipFile(run / MODEL, "w") as archive:
            for name, content in (members | {"schema.json": data}).items():
                archive.writestr(name, content)
        _judged(run)

    return Target("the schema inside such a file", [members["schema.json"]], one, "json")


def svm_configs(folder: Path) -> Target:
    from mien.training.run_folder import CONFIG

    run = _machine(folder)

    def one(data: bytes) -> None:
        (run / CONFIG).write_bytes(data)
        _judged(run)

    return Target("config.json of such a run folder", [(run / CONFIG).read_bytes()], one, "json")


# ---------------------------------------------------------------- JSON that users hand in


def recipes(folder: Path) -> Target:
    from mien.recipes.catalog import RECIPES
    from mien.training.recipe_file import read_recipe, write_recipe

    seeds = [write_recipe(RECIPES[name], folder / f"{name}.json", {}).read_bytes() for name in ("emotion", "age")]
    given = folder / "recipe.json"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        read_recipe(given)

    return Target("recipe files: `mien train FILE.json`", seeds, run, "json")


_HERE = b'{"here": 1}'
"""In inputs for what names this folder and its files' times, so that they mean the same in another one."""


def progress(folder: Path) -> Target:
    """What an interrupted run of videos left behind, damaged."""
    from helpers.clips import clip
    from mien.pipeline.analyzer import Analyzer
    from mien.pipeline.jobs import VideoJob, VideoOutputs

    paths = [clip(folder / f"{name}.mkv", codec="ffv1", pix_fmt="bgr0", frames=20, size=(40, 40)) for name in "ab"]
    analyzer = Analyzer(detector=OneFace(), models=(), threads=1)
    report, rows = folder / "report", folder / "rows.csv"
    outputs = VideoOutputs(csv=rows, report=report)

    class StopError(Exception):
        pass

    def stop(stream: object, frames: list[Any]) -> None:
        if frames and frames[0].frame.source == str(paths[1]) and frames[0].frame.index >= 8:
            raise StopError

    try:
        with VideoJob(analyzer, paths, outputs, flush_seconds=0.0) as run:
            list(run.reports(stop))
    except StopError:
        pass
    kept = folder / "kept"
    shutil.copytree(report, kept)
    table = rows.read_bytes()
    name = next(path.name for path in kept.rglob("progress.json"))
    seed = next(kept.rglob(name)).read_bytes()
    assert json.loads(seed)["current"], "the run has to be interrupted within a video"
    call = json.dumps(json.loads(seed)["call"]).encode()
    assert call in seed

    def one(data: bytes) -> None:
        shutil.rmtree(report)
        shutil.copytree(kept, report)
        rows.write_bytes(table)
        next(report.rglob(name)).write_bytes(data.replace(_HERE, call))
        with VideoJob(analyzer, paths, outputs, flush_seconds=0.0, resume=True) as run:
            for reported in run.reports():
                if isinstance(reported, MienError):
                    raise reported

    return Target("progress.json of an interrupted run: `--resume`", [seed.replace(call, _HERE)], one, "json")


# ---------------------------------------------------------------- batches


class _NotWholeError(Exception):
    """Inputs that are neither rows nor refused, or rows that are not those of an undisturbed run."""


def _pictures() -> list[bytes]:
    from helpers.datasets import encoded

    pictures = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
    return [
        encoded(picture, suffix) for picture, suffix in zip(pictures, (".png", ".jpg", ".webp", ".png"), strict=True)
    ]


def _planned(source: Path, size: int) -> Any:
    """What `mien batch` does with a source: the plan, and each of its first shards analysed. Returns the plan."""
    import pyarrow.parquet as pq

    from mien.batch.plan import encode_plan, make_plan
    from mien.batch.settings import AnalysisSettings
    from mien.batch.shard_analysis import analyse_shard
    from mien.batch.tables import read_counts
    from mien.pipeline.analyzer import Analyzer

    plan = make_plan(str(source), size=size)
    encode_plan(plan)
    analyzer = Analyzer(detector=OneFace(), models=(), threads=1)
    reported = 0
    for shard in plan.shards[:4]:
        done = analyse_shard(analyzer, AnalysisSettings(models=()), shard)
        part = done.tables["inputs"]
        if read_counts(part, shard.number, "part") != done.counts:
            raise _NotWholeError("the part states otherwise than its shard")
        rows = pq.read_table(io.BytesIO(part)).to_pylist()
        broken = [row["error"] for row in rows if row["error"] is not None]
        if not all(error and error.isprintable() for error in broken):
            raise _NotWholeError(f"an error that is not one printable line: {broken}")
        # what ends too early is reported in a row of the file; rows that are merely missing would be lost
        cut = bool(rows) and rows[-1]["kind"] == "file"
        if not rows or (shard.inputs is not None and len(rows) != shard.inputs and not cut):
            raise _NotWholeError(f"{len(rows)} rows of {shard.inputs} inputs")
        reported += len(rows) - len(broken)
    if not reported:
        raise InputError("none of the inputs could be analysed: every one is a row with an error")
    return plan


def batch_lists(folder: Path) -> Target:
    pictures = folder / "in"
    pictures.mkdir()
    for number, content in enumerate(_pictures()):
        (pictures / f"{number}.png").write_bytes(content)
    names = [f"{pictures}/0.png", f"{pictures}/./1.png", f"{pictures}/nowhere.png", f"file://{pictures}/2.png"]
    seeds = ["\n".join(names), f"{pictures}/3.png\r\n\r\n  {pictures}/0.png  \r\nmemory://far/away.jpg\r\n", names[0]]
    given = folder / "names.txt"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        _planned(given, 3)

    return Target("list files of `mien batch`", [seed.encode() for seed in seeds], run, "text")


def _sparse_tar(content: bytes, old: bool) -> bytes:
    """A tar of one picture that GNU tar wrote as a sparse file: its map lies in the head, or before the content."""
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT if old else tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a.png")
        if not old:
            about = {"major": "1", "minor": "0", "name": "a.png", "realsize": str(len(content))}
            member.pax_headers = {f"GNU.sparse.{key}": value for key, value in about.items()}
            content = f"1\n0\n{len(content)}\n".encode().ljust(512, b"\0") + content
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    data = bytearray(stream.getvalue())
    if old:
        size = b"%011o\0" % len(content)
        data[156:157], data[386:410], data[483:495] = tarfile.GNUTYPE_SPARSE, b"0" * 11 + b"\0" + size, size
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def batch_tars(folder: Path) -> Target:
    import tarfile

    def packed(kind: str, how: int = tarfile.PAX_FORMAT, long: str = "", others: bool = True) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=f"w:{kind}" if kind else "w", format=how) as tar:
            for number, content in enumerate(_pictures()):
                members = [(f"{long}{number:05}.png", content), (f"{number:05}.cls", b"3")]
                for name, data in members if others else members[:1]:
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            if others:
                link = tarfile.TarInfo("link.png")
                link.type, link.linkname = tarfile.SYMTYPE, "00000.png"
                tar.addfile(link)
        return stream.getvalue()

    seeds = [packed(""), packed("", tarfile.USTAR_FORMAT, others=False)[:10240], packed("gz"), packed("bz2")]
    seeds += [packed("", how, "x" * 120, others=False) for how in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    seeds += [_sparse_tar(_pictures()[0], old) for old in (True, False)]
    given = folder / "shard.tar"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        _planned(given, 3)

    return Target("WebDataset tars of `mien batch`", seeds, run)


def batch_parquet(folder: Path) -> Target:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pictures = _pictures()
    struct = pa.array([{"bytes": content, "path": "é.png"} for content in pictures])
    columns = [struct, pa.array([None, *pictures[1:]], pa.large_binary()), pa.array(pictures[:1] * 40, pa.binary())]
    seeds = []
    for number, column in enumerate(columns):
        stream = io.BytesIO()
        table = pa.table({"label": ["sad"] * len(column), ("image", "jpg", "bytes")[number]: column})
        pq.write_table(table, stream, row_group_size=3, compression=("snappy", "none", "zstd")[number])
        seeds.append(stream.getvalue())
    given = folder / "images.parquet"

    def run(data: bytes) -> None:
        given.write_bytes(data)
        _planned(given, 2)

    return Target("Parquet of images of `mien batch`", seeds, run)


def _interrupted_batch(folder: Path) -> tuple[Path, Path, Callable[[], dict[str, bytes]]]:
    """The results of a run that ended with two of its four shards, the same results to be damaged, and what goes on.

    What goes on is the whole of `BatchRun`, but that shards are analysed here and not in processes of their own, and
    raises where a part is not what an undisturbed run writes.
    """
    from mien.batch import run as batch
    from mien.batch.settings import AnalysisSettings
    from mien.batch.shard_analysis import analyse_shard
    from mien.pipeline.analyzer import Analyzer

    source = folder / "in"
    source.mkdir()
    for number in range(2):
        for i, content in enumerate(_pictures()):
            (source / f"{number}{i}.png").write_bytes(content)
    analyzer = Analyzer(detector=OneFace(), models=(), threads=1)
    from mien.detect.options import DetectionOptions

    settings = AnalysisSettings(models=(), detection=DetectionOptions("haar"))
    batch.run_local = lambda shards, setup, **_: (  # type: ignore[assignment]
        analyse_shard(analyzer, settings, shard) for shard in shards
    )
    run_folder, kept, whole = folder / "out", folder / "kept", folder / "whole"

    def parts(where: Path) -> dict[str, bytes]:
        return {path.relative_to(where).as_posix(): path.read_bytes() for path in where.glob("*/*.parquet")}

    def run(where: Path, resume: bool, shards: int | None = None) -> dict[str, bytes]:
        todo = batch.BatchRun(str(source), str(where), settings, shard_size=2, resume=resume).results()
        for number, _ in enumerate(todo, 1):
            if number == shards:
                break
        todo.close()
        return parts(where)

    expected = run(whole, resume=False)
    run(kept, resume=False, shards=2)
    (kept / ".lock").unlink(missing_ok=True)

    def resumed() -> dict[str, bytes]:
        found = run(run_folder, resume=True)
        reported = json.loads((run_folder / "manifest.json").read_bytes())
        if (reported["state"], reported["counts"]["inputs"]) != ("finished", 8) or found.keys() != expected.keys():
            raise _NotWholeError(f"{reported['state']}, {reported['counts']}, {sorted(found)}")
        return {name: content for name, content in found.items() if content != expected[name]}

    return kept, run_folder, resumed


def batch_manifests(folder: Path) -> Target:
    kept, run_folder, resumed = _interrupted_batch(folder)

    def run(data: bytes) -> None:
        shutil.rmtree(run_folder, ignore_errors=True)
        shutil.copytree(kept, run_folder)
        (run_folder / "manifest.json").write_bytes(data.replace(_HERE, plan))
        if different := resumed():
            raise _NotWholeError(f"other parts: {sorted(different)}")

    document = json.loads((kept / "manifest.json").read_bytes())
    plan = json.dumps(document["plan"]).encode()
    seed = json.dumps(document | {"plan": json.loads(_HERE)}).encode()
    return Target("manifest of an interrupted batch: `--resume`", [seed], run, "json")


def batch_parts(folder: Path) -> Target:
    kept, run_folder, resumed = _interrupted_batch(folder)
    done = sorted((kept / "inputs").iterdir())

    def run(data: bytes) -> None:
        shutil.rmtree(run_folder, ignore_errors=True)
        shutil.copytree(kept, run_folder)
        (run_folder / "inputs" / done[0].name).write_bytes(data)
        if different := resumed().keys() - {f"inputs/{done[0].name}"}:
            raise _NotWholeError(f"other parts: {sorted(different)}")

    return Target("parts of an interrupted batch: `--resume`", [done[0].read_bytes()], run)


# ---------------------------------------------------------------- the service


class _NotOneProblemError(Exception):
    """The service answered something else than a result or a problem."""


OPEN = contextlib.ExitStack()
"""Services run as long as the worker; who does not end by being killed closes them."""
_PATHS = ("/v1/analyze", "/analyze", "/v1/videos", "/v1/analyze?faces=1&models=age", "/v1/analyze?min_face=x")


def requests(folder: Path) -> Target:
    from helpers.serving import PausableDetector, blank, service

    client = OPEN.enter_context(service(PausableDetector(1), with_models=False))
    jpeg = blank(24, 16)
    url = b"data:image/jpeg;base64," + base64.b64encode(jpeg)
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + jpeg + b"\r\n--x--\r\n"
    both = form.replace(b'"image"', b'"img"').replace(
        b"--x--", b'--x\r\nContent-Disposition: form-data; name="actions"\r\n\r\n["emotion"]\r\n--x--'
    )
    seeds = [
        b"0image/jpeg\n" + jpeg,
        b"0multipart/form-data; boundary=x\n" + form,
        b'0application/json\n{"image": "' + url + b'"}',
        b'0application/json\n{"images": ["' + url + b'", "' + url + b'"]}',
        b'1application/json\n{"img": "' + url + b'", "actions": ["emotion", "age"], "enforce_detection": false}',
        b"1multipart/form-data; boundary=x\n" + both,
        b"2application/octet-stream\n" + b"not a video",
        b"3image/jpeg\n" + jpeg,
        b"4image/jpeg\n" + jpeg,
    ]

    def run(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        path = _PATHS[(head[0] if head else 0) % 48 % len(_PATHS)]
        kind = bytes(c for c in head[1:] if 32 <= c < 127).strip().decode()
        answer = client.post(path, content=body, headers={"Content-Type": kind})
        if answer.status_code < 400:
            return
        reported = answer.json() if "json" in answer.headers.get("content-type", "") else None
        if not isinstance(reported, dict) or "detail" not in reported or answer.status_code >= 500:
            raise _NotOneProblemError(f"{path}: {answer.status_code}: {answer.text[:200]}")
        raise InputError(reported["detail"])

    return Target("HTTP requests: pictures, forms, JSON, deepface's shape", seeds, run)


def live(folder: Path) -> Target:
    from starlette.websockets import WebSocketDisconnect

    from helpers.serving import HERE, PausableDetector, blank, service

    client = OPEN.enter_context(service(PausableDetector(1), with_models=False, live_seconds=30))
    seeds = [
        b'{"t": 0.5}\n\n' + blank(24, 16),
        b'{"key": "x"}',
        b'{"t": 1e3}\n\n{"t": 2}\n\n' + blank(24, 16),
        blank(24, 16),
    ]

    def run(data: bytes) -> None:
        parts = data.split(b"\n\n", 3)[:4]
        with client.websocket_connect(f"{HERE.replace('http', 'ws')}/v1/live") as socket:
            for part in parts:
                if part[:1] in b"{[" and part:
                    socket.send_text(part.decode("utf-8", "replace"))
                else:
                    socket.send_bytes(part)
            # a picture that is surely one, so that there is an answer, unless the connection is closed for what came
            socket.send_bytes(blank(24, 16))
            try:
                while True:
                    reported = json.loads(socket.receive_text())
                    if "faces" in reported:
                        return
            except WebSocketDisconnect as gone:
                if gone.code in (1011, 1006):
                    raise _NotOneProblemError(f"closed with {gone.code}") from None
                raise InputError(f"closed with {gone.code}") from None

    return Target("messages of the live WebSocket", seeds, run)


TARGETS: Mapping[str, Callable[[Path], Target]] = {
    "images": images,
    "videos": videos,
    "fer2013": fer2013,
    "ferplus": ferplus,
    "fairface-csv": fairface_csv,
    "rafdb": rafdb,
    "probabilities": probabilities,
    "parquet": parquet,
    "parquet-fields": parquet_fields,
    "onnx": onnx_files,
    "cards": cards,
    "run-configs": run_configs,
    "safetensors": safetensors,
    "svm-models": svm_models,
    "svm-schemas": svm_schemas,
    "svm-configs": svm_configs,
    "recipes": recipes,
    "progress": progress,
    "batch-lists": batch_lists,
    "batch-tars": batch_tars,
    "batch-parquet": batch_parquet,
    "batch-manifests": batch_manifests,
    "batch-parts": batch_parts,
    "requests": requests,
    "live": live,
}
"""Name → builds the target in a folder of its own."""
