"""Passages from the live HTTP APIs among a knowledge base's sources."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from craton.core.errors import CratonError, SourceFailed
from craton.core.knowledge import DataSource, Location, Passage
from craton.data.api.options import LiveOptions
from craton.data.sources.options import read_options

if TYPE_CHECKING:
    import httpx

    from craton.data.api.live import LiveRecord

Secret = Callable[[str, str], Awaitable[str]]
"""(tenant, credential's name) -> the secret. Raises NotFound."""


def is_live(source: DataSource) -> bool:
    """Whether it is asked at the time of the question, and never ingested."""
    return source.spec.kind == "api" and source.spec.options.get("live") is True


class LiveSources:
    """client: gives the outgoing client, which refuses what the operator did not allow."""

    def __init__(self, client: Callable[[], httpx.AsyncClient], secret: Secret) -> None:
        self._client, self._secret = client, secret

    async def ask(
        self, sources: Sequence[DataSource], question: str
    ) -> tuple[tuple[Passage, ...], tuple[SourceFailed, ...]]:
        """What the live ones among the sources answer, best first as each API orders it, and an error for each that
        could not be asked: one that fails does not take the others' answers away."""
        live = [source for source in sources if is_live(source)]
        answers = await asyncio.gather(*(self._one(source, question) for source in live))
        passages = [passage for found, _ in answers for passage in found]
        passages.sort(key=lambda passage: -passage.score)
        return tuple(passages), tuple(failure for _, failure in answers if failure is not None)

    async def _one(self, source: DataSource, question: str) -> tuple[Sequence[Passage], SourceFailed | None]:
        from craton.data.api.live import ask_live  # brings the HTTP client, which most servers never need

        try:
            options = read_options(source.spec.options, LiveOptions)
            credential = source.spec.credential
            secret = await self._secret(source.tenant, credential) if credential else ""
            records = await ask_live(self._client(), options, question, secret)
        except CratonError as error:
            reason = error.reason if isinstance(error, SourceFailed) else str(error)
            return (), SourceFailed(source.name, reason)
        return [_passage(source, number, record) for number, record in enumerate(records)], None


def _passage(source: DataSource, number: int, record: LiveRecord) -> Passage:
    """score: by its place in the API's own order."""
    return Passage(
        document=f"{source.id}-live-{number}",
        chunk=number,
        text=record.text,
        location=Location("api", record.uri),
        score=1.0 / (1 + number),
        knowledge_base=source.knowledge_base,
        source=source.id,
        title=record.title,
        end=len(record.text),
        row=dict(record.fields) if record.fields is not None else None,
    )
