"""Scripted replies, delays and faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from craton.core.chat import ChatRequest, Message, ReasoningPart, TextPart, ToolUsePart
from craton.core.errors import Damaged, InvalidRequest, ModelFailed, NotFound, Throttled, TooLarge
from craton.core.events import Delta, Usage, fold_stream
from craton.core.model import ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.echo.script import load_script, parse_script
from craton.engines.protocol import EngineSpec

pytestmark = pytest.mark.anyio


def ask(text: str, model: str = "echo") -> ChatRequest:
    return ChatRequest(model=model, messages=(Message("user", (TextPart(text),)),))


async def reply(engine: EchoEngine, text: str, model: str = "echo") -> str:
    return (await fold_stream(engine.chat(ask(text, model)))).choices[0].text()


async def test_the_first_rule_that_fits_answers() -> None:
    engine = EchoEngine(
        "echo",
        parse_script(
            """
            rules:
              - {when: {contains: WEATHER, model: echo}, reply: sunny}
              - {when: {matches: '^\\d+$'}, reply: a number}
              - {when: {contains: again, call: 2}, reply: the second}
            """
        ),
    )
    assert await reply(engine, "the weather?") == "sunny"
    assert await reply(engine, "the weather?", "other") == "the weather?"
    assert await reply(engine, "42") == "a number"
    assert [await reply(engine, "again") for _ in range(3)] == ["again", "the second", "again"]


async def test_parts_usage_and_stop_are_what_the_script_says() -> None:
    script = parse_script(
        """
        rules:
          - reply:
              - {reasoning: Let me look., signature: s1}
              - {text: One moment.}
              - {tool: get, arguments: {city: Paris}, id: call_1}
            usage: {input: 10, cached_input: 4}
        """
    )
    answer = await fold_stream(EchoEngine("echo", script).chat(ask("x")))
    assert answer.choices[0].parts == (
        ReasoningPart("Let me look.", signature="s1"),
        TextPart("One moment."),
        ToolUsePart("call_1", "get", {"city": "Paris"}),
    )
    assert answer.choices[0].stop.reason == "tool_use"
    assert answer.usage == Usage(10, 6, cached_input=4, reasoning=3)


async def test_the_first_calls_can_be_throttled() -> None:
    engine = EchoEngine("echo", parse_script("rules: [{throttle: {calls: 2, retry_after: 1.5}, reply: at last}]"))
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            await reply(engine, "x")
        assert caught.value.retry_after == 1.5
    assert await reply(engine, "x") == "at last"


async def test_a_fault_comes_in_mid_stream() -> None:
    engine = EchoEngine("echo", parse_script("rules: [{fault: {after: 2, reason: out of memory}}]"))
    events = engine.chat(ask("a b c d"))
    arrived = [await anext(events) for _ in range(3)]
    assert [event.text for event in arrived if isinstance(event, Delta)] == ["a", " b"]
    with pytest.raises(ModelFailed, match="out of memory"):
        await anext(events)


async def test_a_crash_inside_the_server_is_only_a_failed_model() -> None:
    engine = EchoEngine("echo", parse_script("rules: [{fault: {kind: crash}}]"))
    with pytest.raises(ModelFailed):
        await reply(engine, "a")


async def test_delays_are_slept() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    script = parse_script("rules: [{delay: {first_ms: 200, between_ms: 20}}]")
    await fold_stream(EchoEngine("echo", script, sleep=sleep).chat(ask("a b c")))
    assert slept == [0.2, 0.02, 0.02]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: [{when: {contians: x}}]", "did you mean `contains`"),
        ("rules: [{reply: 5}]", "reply"),
        ("rules: [{reply: [{text: a, tool: b}]}]", "one of"),
        ("rules: [{when: {matches: '('}}]", "not a regular expression"),
        ("rules: [{fault: {kind: explode}}]", "explode"),
        ("rule: []", "did you mean `rules`"),
    ],
)
async def test_what_is_no_script_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse_script(text)


async def test_files_that_cannot_be_read_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_script(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(Damaged):
        load_script(tmp_path / "bad.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(TooLarge):
        load_script(tmp_path / "big.yaml")


async def test_yaml_that_makes_objects_is_refused() -> None:
    with pytest.raises(Damaged):
        parse_script("rules: !!python/object/apply:os.system ['true']")


async def test_the_script_is_an_option_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("rules: [{reply: from the file}]")
    info = ModelInfo(id="echo", verbs=("chat",), engine="echo")
    engine = EchoEngine.load(EngineSpec("echo", "echo", info, {}, {"script": str(path)}))
    assert await reply(engine, "x") == "from the file"
