"""Which models a tenant may use, by the names that callers use."""

from __future__ import annotations

from msgspec import Struct

from craton.core.access import SHARED_TENANT
from craton.core.errors import NotFound
from craton.core.model import ModelInfo
from craton.core.repo import RepoId
from craton.hub.models import STARTER_NAMESPACE, Models


class CatalogModel(Struct, frozen=True):
    """files: path in the repository -> blob digest."""

    info: ModelInfo
    files: dict[str, str]


class Catalog:
    """A tenant uses its own models and those of the shared tenant."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def list(self, tenant: str) -> list[ModelInfo]:
        """Sorted by id. A tenant's own model hides a shared one of the same id."""
        shared = {info.id: info for info in self._models.list(SHARED_TENANT)}
        own = {info.id: info for info in self._models.list(tenant)} if tenant != SHARED_TENANT else {}
        return [info for _, info in sorted((shared | own).items())]

    def resolve(self, tenant: str, name: str) -> CatalogModel:
        """name: "x" (the shared craton/x) or "namespace/name" (the tenant's own, else shared), then maybe "@revision".

        Raises NotFound.
        """
        path, _, revision = name.partition("@")
        namespace, slash, rest = path.partition("/")
        repo = RepoId("model", namespace, rest) if slash else RepoId("model", STARTER_NAMESPACE, path)
        for owner in (tenant, SHARED_TENANT) if slash else (SHARED_TENANT,):
            try:
                info = self._models.info(owner, repo, revision or "main")
            except NotFound:
                continue
            files = self._models.hub.tree(owner, repo, info.revision)
            return CatalogModel(info, {entry.path: entry.digest for entry in files})
        raise NotFound(
            "model", name, "`craton models list` shows what is here, `craton models pull NAME` fetches more."
        )
