"""Models behind other providers' APIs, through real servers: one plays the provider, the other one serves its models.

The provider's `echo` model follows SCRIPT. The server in front offers it over each of the three wires, under the wire's
name, and the official clients ask for it in each of the three dialects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from craton.access.root import load_master
from craton.access.vault import Vault
from craton.store.database import Database
from tests.app.asking import Trace, trace_of
from tests.faults.dialects import NAMES, Failure, Interrupted, OpenAI, outcome, speak
from tests.faults.seen import running, wait_until
from tests.servers import RunningServer, serving

WIRES = ("openai", "anthropic", "bedrock")
UNAVAILABLE = {"aws": 503, "openai": 503, "anthropic": 529}
SCRIPT = """
rules:
  - when: {contains: too often}
    throttle: {calls: 1000000, retry_after: 7}
  - when: {contains: break off}
    reply: one two three four
    fault: {after: 2, reason: out of memory}
  - when: {matches: "^weather"}
    reply:
      - text: One moment.
      - {tool: weather, arguments: {city: Zürich}, id: call_1}
  - when: {contains: slow}
    reply: one two three four five six seven eight nine ten
    delay: {between_ms: 5000}
  - when: {contains: cached}
    reply: Quick.
    usage: {input: 20, output: 7, cached_input: 4}
"""
CONFIG = """
[aliases]
"gpt-4" = "echo"
"us.vendor.big-v1:0" = "openai"

[prices]
openai = {{ input = 1.0, output = 10.0 }}

[upstreams.one]
wire = "openai"
base_url = "{url}/v1"
credential = "one"
models = {{ openai = "echo", absent-openai = "nobody" }}
options = {{ concurrency = 3 }}

[upstreams.vectors]
wire = "openai"
base_url = "{url}/v1"
credential = "one"
models = {{ vectors = "echo" }}
verbs = ["embed"]

[upstreams.two]
wire = "anthropic"
base_url = "{url}"
credential = "one"
models = {{ anthropic = "echo", absent-anthropic = "nobody" }}

[upstreams.three]
wire = "bedrock"
base_url = "{url}"
region = "us-east-1"
credential = "aws"
models = {{ bedrock = "echo", absent-bedrock = "nobody" }}

[upstreams.keyless]
wire = "openai"
base_url = "{url}/v1"
credential = "never-stored"
models = {{ keyless = "echo" }}

[upstreams.wrong-openai]
wire = "openai"
base_url = "{url}/v1"
credential = "wrong"
models = {{ wrong-openai = "echo" }}

[upstreams.wrong-anthropic]
wire = "anthropic"
base_url = "{url}"
credential = "wrong"
models = {{ wrong-anthropic = "echo" }}

[upstreams.wrong-bedrock]
wire = "bedrock"
base_url = "{url}"
region = "us-east-1"
credential = "wrong_aws"
models = {{ wrong-bedrock = "echo" }}

[upstreams.down]
wire = "openai"
base_url = "http://127.0.0.1:9/v1"
models = {{ down = "echo" }}
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("provider") / "home"
    home.mkdir()
    (home / "replies.yaml").write_text(SCRIPT)
    with serving(home, config='[echo]\nscript = "replies.yaml"') as server:
        yield server


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, provider: RunningServer) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("front") / "home", config=CONFIG.format(url=provider.url)) as server:
        pair = f"{provider.access_key_id}:{provider.secret_access_key}"
        store(server, one=provider.token, aws=pair, wrong=provider.token[:-4] + "AAAA", wrong_aws=pair[:-4] + "AAAA")
        yield server


def store(server: RunningServer, **credentials: str) -> None:
    """What `craton keys credential set` does."""
    database = Database.at(server.home / "craton.db")
    vault = Vault(database, load_master(server.home))
    for name, value in credentials.items():
        vault.put("default", name, value)
    database.close()


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=NAMES)
def dialect(request: pytest.FixtureRequest, front: RunningServer) -> Any:
    return speak(request.param, front)


def test_text_comes_whole_and_streamed(dialect: Any, wire: str) -> None:
    text = "Grüezi  mitenand, 世界"
    assert outcome(dialect, wire, text, stream=False) == text
    assert outcome(dialect, wire, text, stream=True) == text


def test_what_the_provider_refuses_has_its_class_in_every_dialect(dialect: Any, wire: str) -> None:
    failure = outcome(dialect, wire, "too often", stream=False)
    streamed = outcome(dialect, wire, "too often", stream=True)
    assert isinstance(failure, Failure)
    assert isinstance(streamed, Failure)
    assert failure.status == streamed.status == 429
    assert (
        failure.kind
        == {"aws": "ThrottlingException", "openai": "RateLimitError", "anthropic": "RateLimitError"}[dialect.name]
    )


def test_the_providers_advice_when_to_come_back_is_passed_on(front: RunningServer, wire: str) -> None:
    with front.client() as client:
        body = {"model": wire, "messages": [{"role": "user", "content": "too often"}]}
        assert client.post("/v1/chat/completions", json=body).headers["retry-after"] == "7"


def test_a_caller_who_leaves_ends_the_work_at_the_provider(
    dialect: Any, wire: str, front: RunningServer, provider: RunningServer
) -> None:
    seen = Interrupted(dialect, wire, "slow")
    seen.first()
    assert (running(front, wire), running(provider, "echo")) == (1, 1)
    seen.close()
    assert wait_until(lambda: running(provider, "echo") == running(front, wire) == 0) < 5


def test_a_wrong_stored_key_is_not_the_callers_failure(dialect: Any, wire: str) -> None:
    failure = outcome(dialect, f"wrong-{wire}", "hello", stream=False)
    assert isinstance(failure, Failure)
    assert failure.status == UNAVAILABLE[dialect.name]
    assert "the provider refused the configured key" in failure.message


def test_a_model_that_the_provider_does_not_know_is_unavailable(dialect: Any, wire: str) -> None:
    failure = outcome(dialect, f"absent-{wire}", "hello", stream=True)
    assert isinstance(failure, Failure)
    assert failure.status == UNAVAILABLE[dialect.name]
    assert "does not know" in failure.message


def test_a_fault_in_mid_stream_is_told_inside_the_stream(dialect: Any, wire: str) -> None:
    seen = Interrupted(dialect, wire, "break off").rest()
    assert "".join(seen.said) == "one two"
    assert seen.failure is not None
    assert seen.failure.status == 0
    assert "out of memory" not in seen.failure.message  # the provider's own words about itself stay there
    whole = outcome(dialect, wire, "break off", stream=False)
    assert isinstance(whole, Failure)
    assert whole.status in {500, 424, 502}


def test_a_provider_that_is_down_is_unavailable(dialect: Any) -> None:
    failure = outcome(dialect, "down", "hello", stream=True)
    assert isinstance(failure, Failure)
    assert failure.status == UNAVAILABLE[dialect.name]
    assert "127.0.0.1" not in failure.message


def test_a_key_that_was_never_stored_is_unavailable_and_says_what_to_do(dialect: Any) -> None:
    failure = outcome(dialect, "keyless", "hello", stream=False)
    assert isinstance(failure, Failure)
    assert failure.status == UNAVAILABLE[dialect.name]
    assert "craton keys credential set never-stored" in failure.message


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_tools_make_the_round_trip_in_the_openai_dialect(front: RunningServer, wire: str) -> None:
    client = OpenAI(front.url, front.token).client
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    first = client.chat.completions.create(model=wire, messages=messages, tools=tools)
    call: Any = (first.choices[0].message.tool_calls or [])[0]
    assert (first.choices[0].finish_reason, call.function.name) == ("tool_calls", "weather")
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "It is sunny."},
        {"role": "user", "content": "and now?"},
    ]
    second = client.chat.completions.create(model=wire, messages=messages, tools=tools)
    assert second.choices[0].message.content == "and now?"


def test_tools_make_the_round_trip_in_the_anthropic_dialect(front: RunningServer, wire: str) -> None:
    client = speak("anthropic", front).client  # type: ignore[attr-defined]
    tools: Any = [{"name": "weather", "input_schema": SCHEMA}]
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    with client.messages.stream(model=wire, max_tokens=100, messages=messages, tools=tools) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    text, call = first.content
    assert (text.text, call.name, call.input) == ("One moment.", "weather", {"city": "Zürich"})
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "It is sunny."}]},
    ]
    second = client.messages.create(model=wire, max_tokens=100, messages=messages, tools=tools)
    assert second.stop_reason in {"end_turn", "tool_use"}
    assert second.usage.input_tokens > first.usage.input_tokens


def test_tools_make_the_round_trip_in_the_aws_dialect(front: RunningServer, wire: str) -> None:
    client = speak("aws", front).client  # type: ignore[attr-defined]
    tools: Any = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
    messages: list[Any] = [{"role": "user", "content": [{"text": "weather?"}]}]
    first = client.converse(modelId=wire, messages=messages, toolConfig=tools)
    assert first["stopReason"] == "tool_use"
    use = first["output"]["message"]["content"][1]["toolUse"]
    assert (use["name"], use["input"]) == ("weather", {"city": "Zürich"})
    result = {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"text": "It is sunny."}]}}
    messages += [first["output"]["message"], {"role": "user", "content": [result, {"text": "and now?"}]}]
    second = client.converse(modelId=wire, messages=messages, toolConfig=tools)
    assert second["output"]["message"]["content"] == [{"text": "and now?"}]


def test_a_forced_tool_and_a_schema_are_kept(front: RunningServer, wire: str) -> None:
    client = OpenAI(front.url, front.token).client
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "count", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(
        model=wire, messages=[{"role": "user", "content": "x"}], response_format=form
    )
    assert json.loads(answer.choices[0].message.content or "") == {"n": 0}
    forced = client.chat.completions.create(
        model=wire,
        messages=[{"role": "user", "content": "x"}],
        tools=[{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
        tool_choice={"type": "function", "function": {"name": "weather"}},
    )
    assert (forced.choices[0].message.tool_calls or [])[0].function.name == "weather"  # type: ignore[union-attr]


def test_a_conversation_with_a_system_prompt_arrives_whole(front: RunningServer, wire: str) -> None:
    """The provider counts every word that it was sent."""
    client = speak("aws", front).client  # type: ignore[attr-defined]
    answer = client.converse(
        modelId=wire,
        system=[{"text": "Be brief please."}],
        messages=[
            {"role": "user", "content": [{"text": "one two"}]},
            {"role": "assistant", "content": [{"text": "three"}]},
            {"role": "user", "content": [{"text": "four five six"}]},
        ],
        inferenceConfig={"maxTokens": 2},
    )
    assert answer["output"]["message"]["content"] == [{"text": "four five"}]
    assert answer["stopReason"] == "max_tokens"
    usage = answer["usage"]
    assert (usage["inputTokens"], usage["outputTokens"], usage["totalTokens"]) == (9, 2, 11)


def test_cached_tokens_are_passed_on(front: RunningServer, wire: str) -> None:
    usage = (
        OpenAI(front.url, front.token)
        .client.chat.completions.create(model=wire, messages=[{"role": "user", "content": "cached?"}])
        .usage
    )
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (20, 7)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 4


def test_tokens_are_counted_where_the_wire_can(front: RunningServer) -> None:
    client = speak("anthropic", front).client  # type: ignore[attr-defined]
    messages = [{"role": "user", "content": "one two three"}]
    for wire in ("anthropic", "bedrock"):
        assert client.messages.count_tokens(model=wire, messages=messages).input_tokens == 3
    with pytest.raises(Exception, match="counting tokens") as caught:
        client.messages.count_tokens(model="openai", messages=messages)
    assert caught.value.status_code == 400  # type: ignore[attr-defined]


def test_embeddings_are_the_providers(front: RunningServer, provider: RunningServer) -> None:
    mine, theirs = (
        OpenAI(it.url, it.token).client.embeddings.create(model=model, input=["a cat", "a dog"], dimensions=8)
        for it, model in ((front, "vectors"), (provider, "echo"))
    )
    assert [row.embedding for row in mine.data] == [row.embedding for row in theirs.data]
    assert mine.usage == theirs.usage


def test_a_model_that_only_embeds_does_not_chat(dialect: Any) -> None:
    failure = outcome(dialect, "vectors", "hello", stream=False)
    assert isinstance(failure, Failure)
    assert failure.status == 400


def test_every_reply_says_which_model_ran(front: RunningServer) -> None:
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    anthropic = {"anthropic-version": "2023-06-01"}
    with front.client() as client:
        replies = [
            client.post("/v1/chat/completions", json={**body, "model": "gpt-4", "stream": stream})
            for stream in (False, True)
        ]
        replies += [
            client.post("/v1/messages", json={**body, "model": "gpt-4", "stream": stream}, headers=anthropic)
            for stream in (False, True)
        ]
        count = {"model": "gpt-4", "messages": body["messages"]}
        replies.append(client.post("/v1/messages/count_tokens", json=count, headers=anthropic))
        replies.append(client.post("/v1/embeddings", json={"model": "gpt-4", "input": "hi"}))
        converse = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
        replies += [client.post(f"/model/gpt-4/converse{kind}", json=converse) for kind in ("", "-stream")]
    assert [(reply.status_code, reply.headers.get("x-craton-model")) for reply in replies] == [(200, "echo")] * 8


def test_the_trace_names_the_alias_the_model_that_ran_and_the_cost(front: RunningServer) -> None:
    body = {"model": "us.vendor.big-v1:0", "messages": [{"role": "user", "content": "one two three"}]}
    with front.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
        trace: Trace = trace_of(client, answer.headers["x-request-id"])
        row = trace["row"]
        assert answer.headers["x-craton-model"] == "openai"
        assert (row["model"], row["resolved"], row["engine"]) == ("us.vendor.big-v1:0", "openai", "upstream")
        assert (row["input_tokens"], row["output_tokens"]) == (3, 3)
        assert row["cost"] == pytest.approx((3 * 1.0 + 3 * 10.0) / 1e6)
        line = next(line for line in client.get("/api/craton/v1/usage").json()["usage"] if line["model"] == "openai")
        assert line["cost"] == pytest.approx((line["input_tokens"] * 1.0 + line["output_tokens"] * 10.0) / 1e6)


def test_an_unknown_model_leaves_a_row_in_every_dialect(dialect: Any, front: RunningServer) -> None:
    failure = outcome(dialect, "nobody/nothing", "hello", stream=False)
    assert isinstance(failure, Failure)
    assert failure.status == 404
    with front.client() as client:
        row = trace_of(client, failure.request_id)["row"]
    assert (row["status"], row["error"], row["model"]) == ("error", "NotFound", "nobody/nothing")


def test_a_new_key_is_used_without_a_restart(provider: RunningServer, tmp_path: Any) -> None:
    config = f"""
[upstreams.one]
wire = "openai"
base_url = "{provider.url}/v1"
credential = "one"
models = {{ far = "echo" }}
"""
    with serving(tmp_path / "home", config=config) as server:
        dialect = speak("openai", server)
        store(server, one=provider.token[:-4] + "AAAA")
        assert isinstance(outcome(dialect, "far", "hello", stream=False), Failure)
        server.craton("keys", "credential", "set", "one", stdin=f"{provider.token}\n")
        wait_until(lambda: outcome(dialect, "far", "hello", stream=False) == "hello")
