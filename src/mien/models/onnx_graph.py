"""ONNX graphs written and read as bytes, for networks that are rebuilt when they are loaded.

Only what a small convolutional network needs. The onnx package, which does all of it, is ten times the size of Mien and
needed only for training; the format's field numbers do not change.

Source:
    The messages of onnx.proto (IR version 7) in protobuf's wire format: a field is a key, ``number << 3 | type``, and a
    varint (type 0), eight bytes (1), a length and bytes (2) or four bytes (5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Attribute = int | str | Sequence[int]

_FLOAT, _UINT8 = 1, 2
"""Of TensorProto.DataType."""
_IR_VERSION, _OPERATORS = 7, 13


class OnnxGraph:
    """Builds one network as an ONNX file: operators are added in the order in which they run.

    Args:
        inputs: name → shape of its uint8 array; a string stands for any length.

    Example:
        >>> graph = GraphBuilder({"x": ["n", 3]})
        >>> output = graph.add("Cast", "x", to=1)
        >>> content = graph.to_bytes(output, ["n", 3])
    """

    def __init__(self, inputs: dict[str, Sequence[int | str]]) -> None:
        self._inputs = b"".join(_message(11, _value_info(name, _UINT8, shape)) for name, shape in inputs.items())
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def add(self, operator: str, *inputs: str | NDArray[np.floating], **attributes: Attribute) -> str:
        """Add one operator; arrays among its inputs become float32 constants. Returns the name of its output."""
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(
            b"".join(_text(1, name) for name in names)
            + _text(2, output)
            + _text(4, operator)
            + b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())
        )
        return output

    def to_bytes(self, output: str, shape: Sequence[int | str]) -> bytes:
        """The ONNX file of the network whose output is ``output``, a float32 array of this shape."""
        graph = (
            b"".join(_message(1, node) for node in self._nodes)
            + _text(2, "mien")
            + b"".join(_message(5, constant) for constant in self._constants)
            + self._inputs
            + _message(12, _value_info(output, _FLOAT, shape))
        )
        return _number(1, _IR_VERSION) + _text(2, "mien") + _message(7, graph) + _message(8, _number(2, _OPERATORS))

    def _constant(self, array: NDArray[np.floating]) -> str:
        name = f"constant_{len(self._constants)}"
        dims = b"".join(_number(1, side) for side in array.shape)
        content = np.ascontiguousarray(array, "<f4").tobytes()
        self._constants.append(dims + _number(2, _FLOAT) + _text(8, name) + _message(9, content))
        return name


def read_constants(model: bytes) -> dict[str, Floats]:
    """Name → array of the float32 initializers of an ONNX file that is known to be intact."""
    graph = next(content for number, content in _fields(model) if number == 7)
    arrays = {}
    for number, tensor in _fields(_bytes(graph)):
        if number != 5:
            continue
        dims: list[int] = []
        kind, name, data = 0, "", b""
        for field, content in _fields(_bytes(tensor)):
            if field == 1:
                dims += [content] if isinstance(content, int) else _varints(content)
            elif field == 2 and isinstance(content, int):
                kind = content
            elif field == 8:
                name = _bytes(content).decode()
            elif field in (4, 9):
                data += _bytes(content)
        if kind == _FLOAT:
            arrays[name] = np.frombuffer(data, "<f4").reshape(dims).astype(np.float32)
    return arrays


def _value_info(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sides = b"".join(_message(1, _number(1, side) if isinstance(side, int) else _text(2, side)) for side in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, kind) + _message(2, sides)))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    return _text(1, name) + b"".join(_number(8, number) for number in value) + _number(20, 7)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _read_varint(data, at)
        values.append(value)
    return values


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        length, at = _read_varint(data, at) if kind == 2 else (struct.calcsize({1: "q", 5: "i"}[kind]), at)
        yield number, data[at : at + length]
        at += length


def _bytes(content: int | bytes) -> bytes:
    assert isinstance(content, bytes)
    return content
