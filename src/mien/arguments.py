"""Numbers that callers pass: NumPy's become Python's, and anything else is an error that names the argument."""

from __future__ import annotations

import numbers
import operator
from typing import Any

from mien.errors import InputError


def plain_number(name: str, value: Any) -> int | float:
    """A number as Python's own int or float, which JSON can hold.

    Args:
        name: of the argument, for the error.
        value: what the caller passed.

    Raises:
        InputError: it is a text, a truth value, or anything else than a number.

    Examples:
        >>> plain_number("fps", np.float32(2.5)), plain_number("every", np.int64(3))
        (2.5, 3)
    """
    whole = _as_integer(value)
    if whole is not None:
        return whole
    if not isinstance(value, bool | str) and isinstance(value, numbers.Real):
        return float(value)
    raise _no_number(name, value, "a number")


def whole_number(name: str, value: Any) -> int:
    """A whole number as Python's own int.

    Args:
        name: of the argument, for the error.
        value: what the caller passed.

    Raises:
        InputError: it is a fraction, a text, a truth value, or anything else.

    Examples:
        >>> whole_number("threads", np.uint8(4))
        4
    """
    whole = _as_integer(value)
    if whole is None:
        raise _no_number(name, value, "a whole number")
    return whole


def set_plain_numbers(options: object, *names: str) -> None:
    """Make these attributes of a frozen value plain numbers; None stays.

    Raises:
        InputError: one of them is no number.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None:
            object.__setattr__(options, name, plain_number(name, value))


def _as_integer(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _no_number(name: str, value: Any, wanted: str) -> InputError:
    return InputError(f"{name} is {wanted}, got {value!r}" + (", a text" if isinstance(value, str) else ""))
