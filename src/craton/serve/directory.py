"""Which model a name means.

Names come in many spellings: a plain name, `namespace/name`, `name@revision`, an alias that the operator set for a
vendor's id (`us.anthropic.claude-...`). An alias is explicit: nothing is ever answered by a model that nobody chose
for it, and the trace names the model that really ran.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from craton.core.errors import NotFound
from craton.serve.adapters import over
from craton.serve.target import Target, scaled

REMEMBER_SECONDS = 2.0  # how long a resolved name is believed without asking the hub again
REMEMBER_NAMES = 4096
REGIONS = ("us.", "eu.", "apac.", "jp.", "au.", "us-gov.", "global.")


class ModelSource(Protocol):
    """Somewhere models come from: the hub, configured upstreams, what is built in. Called in a thread."""

    def targets(self, tenant: str) -> list[Target]: ...

    def find(self, tenant: str, name: str) -> Target | None: ...


class Directory:
    """Asks its sources in order. aliases: the operator's table, alias -> model name."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        aliases: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._aliases = aliases
        self._monotonic = monotonic
        self._remembered: dict[tuple[str, str], tuple[float, Target]] = {}

    async def find(self, tenant: str, name: str) -> Target:
        """Raises NotFound, also for the base of an adapter; Unsupported for a base that takes no adapter."""
        remembered = self._remembered.get((tenant, name))
        if remembered is not None and self._monotonic() - remembered[0] < REMEMBER_SECONDS:
            return remembered[1]
        target = await asyncio.to_thread(self._look_up, tenant, name)
        if len(self._remembered) >= REMEMBER_NAMES:
            self._remembered.clear()
        self._remembered[tenant, name] = (self._monotonic(), target)
        return target

    def forget(self) -> None:
        """Names are asked anew: what some of them mean has changed. Safe in any thread."""
        self._remembered.clear()

    async def targets(self, tenant: str) -> list[Target]:
        """Every model the tenant may use, by id. The first source that has an id wins, as in `find`."""
        found: dict[str, Target] = {}
        for source in self._sources:
            for target in await asyncio.to_thread(source.targets, tenant):
                found.setdefault(target.info.id, target)
        return [found[name] for name in sorted(found)]

    def _look_up(self, tenant: str, name: str) -> Target:
        target = self._named(tenant, name)
        if not target.info.base or not target.info.verbs:  # an adapter that is not applied says so itself
            return scaled(target)
        try:
            base = self._named(tenant, target.info.base)
        except NotFound as missing:
            hint = f"{target.info.id!r} is an adapter of it: `craton models pull` a GGUF file of it, or set an alias."
            raise NotFound("base model", missing.name, hint) from None
        return scaled(replace(over(target, base), units=target.units))

    def _named(self, tenant: str, name: str) -> Target:
        for spelling in self._spellings(name):
            for source in self._sources:
                target = source.find(tenant, spelling)
                if target is not None:
                    return target
        raise NotFound("model", name[:200], "`craton models list` shows what there is; `craton models pull` adds more.")

    def _spellings(self, name: str) -> list[str]:
        names = [name]
        prefix = next((region for region in REGIONS if name.startswith(region)), "")
        if prefix:
            names.append(name.removeprefix(prefix))
        return [self._aliases.get(spelling, spelling) for spelling in names]
