"""What the rows of a batch depend on, besides its inputs; sent to every worker, written into the manifest."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import defaults
from mien.errors import MissingFileError

if TYPE_CHECKING:
    from mien.pipeline.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How inputs are analysed; names as for `mien.Analyzer`, `Analyzer.stream` and `mien.pipeline.video.FollowOptions`.

    ``emotion`` and ``age`` are a shipped model's name, the path of an ``.onnx`` file, or None for none.
    """

    detector: str = defaults.DETECTOR
    detector_model: str | None = None
    min_face: int = defaults.MIN_FACE
    emotion: str | None = "emotion"
    age: str | None = "age"
    flip: bool = False
    every: int = defaults.EVERY
    fps: float | None = None
    start: float | None = None
    end: float | None = None
    detect_every: int = defaults.DETECT_EVERY
    time_constant: float = defaults.TIME_CONSTANT
    window: float = defaults.WINDOW


@dataclass(frozen=True, slots=True)
class AnalysisSetup:
    """Settings with the content of their models: every worker, on whatever machine, computes with the same files.

    Attributes:
        settings: the settings.
        models: "emotion", "age" → content of the ONNX file.
    """

    settings: AnalysisSettings
    models: dict[str, bytes] = field(repr=False)

    def describe(self) -> dict[str, Any]:
        """JSON-ready: the settings, the version, and the SHA-256 of every model file."""
        import mien

        values = asdict(self.settings) | {"mien": mien.__version__}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.models.items()}
        if self.settings.detector_model is not None:
            hashes["detector_model"] = hashlib.sha256(_read_file(self.settings.detector_model)).hexdigest()
        return values | {"sha256": hashes}

    def analyzer(self, threads: int) -> Analyzer:
        """The analyzer of one worker."""
        from mien.models.model import Model
        from mien.pipeline.analyzer import Analyzer

        settings, models = self.settings, {}
        for task in ("emotion", "age"):
            content, name = self.models.get(task), getattr(settings, task)
            models[task] = None if content is None else Model(content, threads=threads, name=name)
        return Analyzer(
            detector=settings.detector,
            detector_model=settings.detector_model,
            min_face=settings.min_face,
            threads=threads,
            flip=settings.flip,
            **models,
        )


def load_setup(settings: AnalysisSettings) -> AnalysisSetup:
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
    setup = AnalysisSetup(settings, models)
    setup.analyzer(threads=1)  # an error is reported now, not by every worker
    return setup


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingFileError(f"cannot be read: {error.strerror}", path=path, advice="check the path") from None
