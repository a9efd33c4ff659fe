"""What a request brings is compiled where it can hurt nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from craton.children.process import Process
from craton.core.chat import ChatRequest, Message, OutputSchema, TextPart, Tool
from craton.core.errors import InvalidRequest
from craton.core.events import fold_stream
from craton.core.model import ModelInfo
from craton.engines.checking import Checker, CheckLimits
from craton.engines.checking.bounds import check_bounds
from craton.engines.checking.checker import spawn_child
from craton.engines.protocol import EngineSpec
from craton.engines.worker import Worker

pytestmark = pytest.mark.anyio

QUICK = CheckLimits(cpu_seconds=1.0, megabytes=256, children=1)


class Spawns:
    """Counts the processes that a checker starts."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    async def __call__(self, megabytes: int) -> Process:
        process = await spawn_child(megabytes)
        self.pids.append(process.pid)
        return process


@asynccontextmanager
async def checking(limits: CheckLimits = QUICK, spawns: Spawns | None = None) -> AsyncIterator[Checker]:
    checker = Checker(limits, spawn=spawns)
    try:
        yield checker
    finally:
        await checker.close()


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


GOOD: list[dict[str, Any]] = [
    {},
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]+$"}}, "required": ["a"]},
    {"type": "object", "properties": {"child": {"$ref": "#"}}},
    {"$defs": {"x": {"enum": ["a", 1, None]}}, "type": "array", "items": {"$ref": "#/$defs/x"}, "maxItems": 100},
    {"type": "string", "format": "date-time", "description": "when", "title": "When", "default": "now"},
    {"type": "object", "properties": {"pattern": {"type": "string"}, "enum": {"type": "array"}}},
]

OVER_BOUNDS: list[tuple[dict[str, Any], str]] = [
    (nested(40), "deeper"),
    ({"anyOf": [{"type": "string"}] * 20_001}, "parts"),
    ({"enum": [str(i) for i in range(1_001)]}, "enum"),
    ({"type": "string", "pattern": "a" * 1_001}, "pattern"),
    ({"type": "array", "minItems": 10**9}, "minItems"),
    ({"type": "string", "maxLength": 10**12}, "maxLength"),
    ({"$ref": "https://example.com/schema.json"}, "inside the schema"),
    ({"description": "x" * 300_000}, "KiB"),
]

DO_NOT_COMPILE: list[tuple[dict[str, Any], str]] = [
    ({"type": "strin"}, "strin"),
    ({"type": "string", "pattern": "^(a|b$"}, "unclosed group"),
    ({"type": "string", "pattern": "^(?=a)b$"}, "look-around"),
    ({"$ref": "#/$defs/none"}, "does not exist"),
    ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "minItems"),
    ({"not": {"type": "string"}}, "not"),
    (
        {
            "anyOf": [
                {"type": "object", "properties": {f"p{i}_{j}": {"type": "string"} for j in range(30)}}
                for i in range(99)
            ]
        },
        "items",
    ),
]


@pytest.mark.parametrize(("schema", "words"), OVER_BOUNDS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_schema_over_a_bound_is_refused_before_anything_is_started(schema: dict[str, Any], words: str) -> None:
    spawns = Spawns()
    async with checking(spawns=spawns) as checker:
        with pytest.raises(InvalidRequest, match=words) as caught:
            await checker.check_schema(schema, "output_schema")
    assert caught.value.field == "output_schema"
    assert spawns.pids == []


async def test_schemas_that_compile_pass_and_others_are_refused_in_words() -> None:
    spawns = Spawns()
    async with checking(spawns=spawns) as checker:
        for schema in GOOD:
            await checker.check_schema(schema)
        for schema, words in DO_NOT_COMPILE:
            with pytest.raises(InvalidRequest, match=words) as caught:
                await checker.check_schema(schema)
            assert "<state>" not in caught.value.reason
    assert len(spawns.pids) == 1


async def test_the_field_says_which_schema_is_wrong() -> None:
    bad = {"type": "strin"}
    async with checking() as checker:
        tools = (Tool("a", {"type": "object"}), Tool("b", bad))
        for values, field in (
            ({"tools": tools}, "tools[1].schema"),
            ({"output_schema": OutputSchema(bad)}, "output_schema"),
        ):
            with pytest.raises(InvalidRequest) as caught:
                await checker.check_request(ChatRequest("m", (), **values))
            assert caught.value.field == field


async def test_regular_expressions_and_grammars_are_compiled() -> None:
    async with checking() as checker:
        await checker.check_regex("(a|b)*c{2,5}")
        await checker.check_grammar('root ::= "a" | "b" root')
        await checker.check_grammar('%llguidance {}\nstart: "a" | "b" start')
        for call in (
            checker.check_regex("(a|b"),
            checker.check_regex(r"(a)\1"),
            checker.check_grammar('root ::= ("a"'),
            checker.check_grammar("root ::= root"),
            checker.check_grammar('other ::= "a"'),
            checker.check_grammar("%llguidance {}\nstart: nothing"),
            checker.check_regex("a" * 1_001),
        ):
            with pytest.raises(InvalidRequest):
                await call


def bomb(levels: int) -> dict[str, Any]:
    """Refers to itself twice at each level: 2**levels parts when written out."""
    definitions = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]} for i in range(levels)
    }
    return {"$defs": {**definitions, f"d{levels}": {"type": "string"}}, "$ref": "#/$defs/d0"}


HOSTILE_SCHEMAS: list[dict[str, Any]] = [
    bomb(24),
    {"type": "string", "pattern": "^((a{1,50}){1,50}){1,50}$"},
    {"type": "string", "pattern": "^(.*a){12}.{30}$"},
    {"allOf": [{"type": "string", "pattern": f"^(.*{letter}){{9}}.*$"} for letter in "abcdefgh"]},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    {
        "type": "array",
        "minItems": 9_999,
        "maxItems": 10_000,
        "items": {"type": "array", "minItems": 9_999, "maxItems": 10_000},
    },
    {
        "anyOf": [
            {"type": "object", "properties": {f"p{i}_{j}": {"type": "string"} for j in range(30)}} for i in range(99)
        ]
    },
]


@pytest.mark.parametrize("schema", HOSTILE_SCHEMAS, ids=range(len(HOSTILE_SCHEMAS)))
async def test_after_a_hostile_schema_the_next_check_works(schema: dict[str, Any]) -> None:
    async with checking() as checker:
        started = time.monotonic()
        with suppress(InvalidRequest):  # some compile after all, in little time and memory
            await checker.check_schema(schema)
        assert time.monotonic() - started < 20
        await checker.check_schema({"type": "integer"})


HOSTILE_TEMPLATES = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{{ 'x' * 10**10 }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.system('true') }}",
    "{% if %}",
    "{% set ns = namespace(a=['x' * 100000]) %}{% for i in range(99) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
    "{{ '%1000000000s' % 'x' }}",
    "{{ 'x'.ljust(10000000000) }}",
    "{{ ('a' * 30) | replace('a', 'aaaaaaaaaaaaaaaaaaaa' * 1000) | replace('a', 'a' * 100000) }}",
]


async def test_hostile_templates_are_refused_and_good_ones_still_pass() -> None:
    good = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    refusing = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}"
    )
    async with checking() as checker:
        for template in HOSTILE_TEMPLATES:
            with pytest.raises(InvalidRequest) as caught:
                await checker.check_template(template)
            assert caught.value.field == "chat_template"
            await checker.check_template(good)
        await checker.check_template(refusing)


async def test_a_child_that_dies_is_replaced_and_its_verdict_remembered() -> None:
    spawns = Spawns()
    async with checking(spawns=spawns) as checker:
        endless = HOSTILE_TEMPLATES[0]
        with pytest.raises(InvalidRequest, match="too long"):
            await checker.check_template(endless)
        started = time.monotonic()
        with pytest.raises(InvalidRequest, match="too long"):
            await checker.check_template(endless)
        assert time.monotonic() - started < 0.5
        await checker.check_schema({"type": "null"})
    assert len(spawns.pids) == 2


async def test_a_child_that_sleeps_is_killed_by_the_clock_and_a_dead_spare_is_noticed() -> None:
    spawns = Spawns()
    limits = CheckLimits(wall_seconds=0.5, children=1)
    async with checking(limits, spawns) as checker:
        await checker.start()
        os.kill(spawns.pids[0], signal.SIGSTOP)
        with pytest.raises(InvalidRequest, match="too long"):
            await checker.check_schema({"type": "integer"})
        os.kill(spawns.pids[-1], 0)
    async with checking(CheckLimits(children=1), spawns) as checker:
        await checker.start()
        os.kill(spawns.pids[-1], signal.SIGKILL)
        await asyncio.sleep(0.2)
        await checker.check_schema({"type": "integer"})


async def test_a_verdict_is_remembered_without_bound_on_repeats_and_with_one_on_number() -> None:
    limits = CheckLimits(remembered=2, children=1)
    async with checking(limits) as checker:
        for i in range(5):
            await checker.check_schema({"const": i})
        assert len(checker._verdicts) == 2


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_checking_runs_under_the_loop_of_the_server() -> None:
    async with checking() as checker:
        await checker.check_schema({"type": "integer"})
        with pytest.raises(InvalidRequest, match="too long"):
            await checker.check_template(HOSTILE_TEMPLATES[0])
        await checker.check_schema({"type": "string"})


async def test_seven_streams_go_on_while_bad_schemas_are_checked() -> None:
    info = ModelInfo(id="echo", verbs=("chat",), engine="echo")
    worker = Worker(EngineSpec("echo", "echo", info, {}, {}))
    await worker.start()
    words = " ".join(f"w{i}" for i in range(200))
    request = ChatRequest("echo", (Message("user", (TextPart(words),)),))

    async def stream() -> int:
        answers = 0
        while not done.is_set():
            assert (await fold_stream(worker.chat(request))).choices[0].text() == words
            answers += 1
            await asyncio.sleep(0.01)
        return answers

    done = asyncio.Event()
    streams = [asyncio.create_task(stream()) for _ in range(7)]
    try:
        async with checking() as checker:
            bad = [*HOSTILE_SCHEMAS[:3], *(schema for schema, _ in DO_NOT_COMPILE)]
            await asyncio.gather(*(checker.check_schema(schema) for schema in bad), return_exceptions=True)
            with pytest.raises(InvalidRequest):
                await checker.check_template(HOSTILE_TEMPLATES[0])
        done.set()
        assert all(count > 1 for count in await asyncio.gather(*streams))
    finally:
        done.set()
        await worker.close()


async def test_bounds_look_at_keywords_and_not_at_properties_called_like_them() -> None:
    assert check_bounds({"properties": {"enum": {"type": "string"}, "$ref": {"type": "string"}}}, "x")
