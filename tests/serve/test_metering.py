"""Every request leaves a row, in groups, and nothing of it is lost to a passing failure."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from craton.core.chat import ChatRequest, ImagePart, Message, TextPart
from craton.core.errors import NotFound, StorageFull
from craton.core.events import ChatAnswer, Delta, PartEnded, PartStarted, Stop, Usage
from craton.serve.history import History
from craton.serve.metering import BINARY, Meter, Record
from craton.serve.tables import requests
from craton.store.database import Database
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

QUESTION = ChatRequest(
    "echo", (Message("user", (TextPart("What is this?"), ImagePart("png", b"\x89PNG, not to be kept"))),)
)


def finished(number: int, tenant: str = "acme", model: str = "echo", status: str = "ok") -> Record:
    record = Record(tenant, f"id-{number}", "KEY", 1000.0 + number, "openai", "Chat", model, QUESTION, resolved=model)
    for event in (
        PartStarted(0, "text"),
        Delta(0, "Hi."),
        PartEnded(0),
        Stop("end_turn"),
        Usage(10, 5, cached_input=4),
    ):
        record.observe(event, 1000.25 + number)
    record.seconds, record.status = 0.5, status
    return record


async def test_rows_and_traces_can_be_read_back(database: Database) -> None:
    upgrade(database)
    meter = Meter(database, lambda: 2000.0)
    meter.add(finished(1))
    await meter.flush()
    trace = History(database).trace("acme", "id-1")
    assert trace.row["input_tokens"] == 10
    assert trace.row["cached_tokens"] == 4
    assert trace.row["first_token_seconds"] == pytest.approx(0.25)
    assert trace.answer["choices"][0]["parts"][0]["text"] == "Hi."
    kept = trace.request["messages"][0]["parts"]
    assert kept[0]["text"] == "What is this?"
    assert kept[1]["data"]["bytes"] == len(b"\x89PNG, not to be kept")


async def test_another_tenants_request_is_not_found(database: Database) -> None:
    upgrade(database)
    meter = Meter(database, lambda: 2000.0)
    meter.add(finished(1))
    await meter.flush()
    with pytest.raises(NotFound):
        History(database).trace("other", "id-1")
    assert History(database).recent("other") == []
    assert History(database).usage("other") == []


async def test_usage_is_summed_by_model(database: Database) -> None:
    upgrade(database)
    meter = Meter(database, lambda: 2000.0)
    for number in range(4):
        meter.add(finished(number, status="error" if number == 3 else "ok"))
    meter.add(finished(9, model="other"))
    await meter.flush()
    echo, other = History(database).usage("acme")
    assert (echo.model, echo.requests, echo.errors, echo.input_tokens, echo.output_tokens) == ("echo", 4, 1, 40, 20)
    assert (other.model, other.requests, echo.cost) == ("other", 1, None)
    assert [line.requests for line in History(database).usage("acme", since=1003.0)] == [1, 1]


async def test_rows_that_could_not_be_written_are_written_later(database: Database) -> None:
    upgrade(database)

    class Failing(Database):
        full = True

        def write(self) -> AbstractContextManager[Connection]:
            if self.full:
                raise StorageFull
            return super().write()

    failing = Failing(database.engine.url.render_as_string(hide_password=False))
    meter = Meter(failing, lambda: 2000.0)
    meter.add(finished(1))
    with pytest.raises(StorageFull):
        await meter.flush()
    meter.add(finished(2))
    failing.full = False
    await meter.flush()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(requests)).scalar_one() == 2
    failing.close()


async def test_closing_writes_what_is_left_and_content_is_optional(database: Database) -> None:
    upgrade(database)
    meter = Meter(database, lambda: 2000.0, keep_content=False)
    meter.start()
    meter.add(finished(1))
    await asyncio.wait_for(meter.close(), 20)
    trace = History(database).trace("acme", "id-1")
    assert (trace.row["status"], trace.request, trace.answer) == ("ok", None, None)


async def test_old_contents_are_forgotten_and_rows_stay(database: Database) -> None:
    upgrade(database)
    first = Meter(database, lambda: 1000.0)
    first.add(finished(1))
    await first.flush()
    later = Meter(database, lambda: 1000.0 + 3 * 86_400, keep_days=2)
    later.start()
    await later.close()
    trace = History(database).trace("acme", "id-1")
    assert trace.request is None
    assert trace.row["id"] == "id-1"


async def test_a_row_that_no_database_can_hold_does_not_keep_the_others_back(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade(database)
    absurd = finished(2)
    absurd.usage = Usage(10**30, 0)
    meter = Meter(database, lambda: 2000.0)
    strange = finished(3)
    strange.model = "no\0thing"
    for record in (finished(1), absurd, strange):
        meter.add(record)
    await meter.flush()
    assert "id-2" in caplog.text
    assert "What is this?" not in caplog.text
    assert [(row["id"], row["model"]) for row in History(database).recent("acme")] == [
        ("id-3", "no\ufffdthing"),
        ("id-1", "echo"),
    ]


def test_no_binary_part_is_kept_whatever_its_name() -> None:
    """The writer looks for bytes by the names of their fields."""

    def names(kind: msgspec.inspect.Type, seen: set[type]) -> set[str]:
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in seen:
            seen.add(kind.cls)
            here = {field.encode_name for field in kind.fields if holds_bytes(field.type)}
            return here.union(*(names(field.type, seen) for field in kind.fields))
        inner = [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
        inner += [kind.item_type] if hasattr(kind, "item_type") else []
        return set().union(*(names(each, seen) for each in inner))

    def holds_bytes(kind: msgspec.inspect.Type) -> bool:
        return any(isinstance(each, msgspec.inspect.BytesType) for each in getattr(kind, "types", (kind,)))

    found = names(msgspec.inspect.type_info(ChatRequest), set()) | names(msgspec.inspect.type_info(ChatAnswer), set())
    assert found == {"data", "redacted", "bytes"}
    assert {f'"{name}":"'.encode() for name in found} == set(BINARY)
