"""`mien.batch.worker`: worker processes that die or hang."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from helpers.batch_runs import LIGHT, SIZE, parts
from mien.batch import worker as workers
from mien.batch.plan import make_plan
from mien.batch.run import BatchRun
from mien.batch.settings import AnalysisSetup, load_setup
from mien.batch.worker import WorkerProcess
from mien.errors import OutputError


@pytest.fixture(scope="module")
def prepared() -> AnalysisSetup:
    return load_setup(LIGHT)


def test_an_input_that_kills_becomes_a_row(
    source: Path, prepared: AnalysisSetup, deadly: Callable[[str], None], tmp_path: Path
) -> None:
    deadly("if source.endswith('p005.jpg'): os.kill(os.getpid(), signal.SIGSEGV)")
    (shard,) = make_plan(str(source / "p00*.jpg")).shards
    with WorkerProcess(prepared) as worker:
        finished = worker.run(shard)
    (tmp_path / "inputs.parquet").write_bytes(finished.tables["inputs"])
    inputs = pd.read_parquet(tmp_path / "inputs.parquet").set_index("source")
    (error,) = inputs["error"].dropna()
    assert inputs["error"].notna().idxmax().endswith("p005.jpg")
    assert error.endswith("the worker process was killed (SIGSEGV)")
    assert len(inputs) == 10
    assert finished.deaths == workers.ONE_BY_ONE_AFTER + 1


def test_a_death_by_chance_changes_nothing(
    source: Path, whole: dict[str, bytes], deadly: Callable[[str], None], tmp_path: Path
) -> None:
    mark = tmp_path / "once"
    deadly(
        f"if source.endswith('p002.jpg') and not os.path.exists({str(mark)!r}): open({str(mark)!r}, 'w'); os._exit(9)"
    )
    run = BatchRun(str(source), str(tmp_path / "out"), LIGHT, shard_size=SIZE, workers=1)
    assert sum(finished.deaths for finished in run.results()) == 1
    assert parts(tmp_path / "out") == whole


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed(
    source: Path, prepared: AnalysisSetup, deadly: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ONE_BY_ONE_AFTER", 1)
    deadly("if source.endswith('p001.jpg'): time.sleep(600)")
    (shard,) = make_plan(str(source / "p00[0-2].jpg")).shards
    with WorkerProcess(prepared, silence=5) as worker:
        finished = worker.run(shard)
    assert finished.counts.errors == 1
    assert finished.counts.inputs == 3


def test_deaths_without_end_are_given_up(
    source: Path, prepared: AnalysisSetup, deadly: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MAX_DEATHS", 3)
    deadly("raise RuntimeError('no luck')")
    (shard,) = make_plan(str(source / "p00*.jpg")).shards
    with WorkerProcess(prepared) as worker:
        finished = worker.run(shard)
    assert finished.counts.errors == finished.counts.inputs == 10
    assert finished.deaths == 4


def test_a_process_that_does_not_start_is_no_input_s_fault(
    source: Path, prepared: AnalysisSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'mien.batch.worker_process' in sys.orig_argv: sys.exit('no disk')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with WorkerProcess(prepared) as worker, pytest.raises(OutputError, match=r"do not start: .*no disk"):
        worker.run(make_plan(str(source)).shards[0])


@pytest.mark.parametrize("name", ["tempfile.TemporaryFile", "subprocess.Popen"])
def test_a_process_that_the_system_refuses_is_one_error(
    name: str, source: Path, prepared: AnalysisSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(f"mien.batch.worker.{name}", refuse)
    with (
        WorkerProcess(prepared) as worker,
        pytest.raises(OutputError, match="do not start: Too many open files; make room"),
    ):
        worker.run(make_plan(str(source)).shards[0])


def test_without_a_temporary_folder_a_run_ends_with_an_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    run = BatchRun(str(source), str(tmp_path / "out"), LIGHT, workers=1)
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.gettempdir", refuse)
        with pytest.raises(OutputError, match="no temporary folder can be written to"):
            list(run.results())
