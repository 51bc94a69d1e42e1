"""What every Python runner does: `RUNNER FOLDER VARIANT import|once PHOTO|serve`. Standard library and NumPy alone.

A runner gives `main` an object with ``bring()`` (import), ``load()`` (build), ``read(path)`` → a picture,
``analyze(picture)`` and ``batch(paths)`` → the number of faces, and where it can ``score(faces)``: uint8
``(n, side, side)`` gray → head → ``(n, k)`` probabilities, whose labels ``labels`` then holds, and
``find(rgb, min_face)`` → boxes x, y, width, height. Answers go out as lines that begin with "@@"; whatever the package
prints goes to stderr.
"""

import json
import os
import sys
import time

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(**answer):
    ANSWERS.write("@@" + json.dumps(answer) + "\n")
    ANSWERS.flush()


def photo(peer, path, times):
    reading, analysing, processor, faces = [], [], [], 0
    for _ in range(times):
        before = time.process_time()
        start = time.perf_counter()
        picture = peer.read(path)
        middle = time.perf_counter()
        faces = peer.analyze(picture)
        end = time.perf_counter()
        reading.append(1000 * (middle - start))
        analysing.append(1000 * (end - middle))
        processor.append(1000 * (time.process_time() - before))
    return {"read_ms": reading, "analyze_ms": analysing, "cpu_ms": processor, "faces": faces}


def batch(peer, paths):
    start, before = time.perf_counter(), time.process_time()
    faces = peer.batch(paths)
    return {"s": time.perf_counter() - start, "cpu_s": time.process_time() - before, "faces": faces}


def score(peer, given, n, side, out):
    import numpy as np

    faces = np.fromfile(given, np.uint8).reshape(n, side, side)
    answers = {name: np.asarray(each, np.float32) for name, each in peer.score(faces).items()}
    for name, each in answers.items():
        each.tofile(f"{out}.{name}")
    return {"heads": {name: list(peer.labels[name]) for name in answers}}


def find(peer, photo, height, width, min_face):
    import numpy as np

    boxes = peer.find(np.fromfile(photo, np.uint8).reshape(height, width, 3), min_face)
    return [[float(x + w / 2), float(y + h / 2)] for x, y, w, h in boxes]


def main(peer):
    mode = sys.argv[3]
    try:
        if mode == "import":
            peer.bring()
            return
        peer.bring()
        peer.load()
        if mode == "once":
            say(faces=peer.analyze(peer.read(sys.argv[4])))
            # what a package leaves running does not count, and some take long to end
            ANSWERS.flush()
            return
        say(labels=[])
        for line in sys.stdin:
            request = json.loads(line)
            if request["op"] == "photo":
                say(**photo(peer, request["path"], request["times"]))
            elif request["op"] == "batch":
                say(**batch(peer, request["paths"]))
            elif request["op"] == "find":
                say(centres=find(peer, request["photo"], request["height"], request["width"], request["min_face"]))
            else:
                say(**score(peer, request["faces"], request["n"], request["side"], request["out"]))
    except Exception as error:
        text = " ".join(str(error).split())
        say(error=f"{type(error).__name__}: {text}")
        raise SystemExit(3) from None
