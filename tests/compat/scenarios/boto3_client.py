"""What an application does with boto3: Converse, ConverseStream, tools, counting, models, errors."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from checks import (
    ACCESS_KEY_ID,
    BREAKS_OFF,
    HELLO,
    SECRET_ACCESS_KEY,
    THINKS_AND_CALLS,
    THROTTLED,
    URL,
    WEATHER_SCHEMA,
    equal,
    holds,
    need,
    raises,
    run,
)


def connect(service: str, secret: str = SECRET_ACCESS_KEY, attempts: int = 1) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=URL,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": attempts}, read_timeout=30),
    )


runtime, control = connect("bedrock-runtime"), connect("bedrock")
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": WEATHER_SCHEMA}}}]}


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": [{"text": text}]}]


def converse() -> None:
    answer = runtime.converse(modelId="echo", messages=say(HELLO), system=[{"text": "be short"}])
    equal(answer["output"]["message"], {"role": "assistant", "content": [{"text": HELLO}]})
    equal(answer["stopReason"], "end_turn")
    usage = answer["usage"]
    equal(usage["totalTokens"], usage["inputTokens"] + usage["outputTokens"])
    holds(isinstance(answer["metrics"]["latencyMs"], int), "no metrics.latencyMs")


def converse_stops_at_max_tokens() -> None:
    answer = runtime.converse(modelId="echo", messages=say(HELLO), inferenceConfig={"maxTokens": 2, "temperature": 0.5})
    equal(answer["stopReason"], "max_tokens")
    equal(answer["usage"]["outputTokens"], 2)


def converse_reads_an_image() -> None:
    content = [{"text": "look:"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG" * 20}}}]
    answer = runtime.converse(modelId="echo", messages=[{"role": "user", "content": content}])
    equal(answer["output"]["message"]["content"], [{"text": "look: [image png, 80 bytes]"}])


def converse_stream() -> None:
    events = list(runtime.converse_stream(modelId="echo", messages=say(HELLO))["stream"])
    kinds = [next(iter(event)) for event in events]
    equal(kinds[0], "messageStart")
    equal(kinds[-3:], ["contentBlockStop", "messageStop", "metadata"])
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    equal("".join(deltas), HELLO)
    equal(events[-1]["metadata"]["usage"], runtime.converse(modelId="echo", messages=say(HELLO))["usage"])


def tool_use_there_and_back() -> None:
    asked = runtime.converse(
        modelId="echo", messages=say("weather?"), toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "weather"}}}
    )
    equal(asked["stopReason"], "tool_use")
    (block,) = asked["output"]["message"]["content"]
    equal(list(block["toolUse"]["input"]), ["city"])
    result = {"toolUseId": block["toolUse"]["toolUseId"], "content": [{"text": "it rains"}], "status": "success"}
    messages = [
        *say("weather?"),
        asked["output"]["message"],
        {"role": "user", "content": [{"toolResult": result}]},
    ]
    answer = runtime.converse(modelId="echo", messages=messages, toolConfig=TOOLS)
    equal(answer["output"]["message"]["content"], [{"text": "it rains"}])


def tool_use_streamed() -> None:
    answer = runtime.converse_stream(modelId="echo", messages=say(THINKS_AND_CALLS), toolConfig=TOOLS)
    events = list(answer["stream"])
    (start,) = [event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event]
    equal(start["toolUse"]["name"], "weather")
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    arguments = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    equal(json.loads(arguments), {"city": "Paris"})
    equal([event["messageStop"]["stopReason"] for event in events if "messageStop" in event], ["tool_use"])


def reasoning_is_there_or_ignored() -> None:
    content = runtime.converse(modelId="echo", messages=say(THINKS_AND_CALLS), toolConfig=TOOLS)["output"]["message"][
        "content"
    ]
    equal(content[1], {"text": "One moment."})
    shape = runtime.meta.service_model.shape_for("ContentBlock")
    if "reasoningContent" in shape.members:
        equal(content[0]["reasoningContent"]["reasoningText"]["text"], "Let me look.")


def count_tokens() -> None:
    count = need(runtime, "count_tokens")
    counted = count(modelId="echo", input={"converse": {"messages": say(HELLO)}})["inputTokens"]
    equal(counted, runtime.converse(modelId="echo", messages=say(HELLO))["usage"]["inputTokens"])


def list_foundation_models() -> None:
    models = control.list_foundation_models()["modelSummaries"]
    holds("echo" in [model["modelId"] for model in models], "echo is not listed")
    details = control.get_foundation_model(modelIdentifier="echo")["modelDetails"]
    equal(details["modelLifecycle"]["status"], "ACTIVE")


def an_unknown_model_is_not_found() -> None:
    with raises(runtime.exceptions.ResourceNotFoundException, 404, "nobody"):
        runtime.converse(modelId="nobody", messages=say(HELLO))


def a_refused_operation_has_its_typed_exception() -> None:
    with raises(control.exceptions.ValidationException, 400, "ListGuardrails"):
        control.list_guardrails()
    agent = connect("bedrock-agent")
    with raises(agent.exceptions.ValidationException, 400, "ListAgents"):
        agent.list_agents()


def a_prompt_that_is_too_long_is_a_validation_error() -> None:
    with raises(runtime.exceptions.ValidationException, 400, "9,000"):
        runtime.converse_stream(modelId="echo", messages=say("word " * 9000))


def a_wrong_secret_is_refused() -> None:
    with raises(ClientError, 403, "InvalidSignatureException"):
        connect("bedrock-runtime", secret="wrong").converse(modelId="echo", messages=say(HELLO))


def a_throttled_call_is_tried_again() -> None:
    answer = connect("bedrock-runtime", attempts=3).converse(modelId="echo", messages=say(THROTTLED))
    equal(answer["output"]["message"]["content"], [{"text": "now it is fine"}])
    equal(answer["ResponseMetadata"]["RetryAttempts"], 1)


def a_stream_that_breaks_off_raises() -> None:
    with raises(EventStreamError, says="out of memory"):
        list(runtime.converse_stream(modelId="echo", messages=say(BREAKS_OFF))["stream"])


def another_service_is_refused_by_name() -> None:
    with raises(ClientError, 400, "does not speak the AWS service 'sqs'"):
        connect("sqs").list_queues()
    with raises(ClientError, 400, "does not speak the AWS service 'ec2'"):
        connect("ec2").describe_instances()


run(
    [
        converse,
        converse_stops_at_max_tokens,
        converse_reads_an_image,
        converse_stream,
        tool_use_there_and_back,
        tool_use_streamed,
        reasoning_is_there_or_ignored,
        count_tokens,
        list_foundation_models,
        an_unknown_model_is_not_found,
        a_refused_operation_has_its_typed_exception,
        a_prompt_that_is_too_long_is_a_validation_error,
        a_wrong_secret_is_refused,
        a_throttled_call_is_tried_again,
        a_stream_that_breaks_off_raises,
        another_service_is_refused_by_name,
    ]
)
