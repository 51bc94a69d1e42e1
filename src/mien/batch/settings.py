"""What the rows of a batch depend on, besides its inputs; sent to every worker, written into the manifest."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MissingFileError

if TYPE_CHECKING:
    from mien.pipeline.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class Settings:
    """How inputs are analysed; names as for `mien.Analyzer`, `Analyzer.stream` and `mien.pipeline.video.FollowOptions`.

    ``emotion`` and ``age`` are a shipped model's name, the path of an ``.onnx`` file, or None for none.
    """

    detector: str = "mtcnn"
    detector_model: str | None = None
    min_face: int = 40
    emotion: str | None = "emotion"
    age: str | None = "age"
    flip: bool = False
    every: int = 1
    fps: float | None = None
    start: float | None = None
    end: float | None = None
    detect_every: int = 1
    time_constant: float = 0.5
    window: float = 4.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Settings with the content of their models: every worker, on whatever machine, computes with the same files.

    Attributes:
        settings: the settings.
        models: "emotion", "age" → content of the ONNX file.
    """

    settings: Settings
    models: dict[str, bytes] = field(repr=False)

    def describe(self) -> dict[str, Any]:
        """JSON-ready: the settings, the version, and the SHA-256 of every model file."""
        import mien

        values = asdict(self.settings) | {"mien": mien.__version__}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.models.items()}
        if self.settings.detector_model is not None:
            hashes["detector_model"] = hashlib.sha256(_read(self.settings.detector_model)).hexdigest()
        return values | {"sha256": hashes}

    def analyzer(self, threads: int) -> Analyzer:
        """The analyzer of one worker."""
        from mien.models.model import Model
        from mien.pipeline.analyzer import Analyzer

        given, models = self.settings, {}
        for task in ("emotion", "age"):
            content, name = self.models.get(task), getattr(given, task)
            models[task] = None if content is None else Model(content, threads=threads, name=name)
        return Analyzer(
            detector=given.detector,
            detector_model=given.detector_model,
            min_face=given.min_face,
            threads=threads,
            flip=given.flip,
            **models,
        )


def prepare(settings: Settings) -> Prepared:
    """Read the models of these settings, and check that they all load.

    Raises:
        InputError, MissingFileError, ModelError: as `mien.Analyzer`.
    """
    from mien.models.catalog import read_model

    models = {}
    for task in ("emotion", "age"):
        name = getattr(settings, task)
        if name is not None:
            models[task] = read_model(Path(name) if name.endswith(".onnx") else name)
    prepared = Prepared(settings, models)
    prepared.analyzer(threads=1)  # what cannot work is told now, not by every worker
    return prepared


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingFileError(f"{path}: cannot be read: {error.strerror}; check the path") from None
