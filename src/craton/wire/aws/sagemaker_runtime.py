"""The service sagemaker-runtime: every trained model is an endpoint of its own name.

    client.invoke_endpoint(EndpointName="acme/churn", ContentType="text/csv", Body="31,free")

A name of more than 63 characters is said in two: EndpointName="acme", TargetModel="churn". TargetVariant is a revision.
CustomAttributes="verb=predict_proba" asks for something else than the model's usual verb.
"""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.predicting import PredictVerb
from craton.serve.inference import Predicting
from craton.wire.aws.handling import call_of, refuse_members
from craton.wire.aws.invoking import invoke
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request
from craton.wire.ran import RAN
from craton.wire.rows.reading import verb_of

_REFUSED = ("TargetContainerHostname", "InferenceComponentName", "EnableExplanations", "SessionId")
_VERB = "verb="


class SageMakerRuntime:
    """Handlers by operation name."""

    def __init__(self, serving: Predicting) -> None:
        self._serving = serving
        self.handlers = {"InvokeEndpoint": self.invoke_endpoint}

    async def invoke_endpoint(self, operation: Operation, request: Request, value: Json) -> Reply:
        refuse_members(value, _REFUSED, "", "An endpoint is one model here.")
        invoked = await invoke(
            self._serving,
            call_of(operation, request),
            _name(value),
            value.get("Body", b""),
            value.get("ContentType", ""),
            value.get("Accept", ""),
            _verb(value.get("CustomAttributes", "")),
        )
        output = {
            "Body": invoked.body,
            "ContentType": invoked.content_type,
            "InvokedProductionVariant": invoked.revision or "main",
        }
        if "CustomAttributes" in value:
            output["CustomAttributes"] = value["CustomAttributes"]
        reply = operation.write(output)
        reply.headers[RAN] = invoked.model
        return reply


def _name(value: Json) -> str:
    endpoint, target = value["EndpointName"], value.get("TargetModel", "")
    model: str = target if "/" in target else f"{endpoint}/{target}" if target else endpoint
    return f"{model}@{value['TargetVariant']}" if value.get("TargetVariant") else model


def _verb(attributes: str) -> PredictVerb | None:
    for attribute in attributes.split(","):
        if attribute.strip().startswith(_VERB):
            return verb_of(attribute.strip().removeprefix(_VERB))
    return None
