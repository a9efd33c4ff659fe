"""Answers on the local disk until their output is whole: appended as they come, found again by their record's number.

A batch asks many records at once and they end in any order, while its outputs keep the order of its inputs. So each
answer is appended to one file as it comes; a second file of eight bytes a record says where. Only the first is the
truth: after a crash it is read through, a torn end is cut off, and the second is made anew.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from craton.batch.answering import Answered
from craton.core.errors import StorageFull, TooLarge
from craton.store.files import FULL

_HEAD = struct.Struct("<IQBQQI")  # checksum of the rest, number, ok, tokens read and written, length of the line
_PLACE = struct.Struct("<Q")  # an offset in the answers and one; 0 for none
_READ = 1024 * 1024
BLOCK = 1024 * 1024  # bytes of a piece of an output
MAX_ANSWER = 256 * 1024 * 1024  # bytes


class Kept(NamedTuple):
    number: int
    ok: bool
    input_tokens: int
    output_tokens: int


class Spool:
    """Blocking. folder: there already."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._answers = os.open(folder / "answers", flags, 0o600)
        self._places = os.open(folder / "places", flags | os.O_TRUNC, 0o600)
        self._end = 0

    def open(self) -> Iterator[Kept]:
        """To be iterated once, to its end, before anything is added."""
        with open(os.dup(self._answers), "rb", buffering=_READ) as file:
            file.seek(0)
            while (kept := _read(file)) is not None:
                self._put(kept.number, self._end)
                self._end = file.tell()
                yield kept
        os.ftruncate(self._answers, self._end)

    def has(self, number: int) -> bool:
        return self._place(number) is not None

    def add(self, number: int, answered: Answered) -> None:
        """Survives the end of this process; a crash of the machine only after `sync`. Raises StorageFull, TooLarge."""
        line = answered.line
        if len(line) > MAX_ANSWER:
            raise TooLarge("An answer of a batch", MAX_ANSWER, len(line))
        told = (number, answered.ok, answered.input_tokens, answered.output_tokens, len(line))
        checksum = zlib.crc32(line, zlib.crc32(_HEAD.pack(0, *told)[4:]))
        entry = _HEAD.pack(checksum, *told) + line
        try:
            _write(self._answers, entry, self._end)
            self._put(number, self._end)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise StorageFull() from error
        self._end += len(entry)

    def sync(self) -> None:
        os.fdatasync(self._answers)

    def output(self, start: int, end: int) -> Iterator[bytes]:
        """The lines of these records (end is exclusive) in their order, as blocks; those that are not there are left
        out."""
        block = bytearray()
        for number in range(start, end):
            if (place := self._place(number)) is None:
                continue
            head = os.pread(self._answers, _HEAD.size, place)
            block += os.pread(self._answers, _HEAD.unpack(head)[-1], place + _HEAD.size)
            block += b"\n"
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
        if block:
            yield bytes(block)

    def close(self) -> None:
        os.close(self._answers)
        os.close(self._places)

    def _place(self, number: int) -> int | None:
        data = os.pread(self._places, _PLACE.size, number * _PLACE.size)
        place = _PLACE.unpack(data)[0] if len(data) == _PLACE.size else 0
        return place - 1 if place else None

    def _put(self, number: int, place: int) -> None:
        _write(self._places, _PLACE.pack(place + 1), number * _PLACE.size)


def _read(file: BinaryIO) -> Kept | None:
    """The next answer; None at the end, or where the file is torn."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    checksum, number, ok, read, written, length = _HEAD.unpack(head)
    line = file.read(length) if length <= MAX_ANSWER else b""
    if len(line) < length or zlib.crc32(line, zlib.crc32(head[4:])) != checksum:
        return None
    return Kept(number, bool(ok), read, written)


def _write(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
