"""Names of imported models, as a source of models."""

from __future__ import annotations

from collections.abc import Sequence

from craton.core.errors import NotFound
from craton.customizing.importing.rows import imported_models
from craton.customizing.source import ReadName
from craton.serve.directory import ModelSource
from craton.serve.target import Target
from craton.store.database import Database


class Imported:
    """See `serve.directory.ModelSource`. models: where the repositories of imported ones are."""

    def __init__(self, database: Database, models: Sequence[ModelSource], read: ReadName) -> None:
        self._database, self._models, self._read = database, models, read

    def targets(self, _tenant: str) -> list[Target]:
        """None: imported models are listed as what they are, repositories."""
        return []

    def find(self, tenant: str, name: str) -> Target | None:
        named = self._read(name, tenant)
        if named is None or named[0] != "imported-model":
            return None
        try:
            with self._database.read() as connection:
                model = imported_models.find(connection, tenant, named[1])
        except NotFound:
            return None
        place = f"{model.repo}@{model.revision}"
        return next((found for source in self._models if (found := source.find(tenant, place)) is not None), None)
