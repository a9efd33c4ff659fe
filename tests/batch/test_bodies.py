"""InvokeModel's bodies by family, live, streamed and in batches: the same answer in all."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from botocore.exceptions import ClientError, EventStreamError

from tests.batch.workshop import Bench, Json
from tests.servers import RunningServer

BODIES: dict[str, Json] = {
    "claude": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 20,
        "messages": [{"role": "user", "content": "one two"}],
    },
    "openai": {"messages": [{"role": "user", "content": "one two"}], "max_completion_tokens": 20},
    "titan text": {"inputText": "one two", "textGenerationConfig": {"maxTokenCount": 20}},
    "command": {"message": "one two", "chat_history": [{"role": "USER", "message": "before"}], "max_tokens": 20},
    "titan": {"inputText": "one two three", "dimensions": 4, "embeddingTypes": ["float"]},
    "cohere": {"texts": ["one", "two three"], "input_type": "search_document", "output_dimension": 4},
}
METRICS = "amazon-bedrock-invocationMetrics"
NEW_EACH_TIME = {"id", "created", "response_id", "generation_id"}


def invoke(bench: Bench, body: Json) -> Json:
    runtime = bench.aws.client("bedrock-runtime")
    answer: Json = json.loads(runtime.invoke_model(modelId="echo", body=json.dumps(body))["body"].read())
    return answer


def stream(bench: Bench, body: Json, model: str = "echo") -> list[Json]:
    """The objects in the chunks."""
    runtime = bench.aws.client("bedrock-runtime")
    answer = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
    assert answer["contentType"] == "application/json"
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def test_each_family_is_answered_in_its_own_words(bench: Bench) -> None:
    answers = {family: invoke(bench, body) for family, body in BODIES.items()}
    assert answers["claude"]["content"][0]["text"] == "one two"
    assert answers["claude"]["usage"] == {**answers["claude"]["usage"], "input_tokens": 2, "output_tokens": 2}
    assert answers["openai"]["choices"][0]["message"]["content"] == "one two"
    assert answers["titan text"]["results"] == [
        {"tokenCount": 2, "outputText": "one two", "completionReason": "FINISH"}
    ]
    assert (answers["command"]["text"], answers["command"]["finish_reason"]) == ("one two", "COMPLETE")
    assert [turn["message"] for turn in answers["command"]["chat_history"]] == ["before", "one two", "one two"]
    assert (len(answers["titan"]["embedding"]), answers["titan"]["inputTextTokenCount"]) == (4, 3)
    assert answers["titan"]["embeddingsByType"] == {"float": answers["titan"]["embedding"]}
    assert [len(vector) for vector in answers["cohere"]["embeddings"]] == [4, 4]
    assert answers["cohere"]["response_type"] == "embeddings_floats"


def test_a_stream_in_claudes_words(bench: Bench) -> None:
    chunks = stream(bench, BODIES["claude"])
    kinds = [chunk["type"] for chunk in chunks]
    assert kinds[:2] + kinds[-3:] == [
        *("message_start", "content_block_start"),
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    texts = [chunk["delta"]["text"] for chunk in chunks if chunk["type"] == "content_block_delta"]
    assert "".join(texts) == "one two"
    assert len(texts) > 1
    check_figures(chunks)


@pytest.mark.parametrize("told", [False, True])
def test_a_stream_in_openais_words(bench: Bench, told: bool) -> None:
    chunks = stream(bench, BODIES["openai"] | ({"stream_options": {"include_usage": True}} if told else {}))
    deltas = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(deltas) == "one two"
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == "stop"
    assert (chunks[-1].get("usage") or {}).get("total_tokens", 0) == (4 if told else 0)
    check_figures(chunks)


def test_a_stream_in_titans_words(bench: Bench) -> None:
    chunks = stream(bench, BODIES["titan text"])
    assert "".join(chunk["outputText"] for chunk in chunks) == "one two"
    assert [chunk["completionReason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["FINISH"]
    assert (chunks[-1]["inputTextTokenCount"], chunks[-1]["totalOutputTextTokenCount"]) == (2, 2)
    check_figures(chunks)


def test_a_stream_in_coheres_words(bench: Bench) -> None:
    body = {"message": "one two"}
    first, *chunks, last = stream(bench, body)
    assert first["event_type"] == "stream-start"
    assert "".join(chunk["text"] for chunk in chunks) == "one two"
    whole = invoke(bench, body)
    assert last["response"] == whole | {name: last["response"][name] for name in NEW_EACH_TIME & whole.keys()}
    check_figures([first, *chunks, last])


def check_figures(chunks: list[Json]) -> None:
    """The last chunk, and no other, has them."""
    assert [METRICS in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    figures = chunks[-1][METRICS]
    assert (figures["inputTokenCount"], figures["outputTokenCount"]) == (2, 2)
    assert 0 <= figures["firstByteLatency"] <= figures["invocationLatency"]


@pytest.mark.parametrize("family", ["claude", "openai"])
def test_a_stream_that_breaks_off_ends_with_an_exception(bench: Bench, family: str) -> None:
    body = BODIES[family] | {"messages": [{"role": "user", "content": "break in the middle of this"}]}
    with pytest.raises(EventStreamError) as caught:
        stream(bench, body)
    assert caught.value.response["Error"]["Code"] == "modelStreamErrorException"
    assert "half" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("family", ["titan", "cohere"])
def test_vectors_come_at_once(bench: Bench, family: str) -> None:
    with pytest.raises(ClientError, match="InvokeModel answers at once"):
        stream(bench, BODIES[family])


@pytest.mark.parametrize("family", ["claude", "openai"])
def test_the_tokens_of_a_body_are_counted(bench: Bench, family: str) -> None:
    body = json.dumps(BODIES[family]).encode()
    counted = bench.aws.client("bedrock-runtime").count_tokens(modelId="echo", input={"invokeModel": {"body": body}})
    assert counted["inputTokens"] == 2


def test_a_batch_of_them_says_the_same(bench: Bench) -> None:
    records = [{"recordId": family, "modelInput": body} for family, body in BODIES.items()]
    job, outputs = bench.run(bench.put("bodies/a.jsonl", records), modelInvocationType="InvokeModel")
    assert (job["successRecordCount"], job["errorRecordCount"]) == (len(BODIES), 0)
    for line in outputs["a.jsonl.out"]:
        live = invoke(bench, BODIES[line["recordId"]])
        assert {name: value for name, value in line["modelOutput"].items() if name not in NEW_EACH_TIME} == {
            name: value for name, value in live.items() if name not in NEW_EACH_TIME
        }
    manifest = outputs["manifest.json.out"][0]
    assert (manifest["inputTokenCount"], manifest["outputTokenCount"]) == (2 * 3 + 3 + 3 + 3, 2 * 4)


def test_anthropics_own_client_speaks_to_bedrock(bench: Bench, front: RunningServer) -> None:
    client = anthropic.AnthropicBedrock(
        aws_access_key=front.access_key_id,
        aws_secret_key=front.secret_access_key,
        aws_region="us-east-1",
        base_url=front.url,
    )
    message = client.messages.create(
        model="echo", max_tokens=20, messages=[{"role": "user", "content": "three words here"}]
    )
    assert [block.text for block in message.content if block.type == "text"] == ["three words here"]
    with client.messages.stream(
        model="echo", max_tokens=20, messages=[{"role": "user", "content": "three words here"}]
    ) as streamed:
        assert "".join(streamed.text_stream) == "three words here"
        assert streamed.get_final_message().usage.output_tokens == message.usage.output_tokens == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"prompt": "Hello"}, "Completing a text"),
        ({"prompt": "Hello", "max_gen_len": 0}, "max_gen_len"),
        ({"inputText": "x", "textGenerationConfig": {"topK": 1}}, "topK"),
        ({"message": "x", "p": 1.5}, "p"),
        ({"inputText": "x", "normalize": False}, "normalize"),
        ({"inputText": "x", "embeddingTypes": ["binary"]}, "binary"),
        ({"texts": ["x"], "input_type": "search_query", "truncate": "START"}, "START"),
        ({"texts": [], "input_type": "search_query"}, "texts"),
        ({**BODIES["claude"], "stream": True}, "stream"),
        ([1], "object"),
    ],
)
def test_what_a_body_cannot_have_is_said(bench: Bench, body: Any, said: str) -> None:
    with pytest.raises(ClientError) as caught:
        invoke(bench, body)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert said in caught.value.response["Error"]["Message"]
