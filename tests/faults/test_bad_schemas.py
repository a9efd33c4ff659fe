"""Schemas and expressions that do not compile, or would for ever, while seven other streams run over the same model."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.dialects import NAMES, Dialect, Failure, outcome, send, speak
from tests.faults.seen import assert_tells_nothing
from tests.servers import RunningServer

MODEL = "smollm2-135m-instruct"
TOKENS = 48
EASY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"deeper": schema}, "required": ["deeper"]}
    return schema


BAD: dict[str, dict[str, Any]] = {
    "an unknown type": {"type": "object", "properties": {"a": {"type": "no-such-type"}}},
    "an endless expression": {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^(a{1,999}){1,999}b$"}},
        "required": ["a"],
    },
    "no expression": {"type": "object", "properties": {"a": {"type": "string", "pattern": "(unclosed"}}},
    "looking around": {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)b"}}},
    "too deep": nested(60),
    "a reference to nothing": {"$ref": "#/$defs/nothing"},
    "a reference to a file": {"$ref": "file:///etc/passwd"},
    "a reference to the network": {"$ref": "http://127.0.0.1:1/schema.json"},
    "a reference to itself": {"$ref": "#"},
    "nothing fits": {"type": "object", "properties": {"a": {"allOf": [{"const": 1}, {"const": 2}]}}, "required": ["a"]},
    "counts": {"type": "array", "items": {"type": "string"}, "minItems": 10**9},
    "a wrong keyword": {"type": 7},
    "many branches": {"anyOf": [{"type": "string", "pattern": f"(x{i}|y)*z{{0,900}}"} for i in range(900)]},
}

HEAVY: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string", "pattern": "^(a{1,30}){1,30}b$"}},
    "required": ["a"],
}
"""Compiles, and grows at every step: refused or held to, but never at the cost of others."""


def as_output(dialect: Dialect, schema: dict[str, Any]) -> dict[str, Any] | None:
    body = dialect.body(MODEL, "Where?", max_tokens=16)
    if dialect.name == "openai":
        named = {"name": "answer", "schema": schema, "strict": True}
        return body | {"response_format": {"type": "json_schema", "json_schema": named}}
    if dialect.name == "aws":
        structure = {"jsonSchema": {"name": "answer", "schema": json.dumps(schema)}}
        return body | {"outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}}}
    return body | {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def as_tool(dialect: Dialect, schema: dict[str, Any]) -> dict[str, Any]:
    body = dialect.body(MODEL, "Where?", max_tokens=16)
    if dialect.name == "openai":
        function = {"name": "look", "description": "Looks.", "parameters": schema}
        return body | {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    if dialect.name == "aws":
        tool = {"toolSpec": {"name": "look", "description": "Looks.", "inputSchema": {"json": schema}}}
        return body | {"toolConfig": {"tools": [tool], "toolChoice": {"any": {}}}}
    tool = {"name": "look", "description": "Looks.", "input_schema": schema}
    return body | {"tools": [tool], "tool_choice": {"type": "any"}}


@pytest.mark.slow
def test_bad_schemas_are_refused_while_seven_streams_go_on(small_server: RunningServer) -> None:
    """Each bad schema as an output format and as a tool's, the dialects taking turns. Seven readers stream all the
    while: every one of their answers comes to its end. (Not always the same: a batch of eight rounds differently.)"""
    dialects = [speak(name, small_server) for name in NAMES]
    prompt = "Count from one to one hundred."
    done = threading.Event()
    answers: list[tuple[str, str | Failure]] = []

    def reader(dialect: Dialect) -> None:
        while True:
            answers.append((dialect.name, outcome(dialect, MODEL, prompt, stream=True, max_tokens=TOKENS)))
            if done.is_set():
                return

    with ThreadPoolExecutor(7) as pool:
        readers = [pool.submit(reader, dialects[index % 3]) for index in range(7)]
        try:
            for turn, (what, schema) in enumerate(BAD.items()):
                first, second = dialects[turn % 3], dialects[(turn + 1) % 3]
                for dialect, body in ((first, as_output(first, schema)), (second, as_tool(second, schema))):
                    response = send(dialect, body, MODEL)
                    assert response.status_code == 400, (what, dialect.name, response.text)
                    assert dialect.refusal(response).request_id
                    assert_tells_nothing(response.text, small_server)
            assert send(dialects[1], as_output(dialects[1], HEAVY), MODEL).status_code in {200, 400, 500}
        finally:
            done.set()
        for future in readers:
            future.result()
    assert len(answers) >= 7
    for name, answer in answers:
        assert isinstance(answer, str), (name, answer)
        assert answer, name


@pytest.mark.parametrize("name", NAMES)
def test_a_good_schema_still_holds_after_them(name: str, small_server: RunningServer) -> None:
    dialect = speak(name, small_server)
    assert send(dialect, as_output(dialect, EASY), MODEL).status_code == 200
    assert send(dialect, as_tool(dialect, EASY), MODEL).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(name: str, small_server: RunningServer) -> None:
    for stream in (False, True):
        failure = outcome(speak(name, small_server), MODEL, "word " * 3000, stream=stream)
        assert isinstance(failure, Failure)
        assert failure.status == 400
        numbers = [int(number) for number in re.findall(r"\d+", failure.message.replace(",", ""))]
        assert 512 in numbers
        assert any(3000 <= number < 3200 for number in numbers), failure.message
