"""Who may read the files of a gated repository. That it is there, and what it is called, is no secret of its own.

The owner always may; others once they asked ("auto") or once the owner let them in ("manual").
"""

from __future__ import annotations

from sqlalchemy import select

from craton.core.errors import Gated
from craton.hub.collaboration.tables import access_requests
from craton.hub.reaching import Reached
from craton.store.database import Database


class Admission:
    """Blocking, safe in threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self, tenant: str, reached: Reached) -> None:
        """Raises Gated unless the tenant may read the repository's files. Without gates nothing is looked up."""
        if reached.own or not reached.gated:
            return
        table = access_requests.c
        mine = (table.tenant == reached.owner) & (table.repository == reached.id) & (table.applicant == tenant)
        with self._database.read() as connection:
            status = connection.scalar(select(table.status).where(mine))
        if status != "accepted":
            raise Gated(reached.repo.path, status or "")
