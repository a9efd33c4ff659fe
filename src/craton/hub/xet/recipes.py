"""Recipes: how to make a blob out of runs of stored chunks, so that it needs no bytes of its own on the disk.

A recipe is only written once its result was seen to have the digest. Like a blob it belongs to nobody; which tenant may
read the digest is said elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, insert, select

from craton.formats.xet.shards import Segment
from craton.formats.xet.xorbs import unpack
from craton.hub.xet.tables import recipe_blobs, recipes
from craton.hub.xet.xorbs import StoredXorb
from craton.store.blobs import Blobs

PART = 4 * 1024 * 1024  # bytes of content that one part has, or little more: what a read in its middle has to skip

_ROW = struct.Struct("<32sIII")


class Part(NamedTuple):
    """The stored chunks from start to end of a blob. length: bytes of their content."""

    blob: str
    start: int
    end: int
    length: int


class Recipe(Struct, frozen=True):
    """size: bytes of what it makes."""

    size: int
    parts: list[Part]


def parts_of(segment: Segment, xorb: StoredXorb) -> Iterator[Part]:
    """The segment in parts of about PART bytes."""
    start, length = segment.start, 0
    for number, chunk in enumerate(xorb.layout.chunks(segment.start, segment.end), segment.start + 1):
        length += chunk.length
        if length >= PART or number == segment.end:
            yield Part(xorb.digest, *xorb.layout.span(start, number), length)
            start, length = number, 0


def contents(blobs: Blobs, parts: Iterable[Part], start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from start to end of what the parts make. Raises Damaged, NotFound."""
    at = 0
    for part in parts:
        if end is not None and at >= end:
            return
        if at + part.length <= start:
            at += part.length
            continue
        for content in unpack(blobs.span(part.blob, part.start, part.end), f"Blob {part.blob}", max(0, start - at)):
            first, last = max(start - at, 0), len(content) if end is None else min(len(content), end - at)
            if first < last:
                yield content[first:last] if last - first < len(content) else content
            at += len(content)


def ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks: the next one is made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1, "craton-ahead") as thread:
        coming = thread.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = thread.submit(next, blocks, None)
            yield block


def find_recipe(connection: Connection, digest: str) -> Recipe | None:
    row = connection.execute(select(recipes.c.size, recipes.c.parts).where(recipes.c.digest == digest)).one_or_none()
    return None if row is None else Recipe(row.size, [Part(it[0].hex(), *it[1:]) for it in _ROW.iter_unpack(row.parts)])


def recipe_size(connection: Connection, digest: str) -> int | None:
    """Bytes of what the recipe makes; None when there is none."""
    return connection.scalar(select(recipes.c.size).where(recipes.c.digest == digest))


def note_recipe(connection: Connection, digest: str, size: int, parts: list[Part]) -> None:
    if recipe_size(connection, digest) is not None:
        return
    packed = b"".join(_ROW.pack(bytes.fromhex(part.blob), *part[1:]) for part in parts)
    connection.execute(insert(recipes).values(digest=digest, size=size, parts=packed))
    needed = [{"digest": digest, "blob": blob} for blob in {part.blob for part in parts}]
    if needed:
        connection.execute(insert(recipe_blobs), needed)
