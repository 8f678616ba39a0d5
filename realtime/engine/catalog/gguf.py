"""A reader of GGUF: the metadata, and the tensors as numpy arrays. Reads only the number formats of the catalogue's
files.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Everything is little-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MAGIC, VERSION = b"GGUF", 3
BLOCK = 32  # numbers that share a scale
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MAX_DIMENSIONS = 4


class GgufError(Exception):
    """An error: the file is not GGUF, is cut off, or uses a number format that is not supported here."""


class Tensor(NamedTuple):
    """The place of a tensor, and the format of its numbers. The shape is numpy's: GGUF has the dimensions reversed."""

    shape: tuple[int, ...]
    kind: int
    start: int


def _f32(raw: memoryview) -> Floats:
    return np.frombuffer(raw, "<f4")


def _f16(raw: memoryview) -> Floats:
    return np.frombuffer(raw, "<f2").astype(np.float32)


def _q8_0(raw: memoryview) -> Floats:
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("numbers", "i1", BLOCK)]))
    numbers: Floats = blocks["numbers"].astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]
    return numbers


def _q4_1(raw: memoryview) -> Floats:
    """Dequantize half-bytes: the low ones are the first half of a block, the high ones the second."""
    blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("least", "<f2"), ("pairs", "u1", BLOCK // 2)]))
    halves = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32)
    steps, least = (blocks[name].astype(np.float32)[:, None] for name in ("scale", "least"))
    numbers: Floats = halves * steps + least
    return numbers


class _Format(NamedTuple):
    block_numbers: int
    block_bytes: int
    read: Callable[[memoryview], Floats]


_FORMATS = {
    0: _Format(1, 4, _f32),
    1: _Format(1, 2, _f16),
    3: _Format(BLOCK, 20, _q4_1),
    8: _Format(BLOCK, 34, _q8_0),
}


class _Reader:
    """A reader of values, one after another."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.at:
            raise GgufError("the GGUF file is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def scalar(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def string(self) -> str:
        return bytes(self.take(self.scalar("Q"))).decode()

    def value(self, kind: int, *, in_array: bool = False) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY and not in_array:
            of, count = self.scalar("I"), self.scalar("Q")
            return [self.value(of, in_array=True) for _ in range(count)]
        if kind not in _SCALARS:
            raise GgufError(f"the GGUF file has metadata of type {kind}, which is not read here")
        return self.scalar(_SCALARS[kind])


class Gguf:
    """A GGUF file in memory."""

    def __init__(self, data: bytes) -> None:
        """Read all but the tensors' numbers. Raises GgufError."""
        reader = _Reader(memoryview(data))
        if bytes(reader.take(4)) != MAGIC:
            raise GgufError("this is not a GGUF file")
        if (version := reader.scalar("I")) != VERSION:
            raise GgufError(f"the GGUF file is of version {version}; only {VERSION} is read here")
        num_tensors, num_keys = reader.scalar("Q"), reader.scalar("Q")
        self.metadata: dict[str, Any] = {}
        for _ in range(num_keys):
            name = reader.string()
            self.metadata[name] = reader.value(reader.scalar("I"))
        tensors = [_tensor(reader) for _ in range(num_tensors)]
        alignment = self.metadata.get("general.alignment", 32)
        reader.take(-reader.at % alignment)
        self._tensors = dict(tensors)
        self._numbers = reader.data[reader.at :]

    def __iter__(self) -> Iterator[str]:
        """Yield the tensors' names."""
        return iter(self._tensors)

    def tensor(self, name: str) -> Floats:
        """Return the numbers of a tensor, dequantized. Raises GgufError."""
        shape, kind, start = self._tensors[name]
        known = _FORMATS.get(kind)
        if known is None:
            raise GgufError(f"tensor {name} has number format {kind}, which is not read here")
        size = math.prod(shape) // known.block_numbers * known.block_bytes
        raw = self._numbers[start : start + size]
        if len(raw) != size or math.prod(shape) % known.block_numbers:
            raise GgufError(f"tensor {name} is cut off")
        return known.read(raw).reshape(shape)


def _tensor(reader: _Reader) -> tuple[str, Tensor]:
    name, num_dimensions = reader.string(), reader.scalar("I")
    if num_dimensions > _MAX_DIMENSIONS:
        raise GgufError(f"tensor {name} has {num_dimensions} dimensions")
    dimensions = [reader.scalar("Q") for _ in range(num_dimensions)]
    return name, Tensor(tuple(reversed(dimensions)), reader.scalar("I"), reader.scalar("Q"))
