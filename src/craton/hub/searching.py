"""Finding repositories: those that a tenant may see, by name, author and what their cards say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, or_, select

from craton.core.repo import Gating, RepoId, RepoKind
from craton.hub.collaboration.tables import likes
from craton.hub.counting import TREND, WINDOW, Downloads
from craton.hub.labels import Card
from craton.hub.reaching import Mirrors, is_visible, no_mirrors, rank
from craton.hub.tables import cards, refs, repositories, tags
from craton.store.database import Database

Sort = Literal["created", "modified", "downloads", "likes", "trending"]
MAX_WORDS = 10
MAX_TAGS = 20


class Search(Struct, frozen=True):
    """text: words that the name holds. author: its namespace. names: only these. after: where the last page ended."""

    kind: RepoKind
    text: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    pipeline: str = ""
    gated: bool | None = None
    sort: Sort = "modified"
    ascending: bool = False
    limit: int = 100
    after: tuple[float, str] | None = None


class Found(Struct, frozen=True):
    """A repository and what is said of it. head: the newest commit of main, None when there is none."""

    owner: str
    id: str
    repo: RepoId
    private: bool
    gated: Gating
    created: float
    modified: float
    head: str | None
    card: Card
    downloads: int
    all_downloads: int
    likes: int
    trend: int
    value: float = 0.0  # by which the list is sorted


class Searching:
    """Blocking, safe in threads."""

    def __init__(self, database: Database, counted: Downloads, mirrors: Mirrors = no_mirrors) -> None:
        self._database, self._counted, self._mirrors = database, counted, mirrors

    def search(self, tenant: str, search: Search) -> list[Found]:
        """A page of what the tenant may see. `after` of the next one is (value, id) of the last."""
        value = self._value(search.sort).label("value")
        table = repositories.c
        query = select(table.tenant, table.id, value).where(
            _visible(tenant, self._mirrors(tenant)), *_conditions(search)
        )
        page = query.subquery()
        order = (page.c.value, page.c.id) if search.ascending else (page.c.value.desc(), page.c.id.desc())
        ranked = select(page).order_by(*order).limit(search.limit)
        if search.after is not None:
            last, name = search.after
            beyond = page.c.value > last if search.ascending else page.c.value < last
            behind = page.c.id > name if search.ascending else page.c.id < name
            ranked = ranked.where(or_(beyond, and_(page.c.value == last, behind)))
        with self._database.read() as connection:
            keys = connection.execute(ranked).all()
            found = self._described(connection, [key.id for key in keys])
            return [msgspec.structs.replace(found[key.tenant, key.id], value=float(key.value)) for key in keys]

    def describe(self, owner: str, repository: str) -> Found | None:
        """One repository, which the caller has reached already."""
        with self._database.read() as connection:
            return self._described(connection, [repository]).get((owner, repository))

    def _described(self, connection: Connection, ids: list[str]) -> dict[tuple[str, str], Found]:
        table, counted = repositories.c, self._counted
        query: Select[Any] = (
            select(
                repositories,
                cards.c.card,
                refs.c.revision.label("head"),
                counted.since(WINDOW).label("downloads"),
                counted.since(TREND).label("trend"),
                counted.since(None).label("all_downloads"),
                _liked().label("likes"),
            )
            .outerjoin(cards, and_(cards.c.tenant == table.tenant, cards.c.repository == table.id))
            .outerjoin(
                refs,
                and_(
                    refs.c.tenant == table.tenant,
                    refs.c.repository == table.id,
                    refs.c.kind == "branch",
                    refs.c.name == "main",
                ),
            )
        )
        found: dict[tuple[str, str], Found] = {}
        for start in range(0, len(ids), 500):
            for row in connection.execute(query.where(table.id.in_(ids[start : start + 500]))):
                found[row.tenant, row.id] = _found(row)
        return found

    def _value(self, sort: Sort) -> ColumnElement[Any]:
        table = repositories.c
        columns: dict[Sort, ColumnElement[Any]] = {"created": table.created, "modified": table.modified}
        if sort in columns:
            return columns[sort]
        if sort == "likes":
            return _liked()
        return self._counted.since(WINDOW if sort == "downloads" else TREND)


def _found(row: Row[Any]) -> Found:
    return Found(
        row.tenant,
        row.id,
        RepoId(row.kind, row.namespace, row.name),
        row.private,
        row.gated,
        row.created,
        row.modified or row.created,
        row.head,
        Card() if row.card is None else msgspec.json.decode(row.card, type=Card),
        int(row.downloads),
        int(row.all_downloads),
        int(row.likes),
        int(row.trend),
    )


def _liked() -> ColumnElement[int]:
    mine = and_(likes.c.tenant == repositories.c.tenant, likes.c.repository == repositories.c.id)
    return select(func.count()).select_from(likes).where(mine).correlate(repositories).scalar_subquery()


def _conditions(search: Search) -> list[ColumnElement[bool]]:
    table = repositories.c
    found: list[ColumnElement[bool]] = [table.kind == search.kind]
    path = func.lower(table.namespace + "/" + table.name)
    found += [path.contains(word.lower(), autoescape=True) for word in search.text.split()[:MAX_WORDS]]
    if search.author:
        found.append(table.namespace == search.author)
    if search.gated is not None:
        found.append((table.gated != "") if search.gated else (table.gated == ""))
    if search.pipeline:
        same = and_(cards.c.tenant == table.tenant, cards.c.repository == table.id)
        found.append(exists().where(same, cards.c.pipeline == search.pipeline))
    for tag in search.tags[:MAX_TAGS]:
        same = and_(tags.c.tenant == table.tenant, tags.c.repository == table.id)
        found.append(exists().where(same, tags.c.tag == tag))
    return found


def _visible(tenant: str, mirrors: Sequence[str]) -> ColumnElement[bool]:
    """What `reaching` would find under its name: the tenant's own, and of the others' that are shared the first."""
    table, other = repositories.c, repositories.alias("other")

    def age(columns: Any) -> ColumnElement[bool]:
        return or_(
            columns.created < table.created, and_(columns.created == table.created, columns.tenant < table.tenant)
        )

    named = and_(other.c.kind == table.kind, other.c.namespace == table.namespace, other.c.name == table.name)
    theirs, its = rank(other.c.tenant, tenant), rank(table.tenant, tenant)
    first = or_(theirs < its, and_(theirs == its, age(other.c)))
    seen = is_visible(other.c, tenant, mirrors)
    better = exists(select(1).select_from(other).where(named, other.c.tenant != table.tenant, seen, first))
    return and_(is_visible(table, tenant, mirrors), ~better)
