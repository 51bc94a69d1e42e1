"""Signatures of the reference show the values of defaults, not the names of their constants (an extension of griffe)."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Any

import griffe

SRC = Path(__file__).parents[1] / "src"


@functools.cache
def _constants(file: Path) -> dict[str, str]:
    """Name of a constant in a file → its literal value as code."""
    found: dict[str, str] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        for name, one in zip(target.elts, value.elts, strict=True) if several else [(target, value)]:
            if not isinstance(name, ast.Name):
                continue
            try:
                found[name.id] = repr(ast.literal_eval(one)).replace("'", '"')
            except (TypeError, ValueError):
                continue
    return found


def _value(default: Any) -> Any:
    """The value of a default that is the name of a constant of the package; any other default as it is."""
    module, _, name = getattr(default, "canonical_path", "").rpartition(".")
    file = (SRC / Path(*module.split("."))).with_suffix(".py")
    return _constants(file).get(name, default) if module.startswith("mien.") and file.is_file() else default


class DefaultValues(griffe.Extension):
    """Puts values in place of names."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """The parameters of a function."""
        for parameter in func.parameters:
            parameter.default = _value(parameter.default)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """The fields of a data class."""
        if attr.parent is not None and attr.parent.is_class:
            attr.value = _value(attr.value)
