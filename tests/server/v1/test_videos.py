"""Videos as jobs: from upload to result, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import av
import pytest
from fastapi.testclient import TestClient

import mien
from helpers.clips import Pan, clip
from helpers.serving import HERE, PausableDetector, assert_problem, photo, service, workdirs
from helpers.waiting import wait_until
from mien.errors import VideoError
from mien.media.video_decoder import VideoDecoder
from mien.predict.model_set import ModelSet
from mien.server.engine import InferenceEngine
from mien.server.job_queue import AnalysisJob, JobQueue, Uploader
from mien.server.limits import ServiceLimits
from mien.server.metrics import ServiceMetrics
from mien.server.problems import ProblemError
from mien.server.v1.schemas import VideoList, VideoResponse, VideoState
from mien.server.video_analysis import VideoRequest
from mien.server.workdir import Workdir, temporary_workdir


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty temporary folder, so that tests see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of one face, with sound."""
    path = tmp_path_factory.mktemp("clips") / "secret name.mp4"
    return clip(path, frames=20, size=(160, 144), draw=Pan.astronaut((160, 144), eye_distance=30.0), audio=0.8)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds without a face."""
    return clip(tmp_path_factory.mktemp("clips") / "numbers.mp4", frames=100)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with service(PausableDetector(0), with_models=False) as client:
        yield client


def send(client: TestClient, video: Path | bytes, **options: Any) -> Any:
    data = video if isinstance(video, bytes) else video.read_bytes()
    return client.post("/v1/videos", files={"video": ("secret name.mp4", data)}, data=options)


def followed(answer: Any, link: str) -> str:
    """The address that a link in an answer leads to."""
    return urljoin(str(answer.url), link)


def ended(client: TestClient, answer: Any) -> dict[str, Any]:
    """The state of a video when it has ended."""
    assert answer.status_code == 202, answer.text
    here = followed(answer, answer.headers["location"])

    def state() -> dict[str, Any] | None:
        answer = client.get(here)
        document: dict[str, Any] = answer.json()
        VideoState.model_validate(document)
        document["links"] = {
            name: None if link is None else followed(answer, link) for name, link in document["links"].items()
        }
        return None if document["status"] in ("queued", "running") else document

    final: dict[str, Any] = wait_until(state)
    return final


def test_an_option_given_twice_in_the_form_is_refused(film: Path) -> None:
    with service(with_models=False) as client:
        form = [("every", (None, "2")), ("every", (None, "3")), ("video", ("a.mp4", film.read_bytes()))]
        answer = client.post("/v1/videos", files=form)
        assert "given more than once" in assert_problem(answer, 422, "input-invalid")["detail"]


def test_a_video_gives_what_the_package_gives(film: Path, temporary: Path) -> None:
    with service() as client:
        answer = send(client, film, annotate="true")
        assert "secret" not in answer.text
        state = ended(client, answer)
        assert (state["status"], state["progress"]["share"], state["progress"]["frames"]) == ("done", 1.0, 20)
        links = state["links"]
        result = client.get(links["result"]).json()
        VideoResponse.model_validate(result)
        from mien.detect.mien import MienDetector

        report = mien.Analyzer(detector=MienDetector(threads=1), threads=1).video(film)
        assert result["tracks"] == [track.to_dict() for track in report.tracks]
        assert result["summary"]["coverage"] == report.coverage.to_dict()
        assert [row["frame"] for row in result["rows"]] == list(range(20))
        assert {face["emotion"] for row in result["rows"] for face in row["faces"]} == {"happy"}

        table = client.get(links["csv"])
        assert table.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert len(rows) == 20
        assert rows[0]["source"] == ""
        assert client.get(links["result"], headers={"Accept": "text/csv"}).text == table.text
        with av.open(io.BytesIO(client.get(links["annotated"]).content)) as annotated:
            assert (annotated.streams.video[0].frames, len(annotated.streams.audio)) == (20, 1)
        for link in (links["annotated"], links["csv"]):
            assert client.get(link, headers={"Range": "bytes=0-9"}).status_code == 206
            assert client.get(link, headers={"Range": "bytes=9-1"}).status_code == 200

        (root,) = workdirs(temporary)
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        (folder,) = (path for path in root.iterdir() if path.is_dir())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not (folder / "upload").exists()
        assert client.delete(links["self"]).status_code == 204
        assert not folder.exists()
        for call in (links["self"], links["result"], links["annotated"]):
            assert_problem(client.get(call), 404, "video-unknown")
        assert_problem(client.delete(links["self"]), 404, "video-unknown")
    assert workdirs(temporary) == []


def test_the_sound_of_a_stranger_s_file_is_read_by_a_process(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_here(*_: object, **__: object) -> None:
        raise AssertionError("the service itself reads the sound")

    monkeypatch.setattr("mien.draw.video_parts.Soundtrack", read_here)
    with service(PausableDetector(0), with_models=False) as client:
        state = ended(client, send(client, film, annotate="true"))
        assert state["status"] == "done", state
        with av.open(io.BytesIO(client.get(state["links"]["annotated"]).content)) as annotated:
            assert (annotated.streams.video[0].frames, len(annotated.streams.audio)) == (20, 1)


def test_sound_that_takes_too_long_is_left_out(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = VideoDecoder.call

    def call(self: VideoDecoder, function: Any, *arguments: Any, seconds: float) -> Any:
        if arguments[-1] is not None:
            raise VideoError("took longer than 15 s of processor time to decode and was stopped")
        return called(self, function, *arguments, seconds=seconds)

    monkeypatch.setattr(VideoDecoder, "call", call)
    with service(PausableDetector(0), with_models=False) as client:
        state = ended(client, send(client, film, annotate="true"))
        assert state["status"] == "done", state
        with av.open(io.BytesIO(client.get(state["links"]["annotated"]).content)) as annotated:
            assert (annotated.streams.video[0].frames, len(annotated.streams.audio)) == (20, 0)
        problems = client.get(state["links"]["result"]).json()["summary"]["coverage"]["problems"]
        assert problems == [
            "the sound could not be copied: it took longer than 15 s of processor time to decode and was stopped"
        ]


def test_a_video_is_removed_later_unless_it_is_asked_for(temporary: Path, client: TestClient, numbers: Path) -> None:
    def post() -> str:
        answer = client.post("/v1/videos?every=50", content=numbers.read_bytes(), headers={"Content-Type": "video/mp4"})
        return f"/v1/videos/{answer.json()['id']}"

    left, kept = post(), post()
    wait_until(lambda: client.get(left).json()["status"] == "done")
    # who comes back in time finds the video, for as long as any other
    assert client.delete(f"{kept}?after=2").status_code == 204
    late = time.monotonic() + 2.5
    assert client.get(kept).status_code == 200
    assert client.delete(f"{left}?after=0.1").status_code == 204
    (root,) = workdirs(temporary)
    wait_until(lambda: len([path for path in root.iterdir() if path.is_dir()]) == 1)
    time.sleep(max(0.0, late - time.monotonic()))
    assert_problem(client.get(left), 404, "video-unknown")
    assert client.get(kept).status_code == 200
    assert_problem(client.delete(f"{kept}?after=3600"), 422, "input-invalid")
    assert client.delete(kept).status_code == 204


def test_the_body_may_be_the_video_itself(client: TestClient, numbers: Path) -> None:
    for kind in ("video/mp4", "application/octet-stream"):
        data = numbers.read_bytes()
        answer = client.post("/v1/videos?every=10&end=2", content=data, headers={"Content-Type": kind})
        state = ended(client, answer)
        assert (state["progress"]["frames"], state["progress"]["total_seconds"]) == (5, 2.0)
        rows = client.get(state["links"]["result"]).json()["rows"]
        assert [row["frame"] for row in rows] == [0, 10, 20, 30, 40]
        assert_problem(client.get(f"{state['links']['self']}/annotated.mp4"), 409, "not-annotated")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"every": "0"}, "input-invalid"), ({"every": "x"}, "input-invalid"),
        ({"fps": "-1"}, "input-invalid"), ({"fps": "nan"}, "input-invalid"),
        ({"start": "inf"}, "input-invalid"), ({"start": "3", "end": "2"}, "input-invalid"),
        ({"colour": "red"}, "input-invalid"), ({"annotate": "perhaps"}, "input-invalid"),
    ],
)  # fmt: skip
def test_invalid_options(client: TestClient, numbers: Path, options: dict[str, str], code: str) -> None:
    problem = assert_problem(send(client, numbers, **options), 422, code)
    assert "secret" not in str(problem)
    if "colour" not in options:
        data = numbers.read_bytes()
        answer = client.post("/v1/videos", params=options, content=data, headers={"Content-Type": "video/mp4"})
        assert_problem(answer, 422, code)


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "media-type"),
        ({"content": b"", "headers": {"Content-Type": "video/mp4"}}, 422, "video-missing"),
        ({"files": {"video": b""}}, 422, "video-missing"),
        ({"files": {"film": b"x"}}, 422, "video-missing"),
        ({"files": {"video": (None, "x")}}, 422, "video-missing"),
        ({"files": [("video", b"x"), ("video", b"y")]}, 413, "too-large"),
    ],
    ids=["type", "empty", "empty file", "other field", "no file", "two"],
)
def test_invalid_uploads(client: TestClient, temporary: Path, call: dict[str, Any], status: int, code: str) -> None:
    assert_problem(client.post("/v1/videos", **call), status, code)
    (root,) = workdirs(temporary)
    assert [path.name for path in root.iterdir()] == ["lock"]


def playlist(kind: str, target: Path) -> bytes:
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{target}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{target}'\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        f'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><BaseURL>{target}</BaseURL></Period></MPD>',
        "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    }[kind].encode()


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp"])
def test_a_playlist_opens_no_other_file(client: TestClient, numbers: Path, kind: str) -> None:
    state = ended(client, send(client, playlist(kind, numbers)))
    assert state["status"] == "failed"
    assert state["error"]["type"] == "urn:mien:problem:video-unreadable"
    assert str(numbers.parent) not in str(state)


@pytest.mark.parametrize("data", [b"dear diary", photo(), b"\0" * 5000, b"\x1a\x45\xdf\xa3" + b"\xff" * 3000])
def test_files_that_are_not_videos_fail_with_a_reason(client: TestClient, temporary: Path, data: bytes) -> None:
    state = ended(client, send(client, data))
    assert state["status"] == "failed"
    assert state["error"]["type"] == "urn:mien:problem:video-unreadable"
    assert str(temporary) not in str(state)
    assert_problem(client.get(state["links"]["result"]), 422, "video-unreadable")


def test_errors_of_the_package_reach_the_client_without_the_path(client: TestClient, numbers: Path) -> None:
    state = ended(client, send(client, numbers, start="9"))
    assert (state["status"], state["error"]["code"]) == ("failed", "input-invalid")
    assert "start is after" in state["error"]["detail"]
    assert not any(part in str(state["error"]) for part in ("upload", tempfile.gettempdir(), state["id"]))


def test_a_video_that_is_cut_short_reports_what_was_read(client: TestClient, tmp_path: Path) -> None:
    whole = clip(tmp_path / "a.mkv", frames=100).read_bytes()
    state = ended(client, send(client, whole[: len(whole) // 2]))
    assert state["status"] == "done"
    coverage = client.get(state["links"]["result"]).json()["summary"]["coverage"]
    assert 10 < coverage["frames"] < 90
    assert coverage["problems"]
    assert not any("upload" in problem or "/" in problem for problem in coverage["problems"]), coverage["problems"]


@pytest.mark.parametrize(
    ("limit", "status", "code", "words"),
    [
        ({"video_seconds": 3.0}, 413, "video-too-long", "4 s"),
        ({"video_pixels": 3000}, 413, "video-too-large", "64 × 48"),
        ({"job_bytes": 2000}, 413, "video-too-large", "2,000"),
        ({"job_seconds": 0.01}, 413, "video-too-long", "0.01 s"),
    ],
    ids=lambda value: str(value) if not isinstance(value, dict) else "",
)
def test_over_a_limit_a_video_fails(numbers: Path, limit: dict[str, float], status: int, code: str, words: str) -> None:
    with service(PausableDetector(0), with_models=False, **limit) as client:
        answer = send(client, numbers)
        state = ended(client, answer)
        assert state["status"] == "failed"
        assert (state["error"]["status"], state["error"]["type"]) == (status, f"urn:mien:problem:{code}")
        assert words in state["error"]["detail"]
        if "video_seconds" in limit:
            assert ended(client, send(client, numbers, end="2"))["status"] == "done"


def test_unsupported_methods_of_a_video(client: TestClient) -> None:
    answer = client.put("/v1/videos/x")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


def test_an_upload_over_the_limit_is_cut_off(temporary: Path) -> None:
    with service(PausableDetector(0), with_models=False, video_bytes=100_000) as client:
        assert_problem(send(client, b"x" * 300_000), 413, "too-large")
        chunks = (b"x" * 10_000 for _ in range(40))
        assert_problem(
            client.post("/v1/videos", content=chunks, headers={"Content-Type": "video/mp4"}), 413, "too-large"
        )
        (root,) = workdirs(temporary)
        assert [path.name for path in root.iterdir()] == ["lock"]


def test_videos_wait_for_their_turn_and_can_be_cancelled(numbers: Path, temporary: Path) -> None:
    detector = PausableDetector(0, paused=True)
    with service(detector, with_models=False, threads=2, jobs=3) as client:
        first, second, third = (send(client, numbers) for _ in range(3))
        detector.wait_for(1)
        addresses = [followed(one, one.headers["location"]) for one in (first, second)]
        wait_until(lambda: client.get(addresses[0]).json()["status"] == "running")
        assert client.get(addresses[1]).json()["status"] == "queued"
        assert_problem(client.get(followed(first, first.json()["links"]["result"])), 409, "video-not-done")
        full = send(client, numbers)
        assert_problem(full, 429, "too-many-videos")
        assert int(full.headers["retry-after"]) >= 1
        assert client.delete(addresses[1]).status_code == 204
        assert len({one.json()["id"] for one in (first, second, third)}) == 3
        assert len(first.json()["id"]) >= 20
        detector.resume.set()
        assert client.delete(addresses[0]).status_code == 204
        assert ended(client, third)["status"] == "done"
        (root,) = workdirs(temporary)
        assert len([path for path in root.iterdir() if path.name != "lock"]) == 1


def test_the_service_ends_with_videos_in_progress(numbers: Path, temporary: Path) -> None:
    detector = PausableDetector(0, paused=True)
    with service(detector, with_models=False) as client:
        send(client, numbers)
        detector.wait_for(1)
        detector.resume.set()
    assert workdirs(temporary) == []


def test_results_are_kept_for_a_while(numbers: Path, temporary: Path) -> None:
    with service(PausableDetector(0), with_models=False, keep_seconds=0.1) as client:
        answer = send(client, numbers, every="50")
        wait_until(lambda: client.get(followed(answer, answer.headers["location"])).status_code == 404)
        (root,) = workdirs(temporary)
        wait_until(lambda: [path.name for path in root.iterdir()] == ["lock"])
    assert ServiceLimits().keep_seconds == 3600


MINE, THEIRS = "my-own-random-name", "another-random-name"
HOLIDAY = "holiday-film-4711"


def test_a_client_chooses_the_id_so_that_a_lost_answer_leaves_no_orphan(client: TestClient, numbers: Path) -> None:
    data, kind = numbers.read_bytes(), {"Content-Type": "video/mp4"}
    client.post(f"/v1/videos?id={HOLIDAY}&every=50", content=data, headers=kind)  # its answer is lost
    state = client.get(f"/v1/videos/{HOLIDAY}")
    assert (state.status_code, state.json()["id"]) == (200, HOLIDAY)
    again = client.post(f"/v1/videos?id={HOLIDAY}", content=data, headers=kind)
    assert_problem(again, 409, "video-exists")
    assert followed(again, again.headers["location"]) == f"{HERE}/v1/videos/{HOLIDAY}"
    assert_problem(send(client, numbers, id=HOLIDAY), 409, "video-exists")
    assert client.delete(f"/v1/videos/{HOLIDAY}").status_code == 204
    assert ended(client, send(client, numbers, id=HOLIDAY, every="50"))["id"] == HOLIDAY
    for wrong in ("short", "../../etc/passwd-passwd", "with space with space", "x" * 65, "é" * 20):
        assert_problem(
            client.post("/v1/videos", params={"id": wrong}, content=data, headers=kind), 422, "input-invalid"
        )
        assert_problem(send(client, numbers, id=wrong), 422, "input-invalid")


def test_clients_list_and_delete_their_own_videos(client: TestClient, numbers: Path) -> None:
    def listed(**headers: str) -> list[str]:
        answer = client.get("/v1/videos", headers=headers)
        VideoList.model_validate(answer.json())
        for one in answer.json()["videos"]:
            assert client.get(followed(answer, one["links"]["self"])).json()["id"] == one["id"]
        return [one["id"] for one in answer.json()["videos"]]

    def posted(**headers: str) -> str:
        content = {"content": numbers.read_bytes(), "headers": {"Content-Type": "video/mp4"} | headers}
        return str(client.post("/v1/videos?every=50", **content).json()["id"])  # type: ignore[arg-type]

    of_address = [posted(), posted()]
    of_id = posted(**{"X-Client-Id": MINE})
    assert listed() == of_address
    assert listed(**{"X-Client-Id": MINE}) == [of_id]
    assert listed(**{"X-Client-Id": THEIRS}) == []
    assert client.delete("/v1/videos", headers={"X-Client-Id": THEIRS}).status_code == 204
    assert client.delete("/v1/videos").status_code == 204
    assert listed() == []
    assert client.get(f"/v1/videos/{of_id}").status_code == 200
    assert_problem(client.get("/v1/videos", headers={"X-Client-Id": "short"}), 422, "input-invalid")
    # an address that stands for many people lists nothing
    for header in ("X-Forwarded-For", "Forwarded"):
        assert_problem(client.get("/v1/videos", headers={header: "192.0.2.7"}), 400, "client-unknown")
        assert_problem(client.delete("/v1/videos", headers={header: "192.0.2.7"}), 400, "client-unknown")


def test_what_ended_first_makes_room_and_what_runs_does_not(numbers: Path, temporary: Path) -> None:
    with service(PausableDetector(0), with_models=False, jobs=3, client_jobs=3) as client:
        done = [ended(client, send(client, numbers, every="50")) for _ in range(4)]
        states = [client.get(f"/v1/videos/{one['id']}").status_code for one in done]
        assert states == [404, 200, 200, 200]
        (root,) = workdirs(temporary)
        assert len([path for path in root.iterdir() if path.is_dir()]) == 3
        # an upload that is refused removes nothing
        assert_problem(send(client, b""), 422, "video-missing")
        assert client.get(f"/v1/videos/{done[1]['id']}").status_code == 200


def test_an_address_has_a_share_of_the_videos_and_addresses_take_turns(numbers: Path) -> None:
    started: list[str] = []

    class Recording(JobQueue):
        async def _analyse(self, job: AnalysisJob) -> None:
            started.append(job.id)
            await asyncio.sleep(0)

    def add(jobs: JobQueue, address: str, number: str) -> AnalysisJob:
        with jobs.upload(Uploader(address), number) as upload:
            return jobs.add(upload, VideoRequest(), number)

    async def run(workdir: Workdir) -> None:
        limits = ServiceLimits(jobs=8, client_jobs=4)
        engine = InferenceEngine(PausableDetector(0), ModelSet(), limits, threads=1)
        jobs = Recording(engine, limits, ServiceMetrics(), workdir)
        kept = [add(jobs, "a", f"a-video-number-{i}-") for i in range(4)]
        with pytest.raises(ProblemError, match="4 of your videos"):
            add(jobs, "a", "one-too-many-for-a")
        kept += [add(jobs, "b", f"b-video-number-{i}-") for i in range(2)]
        await asyncio.gather(*(one.task for one in kept if one.task is not None))
        assert [number[0] + number[-2] for number in started] == ["a0", "b0", "a1", "b1", "a2", "a3"]
        # a fifth one of a takes the place of its own first, not of one of b's, which ended before others of a
        add(jobs, "a", "one-more-video-of-a")
        assert [one.uploader.address for one in jobs._jobs.values()].count("b") == 2
        assert "a-video-number-0-" not in jobs._jobs
        await jobs.close()

    with temporary_workdir() as workdir:
        asyncio.run(run(workdir))


def test_results_have_entity_tags(client: TestClient, numbers: Path) -> None:
    state = ended(client, send(client, numbers, every="50", annotate="true"))
    other = ended(client, send(client, numbers, every="50"))
    tags = set()
    for name in ("result", "csv", "annotated"):
        answer = client.get(state["links"][name])
        tag = answer.headers["etag"]
        tags.add(tag)
        for known in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
            again = client.get(state["links"][name], headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(state["links"][name], headers={"If-None-Match": '"x"'}).content == answer.content
    tags.add(client.get(other["links"]["result"]).headers["etag"])
    assert len(tags) == 4


def test_a_temporary_folder_that_vanished_is_made_again_and_readiness_reports_it(
    client: TestClient, numbers: Path, temporary: Path
) -> None:
    lost = ended(client, send(client, numbers, every="50"))
    assert client.get("/readyz").json()["temporary_folder_made_again"] == 0
    (root,) = workdirs(temporary)
    shutil.rmtree(root)
    assert_problem(client.get(lost["links"]["result"]), 404, "video-unknown")
    assert client.get("/readyz").json()["temporary_folder_made_again"] == 1
    assert ended(client, send(client, numbers, every="50"))["status"] == "done"
    shutil.rmtree(workdirs(temporary)[0])
    assert ended(client, send(client, numbers, every="50"))["status"] == "done"
    shutil.rmtree(temporary)
    answer = client.get("/readyz")
    assert_problem(answer, 503, "workdir-missing")
    assert str(temporary) not in answer.text
    assert_problem(send(client, numbers), 507, "output-unwritable")
    temporary.mkdir()
    assert client.get("/readyz").json()["temporary_folder_made_again"] == 3


def test_a_full_disk_in_a_job_is_507_without_a_path(
    client: TestClient, numbers: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary / "secret"))

    for where in ("mien.server.video_analysis.CsvRows.write", "mien.server.video_analysis.write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(where, full)
            state = ended(client, send(client, numbers, every="50"))
        assert (state["status"], state["error"]["status"]) == ("failed", 507)
        assert_problem(client.get(state["links"]["result"]), 507, "output-unwritable")
        assert "secret" not in str(state)
        assert str(temporary) not in str(state)
