"""Who needs which bytes. Every table that names a blob is asked here, or by a stream that is handed in.

A file of a tenant's is needed while a tree of one of its repositories names it, and for a while after it was uploaded.
A blob is needed while it is somebody's file (unless it can be made of chunks), a xorb, or a part of a recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from sqlalchemy import Connection, select, tuple_
from sqlalchemy import func as sql

from craton.hub import trees
from craton.hub.keeping.marks import Marks
from craton.hub.mirror.tables import learned
from craton.hub.tables import objects, stored
from craton.hub.xet.tables import recipe_blobs, recipes, xorbs
from craton.store.database import Database

BATCH = 200  # tree objects, each with up to some hundred names

Named = Callable[[], Iterator[str]]
"""Digests of blobs that rows of another noun name."""


def mark_trees(database: Database, progress: Callable[[int], None]) -> Marks:
    """(tenant, digest) of every file that a tree names. progress: told how many objects were read."""
    with database.read() as connection:
        room = connection.scalar(select(sql.count()).select_from(stored)) or 0
    marks, key, read = Marks(room), ("", "", ""), 0
    table = objects.c
    order = (table.tenant, table.repository, table.digest)
    while True:
        with database.read() as connection:
            query = select(*order, table.content).where(tuple_(*order) > key).order_by(*order).limit(BATCH)
            found = connection.execute(query).all()
        for row in found:
            for digest in trees.named(row.content):
                marks.add(row.tenant, digest)
        read += len(found)
        progress(read)
        if len(found) < BATCH:
            break
        key = (found[-1].tenant, found[-1].repository, found[-1].digest)
    _mark_learned(database, marks)
    return marks


def _mark_learned(database: Database, marks: Marks) -> None:
    key, table = ("", ""), learned.c
    while True:
        with database.read() as connection:
            query = select(table.tenant, table.git_oid, table.digest)
            query = query.where(tuple_(table.tenant, table.git_oid) > key).order_by(table.tenant, table.git_oid)
            found = connection.execute(query.limit(BATCH)).all()
        for row in found:
            marks.add(row.tenant, row.digest)
        if len(found) < BATCH:
            return
        key = (found[-1].tenant, found[-1].git_oid)


def mark_named(streams: Collection[Named]) -> Marks:
    """The digests that other nouns name."""
    marks = Marks(sum(1 for stream in streams for _ in stream()))
    for stream in streams:
        for digest in stream():
            marks.add(digest)
    return marks


def needed(connection: Connection, digests: Collection[str]) -> set[str]:
    """Those of the blobs, some hundred at most, that the hub needs as this transaction sees it."""
    made = set(connection.scalars(select(recipes.c.digest).where(recipes.c.digest.in_(digests))))
    files = set(connection.scalars(select(stored.c.digest).where(stored.c.digest.in_(digests))))
    chunks = set(connection.scalars(select(xorbs.c.digest).where(xorbs.c.digest.in_(digests))))
    parts = set(connection.scalars(select(recipe_blobs.c.blob).where(recipe_blobs.c.blob.in_(digests))))
    return files - made | chunks | parts
