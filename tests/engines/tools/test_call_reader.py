"""Calls written as text are read back, however the text is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.core.chat import ChatRequest, Message, Part, TextPart, Tool, ToolChoice, ToolResultPart, ToolUsePart
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.events import Event, Stop, Usage, fold
from craton.engines.tool_prompting import CallReader, MalformedCall, callable_tools, write_tools

TOOL = Tool(name="f", schema={"type": "object"}, description="Does f.")


def read(pieces: Iterable[str]) -> tuple[Part, ...]:
    ids = (f"id{number}" for number in itertools.count())
    reader = CallReader(lambda: next(ids))
    events: list[Event] = [event for piece in pieces for event in reader.feed(piece)]
    events += [*reader.finish(), Stop(reason="end_turn"), Usage(input=0, output=0)]
    return fold(events).choices[0].parts


def cut(text: str, places: Iterable[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in itertools.pairwise([0, *ends, len(text)])]


def turn(*parts: Part) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message(role="assistant", parts=parts),), tools=(TOOL,))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    calls=st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.dictionaries(st.text(), json_values, max_size=3)),
        min_size=1,
        max_size=3,
    ),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_what_is_written_is_read_back(calls: list[tuple[str, dict[str, object]]], places: list[int]) -> None:
    uses = [ToolUsePart(id=f"id{index}", name=name, arguments=values) for index, (name, values) in enumerate(calls)]
    written = write_tools(turn(TextPart(text="Let me see.\n"), *uses)).messages[0].text()
    assert read(cut(written, places)) == (TextPart(text="Let me see."), *uses)


@given(
    text=st.text(alphabet="<tol_ca>x\n ", max_size=40).filter(lambda text: "<tool_call>" not in text), data=st.data()
)
def test_other_text_goes_through_unchanged(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, 100), max_size=8))
    assert "".join(part.text for part in read(cut(text, places)) if isinstance(part, TextPart)) == text


def test_a_call_that_is_cut_off_keeps_what_was_written() -> None:
    (part,) = read(['<tool_call>\n{"name": "f", "arguments": {"a": "b'])
    assert isinstance(part, ToolUsePart)
    assert (part.name, part.arguments, part.broken) == ("f", {}, '{"a": "b')


@pytest.mark.parametrize("text", ["<tool_call>" + "x" * 1100, '<tool_call>\n{"name": "f", "arguments": {}]'])
def test_a_call_outside_the_form_is_an_error(text: str) -> None:
    with pytest.raises(MalformedCall):
        read([text])


def test_no_trace_of_tools_is_left_in_the_request() -> None:
    result = ToolResultPart(tool_use_id="a", content=(TextPart(text="42"),), is_error=True)
    request = ChatRequest(
        model="m",
        system=(TextPart(text="Be brief."),),
        messages=(
            Message(role="assistant", parts=(ToolUsePart(id="a", name="f", arguments={}),)),
            Message(role="user", parts=(result,)),
        ),
        tools=(TOOL,),
    )
    written = write_tools(request)
    assert written.tools == ()
    assert all(isinstance(part, TextPart) for message in written.messages for part in message.parts)
    system = written.system[0]
    assert isinstance(system, TextPart)
    assert system.text.startswith("Be brief.")
    assert '"name": "f"' in system.text
    assert "42" in written.messages[1].text()


def test_the_choice_decides_which_tools_are_shown() -> None:
    other = Tool(name="g", schema={})
    base = ChatRequest(model="m", messages=(), tools=(TOOL, other))

    def names(choice: ToolChoice) -> list[str]:
        request = ChatRequest(model="m", messages=(), tools=base.tools, tool_choice=choice)
        return [tool.name for tool in callable_tools(request)]

    assert names(ToolChoice()) == names(ToolChoice(mode="any")) == ["f", "g"]
    assert names(ToolChoice(mode="tool", name="g")) == ["g"]
    assert names(ToolChoice(mode="none")) == []
    with pytest.raises(InvalidRequest):
        names(ToolChoice(mode="tool", name="h"))


def test_a_result_that_is_no_text_is_refused() -> None:
    from craton.core.chat import ImagePart

    result = ToolResultPart(tool_use_id="a", content=(ImagePart(format="png", data=b""),))
    with pytest.raises(Unsupported):
        write_tools(turn(result))
