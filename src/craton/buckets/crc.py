"""CRC-32C and CRC-64/NVME, which the standard library lacks; the AWS command line and SDKs send them.

A CRC is linear over GF(2), so a block is cut into lanes, one table step advances all lanes at once (numpy), and the
lanes' remainders are joined in pairs: crc(a + b) = shift(crc(a), len(b)) xor crc(b), where the shift by a fixed
length is a linear map, looked up byte by byte. Parameters: the catalogue of parametrised CRC algorithms by G. Cook,
https://reveng.sourceforge.io/crc-catalogue/all.htm (both are reflected, with init and xorout of all ones).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LANE = 256  # bytes
CRC32C = (32, 0x82F63B78)  # width, reflected polynomial
CRC64NVME = (64, 0x9A6C9329AC4BC9B5)


class Crc:
    """Like a hashlib object. kind: CRC32C or CRC64NVME."""

    def __init__(self, kind: tuple[int, int]) -> None:
        self._width, self._polynomial = kind
        self._ones = (1 << self._width) - 1
        self._register = self._ones

    def update(self, data: bytes) -> None:
        whole = len(data) // LANE
        lanes = 1 << whole.bit_length() - 1 if whole else 0
        view, start = memoryview(data), 0
        while lanes:  # as powers of two, the largest first
            if whole & lanes:
                end = start + lanes * LANE
                block = _remainder(self._width, self._polynomial, view[start:end])
                shift = _shift(self._width, self._polynomial, lanes)
                self._register = _apply(shift, self._register) ^ block
                start = end
            lanes >>= 1
        table = _bytes(self._width, self._polynomial)
        register = self._register
        for byte in view[start:]:
            register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
        self._register = register

    def digest(self) -> bytes:
        return (self._register ^ self._ones).to_bytes(self._width // 8, "big")


@cache
def _bytes(width: int, polynomial: int) -> list[int]:
    """What the register becomes after each byte, from zero."""
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (polynomial if register & 1 else 0)
        table.append(register)
    return table


@cache
def _vector_table(width: int, polynomial: int) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array(_bytes(width, polynomial), dtype=np.uint64)


@cache
def _shift(width: int, polynomial: int, lanes: int) -> list[list[int]]:
    """The map of a register past `lanes` lanes (a power of two) of zeros: [byte of the register][its value]."""
    if lanes == 1:
        table = _bytes(width, polynomial)
        columns = []
        for bit in range(width):
            register = 1 << bit
            for _ in range(LANE):
                register = table[register & 0xFF] ^ (register >> 8)
            columns.append(register)
    else:
        half = _shift(width, polynomial, lanes // 2)
        columns = [_apply(half, _apply(half, 1 << bit)) for bit in range(width)]
    tables = []
    for position in range(width // 8):
        values = [0] * 256
        for value in range(1, 256):
            low = value & -value
            values[value] = values[value ^ low] ^ columns[position * 8 + low.bit_length() - 1]
        tables.append(values)
    return tables


def _apply(shift: list[list[int]], register: int) -> int:
    result = 0
    for position, values in enumerate(shift):
        result ^= values[(register >> 8 * position) & 0xFF]
    return result


@cache
def _vector_shift(width: int, polynomial: int, lanes: int) -> list[np.ndarray[Any, Any]]:
    import numpy as np

    return [np.array(values, dtype=np.uint64) for values in _shift(width, polynomial, lanes)]


def _remainder(width: int, polynomial: int, block: memoryview) -> int:
    """The register after the block (a power of two of lanes), from zero."""
    import numpy as np

    lanes = len(block) // LANE
    columns = np.ascontiguousarray(np.frombuffer(block, np.uint8).reshape(lanes, LANE).T)
    table, registers = _vector_table(width, polynomial), np.zeros(lanes, np.uint64)
    low, eight = np.uint64(0xFF), np.uint64(8)
    for column in columns:
        registers = table[(registers & low) ^ column] ^ (registers >> eight)
    length = 1
    while len(registers) > 1:
        shifted = np.zeros(len(registers) // 2, np.uint64)
        for position, values in enumerate(_vector_shift(width, polynomial, length)):
            shifted ^= values[(registers[0::2] >> np.uint64(8 * position)) & low]
        registers, length = shifted ^ registers[1::2], length * 2
    return int(registers[0])
