"""Completions: what is asked, and an answer that says the same whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from craton.core.chat import TextPart
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.events import Delta, PartEnded, PartStarted, Stop, TokenLogprob, Usage, fold
from craton.wire.openai.completions import CompletionWriter, read_completion, write_completion
from craton.wire.openai.write_chat import Head

HEAD = Head("cmpl-1", 7, "coder")
EVENTS = [
    PartStarted(index=0, kind="text"),
    Delta(0, "fox", logprobs=(TokenLogprob("fox", -0.5, top=(TokenLogprob("", -1.0), TokenLogprob("", -2.0))),)),
    Delta(0, " jumps", logprobs=(TokenLogprob(" jumps", -0.25),)),
    PartEnded(0),
    Stop("max_tokens"),
    Usage(3, 2),
]


def body(**more: Any) -> bytes:
    return json.dumps({"model": "coder", "prompt": "the quick ", **more}).encode()


def test_a_text_is_asked_for_as_it_stands_and_a_gap_with_what_is_behind_it() -> None:
    plain, gap = read_completion(body()), read_completion(body(suffix=" dog", stream=True, stop="x", logprobs=3))
    assert (plain.request.form, gap.request.form) == ("text", "gap")
    assert plain.request.sampling.max_tokens == 16
    assert gap.request.messages[0].parts == (TextPart("the quick "), TextPart(" dog"))
    assert (gap.stream, gap.request.sampling.stop, gap.request.sampling.logprobs) == (True, ("x",), 3)


@pytest.mark.parametrize("more", [{"prompt": ""}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"max_tokens": 0}])
def test_bodies_that_make_no_sense_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read_completion(body(**more))


@pytest.mark.parametrize("more", [{"echo": True}, {"n": 2}, {"best_of": 2}])
def test_members_that_would_change_the_answer_are_refused_by_name(more: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match=next(iter(more))):
        read_completion(body(**more))


def test_the_stream_says_what_the_whole_answer_says() -> None:
    whole = json.loads(write_completion(fold(EVENTS), HEAD))
    writer = CompletionWriter(HEAD, include_usage=True)
    lines = b"".join(writer.write(event) for event in EVENTS).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    [choice] = whole["choices"]
    assert "".join(one["text"] for one in choices) == choice["text"] == "fox jumps"
    assert choices[-1]["finish_reason"] == choice["finish_reason"] == "length"
    assert chunks[-1]["usage"] == whole["usage"]
    told = [one["logprobs"] for one in choices if one["logprobs"]]
    for member in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [value for one in told for value in one[member]] == choice["logprobs"][member]


def test_of_tokens_with_one_text_the_likeliest_is_told() -> None:
    [choice] = json.loads(write_completion(fold(EVENTS), HEAD))["choices"]
    assert choice["logprobs"]["top_logprobs"][0] == {"": -1.0}
    assert choice["logprobs"]["text_offset"] == [0, 3]
