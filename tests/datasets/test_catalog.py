from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.datasets import fer2013_csv, fer2013_rows, hf_parquet, made, noise, rafdb, write_image
from mien.datasets import DATASET_FORMATS, ReadOptions, detect_format, read_dataset
from mien.datasets.prepared_file import write_prepared
from mien.errors import DataError, InputError, MissingFileError

GRAY = noise(2, 48, 48)
AGES = {"age": ["3-9", "0-2"], "gender": ["Male"] * 2, "race": ["White"] * 2}


def fer2013_plain(folder: Path) -> Path:
    return fer2013_csv(folder / "fer2013.csv", fer2013_rows(5))


def fer2013_gz(folder: Path) -> Path:
    return fer2013_csv(folder / "anything.gz", fer2013_rows(5))


def fer2013_zip(folder: Path) -> Path:
    return fer2013_csv(folder / "archive.zip", fer2013_rows(5))


def fer2013_folder(folder: Path) -> Path:
    return fer2013_zip(folder).rename(folder / "fer2013.zip").parent


def image_folders(folder: Path) -> Path:
    for split in ("train", "test"):
        write_image(folder / split / "happy" / "1.png", GRAY[0])
    return folder


def hf_file(folder: Path) -> Path:
    return hf_parquet(folder / "train.parquet", GRAY, {"label": ["happy", "sad"]})


def hf_folder(folder: Path) -> Path:
    return hf_parquet(folder / "default" / "train" / "0000.parquet", GRAY, {"label": ["happy", "sad"]}).parents[2]


def hf_train_folder(folder: Path) -> Path:
    """A folder named as a split that holds tables, not pictures."""
    return hf_parquet(folder / "train" / "0000.parquet", GRAY, {"label": ["happy", "sad"]}).parents[1]


def fairface_parquet(folder: Path) -> Path:
    return hf_parquet(folder / "validation.parquet", GRAY, AGES).parent


def fairface_csv(folder: Path) -> Path:
    write_image(folder / "val" / "1.png", GRAY[0])
    (folder / "fairface_label_val.csv").write_text("file,age,gender,race\nval/1.png,3-9,Male,White\n")
    return folder


def fairface_csv_file(folder: Path) -> Path:
    return fairface_csv(folder) / "fairface_label_val.csv"


def rafdb_folder(folder: Path) -> Path:
    return rafdb(folder, ["train_1.png 1", "test_1.png 2"], noise(2, 20, 20, 3))


def rafdb_numbers(folder: Path) -> Path:
    """As on Kaggle: the folders of numbers in one folder, the label files beside it."""
    rows: dict[str, list[str]] = {"train": ["image,label"], "test": ["image,label"]}
    for i, image in enumerate(noise(14, 20, 20, 3)):
        split, name = ("train", "test")[i // 7], f"{('train', 'test')[i // 7]}_{i:05}_aligned.png"
        write_image(folder / "DATASET" / split / str(i % 7 + 1) / name, image)
        rows[split].append(f"{name},{i % 7 + 1}")
    for split, lines in rows.items():
        (folder / f"{split}_labels.csv").write_text("\n".join(lines))
    return folder


def listed_folder(folder: Path) -> Path:
    for i, image in enumerate(GRAY):
        write_image(folder / "pictures" / f"{i}.png", image)
    (folder / "metadata.csv").write_text("file_name,label\npictures/0.png,happy\npictures/1.png,sad\n")
    return folder


def listed_lines(folder: Path) -> Path:
    write_image(folder / "train" / "a.png", GRAY[0])
    (folder / "train" / "metadata.jsonl").write_text('{"file_name": "a.png", "label": "Happiness"}\n')
    return folder


def fer2013_tar(folder: Path) -> Path:
    """The official download: two files of text beside the CSV, in a folder."""
    fer2013_csv(folder / "fer2013" / "fer2013.csv", fer2013_rows(5))
    (folder / "fer2013" / "README").write_text("The data, in, three, and, more, columns\n")
    with tarfile.open(folder / "fer2013.tar.gz", "w:gz") as archive:
        archive.add(folder / "fer2013", "fer2013")
    return folder / "fer2013.tar.gz"


def fer2013_misnamed(folder: Path) -> Path:
    """The official download, of which people remove the .gz alone."""
    return Path(shutil.copy(fer2013_tar(folder), folder / "fer2013.csv"))


def kaggle_competition(folder: Path) -> Path:
    """The archive of Kaggle's competition: the official one inside, with parts of it as CSV."""
    inner = folder / "in"
    inner.mkdir()
    fer2013_tar(inner)
    rows = fer2013_rows(5)
    fer2013_csv(inner / "icml_face_data.csv", [[e, u, p] for e, p, u in rows], ("emotion", " Usage", " pixels"))
    fer2013_csv(inner / "train.csv", [row[:2] for row in rows], ("emotion", "pixels"))
    fer2013_csv(inner / "test.csv", [row[1:2] for row in rows], ("pixels",))
    with zipfile.ZipFile(folder / "challenge.zip", "w") as archive:
        for name in ("fer2013.tar.gz", "icml_face_data.csv", "test.csv", "train.csv"):
            archive.write(inner / name, name)
    return folder / "challenge.zip"


def kaggle_train_and_test(folder: Path) -> Path:
    fer2013_csv(folder / "train.csv", [row[:2] for row in fer2013_rows(5)], ("emotion", "pixels"))
    fer2013_csv(folder / "test.csv", [row[1:2] for row in fer2013_rows(5)], ("pixels",))
    return folder


def zipped_folders(folder: Path) -> Path:
    image_folders(folder / "archive")
    return Path(shutil.make_archive(str(folder / "archive"), "zip", folder, "archive"))


def arrow_folder(folder: Path) -> Path:
    """What `datasets.DatasetDict.save_to_disk` writes."""
    for split in ("train", "test"):
        path = hf_parquet(folder / "x.parquet", GRAY, {"label": [0, 1]}, {"label": ("angry", "happy")})
        table = pq.read_table(path)
        path.unlink()
        (folder / split).mkdir()
        (folder / split / "state.json").write_text("{}")
        target = str(folder / split / "data-00000-of-00001.arrow")
        with pa.OSFile(target, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return folder


def prepared_file(folder: Path) -> Path:
    return write_prepared(made(5), folder / "data.parquet")


def combined_faces(folder: Path) -> Path:
    columns = {"age": [1, 30, 70], "race": [""] * 3, "source": ["UTKFace"] * 3, "duplicate": [False] * 3}
    return hf_parquet(folder / "faces.parquet", noise(3, 12, 12, 3), columns)


LAYOUTS = [
    (fer2013_plain, "fer2013"),
    (fer2013_gz, "fer2013"),
    (fer2013_zip, "fer2013"),
    (fer2013_folder, "fer2013"),
    (image_folders, "folders"),
    (hf_file, "hf"),
    (hf_folder, "hf"),
    (hf_train_folder, "hf"),
    (fairface_parquet, "fairface"),
    (fairface_csv, "fairface"),
    (fairface_csv_file, "fairface"),
    (rafdb_folder, "rafdb"),
    (rafdb_numbers, "rafdb"),
    (listed_folder, "listed"),
    (listed_lines, "listed"),
    (fer2013_tar, "fer2013"),
    (fer2013_misnamed, "fer2013"),
    (kaggle_competition, "fer2013"),
    (kaggle_train_and_test, "fer2013"),
    (zipped_folders, "folders"),
    (arrow_folder, "hf"),
    (combined_faces, "combined-faces"),
    (prepared_file, "prepared"),
]


@pytest.mark.parametrize(("make", "kind"), LAYOUTS)
def test_every_layout_is_recognised_and_survives_the_training_file(make, kind: str, tmp_path: Path) -> None:
    source = make(_folder(tmp_path))
    assert detect_format(source) == kind
    data = read_dataset(source)
    again = read_dataset(write_prepared(data, tmp_path / "out.parquet"), "prepared")
    np.testing.assert_array_equal(again.images, data.images)
    assert again.info == data.info
    if source.is_dir():
        # a result among its inputs
        write_prepared(data, source / "a.parquet")
        assert detect_format(source) == kind
        np.testing.assert_array_equal(read_dataset(source).images, data.images)


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def test_every_kind_of_the_table_is_tested() -> None:
    assert {kind for _, kind in LAYOUTS} == set(DATASET_FORMATS)
    assert all(dataset.description and dataset.licence for dataset in DATASET_FORMATS.values())


def test_unknown_layouts_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        detect_format(tmp_path / "absent")
    with pytest.raises(DataError, match=r"not a known dataset; expected one of: fer2013 – .*rafdb – ") as caught:
        detect_format(tmp_path)
    assert "\n" not in str(caught.value)
    prepared_file(tmp_path).rename(tmp_path / "out.parquet")
    with pytest.raises(DataError, match=r"of its files out\.parquet is a prepared one; give that file"):
        detect_format(tmp_path)
    (tmp_path / "out.parquet").unlink()
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a known dataset"):
        detect_format(tmp_path / "notes.csv")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="not a known dataset"):
        detect_format(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        detect_format(tmp_path / "x.parquet")
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b and no more")
    with pytest.raises(DataError, match="the compressed file is damaged"):
        detect_format(tmp_path / "x.gz")


def test_options(tmp_path: Path) -> None:
    path = hf_parquet(tmp_path / "train.parquet", GRAY, {"label": [0, 1]})
    data = read_dataset(path, "hf", ReadOptions(size=24, labels=("happy", "sad")))
    assert data.size == (24, 24)
    assert data.emotion.tolist() == [3, 4]
    with pytest.raises(InputError, match="labels of FER2013's CSV are emotions"):
        read_dataset(fer2013_plain(tmp_path), options=ReadOptions(labels=("own",)))
    with pytest.raises(InputError, match="size has no meaning for fer2013"):
        read_dataset(tmp_path / "fer2013.csv", options=ReadOptions(size=64))
    with pytest.raises(InputError, match=r"no kind 'folder'; did you mean 'folders'\?"):
        read_dataset(path, "folder")
    faces = fairface_parquet(_folder(tmp_path))
    cropped = read_dataset(faces, options=ReadOptions(size=8, crop=lambda rgb: rgb[:8, :8].copy()))
    assert cropped.found.tolist() == [True, True]


def test_faces_of_folders_tables_and_hugging_face_files_are_cropped(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 20, 20, 3), np.uint8)
    for i, name in enumerate(("a", "a", "b", "b")):
        (tmp_path / "folders" / name).mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "folders" / name / f"{i}.png", colours[i])
    shutil.copytree(tmp_path / "folders", tmp_path / "listed")
    rows = "".join(f"{name}/{i}.png,{name}\n" for i, name in enumerate(("a", "a", "b", "b")))
    (tmp_path / "listed" / "labels.csv").write_text(f"file_name,label\n{rows}")
    hf_parquet(tmp_path / "train.parquet", colours, {"label": ["a", "a", "b", "b"]})

    def crop(rgb: np.ndarray) -> np.ndarray | None:
        return None if rgb.tobytes() == colours[1].tobytes() else rgb[4:12, 4:12].copy()

    done: list[tuple[int, int]] = []
    options = ReadOptions(size=8, labels=("own",), crop=crop, progress=lambda *counts: done.append(counts))
    for source, kind in (("folders", "folders"), ("listed", "listed"), ("train.parquet", "hf")):
        data = read_dataset(tmp_path / source, options=options)
        assert (data.info.name, data.size, data.channels) == (kind, (8, 8), 3)
        assert data.found.tolist() == [True, False, True, True]
        np.testing.assert_array_equal(data.images[2], colours[2][4:12, 4:12])
        assert done.pop() == (4, 4)
