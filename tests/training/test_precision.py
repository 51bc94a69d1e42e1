"""bfloat16 is chosen where a processor gains by it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mien.training import precision


@pytest.mark.parametrize(
    ("vendor", "flags", "gains"),
    [
        ("GenuineIntel", "avx2 fma", False),
        ("GenuineIntel", "avx2 fma avx512f avx512_bf16", False),
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("AuthenticAMD", "avx2 fma", False),
        ("AuthenticAMD", "avx512f avx512_bf16", True),
    ],
)
def test_processors(vendor: str, flags: str, gains: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(precision, "_PROCESSOR", file)
    assert precision.faster_in_bfloat16(torch.device("cpu")) is gains


def test_a_system_without_a_list_of_flags_computes_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_PROCESSOR", tmp_path / "missing")
    assert not precision.faster_in_bfloat16(torch.device("cpu"))
