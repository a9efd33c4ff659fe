"""Names of deployments and of provisioned throughput, as a source of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from craton.core.errors import ModelUnavailable, NotFound, Unsupported
from craton.customizing.rows import custom_models, deployments, throughputs
from craton.customizing.values import CustomModel
from craton.serve.directory import ModelSource
from craton.serve.target import Target
from craton.store.database import Database

ReadName = Callable[[str, str], tuple[str, str] | None]
"""(name, tenant) -> what kind of resource it names and its id: of the tenant's own alone."""


class Customized:
    """See `serve.directory.ModelSource`. models: where foundation models and the repositories of custom ones are."""

    def __init__(self, database: Database, models: Sequence[ModelSource], read: ReadName) -> None:
        self._database, self._models, self._read = database, models, read

    def targets(self, _tenant: str) -> list[Target]:
        """None: custom models are listed as what they are, repositories."""
        return []

    def find(self, tenant: str, name: str) -> Target | None:
        """Raises ModelUnavailable for what is not active, Unsupported for a custom model that is asked by its ARN."""
        named = self._read(name, tenant)
        if named is None:
            return None
        kind, id = named
        try:
            with self._database.read() as connection:
                if kind == "custom-model-deployment":
                    return self._deployed(connection, tenant, id)
                if kind == "provisioned-model":
                    return self._provisioned(connection, tenant, id)
                if kind == "custom-model":
                    raise on_demand(custom_models.find(connection, tenant, id))
        except NotFound:
            return None
        return None

    def _deployed(self, connection: Connection, tenant: str, id: str) -> Target | None:
        found = deployments.find(connection, tenant, id)
        if found.status not in {"active", "updating"}:
            raise ModelUnavailable(found.name, found.failure or "it is being deployed; ask again in a moment.")
        return self._custom(tenant, custom_models.find(connection, tenant, found.model))

    def _provisioned(self, connection: Connection, tenant: str, id: str) -> Target | None:
        found = throughputs.find(connection, tenant, id)
        if found.status not in {"active", "updating"}:
            raise ModelUnavailable(found.name, found.failure or "it is being provisioned; ask again in a moment.")
        target = (
            self._custom(tenant, custom_models.find(connection, tenant, found.model))
            if found.model
            else self._named(tenant, found.base)
        )
        return None if target is None else replace(target, units=found.units)

    def _custom(self, tenant: str, model: CustomModel) -> Target | None:
        return self._named(tenant, f"{model.repo}@{model.revision}")

    def _named(self, tenant: str, name: str) -> Target | None:
        return next((found for source in self._models if (found := source.find(tenant, name)) is not None), None)


def on_demand(model: CustomModel) -> Unsupported:
    """As on Bedrock, so that a script that works here works there."""
    return Unsupported(
        f"Invoking the custom model {model.name!r} by its ARN",
        "Create a custom model deployment, or provisioned throughput, and use its ARN; or ask by the name of its "
        f"repository: {model.repo}.",
    )
