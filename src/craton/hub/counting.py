"""How often a repository's files were fetched. Counted in memory and written in groups, for a download writes nothing.

What was not written yet when the server is killed is lost: a few seconds of a figure that nothing rests on.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, insert, select, update

from craton.hub.reaching import Reached
from craton.hub.tables import downloads, repositories
from craton.store.database import Database

DAY = 24 * 3600
WINDOW = 30  # days that the Hub's "downloads" are about
TREND = 7  # days whose downloads say what is in fashion


class Downloads:
    """Safe in threads; `count` does not block, `flush` does. clock: seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock
        self._lock = threading.Lock()
        self._counted: Counter[tuple[str, str, int]] = Counter()

    def count(self, reached: Reached) -> None:
        """One file of it was fetched."""
        with self._lock:
            self._counted[reached.owner, reached.id, self.today()] += 1

    def flush(self) -> None:
        """Writes what was counted."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
        if not counted:
            return
        table = downloads.c
        with self._database.write() as connection:
            for (tenant, repository, day), number in counted.items():
                mine = and_(table.tenant == tenant, table.repository == repository, table.day == day)
                changed = connection.execute(update(downloads).where(mine).values(count=table.count + number))
                if not changed.rowcount:
                    row = {"tenant": tenant, "repository": repository, "day": day, "count": number}
                    connection.execute(insert(downloads).values(**row))

    def today(self) -> int:
        return int(self._clock() // DAY)

    def since(self, days: int | None) -> ScalarSelect[int]:
        """As a column beside `repositories`: its downloads in the last so many days; None for all of them."""
        table = downloads.c
        mine: ColumnElement[bool] = and_(table.tenant == repositories.c.tenant, table.repository == repositories.c.id)
        if days is not None:
            mine = and_(mine, table.day > self.today() - days)
        return select(func.coalesce(func.sum(table.count), 0)).where(mine).correlate(repositories).scalar_subquery()
