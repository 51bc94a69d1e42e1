"""What fuzzing (`benchmarks/fuzz.py`) found, each with about the smallest input that showed it."""

from __future__ import annotations

import gzip
import io
import json
import resource
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import mien
from helpers.clips import clip
from helpers.datasets import encoded, fer2013_csv, fer2013_rows, made, noise
from helpers.tiny_models import OneFace, tiny_card, tiny_network
from mien.batch.output_store import OutputStore
from mien.batch.plan import make_plan
from mien.batch.shard_analysis import read_items
from mien.batch.storage import open_output_folder
from mien.batch.tables import InputRow, encode_inputs
from mien.batch.types import ResultCounts, Shard, ShardInput, ShardResult
from mien.cli import cli
from mien.datasets.audit.external_predictions import read_external_predictions
from mien.datasets.catalog import read_dataset
from mien.datasets.ferplus import read_votes
from mien.datasets.prepared_file import METADATA_KEY, write_prepared
from mien.errors import (
    DataError,
    ImageError,
    InputError,
    MienError,
    MissingFileError,
    ModelError,
    OutputError,
    VideoError,
)
from mien.media.video import open_video
from mien.models.card import Card
from mien.pipeline.jobs import VideoJob, VideoOutputs

GONE = object()


def refused(run: Callable[[], object], kind: type[MienError], words: str) -> str:
    """Check that this error comes and is one printable line."""
    with pytest.raises(kind, match=words) as caught:
        run()
    message = str(caught.value)
    assert message.isprintable(), ascii(message)
    return message


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize("kind", [ImageError, MissingFileError, OutputError, ModelError])
def test_messages_are_one_printable_line_whatever_they_quote(kind: type[MienError]):
    assert str(kind("a.jpg:\n  two\tlines \x1b[31mred\x00")) == r"a.jpg: two lines \x1b[31mred\x00"
    assert str(kind("é – × stay")) == "é – × stay"
    long = str(kind("begins " + "x" * 5000 + ": do this"))
    assert len(long) < 1600
    assert long.startswith("begins xxx")
    assert long.endswith("xxx: do this")


# ---------------------------------------------------------------- models


def changed(path: str, value: Any) -> dict[str, Any]:
    """The valid card with the value at ``path`` (such as heads.0.labels) replaced, or taken out."""
    card = json.loads(json.dumps(tiny_card()))
    *way, last = path.split(".")
    place = card
    for key in way:
        place = place[int(key) if key.isdecimal() else key]
    key = int(last) if last.isdecimal() else last
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    return card


BAD_CARDS = [
    ("size", "12"), ("size", 0), ("size", 10**9), ("size", True), ("size", 12.5), ("name", []), ("task", None),
    ("channels", {}), ("mean", []), ("mean", ["\x00"]), ("mean", [float("nan")]), ("mean", [10**400]), ("std", [0.0]),
    ("std", [float("inf")]), ("heads", []), ("heads", 3), ("heads.0.name", []), ("heads.0.labels", []),
    ("heads.0.labels", "aab"), ("heads.0.labels.0", [1]), ("heads.0.labels.1", "happy"), ("heads.0.temperature", 0),
    ("heads.0.temperature", float("nan")), ("heads.0.temperature", 10**400), ("heads.0.temperature", "a" * 3000),
    ("frame", GONE), ("frame", 7), ("frame.landmarks", []), ("frame.landmarks.0", [1]),
    ("frame.landmarks", [[0.5, 0.5]] * 5), ("frame.landmarks.2", [1e308, 0]), ("frame.boxes", []),
    ("frame.boxes.default", [0.2, 0.2, 0.1, 0.9]), ("frame.boxes.default", [0, 0, {}, 1]), ("frame.box_weight", 2),
    ("features", []), ("features", {"hog": None}), ("scores", 1), ("training", []), ("licence", 2),
    ("scores", {"accuracy": float("nan")}), ("parameters", None), ("\x1b[31m\nx", 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BAD_CARDS, ids=[f"{path}={str(value)[:20]!a}" for path, value in BAD_CARDS])
def test_a_card_that_states_nonsense_is_refused_when_it_is_read(path: str, value: Any):
    assert Card.from_json(json.dumps(tiny_card())).size == 12
    refused(lambda: Card.from_json(json.dumps(changed(path, value))), ModelError, "card")


@pytest.mark.parametrize("text", ["1", "[]", "null", "", "[" * 100_000, '"x"', "{}"])
def test_a_card_that_is_no_object_is_refused(text: str):
    refused(lambda: Card.from_json(text), ModelError, "card")


def analysed(folder: Path, model: bytes) -> Any:
    path = folder / "model.onnx"
    path.write_bytes(model)
    analyzer = mien.Analyzer(detector=OneFace(), models=(path,), threads=1)
    return analyzer.analyze(noise(1, 40, 40, 3)[0], color="rgb")


def test_a_network_that_is_not_what_its_card_states_is_refused(tmp_path: Path):
    good = json.dumps(tiny_card())
    assert len(analysed(tmp_path, tiny_network(good))) == 1
    for size, labels, words in ((13, 3, "other inputs"), (12, 2, "not one number for each")):
        refused(lambda s=size, n=labels: analysed(tmp_path, tiny_network(good, s, n)), ModelError, words)
    three = tiny_card(channels="rgb", mean=[0.5] * 3, std=[0.25] * 3)
    refused(lambda: analysed(tmp_path, tiny_network(json.dumps(three))), ModelError, "other inputs")
    with_features = tiny_card(features={"hog": 72}, size=48)
    refused(lambda: analysed(tmp_path, tiny_network(json.dumps(with_features), 48)), ModelError, "other inputs")


def test_a_network_whose_names_are_no_text_is_refused(tmp_path: Path):
    good = tiny_network(json.dumps(tiny_card()))
    for name in (b"Apache", b"pixels"):
        refused(
            lambda name=name: analysed(tmp_path, good.replace(name, b"\xff" + name[1:])),
            ModelError,
            "not UTF-8 text|cannot be",
        )


def test_a_network_that_gives_no_numbers_is_refused(tmp_path: Path):
    broken = tiny_network(json.dumps(tiny_card()), values=float("nan"))
    refused(lambda: analysed(tmp_path, broken), ModelError, "damaged")


# ---------------------------------------------------------------- videos


def test_a_small_file_that_states_a_huge_frame_takes_no_memory(tmp_path: Path):
    """VP8 states the size in every key frame; the container still states 48 × 32."""
    path = clip(tmp_path / "a.webm", codec="libvpx", frames=3, size=(48, 32))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x9d\x01\x2a") + 3  # behind the start code of a key frame
    assert int.from_bytes(data[at : at + 2], "little") == 48
    data[at : at + 4] = (12_849).to_bytes(2, "little") + (12_590).to_bytes(2, "little")
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VideoError, match="not one of its frames"), open_video(path) as video:
        list(video)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes; a frame takes 485 MB


# ---------------------------------------------------------------- lists and tables


def fairface(folder: Path, text: bytes) -> Callable[[], object]:
    folder.mkdir(exist_ok=True)
    (folder / "fairface_label_train.csv").write_bytes(text)
    return lambda: read_dataset(folder)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (b"\xff", DataError),
        (b"a" * 140_000, DataError),
        (b"t/" + b"x" * 3000 + b".png,0-2,Male,Black", MissingFileError),
        (b"t/**x.png,0-2,Male,Black", MissingFileError),
        # before Python 3.11 csv itself refused it
        (b"t/\x00.png,0-2,Male,Black", MissingFileError if sys.version_info >= (3, 11) else DataError),
    ],
    ids=["encoding", "long", "long name", "pattern", "zero"],
)
def test_fairface_rows_that_are_damaged(tmp_path: Path, row: bytes, kind: type[MienError]):
    refused(fairface(tmp_path / "faces", b"file,age,gender,race\n" + row + b"\n"), kind, "fairface_label_train.csv")


@pytest.mark.parametrize("line", [b"\xbe", b"train_" + b"1" * 3000 + b".jpg 1", b"train_\x00.jpg 1"])
def test_rafdb_lines_that_are_damaged(tmp_path: Path, line: bytes):
    listing = tmp_path / "EmoLabel" / "list_patition_label.txt"
    listing.parent.mkdir()
    listing.write_bytes(line)
    refused(lambda: read_dataset(tmp_path), MienError, "line 1")


def test_votes_with_a_cell_that_is_too_long(tmp_path: Path):
    path = tmp_path / "votes.csv"
    path.write_bytes(b"a" * 140_000)
    refused(lambda: read_votes(path), DataError, "field limit")


@pytest.mark.parametrize("at", ["member", "place", "method", "name"])
def test_a_zip_whose_directory_is_damaged(tmp_path: Path, at: str):
    path = fer2013_csv(tmp_path / "fer2013.csv.zip", fer2013_rows(1))
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    if at == "member":
        data[data.rindex(b"PK\x03\x04") + 1] = 0
    elif at == "place":
        data[entry + 42 : entry + 46] = b"\xff\xff\xff\x7f"
    elif at == "name":
        data[entry + 9] |= 8  # states that names are UTF-8
        data[entry + 46 + 2] = 0xF5
    else:
        data[entry + 10] = 77
    path.write_bytes(data)
    refused(lambda: read_dataset(path, "fer2013"), DataError, "damaged")
    refused(lambda: read_dataset(path), DataError, "damaged")


def test_a_gzip_that_ends_in_the_middle(tmp_path: Path):
    path = tmp_path / "fer2013.csv.gz"
    rows = "\n".join(["emotion,pixels,Usage", *(",".join(row) for row in fer2013_rows(2))])
    path.write_bytes(gzip.compress(rows.encode())[:-300])
    refused(lambda: read_dataset(path, "fer2013"), DataError, "damaged")


def test_probabilities_whose_head_is_damaged(tmp_path: Path):
    stream = io.BytesIO()
    np.save(stream, np.ones((6, 7), np.float32))
    path, good = tmp_path / "p.npy", stream.getvalue()
    for data in (
        good.replace(b"}", b" "),
        good.replace(b"(6, 7)", b"(9**9)"),
        good.replace(b"(6, 7), ", b"(6999999999999, 7),"),
        good.replace(b"(6, 7), ", b"(6,True),"),
        good.replace(b"'<f4'", b"()   "),
        good.replace(b"'descr'", b"[]     "),
    ):
        path.write_bytes(data)
        refused(lambda: read_external_predictions(path, made(6)), DataError, "npy")
    table = tmp_path / "p.csv"
    table.write_text("row,angry,sad\n0,1," + "9" * 140_000)
    refused(lambda: read_external_predictions(table, made(6)), DataError, "CSV")


@pytest.mark.parametrize(
    "document",
    [
        b"\xff",
        b"1",
        b"[" * 100_000,
        {"size": [10**6, 10**6]},
        {"size": [16_000, 16_000]},
        {"channels": 2**31},
        {"size": ["x", 8]},
        {"size": 3},
        {"dropped": [1]},
        {"notes": 1},
    ],
    ids=["encoding", "number", "deep", "huge", "large", "channels", "text", "one side", "dropped", "notes"],
)
def test_a_prepared_file_whose_description_is_damaged(tmp_path: Path, document: bytes | dict[str, Any]):
    table = pq.read_table(write_prepared(made(5, side=8), tmp_path / "a.parquet"))
    if isinstance(document, dict):
        document = json.dumps(json.loads(table.schema.metadata[METADATA_KEY]) | document).encode()
    path = tmp_path / "train.parquet"
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: document}), path)
    refused(lambda: read_dataset(path), DataError, r"train\.parquet")


def labelled(folder: Path, **columns: Any) -> Path:
    """A Parquet file of pictures with labels, as Hugging Face writes them."""
    pictures = columns.pop("pictures", None) or [encoded(image) for image in noise(3, 12, 12, 3)]
    path = folder / "train.parquet"
    pq.write_table(pa.table({"image": pa.array(pictures, pa.binary()), **columns}), path)
    assert len(pq.read_metadata(path).schema.names) == 1 + len(columns)
    return path


def test_parquet_whose_names_are_no_text(tmp_path: Path):
    path = labelled(tmp_path, label=["sad"] * 3)
    assert len(read_dataset(path)) == 3
    path.write_bytes(path.read_bytes().replace(b"label", b"l\xf3bel"))
    refused(lambda: read_dataset(path), DataError, r"train\.parquet: not a readable Parquet file .* get it again")


def test_parquet_whose_text_is_no_text(tmp_path: Path):
    path = labelled(tmp_path, label=pa.array([b"sad", b"happy", b"\xffear"]).view(pa.string()))
    refused(lambda: read_dataset(path), DataError, r"train\.parquet: not a readable Parquet file .*UTF8.* get it again")


@pytest.mark.parametrize("text", [b"\xff", b"[" * 100_000, b"{", b"3"], ids=["encoding", "deep", "open", "number"])
def test_parquet_whose_names_of_labels_are_damaged(tmp_path: Path, text: bytes):
    path = labelled(tmp_path, label=[0, 1, 2])
    pq.write_table(pq.read_table(path).replace_schema_metadata({"huggingface": text}), path)
    refused(lambda: read_dataset(path), DataError, "the file does not name them; give the names in their order")


@pytest.mark.parametrize("key", [None, METADATA_KEY])
def test_a_small_parquet_file_that_states_millions_of_rows(tmp_path: Path, key: bytes | None):
    """Two numbers each say how many times a row is repeated."""
    columns = {"image": pa.nulls(10**6, pa.binary()), "label": pa.nulls(10**6, pa.int8())}
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata({key: "{}"} if key else None), path)
    assert path.stat().st_size < 5000
    refused(lambda: read_dataset(path), DataError, "states 1,000,000 rows in .* the file is damaged")


def stating(picture: bytes, mark: bytes, place: int, form: str) -> bytes:
    """The picture with another height and width written ``place`` bytes behind the mark."""
    at = picture.index(mark) + place
    return picture[:at] + struct.pack(form, 30_000, 30_000) + picture[at + struct.calcsize(form) :]


def test_small_pictures_that_state_a_huge_size_take_no_memory(tmp_path: Path):
    picture = noise(1, 12, 12, 3)[0]
    huge = {
        ".png": stating(encoded(picture), b"IHDR", 4, ">II"),
        ".jpg": stating(encoded(picture, ".jpg"), b"\xff\xc0", 5, ">HH"),
        ".bmp": stating(encoded(picture, ".bmp"), b"BM", 18, "<ii"),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunk = encoded(picture).replace(struct.pack(">I", len(encoded(picture)) - 57) + b"IDAT", b"\x7f\0\0\x0cIDAT")
    assert chunk != encoded(picture)
    path = labelled(tmp_path, pictures=[chunk] * 3, label=["sad"] * 3)
    refused(lambda: read_dataset(path), DataError, "row 1: not a readable image")
    for content in huge.values():
        path = labelled(tmp_path, pictures=[content] * 3, label=["sad"] * 3)
        refused(
            lambda path=path: read_dataset(path),
            DataError,
            "row 1: states more than 67,108,864 pixels; 2 other images of 3 ",
        )
    given = pq.read_table(write_prepared(made(5, side=8), tmp_path / "a.parquet"))
    for content in huge.values():
        images = pa.array([content] * 5, pa.binary())
        pq.write_table(given.set_column(0, "image", images), tmp_path / "b.parquet")
        refused(
            lambda: read_dataset(tmp_path / "b.parquet"), DataError, "image 1: states more than .* prepare it again"
        )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes; decoded, 900 MB or more


# ---------------------------------------------------------------- batches


def tar_of(members: list[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> bytearray:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return bytearray(stream.getvalue())


def sealed(head: bytearray) -> bytearray:
    """The head of a member with the sum that belongs to it."""
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return head


def read_tar(path: Path, data: bytes) -> list[ShardInput]:
    path.write_bytes(data)
    return list(read_items(Shard(0, "tar", (str(path),))))


FOUR = [(f"{i}.png", bytes([i]) * 300) for i in range(4)]


def test_members_behind_damage_in_a_tar_are_not_lost_in_silence(tmp_path: Path):
    """Python's tarfile takes a damaged head for the end of the file."""
    whole = tar_of(FOUR)
    assert [item.content for item in read_tar(tmp_path / "a.tar", whole)] == [content for _, content in FOUR]
    for damaged in (
        whole[:2048] + b"\xff" * 512 + whole[2560:],  # the third head
        whole[:2048] + whole[2049:],
        whole[:2048],  # cut between two members
        whole[:2300],
    ):
        first, second, last = read_tar(tmp_path / "a.tar", damaged)
        assert [first.content, second.content] == [content for _, content in FOUR[:2]]
        assert last.kind == "file"
        assert "a.tar: cannot be read after 2 pictures" in str(last.error)
        assert str(last.error).isprintable()


def test_a_tar_whose_end_is_far_off_is_not_waited_for(tmp_path: Path):
    """Python's tarfile skips as many blocks as a head states, at the end of the file too: here 2⁶⁴ bytes."""
    label = tar_of([("0.cls", b"")])[:512]
    label[124:136] = b"\x80" + bytes(2) + b"\x01" + bytes(8)
    label = sealed(label)
    for data in (label, gzip.compress(label)):
        (last,) = read_tar(tmp_path / "a.tar", data)
        assert "a.tar: cannot be read (ends too early)" in str(last.error)


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"\x1f\x8b\x08", b"\x1f\x8b\x08\x04\0\0\0\0\0\0", b"BZh", b"\xfd7zXZ\0"])
def test_compressed_tars_that_are_only_begun(tmp_path: Path, data: bytes):
    (last,) = read_tar(tmp_path / "a.tar", data)
    assert "a.tar: cannot be read (" in str(last.error)
    refused(lambda: make_plan(str(tmp_path / "a.tar")), DataError, "not a readable tar file")


def test_sparse_members_whose_map_is_cut(tmp_path: Path):
    head = tar_of(FOUR[:1], tarfile.GNU_FORMAT)[:512]
    head[156:157], head[482] = tarfile.GNUTYPE_SPARSE, 1  # the map goes on in the next block
    for more in (b"", b"\x01" * 512):
        (last,) = read_tar(tmp_path / "a.tar", bytes(sealed(head)) + more)
        assert "a.tar: cannot be read (" in str(last.error)


def test_a_small_tar_that_states_huge_members_takes_no_memory(tmp_path: Path):
    """A sparse file is mostly holes, which are read as zeros; a long name is read at once."""
    whole = tar_of(FOUR)
    large = whole[:512]
    large[124:136] = b"77777777777\0"
    (item, last) = read_tar(tmp_path / "a.tar", sealed(large) + whole[512:])
    assert "0.png: declares 8,589,934,591 bytes, more than any picture has" in str(item.error)
    assert last.kind == "file"
    name = tar_of([("x" * 200 + ".png", b"")], tarfile.GNU_FORMAT)[:512]
    assert name[156:157] == tarfile.GNUTYPE_LONGNAME
    name[124:136] = b"00037777777\0"
    (last,) = read_tar(tmp_path / "a.tar", gzip.compress(sealed(name) + bytes(9 << 20)))
    assert "a header of 8,388,607 bytes" in str(last.error)


def test_parquet_of_pictures_that_is_damaged(tmp_path: Path):
    path = labelled(tmp_path, label=["sad"] * 3)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"label", b"l\xf3bel"))
    refused(lambda: make_plan(str(path)), DataError, "not a readable Parquet file .* get it again")
    pq.write_table(pa.table({"image": pa.nulls(10**6, pa.binary())}), path)
    refused(lambda: make_plan(str(path)), DataError, "1,000,000 rows in .* get it again")
    both = pa.table([pa.array([b"1"]), pa.array([b"2"])], names=["image", "image"])
    pq.write_table(both, path)
    refused(lambda: make_plan(str(path)), DataError, "no column of encoded pictures")
    refused(lambda: read_dataset(path), DataError, "has two columns 'image'")


def test_rows_that_a_parquet_file_states_and_does_not_hold_are_not_lost_in_silence(tmp_path: Path):
    """Arrow passes over pages of a kind that it does not know, and ends before the last row."""
    path, pictures = tmp_path / "train.parquet", [encoded(image) for image in noise(7, 12, 12, 3)]
    table = pa.table({"image": pa.array(pictures, pa.binary()), "label": ["sad"] * 7})
    pq.write_table(table, path, row_group_size=3, compression="none", use_dictionary=False)
    (shard,) = make_plan(str(path)).shards
    data = bytearray(path.read_bytes())
    for column in range(2):
        page = pq.read_metadata(path).row_group(1).column(column).data_page_offset
        assert data[page : page + 2] == b"\x15\x00"  # the first field, a number: a page of data
        data[page + 1] = 2
    path.write_bytes(data)
    *rows, last = read_items(shard)
    assert [item.content for item in rows] == pictures[:3]
    assert last.kind == "file"
    assert "train.parquet: 3 of 3 rows are missing before row 6; get it again" in str(last.error)
    refused(lambda: read_dataset(path), DataError, "holds 4 rows and states 7; the file is damaged, get it again")


def test_what_stands_beside_the_pictures_need_not_be_text(tmp_path: Path):
    path, content = tmp_path / "a.parquet", encoded(noise(1, 12, 12, 3)[0])
    names = pa.array([b"\xff.png"]).view(pa.string())
    pq.write_table(
        pa.table({"image": pa.StructArray.from_arrays([pa.array([content]), names], ["bytes", "path"])}), path
    )
    (shard,) = make_plan(str(path)).shards
    assert [item.content for item in read_items(shard)] == [content]


def test_why_an_input_failed_is_one_printable_line():
    error = DataError("cannot be read\n (type \x0e)", path="a\x1b#b", advice="get it again")
    row = InputRow.failed(ShardInput(0, "a\x1b#b", "a", "b\x1b"), error)
    assert row.error == r"a\x1b#b: cannot be read (type \x0e); get it again"
    assert (row.error_code, row.error_reason) == ("data-invalid", r"cannot be read (type \x0e)")


@pytest.mark.parametrize("protocol", ["reference", "dir", "zip", "tar", "generic", "async_wrapper", "zip::memory"])
def test_addresses_of_file_systems_that_need_more(tmp_path: Path, protocol: str):
    path = tmp_path / "names.txt"
    path.write_text(f"{protocol}://x/a.png\n")
    refused(lambda: make_plan(str(path)), InputError, f"^{protocol}://: .*check the address")


def held(folder: Path) -> tuple[Path, Callable[[], OutputStore]]:
    """The results of a batch of two shards of which one is done, and what resumes it."""
    for number in range(2):
        (folder / f"{number}.png").write_bytes(encoded(noise(1, 12, 12, 3)[0]))
    plan, where = make_plan(str(folder / "*.png"), size=1), folder / "out"
    store = OutputStore(open_output_folder(str(where)), plan, {}, resume=False)
    counts = ResultCounts(1)
    row = InputRow("a", "a", None, "photo")
    store.commit(ShardResult(0, {"inputs": encode_inputs([row], 0, counts)}, counts))
    store.close()
    return where, lambda: OutputStore(open_output_folder(str(where)), plan, {}, resume=True)


def test_a_batch_whose_manifest_is_damaged(tmp_path: Path):
    where, resumed = held(tmp_path)
    path = where / "manifest.json"
    good = json.loads(path.read_text())
    texts = ["[" * 100_000, "\x00", "1", json.dumps({k: v for k, v in good.items() if k != "runs"})]
    texts += [json.dumps(good | {"runs": runs}) for runs in (None, {}, "x", [1])]
    for text in texts:
        path.write_text(text)
        refused(resumed, InputError, r"manifest\.json: is damaged; give a new folder")
    path.write_text(json.dumps(good))
    assert resumed().finished == {0: ResultCounts(1)}


def test_a_part_that_states_nonsense_is_not_taken_as_done(tmp_path: Path):
    where, resumed = held(tmp_path)
    path = where / "inputs" / "part-000000.parquet"
    table = pq.read_table(path)
    good = json.loads(table.schema.metadata[b"mien.batch"])
    for change in (
        {"shard": 1}, {"schema": 7}, {"inputs": 2}, {"errors": -1}, {"faces": "3"}, {"frames": 1.5}, {"faces": [0]},
        {"frames": float("inf")}, {"frames": True},
    ):  # fmt: skip
        pq.write_table(table.replace_schema_metadata({"mien.batch": json.dumps(good | change)}), path)
        refused(resumed, DataError, "is damaged; remove it")
    for text in ("[" * 100_000, "[]", "1"):
        pq.write_table(table.replace_schema_metadata({"mien.batch": text}), path)
        refused(resumed, DataError, "is damaged; remove it")
    path.unlink()
    assert resumed().finished == {}


# ---------------------------------------------------------------- JSON


def test_recipes_that_are_damaged(tmp_path: Path):
    from mien.recipes.catalog import RECIPES
    from mien.training.recipe_file import read_recipe, write_recipe

    path = write_recipe(RECIPES["emotion"], tmp_path / "r.json", {})
    whole = json.loads(path.read_text())
    broken = [json.dumps(whole | {"recipe": whole["recipe"] | {"schedule": {"steps": [[1, 10**400]]}}})]
    for text in [*broken, "[" * 100_000, "\x00"]:
        path.write_text(text)
        refused(lambda: read_recipe(path), InputError, r"r\.json")


def test_configurations_of_run_folders_that_are_damaged(tmp_path: Path):
    pytest.importorskip("safetensors")
    from mien.published.svm.run_folder import MODEL, load_svm
    from mien.training.run_folder import BEST, CONFIG, load_run

    (tmp_path / BEST).write_bytes(b"")
    (tmp_path / MODEL).write_bytes(b"")
    for text in (b"\xff", b"{", b"[" * 100_000, b"3", b"[]"):
        (tmp_path / CONFIG).write_bytes(text)
        refused(lambda: load_run(tmp_path), MienError, "config")
        refused(lambda: load_svm(tmp_path), MienError, "config")


@pytest.mark.parametrize(
    "change",
    [
        {"network": []},
        {"task": []},
        {"mean": []},
        {"std": ["x"]},
        {"mean": [0.5] * 2},
        {"mean": [{}]},
        {"mean": [[]]},
        {"std": [[1, 2]]},
        {"std": [10**400]},
        {"std": [float("nan")]},
        {"std": [0.0]},
    ],
    ids=["network", "task", "none", "text", "two", "object", "list", "pair", "long", "NaN", "zero"],
)
def test_recipes_of_other_types(change: dict[str, Any]):
    from mien.recipes.catalog import RECIPES
    from mien.training.config import recipe_from_dict, recipe_to_dict

    raw = recipe_to_dict(RECIPES["emotion"])
    refused(lambda: recipe_from_dict(raw | change), MienError, "recipe")
    for head in ({"name": []}, {"name": ""}, {"labels": [1]}, {"labels": []}):
        refused(lambda head=head: recipe_from_dict(raw | {"heads": [raw["heads"][0] | head]}), MienError, "head")


def test_a_head_that_torch_cannot_name(tmp_path: Path):
    pytest.importorskip("torch")
    from mien.recipes.catalog import RECIPES
    from mien.training.config import recipe_to_dict
    from mien.training.run_folder import BEST, CONFIG, load_run, write_json

    raw = recipe_to_dict(RECIPES["emotion"])
    write_json(tmp_path / CONFIG, raw | {"heads": [raw["heads"][0] | {"name": "a.b"}]})
    (tmp_path / BEST).write_bytes(b"")
    refused(lambda: load_run(tmp_path), ModelError, "does not hold the weights")


def test_scores_for_an_export_that_are_damaged(tmp_path: Path):
    pytest.importorskip("onnx")
    path = tmp_path / "scores.json"
    for text in (b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(text)
        result = CliRunner().invoke(
            cli, ["export", str(tmp_path), "--out", str(tmp_path / "a.onnx"), "--scores", str(path)]
        )
        assert result.exit_code == 1
        assert isinstance(result.exception, (SystemExit, InputError)), result.exception


class StopError(Exception):
    pass


def interrupted(folder: Path) -> Callable[[], VideoJob]:
    """A run that stopped in its one clip; makes the run that goes on with it."""
    path = clip(folder / "a.mkv", codec="ffv1", pix_fmt="bgr0", frames=80, size=(40, 40))
    analyzer = mien.Analyzer(detector=OneFace(), models=(), threads=1)
    outputs = VideoOutputs(csv=folder / "rows.csv", report=folder / "report")

    def stop(stream: object, frames: list[Any]) -> None:
        if frames:  # the first ones come when those are read that the smoothing looks ahead at
            raise StopError

    with pytest.raises(StopError), VideoJob(analyzer, [path], outputs, flush_seconds=0.0) as run:
        list(run.reports(stop))
    return lambda: VideoJob(analyzer, [path], outputs, flush_seconds=0.0, resume=True)


def test_a_run_whose_progress_is_damaged(tmp_path: Path):
    again = interrupted(tmp_path)
    path = tmp_path / "report" / "progress.json"
    good = json.loads(path.read_text())
    (saved,) = good["unfinished"].values()
    stages = saved["pipeline"]
    assert stages["cuts"]

    def changed(**parts: object) -> str:
        return json.dumps(good | {"unfinished": {"0": saved | parts}})

    def gone_on() -> None:
        with again() as run:
            for reported in run.reports():
                if isinstance(reported, MienError):
                    raise reported

    texts = [
        "{",
        "[" * 100_000,
        "3",
        "[]",
        json.dumps(good | {"finished": 1}),
        json.dumps(good | {"unfinished": {"0": {"x": 1}}}),
        json.dumps(good | {"unfinished": {"x": saved}}),
        json.dumps(good | {"unfinished": [saved]}),
    ]
    for name in ("cuts", "tracker", "smoother", "propagator", "waiting", "predicted"):
        for value in ({}, None, [1], 10**400):
            if value != stages[name]:
                texts.append(changed(pipeline=stages | {name: value}))
    for live in (None, ["x"], [10**9]):
        texts.append(changed(pipeline=stages | {"live": live}))
    for past in ([[[1, 2]]], [[]], [stages["cuts"]["past"][0]] * 9):
        cuts = stages["cuts"] | {"past": past}
        texts.append(changed(pipeline=stages | {"cuts": cuts}))
    ahead = stages["smoother"]
    for name in ("waiting", "windows", "current", "time"):
        for value in ({"x": 1}, "x", [[1]]):
            texts.append(changed(pipeline=stages | {"smoother": ahead | {name: value}}))
    smoother = ahead["smoother"]
    assert smoother["live"]
    for change in (
        {"heads": {"emotion": {}}}, {"heads": None}, {"seen": None}, {"frames": "x"}, {"stop": [1]}, {"quality": {}},
    ):  # fmt: skip
        live = [smoother["live"][0] | change, *smoother["live"][1:]]
        texts.append(changed(pipeline=stages | {"smoother": ahead | {"smoother": smoother | {"live": live}}}))
    for size in ("", [], [1], ["a", "b"]):
        texts.append(changed(progress=saved["progress"] | {"size": size}))
    for text in texts:
        path.write_text(text)
        refused(gone_on, InputError, "progress.json: is damaged|the saved state is of other")
    path.write_text(json.dumps(good))
    gone_on()
