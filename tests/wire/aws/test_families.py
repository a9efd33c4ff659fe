"""Bodies of the makers' families: which one a body is of, and that a stream says what a whole answer says."""

from __future__ import annotations

from typing import Any

import pytest

from craton.core.errors import InvalidRequest
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, Usage, fold
from craton.core.model import ModelInfo
from craton.wire.aws.families.choosing import family_of
from craton.wire.aws.families.completing import DEEPSEEK, LLAMA, MISTRAL
from craton.wire.aws.families.protocol import Family
from craton.wire.aws.families.titan import TITAN

PROMPT = {"prompt": "Once"}
EVENTS: list[Event] = [
    PartStarted(0, "reasoning"),
    Delta(0, "hm"),
    PartEnded(0),
    PartStarted(1, "text"),
    Delta(1, "upon a "),
    Delta(1, "time"),
    PartEnded(1),
    Stop("max_tokens"),
    Usage(3, 4),
]


def model(architecture: str, *verbs: str) -> ModelInfo:
    return ModelInfo("m", verbs or ("chat",), "llama_cpp", architecture=architecture)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "info", "family"),
    [
        (PROMPT | {"max_gen_len": 3}, model("qwen2"), LLAMA),
        (PROMPT, model("llama"), LLAMA),
        (PROMPT | {"max_tokens": 3}, model("llama"), None),  # as OpenAI has it
        (PROMPT | {"max_tokens": 3}, model("mistral"), MISTRAL),
        (PROMPT | {"max_tokens": 3}, model("deepseek2"), DEEPSEEK),
        (PROMPT, model("falcon"), None),
        ({"inputText": "x"}, model("llama"), TITAN),
        ({"inputText": "x"}, model("echo", "chat", "embed"), None),  # to be embedded
        ({"inputText": "x", "textGenerationConfig": {}}, model("echo", "chat", "embed"), TITAN),
        ({"messages": []}, model("mistral"), None),
        (PROMPT | {"max_gen_len": 3}, model("bert", "embed"), None),
    ],
)
def test_a_body_is_told_by_its_keys_and_then_by_the_model(
    body: dict[str, Any], info: ModelInfo, family: Family | None
) -> None:
    assert family_of(body, info) is family


@pytest.mark.parametrize(
    ("family", "asked", "whole", "last"),
    [
        (
            LLAMA,
            PROMPT,
            {
                "generation": "upon a time",
                "prompt_token_count": 3,
                "generation_token_count": 4,
                "stop_reason": "length",
            },
            {"generation": "", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "length"},
        ),
        (
            MISTRAL,
            PROMPT,
            {"outputs": [{"text": "upon a time", "stop_reason": "length"}]},
            {"outputs": [{"text": "", "stop_reason": "length"}]},
        ),
        (
            DEEPSEEK,
            PROMPT,
            {"choices": [{"text": "upon a time", "stop_reason": "length"}]},
            {"choices": [{"text": "", "stop_reason": "length"}]},
        ),
        (
            TITAN,
            {"inputText": "Once"},
            {
                "inputTextTokenCount": 3,
                "results": [{"tokenCount": 4, "outputText": "upon a time", "completionReason": "LENGTH"}],
            },
            {
                "outputText": "",
                "index": 0,
                "totalOutputTextTokenCount": 4,
                "completionReason": "LENGTH",
                "inputTextTokenCount": 3,
            },
        ),
    ],
)
def test_thoughts_are_left_out_and_the_last_piece_has_the_figures(
    family: Family, asked: dict[str, Any], whole: dict[str, Any], last: dict[str, Any]
) -> None:
    assert family.whole(fold(EVENTS), asked, "id") == whole
    write = family.stream("id", asked)
    first, second, end = [piece for event in EVENTS for piece in write(event)]
    assert "upon a " in str(first)
    assert "time" in str(second)
    assert end == last


@pytest.mark.parametrize(
    ("body", "said"),
    [({"max_gen_len": 5}, "prompt"), (PROMPT | {"images": []}, "images"), (PROMPT | {"top_p": 2}, "top_p")],
)
def test_members_are_checked(body: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        LLAMA.read("m", body)


def test_a_prompt_goes_past_the_template() -> None:
    request = MISTRAL.read("m", PROMPT | {"max_tokens": 7, "stop": ["x"], "top_k": 3})
    assert request.form == "text"
    assert request.messages[0].text() == "Once"
    assert (request.sampling.max_tokens, request.sampling.stop, request.sampling.top_k) == (7, ("x",), 3)
