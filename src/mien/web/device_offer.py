"""What a service gives to the page so that it may compute in the browser."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from mien import defaults
from mien.models.priors import DEFAULT
from mien.predict.model_set import ModelSet
from mien.web.runtime import MODULES, cached_runtime
from mien.web.site import device_assets

_LEVEL = 1
"""Of the compression: the first page waits for it."""


class DeviceOffer:
    """The files with which the page computes as the service does; made at the first call.

    Args:
        models: names or files, as for `mien.predict.model_set.ModelSet.open`.
        prior: as there.
        coverage: as there.
        by_class: as there.
        min_face: height of the smallest face to detect, pixels.
    """

    def __init__(
        self,
        models: Iterable[str],
        *,
        prior: str = DEFAULT,
        coverage: float | None = None,
        by_class: bool = False,
        min_face: int | None = defaults.MIN_FACE,
    ) -> None:
        self._models, self._prior, self._min_face = list(models), prior, min_face
        self._coverage, self._by_class = coverage, by_class
        self._lock = threading.Lock()
        self._files: tuple[dict[str, bytes], dict[str, bytes]] | None = None

    def assets(self) -> Mapping[str, bytes]:
        """Settings, networks and runtime; none where the runtime is not in the cache.

        Raises:
            InputError: a model that takes more than pixels.
            ModelError: a file of the cache is another than the pinned one.
        """
        return self._made()[0]

    def modules(self) -> Mapping[str, bytes]:
        """Scripts of others."""
        return self._made()[1]

    def _made(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        with self._lock:
            runtime = cached_runtime() if self._files is None else None
            if self._files is None and runtime is not None:
                networks = ModelSet.read(self._models, prior=self._prior)
                loaded = ModelSet.open(
                    self._models, threads=1, prior=self._prior, coverage=self._coverage, by_class=self._by_class
                )
                assets = device_assets(runtime, loaded, networks, min_face=self._min_face, level=_LEVEL)
                self._files = assets, {name: runtime[name] for name in MODULES}
            return self._files or ({}, {})
