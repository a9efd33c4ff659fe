"""Xet's hashes: keyed BLAKE3 over chunks, and Merkle trees over chunks for xorbs and files.

Source: draft-denis-xet and the documents of the Xet protocol, "Hashing". A hash is 32 bytes; its text is not their hex,
but that of four little-endian numbers of 64 bits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from blake3 import blake3

from craton.core.errors import InvalidRequest

SIZE = 32
NOTHING = bytes(SIZE)

_CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
_NUMBERS = struct.Struct("<4Q")
_TEXT = re.compile(r"[0-9a-f]{64}")
_FEWEST, _MOST = 3, 9  # children of a node, the last of a level aside


def to_text(value: bytes) -> str:
    return "{:016x}{:016x}{:016x}{:016x}".format(*_NUMBERS.unpack(value))


def from_text(text: str) -> bytes:
    """Raises InvalidRequest."""
    if not _TEXT.fullmatch(text):
        raise InvalidRequest("a hash is 64 hex digits in lower case", "hash")
    return _NUMBERS.pack(*(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def chunk_hash(content: bytes | memoryview) -> bytes:
    return blake3(content, key=_CHUNK_KEY).digest()


def range_hash(chunks: Iterable[bytes]) -> bytes:
    """Of the chunk hashes that a part of a file takes from one xorb: whoever knows it has seen them."""
    return blake3(b"".join(chunks), key=_RANGE_KEY).digest()


def keyed(value: bytes, key: bytes) -> bytes:
    """A chunk's hash as a shard with a key of its own names it."""
    return blake3(value, key=key).digest()


def xorb_hash(chunks: Iterable[tuple[bytes, int]]) -> bytes:
    """chunks: their hashes and lengths."""
    tree = Tree()
    for value, length in chunks:
        tree.add(value, length)
    return tree.root()


def file_hash(tree: Tree, salt: bytes = NOTHING) -> bytes:
    """Of the file whose chunks the tree has seen."""
    return keyed(tree.root(), salt) if tree.chunks else NOTHING


class Tree:
    """A Merkle tree that is fed chunk by chunk and holds a few nodes of each level, however large the file is.

    A node ends behind a child whose hash is divisible by four, but has from three to nine children; only at a level's
    end may it have fewer.
    """

    def __init__(self) -> None:
        self.chunks = self.length = 0
        self._levels: list[list[tuple[bytes, int]]] = []  # each one's nodes that have no parent yet
        self._counts: list[int] = []  # how many nodes each level has had

    def add(self, value: bytes, length: int) -> None:
        """The next chunk."""
        self.chunks += 1
        self.length += length
        self._add(0, value, length)

    def root(self) -> bytes:
        """The whole tree's; nothing may be added afterwards."""
        level = 0
        while level < len(self._levels):
            waiting = self._levels[level]
            if self._counts[level] == 1 and level == len(self._levels) - 1:
                return waiting[0][0]
            if waiting:
                self._close(level)
            level += 1
        return NOTHING

    def _add(self, level: int, value: bytes, length: int) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._counts.append(0)
        waiting = self._levels[level]
        waiting.append((value, length))
        self._counts[level] += 1
        if len(waiting) == _MOST or (len(waiting) >= _FEWEST and value[24] % 4 == 0):
            self._close(level)

    def _close(self, level: int) -> None:
        children = self._levels[level]
        text = "".join(f"{to_text(value)} : {length}\n" for value, length in children)
        total = sum(length for _, length in children)
        self._levels[level] = []
        self._add(level + 1, blake3(text.encode(), key=_NODE_KEY).digest(), total)
