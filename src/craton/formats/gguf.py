"""Reads a GGUF header, trusting nothing in it.

Every count, length and offset is compared with the file's size before it is used, and nothing is allocated by a claimed
count. Long arrays (a tokenizer's) are walked over, not built, unless the caller names them. llama.cpp sees a file only
after this reader accepted it.

Source: ggml's `docs/gguf.md`, versions 2 and 3, little-endian; limits on names and dimensions are those of llama.cpp.
"""

from __future__ import annotations

import mmap
import struct
from math import prod
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from craton.core.errors import Damaged
from craton.formats.tensors import TensorInfo

MAX_HEADER = 256 * 1024 * 1024  # bytes before the tensor data
MAX_ENTRIES = 65_536  # metadata keys, and tensors
MAX_KEY = 1024  # bytes
MAX_TENSOR_NAME = 63
MAX_STRINGS = 4_194_304  # in one array
MAX_ALIGNMENT = 65_536
KEPT_ELEMENTS = 1024  # of an array; a longer one is skipped
MAX_KEPT = 64 * 1024 * 1024  # bytes of memory for everything that is kept, roughly
_ELEMENT = 64  # bytes of memory for one of them, roughly

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    _BOOL: struct.Struct("<B"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]

TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
"""ggml's type number -> name, elements in a block, bytes of a block."""

Scalar = str | int | float | bool


class SkippedArray(Struct, frozen=True):
    """An array too long to keep. count: its elements."""

    count: int


Value = Scalar | tuple[Scalar, ...] | SkippedArray


class GgufHeader(Struct, frozen=True):
    """data_offset: where the tensor data begins in the file; the tensors' offsets count from there."""

    version: int
    metadata: dict[str, Value]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_offset: int


def read_gguf_file(path: Path, name: str, whole: frozenset[str] = frozenset()) -> GgufHeader:
    """name: what errors call the file. whole: metadata keys whose arrays are kept however long they are; they may take
    some hundreds of megabytes then. Raises Damaged.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise Damaged(name, "the file is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return read_gguf(content, name, whole)


def read_gguf(content: bytes | mmap.mmap, name: str, whole: frozenset[str] = frozenset()) -> GgufHeader:
    """content: the whole file. Raises Damaged, naming the place, for anything that is not as it should be."""
    return _Reader(content, name, whole).header()


class _Reader:
    def __init__(self, content: bytes | mmap.mmap, name: str, whole: frozenset[str]) -> None:
        self._content, self._name, self._whole = content, name, whole
        self._size = len(content)
        self._end = min(self._size, MAX_HEADER)
        self._at = 0
        self._kept = 0

    def header(self) -> GgufHeader:
        if self._bytes(4, "the magic number") != b"GGUF":
            self._refuse("it does not begin with 'GGUF'", at=0)
        version = self._number(_U32, "the version")
        if version not in (2, 3):
            self._refuse(f"its version is {version}; 2 and 3 (little-endian) can be read", at=4)
        tensor_count = self._count("tensors", each=32)
        entry_count = self._count("metadata entries", each=13)
        metadata = self._metadata(entry_count)
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            self._refuse(f"general.alignment is {alignment!r}, not a power of two from 8 to {MAX_ALIGNMENT}")
        tensors = [self._tensor(number) for number in range(tensor_count)]
        data_offset = -(-self._at // alignment) * alignment
        self._check_placing(tensors, alignment, data_offset)
        return GgufHeader(version, metadata, tuple(tensors), alignment, data_offset)

    # --- metadata -------------------------------------------------------------------------------------------

    def _metadata(self, count: int) -> dict[str, Value]:
        metadata: dict[str, Value] = {}
        for number in range(count):
            start = self._at
            key = self._text(MAX_KEY, f"the key of metadata entry {number}")
            if not key or key in metadata:
                self._refuse(f"the metadata key {key[:64]!r} is empty or stands there twice", at=start)
            metadata[key] = self._value(self._number(_U32, f"the type of {key[:64]!r}"), key[:64])
        return metadata

    def _value(self, kind: int, key: str) -> Value:
        if kind == _ARRAY:
            return self._array(key)
        return self._scalar(kind, key)

    def _scalar(self, kind: int, key: str) -> Scalar:
        if kind == _STRING:
            return self._text(self._end, f"the value of {key!r}")
        if kind not in _SCALARS:
            self._refuse(f"{key!r} has the unknown type {kind}")
        value = self._number(_SCALARS[kind], f"the value of {key!r}")
        if kind == _BOOL:
            if value > 1:
                self._refuse(f"{key!r} is a boolean but holds {value}")
            return bool(value)
        return value

    def _array(self, key: str) -> Value:
        kind = self._number(_U32, f"the element type of {key!r}")
        start, count = self._at, self._number(_U64, f"the length of {key!r}")
        if kind != _STRING and kind not in _SCALARS:
            self._refuse(f"{key!r} is an array of the type {kind}, which cannot be one", at=start)
        each = 8 if kind == _STRING else _SCALARS[kind].size
        if count * each > self._end - self._at:
            self._refuse(f"{key!r} claims {count:,} elements, more than the file can hold", at=start)
        if kind == _STRING and count > MAX_STRINGS:
            self._refuse(f"{key!r} claims {count:,} strings; at most {MAX_STRINGS:,} are read", at=start)
        if count <= KEPT_ELEMENTS:
            self._keep(count * _ELEMENT)
            return tuple(self._scalar(kind, key) for _ in range(count))
        if key in self._whole:
            return self._strings(count, key) if kind == _STRING else self._numbers(kind, count, key)
        if kind == _STRING:
            self._skip_strings(count, key)
        else:
            self._at += count * each
        return SkippedArray(count)

    def _numbers(self, kind: int, count: int, key: str) -> tuple[Scalar, ...]:
        form = struct.Struct(f"<{count}{_SCALARS[kind].format[1:]}")
        return form.unpack(self._bytes(form.size, f"the numbers of {key!r}"))

    def _strings(self, count: int, key: str) -> tuple[str, ...]:
        start = self._at
        self._skip_strings(count, key)
        content, at, read = self._content[start : self._at], 0, _U64.unpack_from
        texts: list[str] = []
        try:
            for _ in range(count):
                end = at + 8 + read(content, at)[0]
                texts.append(content[at + 8 : end].decode())
                at = end
        except UnicodeDecodeError:
            self._refuse(f"a string of {key!r} is not UTF-8", at=start + at)
        return tuple(texts)

    def _skip_strings(self, count: int, key: str) -> None:
        content, end, at, read = self._content, self._end, self._at, _U64.unpack_from
        for _ in range(count):
            if at + 8 > end:
                self._refuse(f"it ends inside the strings of {key!r}", at=at)
            at += 8 + read(content, at)[0]
            if at > end:
                self._refuse(f"it ends inside the strings of {key!r}", at=end)
        self._at = at

    # --- tensors --------------------------------------------------------------------------------------------

    def _tensor(self, number: int) -> TensorInfo:
        start = self._at
        name = self._text(MAX_TENSOR_NAME, f"the name of tensor {number}")
        dimensions = self._number(_U32, f"the number of dimensions of {name!r}")
        if not 1 <= dimensions <= 4:
            self._refuse(f"the tensor {name!r} has {dimensions} dimensions, not 1 to 4", at=start)
        shape = tuple(self._number(_U64, f"the shape of {name!r}") for _ in range(dimensions))
        kind = self._number(_U32, f"the type of {name!r}")
        if kind not in TENSOR_TYPES:
            self._refuse(f"the tensor {name!r} has the unknown type {kind}", at=start)
        dtype, block, block_size = TENSOR_TYPES[kind]
        if not all(shape) or shape[0] % block:
            self._refuse(f"the tensor {name!r} has the shape {shape}, which {dtype} cannot have", at=start)
        offset = self._number(_U64, f"the offset of {name!r}")
        return TensorInfo(name, dtype, shape, offset, prod(shape) // block * block_size)

    def _check_placing(self, tensors: list[TensorInfo], alignment: int, data_offset: int) -> None:
        if len({tensor.name for tensor in tensors}) != len(tensors):
            self._refuse("two tensors have the same name")
        end, room = 0, self._size - data_offset
        for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
            if tensor.offset % alignment:
                self._refuse(f"the tensor {tensor.name!r} begins at {tensor.offset:,}, which is not aligned")
            if tensor.offset < end:
                self._refuse(f"the tensor {tensor.name!r} overlaps the one before it")
            end = tensor.offset + tensor.size
            if end > room:
                self._refuse(f"the tensor {tensor.name!r} ends at {end:,} of {max(room, 0):,} bytes of tensor data")

    # --- bytes ----------------------------------------------------------------------------------------------

    def _bytes(self, count: int, what: str) -> bytes:
        if count > self._end - self._at:
            self._refuse(f"it ends inside {what}")
        self._at += count
        return self._content[self._at - count : self._at]

    def _number(self, form: struct.Struct, what: str) -> int:
        """An integer (or, for two of the forms, a float)."""
        value: int = form.unpack(self._bytes(form.size, what))[0]
        return value

    def _count(self, what: str, each: int) -> int:
        """How many of something follow, each of at least so many bytes."""
        count = self._number(_U64, f"the number of {what}")
        if count > MAX_ENTRIES or count * each > self._end - self._at:
            self._refuse(f"it claims {count:,} {what}, more than it can hold or than is read ({MAX_ENTRIES:,})")
        return count

    def _text(self, limit: int, what: str) -> str:
        start, size = self._at, self._number(_U64, what)
        if size > limit:
            self._refuse(f"{what} claims {size:,} bytes", at=start)
        self._keep(_ELEMENT + size)
        try:
            return self._bytes(size, what).decode()
        except UnicodeDecodeError:
            self._refuse(f"{what} is not UTF-8", at=start)

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._kept > MAX_KEPT:
            self._refuse(f"its metadata is larger than {MAX_KEPT:,} bytes")

    def _refuse(self, reason: str, at: int | None = None) -> NoReturn:
        raise Damaged(self._name, f"{reason} (at byte {self._at if at is None else at:,})")
