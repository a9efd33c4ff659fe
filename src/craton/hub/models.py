"""The models of a tenant: what each revision of a model repository is, read once and remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace
from sqlalchemy import and_, delete, insert, select
from sqlalchemy.exc import IntegrityError

from craton.core.access import SHARED_TENANT
from craton.core.errors import Damaged, InvalidRequest, NotFound, TooLarge, Unsupported
from craton.core.model import ModelInfo
from craton.core.repo import RepoId, TreeEntry
from craton.hub import rows, tables
from craton.hub.describing import describe
from craton.hub.repositories import Hub
from craton.hub.writers import can_write

STARTER_NAMESPACE = "craton"
READER = 2 * 5 + can_write()
"""Raise the 5 when `describe` learns something: what older ones remembered is read again. With PyTorch more is run."""

CheckTemplate = Callable[[str], None]
"""Raises a CratonError for a chat template that must not be run."""


def model_id(tenant: str, repo: RepoId) -> str:
    """The name that callers use: bare for what comes with Craton, else namespace/name."""
    return repo.name if (tenant, repo.namespace) == (SHARED_TENANT, STARTER_NAMESPACE) else repo.path


class Models:
    """`check_template` comes from the engines; without one no template is looked at."""

    def __init__(self, hub: Hub, check_template: CheckTemplate | None = None) -> None:
        self.hub, self._check_template = hub, check_template

    def inspect(self, tenant: str, repo: RepoId, files: Mapping[str, TreeEntry]) -> ModelInfo:
        """What a commit of these files would be. Raises Damaged, or what the template check raises."""
        info = describe(model_id(tenant, repo), files, self.hub.blobs.path)
        if info.chat_template is not None and self._check_template is not None:
            self._check_template(info.chat_template)
        return replace(info, repo=repo.path, provider=info.provider or repo.namespace)

    def info(self, tenant: str, repo: RepoId, revision: str = "main") -> ModelInfo:
        """The model at a revision. Broken files and refused templates give a model without verbs. Raises NotFound."""
        found = self.hub.resolve(tenant, repo, revision)
        known = self._remembered(tenant, repo, found)
        if known is not None:
            return known
        commit = self.hub.history(tenant, repo, found, limit=1)[0]
        files = {entry.path: entry for entry in self.hub.tree(tenant, repo, found)}
        try:
            info = self.inspect(tenant, repo, files)
        except NotFound:  # of a mirrored model, whose large files come when they are first read
            return ModelInfo(
                model_id(tenant, repo),
                verbs=(),
                engine="",
                repo=repo.path,
                revision=found,
                created=commit.created,
                details={"refused": "not all of its files are here yet; `craton models pull` brings them"},
            )
        except (Damaged, InvalidRequest, TooLarge, Unsupported) as error:
            refused = {"refused": str(error)}
            info = ModelInfo(model_id(tenant, repo), verbs=(), engine="", repo=repo.path, details=refused)
        return self.remember(tenant, repo, replace(info, revision=found, created=commit.created))

    def remember(self, tenant: str, repo: RepoId, info: ModelInfo) -> ModelInfo:
        try:
            with self.hub.database.write() as connection:
                repository = rows.find(connection, tenant, repo).id
                key = {"tenant": tenant, "repository": repository, "revision": info.revision}
                connection.execute(
                    delete(tables.models).where(*(tables.models.c[name] == value for name, value in key.items()))
                )
                connection.execute(
                    insert(tables.models).values(**key, reader=READER, info=msgspec.json.encode(info).decode())
                )
        except IntegrityError:
            pass  # another process remembered the same in between
        return info

    def _remembered(self, tenant: str, repo: RepoId, revision: str) -> ModelInfo | None:
        table = tables.models.c
        with self.hub.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            mine = and_(table.tenant == tenant, table.repository == repository, table.revision == revision)
            text = connection.scalar(select(table.info).where(mine, table.reader == READER))
        if text is None:
            return None
        # The repository may have been called otherwise when this was read.
        return replace(msgspec.json.decode(text, type=ModelInfo), id=model_id(tenant, repo), repo=repo.path)
