"""Every operation of the four services is there: done, or refused by its name; and so is every other AWS service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import ServiceModel as ClientModel

from craton.core import errors
from craton.core.access import Action
from craton.wire.aws.dialect import AwsDialect
from craton.wire.aws.errors import error_name, write_error
from craton.wire.aws.service import Service
from craton.wire.http import Request, Route

REAL = {
    *("Converse", "ConverseStream", "CountTokens", "InvokeEndpoint"),
    *("InvokeModel", "InvokeModelWithResponseStream"),
    *("ListFoundationModels", "GetFoundationModel"),
}


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    return AwsDialect(serving=None).routes()  # type: ignore[arg-type]  # only routes are looked at


def test_every_route_has_a_policy_and_says_what_it_is(routes: list[Route]) -> None:
    assert len(routes) >= 240
    assert {route.operation for route in routes if route.status == "real"} == REAL
    assert all(route.action in (Action.READ, Action.INVOKE, Action.WRITE) for route in routes)
    actions = {route.operation: route.action for route in routes}
    assert actions["ListFoundationModels"] is Action.READ
    assert actions["ListAgents"] is Action.READ  # a POST, for all that
    assert actions["CountTokens"] is Action.INVOKE
    assert actions["DeleteGuardrail"] is Action.WRITE
    assert actions["CreateSession"] is Action.WRITE


@pytest.mark.parametrize("service", ["bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime"])
def test_an_operation_that_craton_cannot_do_raises_the_clients_typed_exception(
    service: str, client_models: dict[str, ClientModel], endpoint: Callable[..., Any], random_values: Callable[..., Any]
) -> None:
    client = endpoint().client(service)
    values = random_values(1)
    for name in client_models[service].operation_names[::4]:
        model = client_models[service].operation_model(name)
        if name in REAL or model.has_event_stream_input:
            continue
        parameters = values.members(model.input_shape)
        parameters = {key: value.strip() if isinstance(value, str) else value for key, value in parameters.items()}
        if "resourceArn" in parameters:
            parameters["resourceArn"] = f"arn:aws:bedrock:x:1:{'session' if service.endswith('runtime') else 'agent'}/A"
        with pytest.raises(client.exceptions.ValidationException) as caught:
            getattr(client, xform_name(name))(**parameters)
        message = caught.value.response["Error"]["Message"]
        assert message.startswith(f"The operation {name} of {service} is not supported."), message
        assert "docs/operations.md" in message


def test_models_are_listed_with_every_filter(endpoint: Callable[..., Any]) -> None:
    client = endpoint().client("bedrock")

    def listed(**filters: str) -> list[str]:
        return [model["modelId"] for model in client.list_foundation_models(**filters)["modelSummaries"]]

    assert listed() == ["echo", "vectors"]
    assert listed(byProvider="acme") == ["vectors"]
    assert listed(byProvider="nobody") == []
    assert listed(byOutputModality="TEXT") == ["echo"]
    assert listed(byOutputModality="EMBEDDING") == ["echo", "vectors"]
    assert listed(byOutputModality="IMAGE") == []
    assert listed(byInferenceType="ON_DEMAND", byProvider="Craton") == ["echo"]
    assert listed(byInferenceType="PROVISIONED") == ["vectors"]  # what is loaded in this process needs no keeping
    assert listed(byCustomizationType="FINE_TUNING") == []
    with pytest.raises(client.exceptions.ValidationException, match="byOutputModality"):
        listed(byOutputModality="SMELL")


def test_a_model_is_described_by_id_and_by_arn(endpoint: Callable[..., Any]) -> None:
    client = endpoint().client("bedrock")
    by_id = client.get_foundation_model(modelIdentifier="echo")["modelDetails"]
    assert by_id["modelArn"] == "arn:aws:bedrock:eu-west-1::foundation-model/echo"
    assert by_id["modelLifecycle"]["status"] == "ACTIVE"
    assert by_id["modelLifecycle"]["startOfLifeTime"].year == 2017
    assert by_id["responseStreamingSupported"] is True
    assert client.get_foundation_model(modelIdentifier=by_id["modelArn"])["modelDetails"] == by_id
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_foundation_model(modelIdentifier="nope")
    with pytest.raises(client.exceptions.ValidationException, match="does not name a Bedrock resource"):
        client.get_foundation_model(modelIdentifier="arn:aws:s3:::bucket")
    with pytest.raises(client.exceptions.ValidationException, match="control characters"):
        client.get_foundation_model(modelIdentifier="a\x00b")


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("sns", "list_topics", {}),
        ("cloudformation", "list_stacks", {}),
        ("sqs", "list_queues", {}),
        ("dynamodb", "list_tables", {}),
        ("ec2", "describe_instances", {}),
        ("lambda", "list_functions", {}),
        ("lambda", "invoke", {"FunctionName": "f", "Payload": b"{}"}),
        ("sagemaker", "list_models", {}),
        ("cloudwatch", "list_metrics", {}),
        ("route53", "list_hosted_zones", {}),
        ("opensearch", "list_domain_names", {}),
        ("secretsmanager", "list_secrets", {}),
    ],
)
def test_another_aws_service_is_refused_by_its_name(
    service: str, operation: str, parameters: dict[str, Any], endpoint: Callable[..., Any]
) -> None:
    place = endpoint()
    with pytest.raises(ClientError) as caught:
        getattr(place.client(service), operation)(**parameters)
    error = caught.value.response["Error"]
    signed_as = {"cloudwatch": "monitoring", "opensearch": "es"}
    assert error["Code"] == "UnknownService"
    assert f"{signed_as.get(service, service)!r}" in error["Message"]
    with pytest.raises(ClientError) as caught:
        getattr(place.client(service, secret="wrong"), operation)(**parameters)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_statuses_come_from_each_services_own_model(services: dict[str, Service]) -> None:
    request = Request("GET", "/", "", {}, b"", "req-9")

    def answer(service: str, operation: str, error: errors.CratonError) -> tuple[int, str]:
        owner = services[service]
        reply = write_error(error, request, owner, owner.operations[operation])
        assert reply.headers["x-amzn-requestid"] == "req-9"
        return reply.status, reply.headers["x-amzn-errortype"]

    conflict = errors.Conflict("guardrail", "g", "exists")
    assert answer("bedrock", "CreateGuardrail", conflict) == (400, "ConflictException")
    assert answer("bedrock-agent", "CreateAgent", conflict) == (409, "ConflictException")
    unavailable = errors.ModelUnavailable("m", "starting")
    assert answer("bedrock-runtime", "Converse", unavailable) == (503, "ServiceUnavailableException")
    assert answer("bedrock-agent-runtime", "InvokeAgent", unavailable) == (424, "ModelNotReadyException")
    late = errors.DeadlineExceeded(3)
    assert answer("bedrock-runtime", "Converse", late) == (408, "ModelTimeoutException")
    assert answer("bedrock-agent-runtime", "Retrieve", late) == (424, "DependencyFailedException")
    assert answer("bedrock", "GetGuardrail", errors.Forbidden("write", "reader")) == (403, "AccessDeniedException")
    assert answer("bedrock", "GetGuardrail", errors.Internal("req-9")) == (500, "InternalServerException")
    assert answer("bedrock", "GetGuardrail", errors.StorageFull()) == (503, "ServiceUnavailableException")
    assert answer("bedrock-agent", "GetAgent", errors.StorageFull()) == (500, "InternalServerException")
    missing = errors.Unauthenticated("No key.", "missing")
    assert answer("bedrock", "GetGuardrail", missing) == (403, "MissingAuthenticationTokenException")


def test_every_error_of_core_has_a_name() -> None:
    known = ["ValidationException", "InternalServerException"]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.CratonError) and kind is not errors.CratonError:
            arguments = [""] * (kind.__init__.__code__.co_argcount - 1 - len(kind.__init__.__defaults__ or ()))
            assert error_name(kind(*arguments), known), name
