"""The table of devices that networks run on: a name → an execution provider of ONNX Runtime with its options."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mien import defaults
from mien.errors import InputError, unknown_name

CPU_PROVIDER = "CPUExecutionProvider"
Options = dict[str, str]


class DeviceWarning(UserWarning):
    """Networks run on the processor, because the requested device did not load.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     _ = mien.Analyzer(models=[], device="migraphx")
        >>> {warning.category.__name__ for warning in caught}
        {'DeviceWarning'}
    """


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A row of `DEVICES`.

    Attributes:
        provider: its name in ONNX Runtime.
        needs: the package that brings the provider, and what it needs besides.
        summary: what it runs on and where, one line.
        unit: which unit a device of this name may state after a colon, for people; empty for none.
        options: ``(unit or None, threads)`` → options of the provider.
        numbered: whether the unit is a number.

    Examples:
        >>> DEVICES["openvino"].provider, DEVICES["openvino"].needs
        ('OpenVINOExecutionProvider', 'onnxruntime-openvino')
    """

    provider: str
    needs: str
    summary: str
    unit: str = ""
    options: Callable[[str | None, int], Options] = lambda unit, threads: {}
    numbered: bool = False
    difference_in_8_bits: float = 0.0


def _numbered(unit: str | None, threads: int) -> Options:
    return {} if unit is None else {"device_id": unit}


def _cuda(unit: str | None, threads: int) -> Options:
    # as accurate as the processor, and no search for the fastest algorithm at every new size of picture
    return _numbered(unit, threads) | {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def _openvino(unit: str | None, threads: int) -> Options:
    device = (unit or "CPU").upper()
    options = {"device_type": device}
    if device == "CPU":
        options |= {"num_of_threads": str(threads), "precision": "FP32"}
    return options


def _coreml(unit: str | None, threads: int) -> Options:
    return {"ModelFormat": "MLProgram", "MLComputeUnits": unit or "ALL"}


DEVICES: Mapping[str, DeviceInfo] = MappingProxyType(
    {
        "cpu": DeviceInfo(CPU_PROVIDER, "onnxruntime", "the processor, everywhere; the reference"),
        "cuda": DeviceInfo(
            "CUDAExecutionProvider",
            "onnxruntime-gpu[cuda,cudnn], and a driver of NVIDIA",
            "graphics processors of NVIDIA; Linux, Windows",
            "number of the graphics processor",
            _cuda,
            numbered=True,
        ),
        "tensorrt": DeviceInfo(
            "TensorrtExecutionProvider",
            "onnxruntime-gpu[cuda,cudnn], and TensorRT",
            "graphics processors of NVIDIA, networks compiled at the first run; Linux, Windows",
            "number of the graphics processor",
            _numbered,
            numbered=True,
        ),
        "openvino": DeviceInfo(
            "OpenVINOExecutionProvider",
            "onnxruntime-openvino",
            "processors, graphics and neural processors of Intel; Linux, Windows",
            "CPU, GPU, GPU.1, NPU or AUTO",
            _openvino,
            difference_in_8_bits=0.023,
        ),
        "coreml": DeviceInfo(
            "CoreMLExecutionProvider",
            "onnxruntime",
            "processors, graphics and neural engine of Apple; macOS",
            "ALL, CPUOnly, CPUAndGPU or CPUAndNeuralEngine",
            _coreml,
        ),
        "directml": DeviceInfo(
            "DmlExecutionProvider",
            "onnxruntime-directml",
            "graphics processors of all makers; Windows",
            "number of the graphics processor",
            _numbered,
            numbered=True,
        ),
        "migraphx": DeviceInfo(
            "MIGraphXExecutionProvider",
            "onnxruntime-migraphx, and ROCm",
            "graphics processors of AMD; Linux",
            "number of the graphics processor",
            _numbered,
            numbered=True,
        ),
    }
)
"""Every device by name: the one place to add another. All but the processor take what they cannot run back to it.

Examples:
    >>> list(DEVICES)
    ['cpu', 'cuda', 'tensorrt', 'openvino', 'coreml', 'directml', 'migraphx']
"""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as requested.

    Attributes:
        name: a name in `DEVICES`.
        unit: what stood after a colon, None for nothing.
    """

    name: str = defaults.DEVICE
    unit: str | None = None

    def __str__(self) -> str:
        return self.name if self.unit is None else f"{self.name}:{self.unit}"

    @property
    def info(self) -> DeviceInfo:
        """Its row in `DEVICES`."""
        return DEVICES[self.name]

    def providers(self, threads: int) -> list[str | tuple[str, Options]]:
        """What ONNX Runtime takes as ``providers``: the device's own, then the processor."""
        own = self.info.provider, self.info.options(self.unit, threads)
        return [CPU_PROVIDER] if self.name == "cpu" else [own, CPU_PROVIDER]


def parse_device(text: str) -> Device:
    """``"cuda:1"`` → a `Device`.

    Raises:
        InputError: no such device, or a unit where it has none.

    Examples:
        >>> parse_device("openvino:GPU")
        Device(name='openvino', unit='GPU')
    """
    if not isinstance(text, str):
        raise InputError(f"device is a name, got {text!r}", advice='write "cpu" or "cuda:0"', code="device-unknown")
    name, colon, unit = text.partition(":")
    if name not in DEVICES:
        raise unknown_name("device", name, DEVICES, code="device-unknown")
    info = DEVICES[name]
    if colon and (not info.unit or not unit):
        raise InputError(
            f"device {text!r} names no unit that {name} has",
            advice=f"write {name}" + (f":UNIT with {info.unit}" if info.unit else ""),
            code="device-unknown",
        )
    if colon and info.numbered and not (unit.isascii() and unit.isdigit()):
        raise InputError(f"device {text!r} names no number", advice=f"write {name}:0", code="device-unknown")
    return Device(name, unit if colon else None)


def load_libraries(device: Device) -> None:
    """Load what a provider needs from packages beside ONNX Runtime, where its version can; it may print on stdout."""
    import onnxruntime

    if device.name in ("cuda", "tensorrt") and hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()
