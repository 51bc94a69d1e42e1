"""Photos into files: rows are written as pictures are analysed, and a run that resumes loses and doubles none."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.errors import ImageError, InputError, MienError, OutputError
from mien.files import OUTPUT_MARKER
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.photos import BATCH, PhotoJob, PhotoOutputs
from mien.results.faces import Faces
from mien.results.tables import write_csv, write_parquet

FIXTURES = Path(__file__).parents[1] / "fixtures"
PICTURES = 3 * BATCH + 5


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(models=(), min_face=40, threads=1)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Grey pictures without a face: quick to analyse, one row each."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(PICTURES):
        Image.new("RGB", (48, 48), (i, i, i)).save(folder / f"{i:03d}.png")
    return sorted(folder.iterdir())


def outputs_in(folder: Path) -> PhotoOutputs:
    return PhotoOutputs(csv=folder / "a.csv", parquet=folder / "a.parquet", annotated=folder / "annotated")


def run(analyzer: Analyzer, photos: list[Path], outputs: PhotoOutputs, *, resume: bool = False) -> list[object]:
    with PhotoJob(analyzer, photos, outputs, resume=resume, flush_seconds=0) as job:
        return list(job.results())


def sources(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return [Path(source).name for source in pq.read_table(path)["source"].to_pylist()]
    with path.open(newline="", encoding="utf-8") as file:
        return [Path(row["source"]).name for row in csv.DictReader(file)]


def interrupt(analyzer: Analyzer, photos: list[Path], outputs: PhotoOutputs, after: int, error: BaseException) -> None:
    """Analyse until this many pictures are done, then raise."""
    with PhotoJob(analyzer, photos, outputs, flush_seconds=0) as job:
        for number, _ in enumerate(job.results(), 1):
            if number == after:
                raise error


def test_the_tables_are_those_of_all_results_written_at_once(analyzer, photos, tmp_path):
    results = run(analyzer, photos, outputs_in(tmp_path / "run"))
    assert all(isinstance(faces, Faces) for faces in results)
    write_csv(results, tmp_path / "whole.csv")
    write_parquet(results, tmp_path / "whole.parquet")
    assert (tmp_path / "run" / "a.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert pq.read_table(tmp_path / "run" / "a.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["a.csv", "a.parquet", "annotated"]
    assert len(list((tmp_path / "run" / "annotated").glob("*.png"))) == PICTURES


@pytest.mark.parametrize("after", [1, BATCH, 2 * BATCH + 3])
def test_an_interrupted_run_keeps_its_rows_and_resumes(analyzer, photos, tmp_path, after):
    outputs = outputs_in(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        interrupt(analyzer, photos, outputs, after, KeyboardInterrupt())
    names = [photo.name for photo in photos]
    assert sources(outputs.csv) == sources(outputs.parquet) == names[:after]
    with PhotoJob(analyzer, photos, outputs, resume=True) as job:
        assert job.skipped == after
        assert len(list(job.results())) == PICTURES - after
    assert sources(outputs.csv) == sources(outputs.parquet) == names
    assert sorted(path.name for path in outputs.csv.parent.iterdir()) == ["a.csv", "a.parquet", "annotated"]


KILLED = """
import os, signal, sys
from pathlib import Path
from mien.pipeline.analyzer import Analyzer
from mien.pipeline.photos import PhotoJob, PhotoOutputs
folder, after = Path(sys.argv[1]), int(sys.argv[2])
outputs = PhotoOutputs(csv=folder / "a.csv", parquet=folder / "a.parquet", annotated=folder / "annotated")
photos = sorted((folder.parent / "photos").iterdir())
with PhotoJob(Analyzer(models=(), min_face=40, threads=1), photos, outputs, flush_seconds=0) as job:
    for number, _ in enumerate(job.results(), 1):
        if number == after:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_run_resumes_without_a_lost_or_a_doubled_row(analyzer, photos, tmp_path):
    outputs = outputs_in(tmp_path / "run")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "run"), str(BATCH + 5)], check=False)
    assert killed.returncode == -signal.SIGKILL
    for _ in range(3):  # a run that is complete stays as it is
        run(analyzer, photos, outputs, resume=True)
        assert Counter(sources(outputs.csv)) == Counter(sources(outputs.parquet)) == Counter(p.name for p in photos)


def test_a_complete_run_stays_as_it_is(analyzer, photos, tmp_path):
    outputs = outputs_in(tmp_path / "run")
    (photos[2]).write_bytes(b"no picture")
    whole = run(analyzer, photos, outputs)
    before = {path: path.read_bytes() for path in (outputs.csv, outputs.parquet)}
    with PhotoJob(analyzer, photos, outputs, resume=True) as job:
        assert job.skipped == PICTURES - 1
        again = list(job.results())
    assert [str(error) for error in again] == [str(one) for one in whole if isinstance(one, MienError)]
    Image.new("RGB", (50, 50)).save(photos[2])
    with PhotoJob(analyzer, photos, outputs, resume=True) as job:
        [error] = job.results()
    assert str(error).startswith(f"{photos[2]}: is not in the table, which was complete before; analyse")
    newer = [tmp_path / f"newer{number}.png" for number in range(3)]
    for path in newer:
        Image.new("RGB", (50, 50)).save(path)
    with PhotoJob(analyzer, [*photos, *newer], outputs, resume=True) as job:
        [error] = job.results()
    assert "(nor are 3 more photos)" in str(error)  # one line, not one for each
    with pytest.raises(InputError, match=r"a\.csv: is a complete table of other photos \(.*004\.png.*\)"):
        PhotoJob(analyzer, photos[:4], outputs, resume=True)
    with pytest.raises(InputError, match=r"b\.parquet: does not exist, while .*a\.csv is complete"):
        PhotoJob(analyzer, photos, replace(outputs, parquet=tmp_path / "b.parquet"), resume=True)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in outputs.csv.parent.iterdir()) == ["a.csv", "a.parquet", "annotated"]


def test_another_table_is_not_taken_for_a_complete_run(analyzer, photos, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("name,age\nx,1\n")
    with pytest.raises(InputError, match="is no table of faces"):
        PhotoJob(analyzer, photos, PhotoOutputs(csv=table), resume=True)
    assert table.read_text() == "name,age\nx,1\n"


def test_a_call_that_differs_is_refused_by_what_differs(analyzer, photos, tmp_path):
    outputs = outputs_in(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        interrupt(analyzer, photos, outputs, 20, KeyboardInterrupt())
    before = outputs.csv.read_bytes()
    other = Analyzer(models=(), min_face=64, threads=1)
    with pytest.raises(InputError, match=r"a\.csv\.progress: .* \(min_face: 40, now 64\); repeat that call") as caught:
        PhotoJob(other, photos, outputs, resume=True)
    assert caught.value.code == "run-differs"
    assert caught.value.details == {"differences": ["min_face: 40, now 64"]}
    Image.new("RGB", (50, 50)).save(photos[3])
    with pytest.raises(InputError, match=r"003\.png: was changed after its analysis"):
        PhotoJob(analyzer, photos, outputs, resume=True)
    with pytest.raises(InputError, match=r"000\.png: was analysed, is not in this call"):
        PhotoJob(analyzer, photos[1:3] + photos[4:], outputs, resume=True)
    assert outputs.csv.read_bytes() == before


def test_pictures_that_were_added_are_analysed(analyzer, photos, tmp_path):
    outputs = outputs_in(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        interrupt(analyzer, photos, outputs, 20, KeyboardInterrupt())
    added = tmp_path / "000.png"
    Image.new("RGB", (48, 48)).save(added)
    run(analyzer, [added, *photos], outputs, resume=True)
    assert len(sources(outputs.csv)) == PICTURES + 1
    # its annotated picture has a name of its own
    assert len(list(outputs.annotated.glob("*.png"))) == PICTURES + 1


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"version": 1}\n', '{"version": 1, "call": {}}\n[1]\n'])
def test_a_damaged_progress_is_one_error(analyzer, photos, tmp_path, text):
    (tmp_path / "a.csv.progress").write_text(text)
    with pytest.raises(InputError, match=r"a\.csv\.progress: (is damaged|belongs to)"):
        PhotoJob(analyzer, photos, PhotoOutputs(csv=tmp_path / "a.csv"), resume=True)


def test_without_a_file_there_is_nothing_to_resume(analyzer, photos, tmp_path):
    for outputs in (PhotoOutputs(), PhotoOutputs(csv=Path("/dev/stdout"))):
        with pytest.raises(InputError, match="only a run with a table in a file can be resumed; add --csv"):
            PhotoJob(analyzer, photos, outputs, resume=True)


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(analyzer, photos, tmp_path):
    photos[2].write_bytes(b"no picture")
    outputs = outputs_in(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        interrupt(analyzer, photos, outputs, 20, KeyboardInterrupt())
    results = run(analyzer, photos, outputs, resume=True)
    assert [type(result) for result in results if isinstance(result, MienError)] == [ImageError]
    assert sources(outputs.csv) == [photo.name for photo in photos if photo != photos[2]]


def test_where_no_picture_can_be_read_the_old_table_stays(analyzer, photos, tmp_path):
    for photo in photos:
        photo.write_bytes(b"no picture")
    (tmp_path / "a.csv").write_text("old")
    run(analyzer, photos, PhotoOutputs(csv=tmp_path / "a.csv", parquet=tmp_path / "new.parquet"))
    assert (tmp_path / "a.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "photos"]


def test_a_second_run_into_one_output_is_refused_and_leaves_nothing(analyzer, photos, tmp_path):
    first = outputs_in(tmp_path / "run")
    with PhotoJob(analyzer, photos, first, flush_seconds=0) as job:
        results = job.results()
        next(results)
        for second in (
            PhotoOutputs(csv=first.csv),
            PhotoOutputs(parquet=first.parquet),
            PhotoOutputs(annotated=first.annotated),
            PhotoOutputs(csv=tmp_path / "other.csv", parquet=first.parquet),
            PhotoOutputs(csv=tmp_path / "other.csv", annotated=first.annotated),
        ):
            with pytest.raises(InputError, match="another run is writing to it"):
                run(analyzer, photos, second)
        list(results)
    assert sources(first.csv) == sources(first.parquet) == [photo.name for photo in photos]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "run"]
    assert sorted(path.name for path in first.csv.parent.iterdir()) == ["a.csv", "a.parquet", "annotated"]


def test_annotated_pictures_replace_only_results(analyzer, photos, tmp_path):
    own = tmp_path / "album"
    own.mkdir()
    (own / "005.png").write_text("an original")
    with pytest.raises(InputError, match=r"album/005\.png: exists already, and need not be a result of mien"):
        run(analyzer, photos, PhotoOutputs(annotated=own))
    assert [path.read_text() for path in own.iterdir()] == ["an original"]
    for _ in range(2):  # results are replaced by those of the next run
        assert len(run(analyzer, photos, PhotoOutputs(annotated=tmp_path / "new"))) == PICTURES
    assert (tmp_path / "new" / OUTPUT_MARKER).exists()


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_keeps_whole_rows_and_the_run_resumes(analyzer, photos, tmp_path):
    import resource

    outputs = PhotoOutputs(csv=tmp_path / "a.csv")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    seen = []

    def fill() -> None:
        with PhotoJob(analyzer, photos, outputs, flush_seconds=0) as job:
            for faces in job.results():
                seen.append(faces)
                if len(seen) == BATCH + 1:
                    limit = (tmp_path / "a.csv").stat().st_size + 100
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))

    try:
        with pytest.raises(OutputError, match=r"a\.csv: cannot be written: File too large; what was written before"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    kept = sources(outputs.csv)
    assert BATCH < len(kept) < len(seen) < PICTURES
    run(analyzer, photos, outputs, resume=True)
    assert sources(outputs.csv) == [photo.name for photo in photos]


def test_progress_is_json_lines(analyzer, photos, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt(analyzer, photos, PhotoOutputs(csv=tmp_path / "a.csv"), 3, KeyboardInterrupt())
    header, *lines = map(json.loads, (tmp_path / "a.csv.progress").read_text().splitlines())
    assert header["call"]["analyzer"]["min_face"] == 40
    assert [line[3] for line in lines] == [1, 2, 3]
