"""Where who stores and who collects meet.

A collection writes down what nobody needs, and takes it away some hours later, inside a write transaction that has
looked again. Who puts a blob and then names it in a row calls `reprieve` in that row's transaction: write transactions
are alone in the database, so either the collection sees the row, or the row's writer sees that the blob is gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from craton.core.errors import Throttled
from craton.hub.keeping.tables import condemned
from craton.store.blobs import Blobs

BATCH = 500


def reprieve(connection: Connection, blobs: Blobs, digests: Iterable[str]) -> None:
    """The blobs that are about to be named stay. Raises Throttled when one was taken away since it was put: the
    upload is to be repeated."""
    wanted = list(digests)
    for start in range(0, len(wanted), BATCH):
        found = condemned.c.digest.in_(wanted[start : start + BATCH])
        listed = connection.scalars(select(condemned.c.digest).where(found)).all()
        for digest in listed:
            if not blobs.exists(digest, fresh=True):
                raise Throttled("The file was being removed when it came in; send it again.")
        if listed:
            connection.execute(delete(condemned).where(condemned.c.digest.in_(listed)))
