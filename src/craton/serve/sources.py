"""Where models come from: what is built in, what the operator configured upstream, and the hub."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from craton.core.errors import NotFound
from craton.core.model import ModelInfo, Verb
from craton.hub.catalog import Catalog
from craton.serve.target import Target

ECHO_CONTEXT = 8192  # tokens, which are words here


class Echo:
    """The deterministic model that ships with Craton."""

    def __init__(self, created: float) -> None:
        info = ModelInfo(
            id="echo",
            verbs=("chat", "embed"),
            engine="echo",
            provider="craton",
            family="echo",
            architecture="echo",
            context_length=ECHO_CONTEXT,
            dimensions=64,
            license="Apache-2.0",
            created=created,
        )
        self._target = Target("echo", info)

    def targets(self, _tenant: str) -> list[Target]:
        return [self._target]

    def find(self, _tenant: str, name: str) -> Target | None:
        return self._target if name == "echo" else None


class Upstream(Struct, frozen=True):
    """One configured provider. models: name here -> the provider's name."""

    name: str
    models: Mapping[str, str]
    verbs: tuple[Verb, ...]
    context_length: int | None = None


class Upstreams:
    """Models behind other providers' APIs. Every tenant may use them: the operator pays."""

    def __init__(self, upstreams: Mapping[str, Upstream], created: float) -> None:
        self._targets = {
            model: Target(
                f"upstream:{upstream.name}:{model}",
                ModelInfo(
                    id=model,
                    verbs=upstream.verbs,
                    engine="upstream",
                    provider=upstream.name,
                    context_length=upstream.context_length,
                    created=created,
                    details={"upstream": upstream.name, "name": theirs},
                ),
            )
            for upstream in upstreams.values()
            for model, theirs in upstream.models.items()
        }

    def targets(self, _tenant: str) -> list[Target]:
        return list(self._targets.values())

    def find(self, _tenant: str, name: str) -> Target | None:
        return self._targets.get(name)


class HubModels:
    """Models in the hub: the tenant's own, and those that all tenants share."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def targets(self, tenant: str) -> list[Target]:
        """Without their files, which only loading needs."""
        return [
            Target(_key(found.owner, found.info), found.info, owner=found.owner)
            for found in self._catalog.listed(tenant)
        ]

    def find(self, tenant: str, name: str) -> Target | None:
        try:
            found = self._catalog.resolve(tenant, name)
        except NotFound:
            return None
        return Target(_key(found.owner, found.info), found.info, found.files, found.owner)


def _key(owner: str, info: ModelInfo) -> str:
    # The owner is in it: two tenants may both have an acme/bert, and neither may meet the other's.
    return f"hub:{owner}:{info.id}@{info.revision}"
