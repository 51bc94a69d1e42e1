"""The search space of a recipe: fields that a search may set, and their limits.

A field is named by its path, such as ``optimizer.lr``, ``dropout`` or ``heads.fer2013.smoothing`` (heads by name).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mien.errors import InputError

Setting = float | int | str | bool | None
"""Value of a field."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """A number between ``low`` and ``high``, all equally likely at first.

    Attributes:
        field: of the recipe, such as "dropout" or "optimizer.lr".
        low: least value.
        high: greatest value.
        kind: of the dimension, in files.

    Raises:
        InputError: ``low`` is not below ``high``.

    Examples:
        >>> 0.3 in Uniform("dropout", 0.1, 0.5)
        True
    """

    field: str
    low: float
    high: float
    kind: Literal["uniform"] = "uniform"

    def __post_init__(self) -> None:
        _ordered(self.field, self.low, self.high)

    def __contains__(self, value: object) -> bool:
        return _number(value) and self.low <= value <= self.high  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A number between ``low`` and ``high``, both above 0, whose logarithm is uniform.

    Attributes:
        field: of the recipe.
        low: least value, above 0.
        high: greatest value.
        kind: of the dimension, in files.

    Raises:
        InputError: ``low`` is 0 or less, or not below ``high``.

    Examples:
        >>> 1e-3 in LogUniform("optimizer.lr", 1e-4, 1e-2)
        True
    """

    field: str
    low: float
    high: float
    kind: Literal["log-uniform"] = "log-uniform"

    def __post_init__(self) -> None:
        _ordered(self.field, self.low, self.high)
        if self.low <= 0:
            raise InputError(f"space: {self.field} is log-uniform, so its limits must be above 0")

    def __contains__(self, value: object) -> bool:
        return _number(value) and self.low <= value <= self.high  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included, in steps of ``step``.

    Attributes:
        field: of the recipe.
        low: least value.
        high: greatest value.
        step: between values; divides ``high - low``.
        kind: of the dimension, in files.

    Raises:
        InputError: ``low`` is not below ``high``, or another step.

    Examples:
        >>> 96 in Integer("batch_size", 32, 128, step=32)
        True
    """

    field: str
    low: int
    high: int
    step: int = 1
    kind: Literal["integer"] = "integer"

    def __post_init__(self) -> None:
        _ordered(self.field, self.low, self.high)
        if self.step < 1 or (self.high - self.low) % self.step:
            raise InputError(f"space: the step of {self.field} must divide {self.high} - {self.low}")

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and value in range(self.low, self.high + 1, self.step)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``values``, without an order.

    Attributes:
        field: of the recipe.
        values: at least two, all different.
        kind: of the dimension, in files.

    Raises:
        InputError: fewer than two values, or one twice.

    Examples:
        >>> "sgd" in Choice("optimizer.name", ("adamw", "sgd"))
        True
    """

    field: str
    values: tuple[Setting, ...]
    kind: Literal["choice"] = "choice"

    def __post_init__(self) -> None:
        if len(set(self.values)) < 2 or len(set(self.values)) != len(self.values):
            raise InputError(f"space: {self.field} needs at least two values, all different")

    def __contains__(self, value: object) -> bool:
        return value in self.values


Dimension = Uniform | LogUniform | Integer | Choice
DIMENSIONS: Mapping[str, type[Dimension]] = {
    "uniform": Uniform, "log-uniform": LogUniform, "integer": Integer, "choice": Choice,
}  # fmt: skip
"""Kind of a dimension in a recipe file → its type."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The dimensions of a search, one per field.

    Attributes:
        dimensions: in the order of tables.

    Raises:
        InputError: no dimension, or two of one field.

    Examples:
        >>> space = SearchSpace((LogUniform("optimizer.lr", 1e-4, 1e-2), Uniform("dropout", 0.1, 0.5)))
        >>> {"optimizer.lr": 1e-3, "dropout": 0.2} in space
        True
    """

    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        names = [one.field for one in self.dimensions]
        if not names:
            raise InputError("space: at least one dimension is needed")
        if len(set(names)) != len(names):
            raise InputError(f"space: {max(names, key=names.count)} has more than one dimension")

    def __contains__(self, settings: object) -> bool:
        """Whether every dimension contains its value of ``settings``, a mapping of field to value."""
        if not isinstance(settings, Mapping):
            return False
        return all(one.field in settings and settings[one.field] in one for one in self.dimensions)


def search_space_from_dict(raw: Mapping[str, Any]) -> SearchSpace:
    """The space in a recipe file; `InputError` for anything else."""
    try:
        dimensions = []
        for one in raw["dimensions"]:
            kind = one["kind"]
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in one.items()}
            if kind not in DIMENSIONS:
                raise InputError(f"space: no kind {kind!r} of dimension", advice=f"give {', '.join(DIMENSIONS)}")
            dimensions.append(DIMENSIONS[kind](**values))
        return SearchSpace(tuple(dimensions))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"space: no search space of this version ({error})") from None


def value_at(recipe: Any, path: str) -> Any:
    """The value of the field ``path`` of a recipe; `InputError` for a field that does not exist lists the others."""
    value = recipe
    for i, part in enumerate(path.split(".")):
        value = _child(value, part, path.split(".")[:i])
    return value


def with_settings(recipe: Any, settings: Mapping[str, Setting]) -> Any:
    """The recipe with fields set: path → value.

    Raises:
        InputError: a field that the recipe lacks, or a value of another kind than the field's.
    """
    for path, value in settings.items():
        recipe = _set(recipe, path.split("."), value, [])
    return recipe


def _set(owner: Any, path: list[str], value: Setting, above: list[str]) -> Any:
    name, *rest = path
    old = _child(owner, name, above)
    new = _set(old, rest, value, [*above, name]) if rest else _fitting(old, value, ".".join([*above, name]))
    if isinstance(owner, tuple):
        return tuple(new if one is old else one for one in owner)
    return dataclasses.replace(owner, **{name: new})


def _child(owner: Any, name: str, above: list[str]) -> Any:
    where = ".".join(above) or "a recipe"
    if isinstance(owner, tuple) and owner and all(hasattr(one, "name") for one in owner):
        known = {one.name: one for one in owner}
    elif dataclasses.is_dataclass(owner) and not isinstance(owner, type):
        known = {field.name: getattr(owner, field.name) for field in dataclasses.fields(owner)}
    else:
        raise InputError(f"space: {'.'.join([*above, name])} is no field: {where} has none below it")
    if name not in known:
        raise InputError(f"space: {'.'.join([*above, name])} is no field: {where} has {', '.join(known)}")
    return known[name]


def _fitting(old: Any, value: Setting, path: str) -> Setting:
    if isinstance(old, (tuple, dict)) or dataclasses.is_dataclass(old):
        raise InputError(f"space: {path} holds several values", advice="name one of them")
    both_numbers = _number(old) and _number(value)
    if old is not None and value is not None and not both_numbers and type(old) is not type(value):
        raise InputError(f"space: {path} is {old!r} in the recipe, so it cannot be {value!r}")
    return value


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ordered(field: str, low: float, high: float) -> None:
    if not (_number(low) and _number(high) and math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"space: {field} needs a lower limit that is below the upper one, got {low} and {high}")
