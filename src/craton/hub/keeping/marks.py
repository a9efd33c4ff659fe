"""What was seen, in few bytes: a Bloom filter.

Whatever was added is found again; of the rest, one in some hundred is found as well, another one in every filter (each
has a salt of its own). For a collection that is right: a little is kept until the next time.
"""

from __future__ import annotations

import hashlib
import secrets

BITS = 12  # for each entry
HASHES = 7
LEAST = 1 << 16


class Marks:
    """room: how many entries it is made for; with more it only finds more than it should."""

    def __init__(self, room: int) -> None:
        self._size = max(LEAST, room * BITS)
        self._bits = bytearray(self._size // 8 + 1)
        self._salt = secrets.token_bytes(16)

    def add(self, *key: str) -> None:
        for at in self._places(key):
            self._bits[at >> 3] |= 1 << (at & 7)

    def __contains__(self, key: tuple[str, ...]) -> bool:
        return all(self._bits[at >> 3] & 1 << (at & 7) for at in self._places(key))

    def _places(self, key: tuple[str, ...]) -> list[int]:
        found = hashlib.blake2b("\0".join(key).encode(), digest_size=16, salt=self._salt).digest()
        first, step = int.from_bytes(found[:8], "little"), int.from_bytes(found[8:], "little") | 1
        return [(first + number * step) % self._size for number in range(HASHES)]
