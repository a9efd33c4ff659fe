"""Which models a tenant may use, by the names that callers use."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Row, Select, and_, or_, select

from craton.core.access import SHARED_TENANT
from craton.core.errors import NotFound
from craton.core.model import ModelInfo
from craton.core.repo import RepoId
from craton.hub.admission import Admission
from craton.hub.collaboration.tables import access_requests
from craton.hub.importing import is_safe
from craton.hub.models import READER, STARTER_NAMESPACE, Models, model_id
from craton.hub.reaching import Mirrors, Reached, Reaching, is_visible, no_mirrors, rank
from craton.hub.tables import models, refs, repositories

MAX_LISTED = 10_000
LOOK_SECONDS = 2.0  # that a list takes to read what nobody has read yet
UNREAD = "it has not been looked at yet; ask for it by its name"
HINT = "`craton models list` shows what is here, `craton models pull NAME` fetches more."


class CatalogModel(Struct, frozen=True):
    """owner: the tenant whose it is. files: path in the repository -> blob digest, of those that cannot run anything:
    what else was uploaded (pickles, programs) never comes near an engine."""

    owner: str
    info: ModelInfo
    files: dict[str, str]


class Listed(Struct, frozen=True):
    owner: str
    info: ModelInfo


class Catalog:
    """A tenant uses its own models, what others share, and those of the shared tenant: see `hub.reaching`."""

    def __init__(
        self, models: Models, mirrors: Mirrors = no_mirrors, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._models, self._mirrors, self._monotonic = models, mirrors, monotonic
        self._database = models.hub.database
        self._reaching = Reaching(self._database, mirrors)
        self._admission = Admission(self._database)

    def list(self, tenant: str) -> list[ModelInfo]:
        """What `listed` finds, alone."""
        return [found.info for found in self.listed(tenant)]

    def listed(self, tenant: str) -> Sequence[Listed]:
        """What the tenant may use, sorted by id, without chat templates; one for each id, as `resolve` would choose it.

        At most MAX_LISTED, the tenant's own first. What was not read before is read for LOOK_SECONDS; what is left
        then is named, has no verbs yet, and is read the next time or when somebody asks for it.
        """
        found: dict[str, Listed] = {}
        unread: list[Row[Any]] = []
        with self._database.read() as connection:
            for row in connection.execution_options(yield_per=200).execute(self._usable(tenant)):
                id = model_id(row.tenant, RepoId("model", row.namespace, row.name))
                if id in found:
                    continue
                if row.info is None:
                    unread.append(row)
                found[id] = Listed(row.tenant, _read(id, row))
        ends = self._monotonic() + LOOK_SECONDS
        for row in unread:
            if self._monotonic() >= ends:
                break
            repo = RepoId("model", row.namespace, row.name)
            try:
                info = self._models.info(row.tenant, repo, row.revision)
            except NotFound:  # deleted in between
                del found[model_id(row.tenant, repo)]
                continue
            found[info.id] = Listed(row.tenant, replace(info, chat_template=None))
        return [found[id] for id in sorted(found)]

    def resolve(self, tenant: str, name: str) -> CatalogModel:
        """name: "x" (the shared craton/x) or "namespace/name", then maybe "@revision".

        Raises NotFound; Gated for a model that another tenant shares with those whom it let in.
        """
        path, _, revision = name.partition("@")
        namespace, slash, rest = path.partition("/")
        try:
            reached = self._reaching.reach(tenant, RepoId("model", namespace, rest)) if slash else self._starter(path)
            self._admission.check(tenant, reached)
            info = self._models.info(reached.owner, reached.repo, revision or "main")
            files = self._models.hub.tree(reached.owner, reached.repo, info.revision)
        except NotFound:
            raise NotFound("model", name, HINT) from None
        # A predictor's description names its files: its engine reads them by loaders of the platform's own alone.
        named = (info.details or {}).get("files") if info.engine == "predictor" else None
        wanted = is_safe if named is None else frozenset(named).__contains__
        return CatalogModel(reached.owner, info, {file.path: file.digest for file in files if wanted(file.path)})

    def _starter(self, name: str) -> Reached:
        return self._reaching.reach(SHARED_TENANT, RepoId("model", STARTER_NAMESPACE, name))

    def _usable(self, tenant: str) -> Select[Any]:
        """Main branches with what is remembered of them; of each name first what the name means to this tenant."""
        table, asked = repositories.c, access_requests.c
        main = and_(
            refs.c.tenant == table.tenant,
            refs.c.repository == table.id,
            refs.c.kind == "branch",
            refs.c.name == "main",
        )
        remembered = and_(
            models.c.tenant == table.tenant,
            models.c.repository == table.id,
            models.c.revision == refs.c.revision,
            models.c.reader == READER,
        )
        mine = and_(asked.tenant == table.tenant, asked.repository == table.id, asked.applicant == tenant)
        let_in = or_(table.tenant == tenant, table.gated == "", asked.status == "accepted")
        return (
            select(table.tenant, table.namespace, table.name, refs.c.revision, models.c.info)
            .select_from(repositories)
            .join(refs, main)
            .outerjoin(models, remembered)
            .outerjoin(access_requests, mine)
            .where(table.kind == "model", is_visible(table, tenant, self._mirrors(tenant)), let_in)
            .order_by(rank(table.tenant, tenant), table.created, table.tenant, table.id)
            .limit(MAX_LISTED)
        )


def _read(id: str, row: Row[Any]) -> ModelInfo:
    path = RepoId("model", row.namespace, row.name).path
    if row.info is None:
        return ModelInfo(id, verbs=(), engine="", repo=path, revision=row.revision, details={"refused": UNREAD})
    return replace(msgspec.json.decode(row.info, type=ModelInfo), id=id, repo=path, chat_template=None)
