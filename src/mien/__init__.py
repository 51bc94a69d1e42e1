"""Mien reads facial expressions: faces in photos and videos, the emotions they show, the age range they look like.

    import mien

    result = mien.analyze("photo.jpg")
    for face in result:
        print(face.box, face.emotion, face.emotions["happy"], face.age_range)

    report = mien.Analyzer().video("clip.mp4")
    for track in report.tracks:
        print(track.id, track.start, track.end, track.emotion, track.vote)

The output is how a face looks to raters, not what a person feels. Importing this module loads neither torch, OpenCV nor
ONNX Runtime; names are resolved when they are first used. Modules log to the logger "mien", silent by default.
"""

from __future__ import annotations

import os

# ONNX Runtime (1.29 and later, on Windows all) reports models and machine to Microsoft, and writes an identifier of the
# machine into the home folder, unless this is set before it is loaded, by whichever module
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False
# this module is loaded before Ctrl-C has its handler, so it loads no other: `typing` and `logging` take 10 ms
if TYPE_CHECKING:
    from typing import Any

    from mien.errors import (
        DataError,
        ImageError,
        InputError,
        MienError,
        MissingExtraError,
        MissingFileError,
        ModelError,
        OutputError,
        VideoError,
    )
    from mien.media.frame import Frame
    from mien.media.image import load_image
    from mien.models.card import Card
    from mien.pipeline.analyzer import Analyzer, analyze, analyze_batch
    from mien.results.faces import Face, Faces
    from mien.results.track import Track
    from mien.results.video import VideoFrame, VideoReport

__all__ = [
    "Analyzer",
    "Card",
    "DataError",
    "Face",
    "Faces",
    "Frame",
    "ImageError",
    "InputError",
    "MienError",
    "MissingExtraError",
    "MissingFileError",
    "ModelError",
    "OutputError",
    "Track",
    "VideoError",
    "VideoFrame",
    "VideoReport",
    "analyze",
    "analyze_batch",
    "load_image",
]

_HOME = {
    **dict.fromkeys(("Analyzer", "analyze", "analyze_batch"), "mien.pipeline.analyzer"),
    **dict.fromkeys(("Face", "Faces"), "mien.results.faces"),
    **dict.fromkeys(("VideoFrame", "VideoReport"), "mien.results.video"),
    "Card": "mien.models.card",
    "Frame": "mien.media.frame",
    "Track": "mien.results.track",
    "load_image": "mien.media.image",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mien")
    if name not in __all__:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME.get(name, "mien.errors")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
