"""Results as files and as a table: every picture accounted for, every odd name kept, nothing half written."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from helpers.faces import HEADS, predictions
from mien.cli.photo_table import print_table
from mien.csv_cells import csv_cells
from mien.errors import InputError, MienError, MissingExtraError
from mien.labels import FERPLUS
from mien.results import tables
from mien.results.face_columns import Heads, face_columns
from mien.results.faces import Faces
from mien.results.tables import parquet_bytes, write_csv, write_json, write_parquet

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")


def result(
    n: int, source: str | None = "a.jpg", *, emotions: bool = True, ages: bool = True, seed: int = 0, top: float = 0.0
) -> Faces:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 50, (n, 2))
    faces = Faces.detected(np.hstack([corner, corner + 20]), rng.uniform(0.5, 1, n), None, (100, 80))
    if emotions:
        values = rng.dirichlet(np.ones(8), n) * (1 - top)
        values[:, 1] += top
        faces = faces.with_predictions(predictions(emotions=values.astype(np.float32)))
    if ages:
        faces = faces.with_predictions(predictions(ages=rng.dirichlet(np.ones(9), n).astype(np.float32)))
    return replace(faces, source=source)


RESULTS = [result(0, "none.jpg"), result(2, "two.jpg", seed=1), result(0, "empty.png"), result(1, "one.jpg", seed=2)]
EXPECTED = [("none.jpg", None), ("two.jpg", 1), ("two.jpg", 2), ("empty.png", None), ("one.jpg", 1)]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def columns_of(heads: Heads) -> list[str]:
    return [column.name for column in face_columns(heads, video=False) if column.flat]


def test_columns_are_those_of_to_rows() -> None:
    faces = result(1)
    assert columns_of(HEADS) == list(faces.to_rows()[0])
    bare = result(1, emotions=False, ages=False)
    assert columns_of({}) == list(bare.to_rows()[0])


def test_csv(tmp_path: Path) -> None:
    path = write_csv(RESULTS, tmp_path / "new" / "out.csv")
    rows = read_csv(path)
    assert [(row["source"], int(row["face"]) if row["face"] else None) for row in rows] == EXPECTED
    assert all(value == "" for key, value in rows[0].items() if key != "source")
    face = RESULTS[1][0]
    assert rows[1]["emotion"] == face.emotion
    assert float(rows[1]["emotion_happy"]) == pytest.approx(face.emotions["happy"], abs=1e-5)
    assert rows[1]["age_range"] == face.age_range.replace("-", " to ")
    frame = pd.read_csv(path)
    assert frame["face"].isna().sum() == 2
    assert list(frame.columns) == columns_of(HEADS)


def test_parquet_has_the_same_rows_as_csv(tmp_path: Path) -> None:
    path = write_parquet(RESULTS, tmp_path / "out.parquet")
    frame = pd.read_parquet(path)
    assert [
        (s, None if np.isnan(f) else int(f)) for s, f in zip(frame["source"], frame["face"], strict=True)
    ] == EXPECTED
    table = pa.parquet.read_table(path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["source"] == "string"
    assert kinds["emotion"] == kinds["age_range"] == "dictionary<values=string, indices=int32, ordered=0>"
    assert kinds["face"] == "int32"
    flags = {name for name in kinds if name.startswith("flag_")}
    assert {kinds[name] for name in flags} == {"bool"}
    assert {kinds[name] for name in kinds.keys() - flags - {"source", "emotion", "age_range", "face"}} == {"double"}
    assert table.to_pylist()[1] == RESULTS[1].to_rows()[0]
    from_csv = pd.read_csv(write_csv(RESULTS, tmp_path / "out.csv"))
    numbers = list(frame.select_dtypes("number"))
    assert np.allclose(frame[numbers].to_numpy(float), from_csv[numbers].to_numpy(float), equal_nan=True)


def test_json(tmp_path: Path) -> None:
    document = json.loads(write_json(RESULTS, tmp_path / "out.json").read_text("utf-8"))
    assert [(picture["source"], len(picture["faces"])) for picture in document] == [
        ("none.jpg", 0), ("two.jpg", 2), ("empty.png", 0), ("one.jpg", 1),
    ]  # fmt: skip
    assert document[1]["faces"] == RESULTS[1].to_dicts()
    assert document[1]["width"] == 100
    lines = write_json(RESULTS, tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == document


def test_no_results_at_all(tmp_path: Path) -> None:
    assert read_csv(write_csv([], tmp_path / "a.csv")) == []
    assert pa.parquet.read_table(write_parquet([], tmp_path / "a.parquet")).num_rows == 0
    assert json.loads(write_json([], tmp_path / "a.json").read_text()) == []
    assert write_json([], tmp_path / "a.jsonl").read_text() == ""


def test_only_pictures_without_a_face(tmp_path: Path) -> None:
    bare = [Faces.empty((4, 4)), replace(Faces.empty((4, 4)), source="x.jpg")]
    assert [row["source"] for row in read_csv(write_csv(bare, tmp_path / "a.csv"))] == ["", "x.jpg"]
    assert pa.parquet.read_table(write_parquet(bare, tmp_path / "a.parquet"))["source"].to_pylist() == [None, "x.jpg"]


def test_bare_results_before_the_first_face_do_not_cost_columns(tmp_path: Path) -> None:
    bare = replace(Faces.empty((4, 4)), source="first.jpg")
    rows = read_csv(write_csv([bare, bare, *RESULTS, bare], tmp_path / "a.csv"))
    assert len(rows) == 8
    assert rows[3]["emotion_happy"]


@pytest.mark.parametrize(("emotions", "ages"), [(True, False), (False, True), (False, False)])
def test_one_model_alone(tmp_path: Path, emotions: bool, ages: bool) -> None:
    faces = result(2, emotions=emotions, ages=ages)
    table = pa.parquet.read_table(write_parquet([faces], tmp_path / "a.parquet"))
    assert table.to_pylist() == faces.to_rows()
    assert ("emotion_happy" in table.column_names) == emotions
    assert ("age_20_29" in table.column_names) == ages


def test_faces_that_were_not_classified_leave_their_cells_empty(tmp_path: Path) -> None:
    rows = read_csv(write_csv([result(1), result(1, "plain.jpg", emotions=False, ages=False)], tmp_path / "a.csv"))
    assert rows[1]["x1"]
    assert rows[1]["emotion"] == rows[1]["emotion_happy"] == rows[1]["age_20_29"] == ""


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_results_of_different_models_do_not_mix(tmp_path: Path, write) -> None:
    reversed_labels = tuple(reversed(FERPLUS.names))
    more = predictions(emotions=np.full((1, 8), 0.125, np.float32), emotion_labels=reversed_labels)
    other = result(1, "other.jpg").with_predictions(more)
    later = [result(1, emotions=False, ages=False), result(1, "late.jpg")]
    for results, name, heads in (([result(1), other], "other.jpg", "emotion"), (later, "late.jpg", "emotion, age")):
        with pytest.raises(
            InputError, match=rf"{name}: this result has other predictions \({heads}\) than those before it; write"
        ):
            write(results, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_parquet_bytes_are_the_file_with_heads_that_are_known_beforehand(tmp_path: Path) -> None:
    expected = pa.parquet.read_table(write_parquet(RESULTS, tmp_path / "a.parquet"))
    assert pa.parquet.read_table(io.BytesIO(parquet_bytes(RESULTS, HEADS))).equals(expected)
    nothing = pa.parquet.read_table(io.BytesIO(parquet_bytes([], HEADS)))
    assert nothing.column_names == columns_of(HEADS)
    assert nothing.num_rows == 0
    with pytest.raises(InputError, match=r"none\.jpg: this result has other predictions \(age\) than"):
        parquet_bytes(RESULTS, {"emotion": HEADS["emotion"]})


# ---------------------------------------------------------------- names

ODD = ["a,b.jpg", 'say "hi".jpg', "two\nlines.jpg", "cr\rhere.jpg", "é 猫 🙂.jpg", " lead.jpg", "'x", "=1+1.jpg"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_come_back(tmp_path: Path, name: str) -> None:
    results = [result(1, name), result(0, name)]
    cell = "'=1+1.jpg" if name == "=1+1.jpg" else name  # a spreadsheet would run it
    assert [row["source"] for row in read_csv(write_csv(results, tmp_path / "a.csv"))] == [cell, cell]
    assert pd.read_csv(tmp_path / "a.csv", lineterminator="\n")["source"].tolist() == [cell, cell] or "\r" in name
    assert pd.read_parquet(write_parquet(results, tmp_path / "a.parquet"))["source"].tolist() == [name, name]
    assert json.loads(write_json(results, tmp_path / "a.json").read_text("utf-8"))[0]["source"] == name


@given(st.lists(st.text(), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("names")
    results = [result(i % 2, name) for i, name in enumerate(names)]
    read = [row["source"] for row in read_csv(write_csv(results, folder / "a.csv"))]
    assert read == csv_cells(names)
    assert [cell.removeprefix("'") for cell in read] == [name.removeprefix("'") for name in names]


def test_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg") if sys.platform != "win32" else "caf\udce9.jpg"
    results = [result(1, name), result(0, name)]
    for path in (write_csv(results, tmp_path / "a.csv"), write_json(results, tmp_path / "a.json")):
        assert "caf\\udce9.jpg" in path.read_text("utf-8")
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))[0]["source"] == name
    assert pd.read_parquet(write_parquet(results, tmp_path / "a.parquet"))["source"][0] == "caf\\udce9.jpg"
    print_table(results, console=Console(file=io.StringIO()))


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_json])
def test_an_interrupted_run_leaves_the_old_file(tmp_path: Path, write) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def broken() -> Iterator[Faces]:
        yield result(1)
        raise MienError("the camera went away")

    with pytest.raises(MienError, match="camera went away"):
        write(broken(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_json])
def test_a_folder_is_no_target(tmp_path: Path, write) -> None:
    with pytest.raises(InputError, match="is a folder; give the name of a file in it"):
        write([], tmp_path)


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_json])
def test_results_are_taken_one_at_a_time(tmp_path: Path, write) -> None:
    alive, most = 0, 0

    class Counted(Faces):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def many() -> Iterator[Faces]:
        nonlocal alive, most
        base = result(1)
        for _ in range(300):
            alive += 1
            most = max(most, alive)
            yield Counted(**{name: getattr(base, name) for name in base.__dataclass_fields__})

    write(many(), tmp_path / "out")
    assert most < 10


def test_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    path = write_parquet((result(3, f"{i}.jpg", seed=i) for i in range(10)), tmp_path / "a.parquet")
    file = pa.parquet.ParquetFile(path)
    assert file.metadata.num_rows == 30
    # whole pictures: a group is full with the fourth of three faces each
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [12, 12, 6]
    assert pd.read_parquet(path)["source"].tolist() == [f"{i}.jpg" for i in range(10) for _ in range(3)]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtraError, match=r"Parquet output needs the package 'pyarrow'; pip install 'mien\[tables\]'"
    ):
        write_parquet([], tmp_path / "a.parquet")


# ---------------------------------------------------------------- the terminal


def printed(results, *, width: int = 160, encoding: str = "utf-8", **options) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_table(results, console=Console(file=stream, width=width), **options)
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_print_table() -> None:
    text = printed([result(2, "two.jpg", top=0.6), result(0, "none.jpg")])
    first, second = (line for line in text.splitlines() if " at " in line)
    assert "two.jpg" in first
    assert "two.jpg" not in second
    assert "happy" in first
    assert "█" in first
    assert "%" in first
    assert "–" in first  # the age range
    assert "none.jpg" in text
    assert "no face" in text
    assert "2 pictures, 2 faces, 1 without a face" in text


def test_a_single_result_and_top() -> None:
    faces = result(1)
    assert "then" in printed(faces)
    assert "then" not in printed(faces, top=1)
    everything = printed(faces, top=8)
    assert all(name in everything for name in FERPLUS.names)
    assert "pictures" not in everything


def test_columns_nobody_fills_are_left_out() -> None:
    text = printed([result(1, emotions=False, ages=False)])
    assert "emotion" not in text
    assert "age" not in text.replace("and place", "")
    assert "0." in text


def test_uncertain_faces() -> None:
    text = printed([result(1)], abstain=0.99)
    assert "uncertain" in text
    assert result(1)[0].emotion in text


@pytest.mark.parametrize("width", [40, 60, 80, 109, 110, 200])
def test_narrow_terminals(width: int) -> None:
    text = printed([result(2, "folder/two.jpg", top=0.7), result(0)], width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert width < 60 or text.count("happy") >= 2


def test_names_are_not_markup_and_stay_on_their_line() -> None:
    text = printed([result(1, "[red]x[/red].jpg"), result(1, "a\nb\x1b[2J.jpg")])
    assert "[red]x[/red].jpg" in text
    assert "a\\nb\\x1b[2J.jpg" in text


def test_old_terminals() -> None:
    text = printed([result(2, top=0.5), result(0)], encoding="ascii")
    assert "#" in text


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    long = "folder/" * 30 + "picture.jpg"
    print_table([result(1, long)])
    assert long in capsys.readouterr().out


def test_nothing_to_print() -> None:
    printed([])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"top": 0}, "top is at least 1, got 0"), ({"abstain": 1.5}, "abstain is a probability between 0 and 1, got 1.5")],
)
def test_bad_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        print_table([], **options)
