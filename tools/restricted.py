"""Use Mien where things are missing that a container often lacks: a place to write, a home, CPUs, memory, files.

    python tools/restricted.py                                      what this machine can try
    python tools/restricted.py --only 'no HOME' --json docs/results/restricted.json
    python tools/restricted.py --root FOLDER --json docs/results/restricted.json    in the files of an image

FOLDER holds the unpacked files of the image of deploy/build.sh (`buildah mount`, or `podman export` and tar).

Each restriction runs `mien demo`, then `mien serve`, which four photos are sent to at once and which SIGTERM ends. It
needs Linux, root for control groups, bubblewrap and util-linux.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PORTRAIT = ROOT / "src" / "mien" / "web" / "static" / "sample-collins.webp"
GROUPS = Path("/sys/fs/cgroup")
SECONDS = 180
PHOTOS = 4
CANNOT_RUN = 126
"""Exit code where the interpreter itself cannot be executed, as by another user."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """How a command is restricted.

    Attributes:
        prefix: words before the command; "{folder}" is the one folder that it may write to.
        group: file of a control group → value.
        fails: whether it is expected to end with one line that states what is missing.
    """

    prefix: Sequence[str] = ()
    group: Mapping[str, str] | None = None
    fails: bool = False


_READ_ONLY = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
_WRITABLE = ("--bind", "{folder}", "{folder}")
RESTRICTIONS: Mapping[str, Restriction] = {
    "nothing": Restriction(),
    "read-only root, `/tmp` in memory": Restriction((*_READ_ONLY, "--tmpfs", "/tmp", *_WRITABLE)),
    "read-only root, no place to write": Restriction((*_READ_ONLY, "--remount-ro", "/dev", *_WRITABLE), fails=True),
    "no HOME": Restriction(("env", "-u", "HOME", "-u", "XDG_CACHE_HOME")),
    "a user without account and home": Restriction(
        ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "env", "HOME=/nonexistent"),
    ),
    "one CPU (affinity)": Restriction(("taskset", "-c", "0")),
    "half a CPU (control group)": Restriction(group={"cpu/cpu.cfs_quota_us": "50000"}),
    "1 GiB of memory (control group)": Restriction(group={"memory/memory.limit_in_bytes": str(1 << 30)}),
    "64 open files": Restriction(("prlimit", "--nofile=64:64"), fails=True),
    "no network but loopback": Restriction(("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")),
}


class Unavailable(Exception):  # noqa: N818
    """This machine cannot try a restriction; the text is the reason."""


def enter_group(group: Mapping[str, str]) -> list[str]:
    """Make the control groups, and the words that put a command into them."""
    files = []
    for file, value in group.items():
        controller, name = file.split("/")
        folder = GROUPS / controller / "mien-restricted"
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(value)
        except OSError as error:
            raise Unavailable(f"control groups: {error.strerror}") from None
        files.append(folder / "cgroup.procs")
    joined = "; ".join(f"echo $$ > {file}" for file in files)
    return ["sh", "-c", f'{joined}; exec "$@"', "sh"]


def command(restriction: Restriction, folder: Path, root: Path | None, *words: str) -> list[str]:
    """``mien WORDS`` under a restriction; a file that it writes goes to "{folder}"."""
    prefix = list(restriction.prefix)
    if root is not None:
        place = [] if restriction.fails else ["--tmpfs", "/tmp"]
        inside = ["bwrap", "--ro-bind", str(root), "/", "--dev", "/dev", "--remount-ro", "/dev", "--proc", "/proc"]
        inside += [*place, "--bind", "{folder}", "/mnt", "--setenv", "PATH", "/opt/mien/bin:/usr/bin:/bin", "mien"]
        prefix = prefix or ["setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups"]
        prefix = inside if prefix[0] == "bwrap" else [*prefix, *inside]
    else:
        prefix += [sys.executable, "-m", "mien"]
    if shutil.which(prefix[0]) is None:
        raise Unavailable(f"{prefix[0]} is not installed")
    seen = "/mnt" if root is not None else str(folder)
    group = enter_group(restriction.group) if restriction.group else []
    return [
        *group, *(word.replace("{folder}", str(folder)) for word in prefix),
        *(word.replace("{folder}", seen) for word in words),
    ]  # fmt: skip


def demo(call: Sequence[str], folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(call, cwd="/", env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode == CANNOT_RUN:
        raise Unavailable(last_line(done.stderr))
    if done.returncode:
        return f"exit {done.returncode}: {last_line(done.stderr)}"
    label = re.search(r"\b(happy|neutral|surprise|sad|fear|angry|disgust|contempt)\b", done.stdout)
    return label[0] if label and (folder / "demo.png").is_file() else f"no face: {last_line(done.stdout)}"


def service(call: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """Start the service, send photos, end it; ``photos`` and ``exit``, and the lines that it printed at the start."""
    child = subprocess.Popen(call, cwd="/", env=env, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(SECONDS, child.kill)
    timer.start()
    lines: list[str] = []
    url = ""
    try:
        assert child.stderr is not None
        for line in child.stderr:
            found = re.search(r"serving on (http://\S+)", line)
            if found:
                url = found[1]
                break
            lines.append(line.strip())
        if not url:
            return {"photos": 0, "exit": child.wait(SECONDS), "lines": lines[-2:]}
        # the pipe is emptied, or the service would block on it
        threading.Thread(target=child.stderr.read, daemon=True).start()
        with ThreadPoolExecutor(PHOTOS) as pool:
            labels = list(pool.map(send, [url] * PHOTOS))
        os.kill(last_descendant(child.pid), signal.SIGTERM)
        return {"photos": labels.count("happy"), "exit": child.wait(SECONDS), "lines": lines}
    finally:
        timer.cancel()
        child.kill()
        child.wait()


def last_descendant(pid: int) -> int:
    """The process that a wrapper such as bwrap, which passes no signals on, waits for; podman passes them on."""
    name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return last_descendant(int(children[0])) if name == "bwrap" and children else pid


def send(url: str) -> str:
    """The emotion that the service predicts for the portrait."""
    boundary = "mien-restricted"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="p.webp"\r\n\r\n'
    body = head.encode() + PORTRAIT.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    port = url.rsplit(":", 1)[1]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/analyze", body,
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            [photo] = json.loads(answer.read())["results"]
    except OSError as error:
        return str(error)
    [face] = photo["faces"]
    probabilities = face["predictions"]["emotion"]["probabilities"]
    return max(probabilities, key=probabilities.__getitem__)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def attempt(restriction: Restriction, root: Path | None) -> dict[str, Any]:
    """What `mien demo` and `mien serve` do under a restriction."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        env = {key: value for key, value in os.environ.items() if key != "TMPDIR"} | {"OMP_NUM_THREADS": "1"}
        try:
            found: dict[str, Any] = {
                "demo": demo(command(restriction, folder, root, "demo", "--out", "{folder}/demo.png"), folder, env)
            }
            if restriction.prefix[:1] != ("unshare",):
                found |= service(command(restriction, folder, root, "serve", "--port", "0"), env)
        except Unavailable as reason:
            return {"not_tried": str(reason)}
    return found | {"fails": restriction.fails}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(RESTRICTIONS), default=list(RESTRICTIONS))
    parser.add_argument("--root", type=Path, help="folder of the unpacked files of the image, instead of this Python")
    parser.add_argument("--json", type=Path, help="write the results here, beside those of earlier calls")
    options = parser.parse_args()
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    rows = results.setdefault("image" if options.root else "installation", {})
    results["system"] = platform.platform()
    bad = 0
    for name in options.only:
        rows[name] = row = attempt(RESTRICTIONS[name], options.root)
        print(name, json.dumps(row), flush=True)
        works = row.get("demo") == "happy" and row.get("photos", PHOTOS) == PHOTOS and row.get("exit", 0) in (0, 143)
        bad += "not_tried" not in row and works == RESTRICTIONS[name].fails
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
