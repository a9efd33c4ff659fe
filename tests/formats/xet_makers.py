"""Xorbs and shards of any content, as a client would write them (and as one that means harm would)."""

from __future__ import annotations

import hashlib
import struct

from lz4 import frame

from craton.formats.xet.chunks import Scheme
from craton.formats.xet.hashes import Tree, chunk_hash, file_hash, from_text, range_hash, xorb_hash
from craton.formats.xet.shards import File, Segment, write_shard


def group(content: bytes) -> bytes:
    """Every fourth byte together, in plain Python."""
    return b"".join(content[place::4] for place in range(4))


def header(stored: int, scheme: int, length: int, version: int = 0) -> bytes:
    return bytes([version]) + stored.to_bytes(3, "little") + bytes([scheme]) + length.to_bytes(3, "little")


def stored_chunk(content: bytes, scheme: Scheme = Scheme.PLAIN) -> bytes:
    data = content
    if scheme is not Scheme.PLAIN:
        data = frame.compress(group(content) if scheme is Scheme.GROUPED_LZ4 else content)
    return header(len(data), scheme, len(content)) + data


class MadeXorb:
    """chunks: their contents."""

    def __init__(self, chunks: list[bytes], scheme: Scheme = Scheme.PLAIN) -> None:
        self.chunks = chunks
        self.hashes = [chunk_hash(chunk) for chunk in chunks]
        self.hash = xorb_hash(zip(self.hashes, map(len, chunks), strict=True))
        self.content = b"".join(stored_chunk(chunk, scheme) for chunk in chunks)

    def footer(self) -> bytes:
        """As old clients send it; nothing in it is read."""
        return b"XETBLOB\x01" + self.hash + struct.pack("<I", len(self.chunks)) + b"".join(self.hashes)

    def segment(self, start: int = 0, end: int | None = None) -> Segment:
        end = len(self.chunks) if end is None else end
        return Segment(self.hash, sum(map(len, self.chunks[start:end])), start, end)


def made_file(*runs: tuple[MadeXorb, int, int]) -> tuple[File, bytes]:
    """The file that is made of these chunks of xorbs, and its content."""
    tree, content = Tree(), b""
    for xorb, start, end in runs:
        for hash, chunk in zip(xorb.hashes[start:end], xorb.chunks[start:end], strict=True):
            tree.add(hash, len(chunk))
            content += chunk
    segments = [xorb.segment(start, end) for xorb, start, end in runs]
    ranges = [range_hash(xorb.hashes[start:end]) for xorb, start, end in runs]
    sha256 = from_text(hashlib.sha256(content).hexdigest())
    return File(file_hash(tree), segments, ranges, sha256), content


def shard_of(*files: File) -> bytes:
    return write_shard(files, [], 0, 0)
