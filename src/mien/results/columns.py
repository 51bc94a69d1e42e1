"""Columns of results, and everything that is made from a table of columns: values, JSON objects, their schema, Arrow
types. The tables themselves are in `mien.results.face_columns` and `mien.results.track_columns`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.csv_cells import csv_cells
from mien.errors import InputError

Dtype = Literal["string", "category", "int32", "int64", "float64", "bool"]
"""Type of a column's values; a category is a string with few different values."""
T = TypeVar("T")
ROW_GROUP = 65_536
"""Rows of a row group in Parquet files."""
_NOT_IN_NAMES = re.compile(r"\W+")


class AnyKey(str):
    """A key of a JSON object that stands for any name: that of a head or of a label."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column, used by everything that writes, reads or documents a table.

    Attributes:
        name: in CSV, Parquet and data frames.
        dtype: type of its values; None stands for "nothing" in any column.
        description: for people; states what it is and when it is empty.
        values: from what the table is made of, and `digits`, to one value per row.
        path: keys that lead to it in the JSON object of a row; an integer is a place in a list. Empty: not in JSON.
        unit: such as "pixels" or "seconds"; empty for none.
        digits: decimals that values are rounded to, None for all.
        low: least value, for the schema.
        high: greatest value, for the schema.
        required: whether the key is always there in JSON; otherwise it is left out where there is nothing.
        null: whether the key is there, as null, where there is nothing, as long as its object is.
        flat: whether CSV, Parquet and data frames have it; a list, such as landmarks, is in JSON alone.
        schema: of a value that is no plain one, such as a list; None follows from the other attributes.
        separator: of a column whose values are lists of strings: between them where the table is flat.
        any_description: the description in the schema, where one key stands for the columns of all heads and labels.
    """

    name: str
    dtype: Dtype
    description: str
    values: Callable[[T, int | None], list[Any]]
    path: tuple[str | int, ...] = ()
    unit: str = ""
    digits: int | None = None
    low: float | None = None
    high: float | None = None
    required: bool = False
    null: bool = False
    flat: bool = True
    schema: Mapping[str, Any] | None = None
    separator: str = ""
    any_description: str = ""

    @property
    def is_label(self) -> bool:
        """Whether its values are labels of a head."""
        return self.dtype == "category" and bool(self.path)

    def read(self, table: T) -> list[Any]:
        """Its values, one per row, rounded to `digits`."""
        return self.values(table, self.digits)

    def read_flat(self, table: T) -> list[Any]:
        """`read`, with lists as text."""
        return [self.flat_value(value) for value in self.read(table)] if self.separator else self.read(table)

    def flat_value(self, value: Any) -> Any:
        """A value as it stands in flat tables."""
        return self.separator.join(value) if self.separator and value is not None else value


def check_names(columns: Sequence[Column[Any]]) -> None:
    """`InputError` where two columns of a table have one name."""
    names = [column.name for column in columns if column.flat]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two columns are called {twice!r}", advice="rename a head or a label of your model")


def flat_values(columns: Sequence[Column[T]], table: T) -> dict[str, list[Any]]:
    """Column name → one value per row: what CSV, Parquet and data frames hold."""
    return {column.name: column.read_flat(table) for column in columns if column.flat}


def csv_values(columns: Sequence[Column[T]], table: T) -> dict[str, list[Any]]:
    """`flat_values` as cells of a CSV file; see `mien.csv_cells`."""
    return {
        column.name: csv_cells(column.read_flat(table), labels=column.is_label) for column in columns if column.flat
    }


def column_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels as parts of column names, in letters, digits and underscores, so that R and SQL read them unquoted.

    Examples:
        >>> column_names(["happy", "20-29", "not sure", "not-sure", "☺"])
        ('happy', '20_29', 'not_sure', 'not_sure_2', 'label_5')
    """
    used: set[str] = set()
    names = []
    for number, label in enumerate(labels, 1):
        stem = _NOT_IN_NAMES.sub("_", label).strip("_") or f"label_{number}"
        name = next(n for n in itertools.chain([stem], (f"{stem}_{i}" for i in itertools.count(2))) if n not in used)
        used.add(name)
        names.append(name)
    return tuple(names)


def head_name(name: str) -> str:
    """The name of a head as the begin of column names: as `column_names`, with a letter first."""
    stem = column_names([name])[0]
    return stem if stem[0].isalpha() else f"x{stem}"


def plain_numbers(values: NDArray[Any], known: NDArray[np.bool_], digits: int | None = None) -> list[Any]:
    """``(n,)`` numbers as Python ones, rounded; None where they are not known or NaN."""
    plain = values.astype(np.float64).round(digits).tolist() if digits is not None else values.tolist()
    return [
        value if there and not (isinstance(value, float) and math.isnan(value)) else None
        for value, there in zip(plain, known.tolist(), strict=True)
    ]


def json_objects(columns: Sequence[Column[T]], table: T) -> Iterator[dict[str, Any]]:
    """The JSON object of each row."""
    groups: dict[tuple[str | int, ...], list[tuple[str | int, int]]] = {}
    kept = [column for column in columns if column.path]
    for i, column in enumerate(kept):
        groups.setdefault(column.path[:-1], []).append((column.path[-1], i))
    null = [column.null or column.required for column in kept]
    read = [column.read(table) for column in kept]
    order = [str(key) for key in dict.fromkeys(column.path[0] for column in kept)]
    for row in zip(*read, strict=True):
        document: dict[Any, Any] = {}
        for parent, members in groups.items():
            if isinstance(members[0][0], int):
                _put(document, parent, [row[i] for _, i in members])
                continue
            values = {key: row[i] for key, i in members if row[i] is not None}
            if not values and parent:
                continue
            if len(values) < len(members):
                values = {key: row[i] for key, i in members if row[i] is not None or null[i]}
            if parent:
                _put(document, parent, values)
            else:
                document |= values
        yield {key: document[key] for key in order if key in document}


def _put(document: dict[Any, Any], path: Sequence[str | int], value: Any) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
    there = document.get(path[-1])
    document[path[-1]] = value if there is None else there | value


def flat_row(columns: Sequence[Column[Any]], document: Mapping[str, Any]) -> dict[str, Any]:
    """Column name → value, read back from one of the `json_objects`; None where it is missing."""
    row = {}
    for column in columns:
        if column.flat:
            value: Any = document
            for key in column.path:
                if isinstance(key, int):
                    value = value[key] if isinstance(value, list) else None
                else:
                    value = value.get(key) if isinstance(value, Mapping) else None
            row[column.name] = column.flat_value(value) if column.path else None
    return row


_TYPES: Mapping[Dtype, str] = {
    "string": "string",
    "category": "string",
    "int32": "integer",
    "int64": "integer",
    "float64": "number",
    "bool": "boolean",
}


def json_schema(columns: Sequence[Column[Any]]) -> dict[str, Any]:
    """The JSON Schema of `json_objects`: properties, and which of them are required."""
    root: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for column in columns:
        if column.path:
            _describe(root, column)
    return root


def _describe(node: dict[str, Any], column: Column[Any]) -> None:
    *parents, last = column.path
    for place, key in enumerate(parents):
        in_list = isinstance(column.path[place + 1], int)
        inner: dict[str, Any] = {"type": "array", "prefixItems": []} if in_list else {"type": "object"}
        if isinstance(key, AnyKey):
            node = node.setdefault("additionalProperties", inner)
        else:
            if column.required and key not in node.setdefault("required", []):
                node["required"].append(key)
            node = node.setdefault("properties", {}).setdefault(key, inner)
    kind = _TYPES[column.dtype]
    text = column.any_description or column.description
    leaf: dict[str, Any] = {"type": [kind, "null"] if column.null else kind}
    leaf |= {"description": f"{text}, {column.unit}" if column.unit else text}
    leaf |= {} if column.low is None else {"minimum": column.low}
    leaf |= {} if column.high is None else {"maximum": column.high}
    leaf |= column.schema or {}
    if isinstance(last, int):
        node["prefixItems"].append(leaf)
        node["minItems"] = node["maxItems"] = len(node["prefixItems"])
    elif isinstance(last, AnyKey):
        node["additionalProperties"] = leaf
    else:
        node.setdefault("properties", {})[last] = leaf
        if column.required:
            node.setdefault("required", []).append(last)


def arrow_schema(columns: Sequence[Column[Any]]) -> Any:
    """The Arrow types of `flat_values`; needs pyarrow."""
    import pyarrow as pa

    types = {
        "string": pa.string(), "category": pa.dictionary(pa.int32(), pa.string()), "int32": pa.int32(),
        "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(),
    }  # fmt: skip
    return pa.schema([(column.name, types[column.dtype]) for column in columns if column.flat])


def pandas_types(columns: Sequence[Column[Any]]) -> dict[str, str]:
    """Column name → pandas type, for whole numbers and truth values that may be missing."""
    types = {"int32": "Int32", "int64": "Int64", "bool": "boolean"}
    whole = [column for column in columns if column.flat and column.dtype in types]
    # what is required and not in the object of a face is known in every row, such as the number of the frame
    return {c.name: types[c.dtype] for c in whole if c.path or not c.required}


def readable(source: str | None) -> str | None:
    """A path as UTF-8 text: a file name need not be valid text, and its invalid bytes become escapes."""
    return None if source is None else source.encode("utf-8", "backslashreplace").decode("utf-8")
