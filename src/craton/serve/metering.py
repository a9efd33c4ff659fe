"""Usage rows and traces, committed in groups.

SQLite commits some 400 times a second here, so rows are gathered for a moment and written in one transaction by a
thread. A crash can lose the rows of that moment (docs/decisions.md says why that is acceptable for these rows and no
others).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from craton.core.errors import InvalidRequest
from craton.core.events import Delta, Event, Folder, Stop, Usage
from craton.serve.tables import requests, traces
from craton.store.database import Database
from craton.store.inserting import Insert

GROUP_SECONDS = 0.05
GROUP_ROWS = 500
RETRY_SECONDS = 1.0
BACKLOG = 20_000  # rows that may wait in memory while the database cannot be written; past that, the oldest go
MAX_TRACE = 256 * 1024  # bytes of JSON kept of a request or an answer

log = logging.getLogger("craton.metering")

_NAMES = (
    *("tenant", "id", "key_id", "started", "dialect", "operation", "resolved", "revision", "engine"),
    *("status", "error", "stop", "first_token_seconds", "seconds", "cost"),
)
_VALUES = attrgetter(*_NAMES)
_HOPELESS = (InvalidRequest, IntegrityError, OverflowError, UnicodeError, RecursionError)
BINARY = (b'"data":"', b'"redacted":"', b'"bytes":"')  # where `core.chat` has bytes
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Record:
    """One request while it runs, then its row. Times come from the injected clock (seconds). request: what was asked, a
    value of `core` or of the part of the platform that was asked. answer: of what answers in one piece."""

    tenant: str
    id: str
    key_id: str
    started: float
    dialect: str
    operation: str
    model: str
    request: Struct | None
    resolved: str = ""
    revision: str = ""
    engine: str = ""
    status: str = "ok"
    error: str = ""
    stop: str = ""
    usage: Usage | None = None
    first_token_seconds: float | None = None
    seconds: float = 0.0
    cost: float | None = None
    events: list[Event] = field(default_factory=list)
    answer: Struct | None = None

    def observe(self, event: Event, now: float) -> None:
        self.events.append(event)
        if isinstance(event, Delta):
            if self.first_token_seconds is None:
                self.first_token_seconds = now - self.started
        elif isinstance(event, Stop):
            self.stop = event.reason
        elif isinstance(event, Usage):
            self.usage = event

    def forget_content(self) -> None:
        """Keeps what the row needs: there will be no trace."""
        self.request = self.answer = None
        self.events = []

    def row(self) -> dict[str, Any]:
        usage = self.usage or Usage(0, 0)
        return dict(zip(_NAMES, _VALUES(self), strict=True)) | {
            "model": self.model[:512].replace("\0", "\ufffd"),  # PostgreSQL holds no NUL
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cached_tokens": usage.cached_input,
            "estimated": usage.estimated,
        }

    def trace(self, now: float) -> dict[str, Any]:
        answer = "" if self.answer is None else _as_json(self.answer)
        if self.events:
            folder = Folder()
            for event in self.events:
                folder.add(event)
            try:
                answer = _as_json(folder.answer())
            except ValueError:  # broken off: keep what there was
                answer = _as_json(tuple(self.events))
        return {
            "tenant": self.tenant,
            "request_id": self.id,
            "created": now,
            "request": _as_json(self.request),
            "answer": answer,
        }


class Meter:
    """Takes finished records; writes them from one background task.

    keep_content: whether prompts and answers are kept. keep_days: for how long.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], *, keep_content: bool = True, keep_days: float = 30
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep_content = keep_content
        self._keep_seconds = keep_days * 86_400
        self._insert_row = Insert(requests, database.engine.dialect)
        self._insert_trace = Insert(traces, database.engine.dialect)
        self._records: list[Record] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def add(self, record: Record) -> None:
        self._records.append(record)
        self._wake.set()

    async def flush(self) -> None:
        """Everything added so far is committed when this returns. Rows that cannot be written are kept for the next
        try, without what was said: thousands of prompts would fill the memory of a server whose disk is full."""
        while self._records:
            group, self._records = self._records[:GROUP_ROWS], self._records[GROUP_ROWS:]
            try:
                await asyncio.to_thread(self._write_each_if_need_be, group)
            except BaseException:
                for record in group:
                    record.forget_content()
                self._records = (group + self._records)[-BACKLOG:]
                raise

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        await asyncio.to_thread(self._forget_old)
        while not (self._closing and not self._records):
            await self._wake.wait()
            self._wake.clear()
            if not self._closing:
                await asyncio.sleep(GROUP_SECONDS)
            try:
                await self.flush()
            except Exception:
                log.exception("usage rows could not be written; %d are waiting", len(self._records))
                if self._closing:
                    return
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    def _write_each_if_need_be(self, records: list[Record]) -> None:
        """One row that no database can hold (a provider's absurd count, say) must not keep the others back."""
        try:
            self._write(records)
        except _HOPELESS:
            for record in records:
                try:
                    self._write([record])
                except _HOPELESS:
                    log.exception("the row of request %s cannot be written", record.id)

    def _write(self, records: list[Record]) -> None:
        now = self._clock()
        rows = [record.row() for record in records]
        told = [record for record in records if self._keep_content and record.request is not None]
        contents = [record.trace(now) for record in told]
        with self._database.write() as connection:
            self._insert_row(connection, rows)
            if contents:
                self._insert_trace(connection, contents)

    def _forget_old(self) -> None:
        with self._database.write() as connection:
            connection.execute(delete(traces).where(traces.c.created < self._clock() - self._keep_seconds))


def _as_json(value: Any) -> str:
    encoded = _ENCODER.encode(value)
    if any(mark in encoded for mark in BINARY):
        encoded = _ENCODER.encode(_without_bytes(msgspec.to_builtins(value, builtin_types=(bytes,))))
    text = encoded.decode()
    if len(text) <= MAX_TRACE:
        return text
    return _ENCODER.encode({"truncated": True, "characters": len(text), "begins": text[:MAX_TRACE]}).decode()


def _without_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, dict):
        return {key: _without_bytes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(item) for item in value]
    return value
