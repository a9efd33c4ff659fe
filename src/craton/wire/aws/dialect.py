"""The AWS dialect: every operation of the four Bedrock services and of sagemaker-runtime, as routes on one port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote

from craton.core.errors import CratonError, Unsupported
from craton.knowledge.protocol import Knowledge
from craton.serve.inference import Predicting
from craton.wire.aws.answering import Bodies
from craton.wire.aws.bedrock.foundation_models import FoundationModelOperations
from craton.wire.aws.bedrock_agent import BedrockAgent
from craton.wire.aws.bedrock_agent_runtime import BedrockAgentRuntime
from craton.wire.aws.bedrock_runtime import BedrockRuntime
from craton.wire.aws.errors import write_error
from craton.wire.aws.handling import Handle
from craton.wire.aws.model import RUNNING_SERVICES, ServiceModel, load_models
from craton.wire.aws.policy import action_of
from craton.wire.aws.sagemaker_runtime import SageMakerRuntime
from craton.wire.aws.service import Operation, Service
from craton.wire.http import Handler, Reply, Request, Route

HINT = "docs/operations.md lists what Craton does."


class AwsDialect:
    """serving: the way to the models. knowledge: the knowledge bases. models: by service name, the installed
    botocore's when left out. more: handlers of what is built beside these, by service.
    bodies: other dialects' in InvokeModel.
    """

    name = "aws"

    def __init__(
        self,
        serving: Predicting,
        knowledge: Knowledge | None = None,
        models: Mapping[str, ServiceModel] | None = None,
        monotonic: Callable[[], float] = time.perf_counter,
        more: Iterable[tuple[str, Mapping[str, Handle]]] = (),
        bodies: Bodies | None = None,
    ) -> None:
        self.services = {name: Service(model) for name, model in (models or load_models(RUNNING_SERVICES)).items()}
        self._handlers: dict[str, dict[str, Handle]] = {
            "bedrock": {**FoundationModelOperations(serving).handlers},
            "bedrock-runtime": {**BedrockRuntime(serving, monotonic, bodies).handlers},
            "sagemaker-runtime": {**SageMakerRuntime(serving).handlers},
        }
        if knowledge is not None:
            self._handlers["bedrock-agent"] = BedrockAgent(knowledge).handlers
            self._handlers["bedrock-agent-runtime"] = BedrockAgentRuntime(knowledge).handlers
        for service, handlers in more:
            self._handlers[service] |= handlers

    def routes(self) -> list[Route]:
        """One for each operation in the models; those that Craton cannot do refuse by name."""
        return [
            self._route(service, operation)
            for service in self.services.values()
            for operation in service.operations.values()
        ]

    def _route(self, service: Service, operation: Operation) -> Route:
        handle = self._handlers.get(service.name, {}).get(operation.name)

        def write(error: CratonError, request: Request) -> Reply:
            return write_error(error, request, service, operation)

        return Route(
            method=operation.method,
            pattern=operation.pattern,
            dialect=self.name,
            operation=operation.name,
            handler=_answering(operation, handle) if handle else _refusing(operation),
            write_error=write,
            action=action_of(operation),
            when=_names_session if _is_session_tagging(operation) else None,
            status=_status(operation, handle),
            note=service.name,
        )


def _answering(operation: Operation, handle: Handle) -> Handler:
    async def answer(request: Request) -> Reply:
        reply = await handle(operation, request, operation.parse(request))
        reply.headers["x-amzn-requestid"] = request.request_id
        return reply

    return answer


def _refusing(operation: Operation) -> Handler:
    async def refuse(_request: Request) -> Reply:
        raise Unsupported(f"The operation {operation.name} of {operation.service}", HINT)

    return refuse


def _is_session_tagging(operation: Operation) -> bool:
    """bedrock-agent and bedrock-agent-runtime both tag by /tags/{resourceArn}; the latter has only sessions."""
    return operation.service == "bedrock-agent-runtime" and operation.pattern.startswith("/tags/")


def _names_session(request: Request) -> bool:
    return ":session/" in unquote(request.path)


def _status(operation: Operation, handle: Handle | None) -> str:
    if handle is None:
        return "refused"
    return "bookkeeping" if operation.name in _BOOKKEEPING else "real"


_BOOKKEEPING = frozenset({"ListTagsForResource", "TagResource", "UntagResource"})
