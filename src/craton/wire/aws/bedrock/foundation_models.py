"""Which models there are."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.model import ModelInfo
from craton.customizing.bases import why_not
from craton.customizing.throughputs import can_be_provisioned
from craton.serve.inference import Serving
from craton.wire.aws.handling import Handle
from craton.wire.aws.names import model_arn, model_name
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

_OUTPUTS = {"chat": "TEXT", "embed": "EMBEDDING"}


class FoundationModelOperations:
    """Handlers by operation name."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self.handlers: dict[str, Handle] = {
            "ListFoundationModels": self.list_foundation_models,
            "GetFoundationModel": self.get_foundation_model,
        }

    async def list_foundation_models(self, operation: Operation, request: Request, value: Json) -> Reply:
        region = claimed_region(request)
        models = await self._serving.models(request.authenticated)
        # Repositories that nothing here runs, and classifiers, are no models to Bedrock: it has no words for them.
        described = [_describe(model, region) for model in models if not _OUTPUTS.keys().isdisjoint(model.verbs)]
        return operation.write({"modelSummaries": [model for model in described if _asked_for(model, value)]})

    async def get_foundation_model(self, operation: Operation, request: Request, value: Json) -> Reply:
        model = await self._serving.model(request.authenticated, model_name(value["modelIdentifier"]))
        return operation.write({"modelDetails": _describe(model, claimed_region(request))})


def _asked_for(model: Json, filters: Json) -> bool:
    provider: str = model["providerName"]
    return (
        str(filters.get("byProvider", provider)).casefold() == provider.casefold()
        and filters.get("byOutputModality", model["outputModalities"][0]) in model["outputModalities"]
        and filters.get("byInferenceType", "ON_DEMAND") in model["inferenceTypesSupported"]
        and ("byCustomizationType" not in filters or filters["byCustomizationType"] in model["customizationsSupported"])
    )


def _describe(model: ModelInfo, region: str) -> Json:
    return {
        "modelArn": model_arn(model.id, region),
        "modelId": model.id,
        "modelName": model.id,
        "providerName": model.provider or "Craton",
        "inputModalities": ["TEXT"],
        "outputModalities": [_OUTPUTS[verb] for verb in model.verbs if verb in _OUTPUTS],
        "responseStreamingSupported": "chat" in model.verbs,
        "customizationsSupported": [] if why_not(model) else ["FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"],
        "inferenceTypesSupported": ["ON_DEMAND", "PROVISIONED"] if can_be_provisioned(model) else ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE", "startOfLifeTime": model.created or None},
    }
