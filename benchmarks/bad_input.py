"""What bad input gets: every case is made afresh, given to the commands as a person would, and its answer printed.

python benchmarks/bad_input.py > docs/bad-input.md
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from public_portraits import portrait

from helpers.costly_files import jpeg_of_scans
from helpers.hostile import bomb, png_of_texts
from mien.errors import MienError


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    with Image.open(portrait()) as opened:
        opened.convert("RGB").save(stream, kind)
    return stream.getvalue()


def csv(*rows: str) -> bytes:
    return "\n".join(["emotion,pixels,Usage", *rows]).encode()


PIXELS = " ".join(["7"] * 2304)
FILES: dict[str, bytes] = {
    "good.jpg": picture("JPEG"),
    "empty.jpg": b"",
    "cut.jpg": picture("JPEG")[:9000],
    "cut.png": picture("PNG")[:9000],
    "text.jpg": b"dear diary\n" * 9,
    "page.jpg": b"<!doctype html><html></html>",
    "bomb.png": bomb(),
    "scans.jpg": jpeg_of_scans(5000, 5000, 12_000),
    "texts.png": png_of_texts(100_000),
    "clip.jpg": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0" * 64,
    "one.png": (lambda s: (Image.new("RGB", (1, 1)).save(s, "PNG"), s.getvalue())[1])(io.BytesIO()),
    "fake.onnx": b"not a model",
    "short.csv": csv(f"0,{PIXELS},Training", "1,1 2 3,Training"),
    "label.csv": csv(f"0,{PIXELS},Training", f"9,{PIXELS},Training"),
    "usage.csv": csv(f"0,{PIXELS},Holiday"),
    "number.csv": csv(f"0,{PIXELS.replace('7', 'x', 1)},Training"),
}
CALLS = (
    "analyze absent.jpg",
    "analyze nothing",
    "analyze '*.bmp'",
    "analyze empty.jpg",
    "analyze cut.jpg",
    "analyze cut.png",
    "analyze text.jpg",
    "analyze page.jpg",
    "analyze clip.jpg",
    "analyze bomb.png",
    "analyze scans.jpg",
    "analyze texts.png",
    "analyze one.png --json",
    "analyze empty.jpg good.jpg cut.jpg --json",
    "analyze good.jpg --models fake.onnx",
    "analyze good.jpg --models smile",
    "analyze good.jpg --models age,age",
    "analyze good.jpg --detector yunet",
    "analyze good.jpg --detector yunet --detector-model fake.onnx",
    "analyze good.jpg --csv nothing",
    "analyze good.jpg --save out.xyz",
    "data prepare short.csv --out o.parquet",
    "data prepare label.csv --out o.parquet",
    "data prepare usage.csv --out o.parquet",
    "data prepare number.csv --out o.parquet",
    "data prepare nothing --out o.parquet",
    "train emotion-cpu --data absent.parquet",
    "train smile --data o.parquet",
    "evaluate emotion --data good.jpg",
    "export nothing --out x.onnx",
)
ARRAYS = (
    ("no colour order", np.zeros((9, 9, 3), np.uint8)),
    ("channels first", np.zeros((3, 9, 9), np.uint8)),
    ("a batch", np.zeros((2, 9, 9, 3), np.uint8)),
    ("floats 0–1", np.random.default_rng(0).random((9, 9, 3))),
    ("NaN", np.full((9, 9, 3), np.nan)),
    ("16 bits", np.zeros((9, 9, 3), np.uint16)),
    ("zero size", np.zeros((0, 9, 3), np.uint8)),
    ("None", None),
)


def main() -> None:
    import mien

    print(
        "# Bad input\n\nWhat commands and functions report for damaged, missing and unsuitable input. "
        "`python benchmarks/bad_input.py` makes and runs every case; no call ends in a traceback.\n"
    )
    print("## Commands\n\n| call | exit code | printed on stderr |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in FILES.items():
            (Path(folder) / name).write_bytes(content)
        (Path(folder) / "nothing").mkdir()
        environment = os.environ | {"MIEN_CACHE": folder, "COLUMNS": "200"}
        for call in CALLS:
            command = f"{sys.executable} -m mien {call}"
            run = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env=environment)
            message = "<br>".join(re.sub(r"/\S*/tmp\w+|/tmp/\w+", "…", line) for line in run.stderr.splitlines())
            done = sum(line.startswith("{") for line in run.stdout.splitlines())
            note = f" *({done} done)*" if done else ""
            print(f"| `mien {call}` | {run.returncode} | {message.replace('|', '∣')}{note} |", flush=True)
            if "Traceback" in run.stderr:
                raise SystemExit(f"{call}: ended in a traceback:\n{run.stderr}")
    print("\n## Arrays\n\n| `mien.load_image(array)` | error |\n|---|---|")
    for name, array in ARRAYS:
        color = None if name == "no colour order" else "rgb"
        try:
            mien.load_image(array, color=color)
            message = "nothing"
        except MienError as error:
            message = f"{type(error).__name__}: {error}"
        print(f"| {name} | {message.replace('|', '∣')} |")


if __name__ == "__main__":
    main()
