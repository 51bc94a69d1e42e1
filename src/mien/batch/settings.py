"""What the rows of a batch depend on, besides its inputs; sent to every worker, written into the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import defaults
from mien.detect.options import DetectionOptions
from mien.errors import MissingFileError
from mien.media.selection import FrameSelection
from mien.models.priors import DEFAULT
from mien.smoothing.options import SmoothingOptions
from mien.tracking.options import TrackingOptions

if TYPE_CHECKING:
    from mien.pipeline.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How inputs are analysed.

    Attributes:
        models: shipped models' names or paths of ``.onnx`` files, each with a name in results before ``=`` if wanted;
            empty for detection alone.
        detection: how faces are detected.
        selection: which frames of videos are taken.
        tracking: how faces are followed.
        smoothing: how predictions are smoothed over time.
        flip: average every distribution with that of the mirrored face.
        prior: how often labels are expected, see `mien.Analyzer`.
        coverage: probability with which sets of labels hold the right one, see `mien.Analyzer`; None for no sets.
        by_class: for the faces of each label.
        device: what networks run on, see `mien.Analyzer`.

    Examples:
        >>> AnalysisSettings(models=("emotion",), detection=DetectionOptions(min_face=48)).describe()["min_face"]
        48
    """

    models: tuple[str, ...] = defaults.MODELS
    detection: DetectionOptions = DetectionOptions()
    selection: FrameSelection = FrameSelection()
    tracking: TrackingOptions = TrackingOptions()
    smoothing: SmoothingOptions = SmoothingOptions()
    flip: bool = False
    prior: str = DEFAULT
    coverage: float | None = None
    by_class: bool = False
    device: str = defaults.DEVICE

    def describe(self) -> dict[str, Any]:
        """Option → value, JSON-ready."""
        values: dict[str, Any] = {"models": list(self.models), "flip": self.flip, "prior": self.prior}
        values |= {} if self.coverage is None else {"coverage": self.coverage, "by_class": self.by_class}
        values["device"] = self.device
        for options in (self.detection, self.selection, self.tracking, self.smoothing):
            values |= asdict(options)
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class AnalysisSetup:
    """Settings with the content of their models: every worker, on whatever machine, computes with the same files.

    Attributes:
        settings: the settings.
        models: name in results → content of the ONNX file.
    """

    settings: AnalysisSettings
    models: Mapping[str, bytes] = field(repr=False)

    def describe(self) -> dict[str, Any]:
        """JSON-ready: the settings, the version, and the SHA-256 of every model file."""
        import mien

        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in self.models.items()}
        weights = self.settings.detection.detector_model
        if weights is not None:
            hashes["detector_model"] = hashlib.sha256(_read_file(weights)).hexdigest()
        return self.settings.describe() | {"mien": mien.__version__, "sha256": hashes}

    def analyzer(self, threads: int) -> Analyzer:
        """The analyzer of one worker."""
        from mien.models.model import Model
        from mien.pipeline.analyzer import Analyzer
        from mien.predict.model_set import ModelSet

        settings = self.settings
        choice: dict[str, Any] = {
            "prior": settings.prior, "coverage": settings.coverage, "by_class": settings.by_class,
            "device": settings.device,
        }  # fmt: skip
        detection = self.settings.detection
        return Analyzer(
            models=ModelSet.open(
                {name: Model(content, threads=threads, name=name, **choice) for name, content in self.models.items()}
            ),
            detector=detection.detector,
            detector_model=detection.detector_model,
            min_face=detection.min_face,
            threshold=detection.threshold,
            max_side=detection.max_side,
            threads=threads,
            flip=self.settings.flip,
            device=settings.device,
        )


def load_setup(settings: AnalysisSettings) -> AnalysisSetup:
    """Read the models of these settings, and check that they all load.

    Raises:
        InputError, MissingFileError, ModelError: as `mien.Analyzer`.
    """
    from mien.predict.model_set import ModelSet

    setup = AnalysisSetup(settings, ModelSet.read(settings.models, prior=settings.prior))
    setup.analyzer(threads=1)  # an error is reported now, not by every worker
    return setup


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingFileError(f"cannot be read: {error.strerror}", path=path, advice="check the path") from None
