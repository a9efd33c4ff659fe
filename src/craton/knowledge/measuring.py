"""`protocol.Measuring`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from craton.core.chat import Json
from craton.knowledge.proficiency import Proficiencies, measure_proficiency
from craton.knowledge.structured.asking import StructuredKnowledge
from craton.serve.inference import Call, Serving


class Measured:
    """clock: seconds since the epoch."""

    def __init__(
        self,
        serving: Serving,
        proficiencies: Proficiencies,
        structured: StructuredKnowledge,
        clock: Callable[[], float],
    ) -> None:
        self._serving, self._proficiencies = serving, proficiencies
        self._structured, self._clock = structured, clock

    async def documents(self, call: Call, model: str, tenant: str, progress: Callable[[int, int], None]) -> Json:
        measured = await measure_proficiency(self._serving, call, model, self._clock, progress=progress)
        await self._proficiencies.put(tenant, measured)
        return _told(measured, measured.generates)

    async def queries(
        self, call: Call, model: str, database: str, tenant: str, progress: Callable[[int, int], None]
    ) -> Json:
        measured = await self._structured.measure(call, model, database, progress, tenant=tenant)
        return _told(measured, measured.passes)


def _told(figures: msgspec.Struct, passes: bool) -> Json:
    told: Json = msgspec.to_builtins(figures)
    return told | {"passes": passes}
