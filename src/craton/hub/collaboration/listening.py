"""What follows from a change of a repository, in the change's own transaction: `Hub`'s listeners."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete

from craton.hub.changes import Change, Deleted, Listener, Updated
from craton.hub.collaboration import rows
from craton.hub.collaboration.outbox import Outbox
from craton.hub.collaboration.tables import access_requests, collection_items, discussions, events, likes
from craton.hub.collaboration.words import Pushed
from craton.hub.refs import PREFIXES, parse_ref

_PULLS = PREFIXES["pr"]


def listeners(clock: Callable[[], float]) -> tuple[Listener, ...]:
    """Everything that has to hear of changes, whoever makes them: the server, a job, the command line."""

    def pushed(connection: Connection, change: Change) -> None:
        note_commits(connection, change, clock())

    return (pushed, Outbox(clock).changed, forget)


def note_commits(connection: Connection, change: Change, now: float) -> None:
    """A commit on a pull request's ref becomes an event of it."""
    if not isinstance(change, Updated):
        return
    for ref in change.refs:
        if ref.ref.startswith(_PULLS) and ref.new and ref.author:
            number = int(parse_ref(ref.ref)[1])
            rows.find(connection, change.place, number)
            subject = ref.message.partition("\n")[0][:200]
            rows.append(connection, change.place, number, ref.author[:64], Pushed(ref.new, subject), now)


def forget(connection: Connection, change: Change) -> None:
    """With a repository falls what people did around it."""
    if not isinstance(change, Deleted):
        return
    place = change.place
    for table in (events, discussions, likes, access_requests):
        connection.execute(delete(table).where(table.c.tenant == place.owner, table.c.repository == place.id))
    item = collection_items.c
    gone = (item.owner == place.owner) & (item.target == place.id) & (item.kind != "collection")
    connection.execute(delete(collection_items).where(gone))
