"""A hash that is computed beside its caller is the same hash."""

from __future__ import annotations

import hashlib
import random

from craton.store.blobs.hashing import WORTH, Beside


def test_pieces_are_hashed_in_their_order_whatever_their_size() -> None:
    source = random.Random(0)
    pieces = [source.randbytes(size) for size in (1, WORTH, 3, 2 * WORTH, 0, WORTH - 1, WORTH, 7)]
    hash = Beside(hashlib.sha256())
    for piece in pieces:
        hash.update(piece)
    assert hash.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_hashes_beside_each_other_do_not_mix() -> None:
    piece = bytes(WORTH)
    hashes = [Beside(hashlib.sha256()) for _ in range(10)]
    for number, hash in enumerate(hashes):
        hash.update(piece)
        hash.update(piece + bytes([number]))
    for number, hash in enumerate(hashes):
        assert hash.hexdigest() == hashlib.sha256(piece + piece + bytes([number])).hexdigest()
