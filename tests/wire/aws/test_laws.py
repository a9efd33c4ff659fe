"""The law of the dialect: what the official client writes we read alike, and the other way round; 240 operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.eventstream import EventStreamBuffer
from botocore.model import ServiceModel as ClientModel
from botocore.parsers import EventStreamJSONParser, create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craton.wire.aws.dialect import AwsDialect
from craton.wire.aws.model import BEDROCK_SERVICES, load_models
from craton.wire.aws.service import Service
from craton.wire.router import Router

SEEDS = st.integers(min_value=0, max_value=2**32)
LAW = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
STREAMED_INPUT = "InvokeModelWithBidirectionalStream"


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(AwsDialect(serving=None).routes())  # type: ignore[arg-type]  # only routes are looked at


def test_the_models_hold_every_operation_that_the_client_knows(
    client_models: dict[str, ClientModel], services: dict[str, Service]
) -> None:
    assert sum(len(service.operations) for service in services.values()) >= 240
    for name, model in client_models.items():
        assert set(services[name].operations) == set(model.operation_names)


@pytest.mark.parametrize("service", BEDROCK_SERVICES)
@LAW
@given(seed=SEEDS)
def test_requests_are_read_as_the_client_wrote_them(
    service: str,
    seed: int,
    client_models: dict[str, ClientModel],
    services: dict[str, Service],
    router: Router,
    routed: Callable[..., Any],
    random_values: Callable[[int], Any],
) -> None:
    serializer = create_serializer("rest-json", include_validation=False)
    values = random_values(seed)
    for name in client_models[service].operation_names:
        if name == STREAMED_INPUT:
            continue
        model = client_models[service].operation_model(name)
        parameters = values.members(model.input_shape)
        if "resourceArn" in model.input_shape.members and "/tags/" in model.http["requestUri"]:
            kind = "session" if service == "bedrock-agent-runtime" else "agent"
            parameters["resourceArn"] = f"arn:aws:bedrock:us-east-1:123456789012:{kind}/ABC"
        request, route = routed(serializer.serialize_to_request(parameters, model), router)
        assert route is not None, (name, request.path)
        assert (route.note, route.operation) == (service, name)
        assert services[service].operations[name].parse(request) == parameters, name


@pytest.mark.parametrize("service", BEDROCK_SERVICES)
@LAW
@given(seed=SEEDS)
def test_replies_are_read_by_the_client_as_we_wrote_them(
    service: str,
    seed: int,
    client_models: dict[str, ClientModel],
    services: dict[str, Service],
    random_values: Callable[[int], Any],
) -> None:
    parser = create_parser("rest-json")
    values = random_values(seed)
    for name in client_models[service].operation_names:
        model = client_models[service].operation_model(name)
        if model.has_event_stream_output:
            continue
        output = values.members(model.output_shape)
        reply = services[service].operations[name].write(output)
        payload = model.output_shape.serialization.get("payload")
        body = reply.body
        if payload and model.output_shape.members[payload].type_name == "blob":
            assert body == output.pop(payload, b""), name
            body = b""
        parsed = parser.parse(
            {"status_code": reply.status, "headers": HeadersDict(reply.headers), "body": body}, model.output_shape
        )
        parsed.pop("ResponseMetadata")
        if payload:
            parsed = {key: value for key, value in parsed.items() if value not in ({}, "")}
            output = {key: value for key, value in output.items() if value != {}}
        assert parsed == output, name


@LAW
@given(seed=SEEDS)
def test_event_streams_are_read_by_the_client_as_we_wrote_them(
    seed: int,
    client_models: dict[str, ClientModel],
    services: dict[str, Service],
    random_values: Callable[[int], Any],
) -> None:
    values = random_values(seed)
    parser = EventStreamJSONParser()
    streams = 0
    for service, client_model in client_models.items():
        for name in client_model.operation_names:
            model = client_model.operation_model(name)
            if not model.has_event_stream_output:
                continue
            streams += 1
            operation = services[service].operations[name]
            shape = model.get_event_stream_output()
            for event, event_shape in shape.members.items():
                buffer = EventStreamBuffer()
                if event_shape.metadata.get("exception"):
                    assert event in operation.stream_exceptions
                    buffer.add_data(operation.exception(event, "it broke"))
                    response = next(buffer).to_response_dict()
                    assert response["status_code"] == 400
                    error = parser.parse(response, shape)["Error"]
                    assert error == {"Code": event, "Message": "it broke"}
                else:
                    value = values.members(event_shape)
                    buffer.add_data(operation.event(event, value))
                    assert parser.parse(next(buffer).to_response_dict(), shape) == {event: value}
    assert streams == 9


def test_headers_beside_a_stream_reach_the_client(
    client_models: dict[str, ClientModel], services: dict[str, Service]
) -> None:
    async def nothing() -> Any:
        yield b""

    operation = services["bedrock-agent-runtime"].operations["InvokeAgent"]
    stream = nothing()
    reply = operation.write_stream({"sessionId": "s-1", "contentType": "text/plain"}, stream)
    assert reply.headers["x-amz-bedrock-agent-session-id"] == "s-1"
    assert reply.headers["content-type"] == "application/vnd.amazon.eventstream"
    asyncio.run(stream.aclose())


def test_the_models_are_read_from_the_installed_botocore() -> None:
    assert set(load_models(("bedrock-runtime",))) == {"bedrock-runtime"}
