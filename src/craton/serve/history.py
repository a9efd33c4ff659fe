"""Reading back what was asked: `craton trace` and `craton usage`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import func, select

from craton.core.errors import NotFound
from craton.serve.tables import requests, traces
from craton.store.database import Database


class Trace(Struct, frozen=True):
    """row: the request's usage row. request and answer: what was asked and said as JSON, None when not kept. parts:
    the ids of the calls to models that it made on its way, in order."""

    row: dict[str, Any]
    request: Any
    answer: Any
    parts: tuple[str, ...] = ()


class UsageLine(Struct, frozen=True):
    """What one model used in one tenant. seconds: of model time, summed."""

    model: str
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    seconds: float
    cost: float | None


class History:
    """Read-only; every query carries the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def trace(self, tenant: str, request_id: str) -> Trace:
        """Raises NotFound."""
        with self._database.read() as connection:
            mine = (requests.c.tenant == tenant) & (requests.c.id == request_id)
            row = connection.execute(select(requests).where(mine)).mappings().first()
            kept = (traces.c.tenant == tenant) & (traces.c.request_id == request_id)
            content = connection.execute(select(traces.c.request, traces.c.answer).where(kept)).first()
            made = (requests.c.tenant == tenant) & requests.c.id.startswith(f"{request_id}.", autoescape=True)
            parts = connection.execute(select(requests.c.id).where(made).order_by(requests.c.started)).scalars().all()
        if row is None:
            raise NotFound("request", request_id[:100])
        request, answer = content or ("", "")
        return Trace(
            dict(row),
            msgspec.json.decode(request) if request else None,
            msgspec.json.decode(answer) if answer else None,
            tuple(parts),
        )

    def recent(self, tenant: str, limit: int = 20) -> list[dict[str, Any]]:
        """The newest requests first."""
        query = select(requests).where(requests.c.tenant == tenant).order_by(requests.c.started.desc()).limit(limit)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def usage(self, tenant: str, since: float = 0.0) -> list[UsageLine]:
        """By model, since then (seconds since the epoch)."""
        query = (
            select(
                requests.c.resolved,
                func.count(),
                func.count().filter(requests.c.status == "error"),
                func.sum(requests.c.input_tokens),
                func.sum(requests.c.output_tokens),
                func.sum(requests.c.seconds),
                func.sum(requests.c.cost),
            )
            .where((requests.c.tenant == tenant) & (requests.c.started >= since) & (requests.c.resolved != ""))
            .group_by(requests.c.resolved)
            .order_by(requests.c.resolved)
        )
        with self._database.read() as connection:
            return [_usage_line(*row) for row in connection.execute(query)]


def _usage_line(model: str, count: int, errors: int, read: int, written: int, seconds: float, cost: Any) -> UsageLine:
    # PostgreSQL sums big integers as Decimal
    return UsageLine(
        model, count, errors, int(read), int(written), float(seconds), None if cost is None else float(cost)
    )
