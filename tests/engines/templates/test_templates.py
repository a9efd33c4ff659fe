"""Chat templates are rendered as Hugging Face renders them, and cannot do more than that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from craton.core.chat import ImagePart, Message, ReasoningPart, TextPart, Tool, ToolResultPart, ToolUsePart
from craton.core.errors import InvalidRequest, Unsupported
from craton.engines.templates import knows_tools, render, template_messages, template_tools

HI = [{"role": "user", "content": "Hi"}]


def test_it_renders_what_transformers_renders() -> None:
    template = (
        "{%- for m in messages %}\n    {%- if loop.index > 9 %}{% break %}{% endif %}\n"
        "{{ bos_token }}{{ m.role }}: {% generation %}{{ m.content | trim }}{% endgeneration %}\n{% endfor %}\n"
        "{% if add_generation_prompt %}\nassistant:\n{% endif %}\n"
        "{{ strftime_now('%Y') }} {{ tools | tojson }} {{ mood }}"
    )
    prompt = render(
        template,
        HI,
        tools=[{"a": "<ü>", "b": [1]}],
        bos_token="<s>",
        now=datetime(2031, 1, 1, tzinfo=UTC),
        mood="calm",
    )
    assert prompt == '<s>user: Hiassistant:\n2031 [{"a": "<ü>", "b": [1]}] calm'


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.append(1) }}",
        "{{ 'a' * 10**9 }}",
        "{{ [0] * 99999999 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(90000) %}{{ 'a' * 1000 }}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include '/etc/passwd' %}",
        "{% for x in %}",
        "{{ 1 / 0 }}",
        "{{ messages[7].content }}{{ raise_exception('only pairs') }}",
    ],
)
def test_hostile_and_broken_templates_are_refused(template: str) -> None:
    with pytest.raises(InvalidRequest):
        render(template, HI)


def test_a_templates_own_refusal_is_passed_on() -> None:
    with pytest.raises(InvalidRequest, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", HI)


def test_whether_a_template_knows_tools() -> None:
    assert knows_tools("{% if tools %}{{ tools | tojson }}{% endif %}{{ messages[0].content }}")
    assert not knows_tools("{{ messages[0].content }}")
    assert not knows_tools("{{ raise_exception('never') }}")


def test_messages_take_the_form_of_templates() -> None:
    messages = (
        Message(role="user", parts=(TextPart(text="Weather?"),)),
        Message(
            role="assistant",
            parts=(ReasoningPart(text="Hm."), ToolUsePart(id="a", name="get", arguments={"city": "Rome"})),
        ),
        Message(
            role="user",
            parts=(ToolResultPart(tool_use_id="a", content=(TextPart(text="rain"),)), TextPart(text="And now?")),
        ),
    )
    assert template_messages(messages, "Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Hm.",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "get", "arguments": {"city": "Rome"}}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
        {"role": "user", "content": "And now?"},
    ]
    assert template_tools([Tool(name="get", schema={"type": "object"})])[0]["function"]["name"] == "get"


@pytest.mark.parametrize("part", [ImagePart(format="png", data=b""), ReasoningPart(text="", redacted=b"x")])
def test_what_text_cannot_hold_is_refused(part: ImagePart | ReasoningPart) -> None:
    with pytest.raises(Unsupported):
        template_messages([Message(role="user", parts=(part,))])
