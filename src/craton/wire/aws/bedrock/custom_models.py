"""Custom models: create (from a bucket or a repository), get, list, delete.

Bedrock takes a folder in a bucket; here a repository of the hub may be named too, as huggingface_hub writes it:
hf://namespace/name@revision.
"""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.customizing.customizations import Customizations
from craton.customizing.models import CustomModels, NewCustomModel
from craton.customizing.values import CustomModel
from craton.wire.aws.account import account_of
from craton.wire.aws.bedrock.listings import present, read_listing, read_tags
from craton.wire.aws.bedrock.specifying import TYPES
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import made_from, model_arn, model_name, resource_arn, resource_id
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "custom-model"
SOURCES = "a folder in a bucket, s3://bucket/folder/, or a repository of the hub, hf://namespace/name@revision"
_STATUSES = {"creating": "Creating", "active": "Active", "failed": "Failed"}
_OURS = {theirs: ours for ours, theirs in _STATUSES.items()}
_KEPT = ("hyperParameters", "trainingDataConfig", "validationDataConfig", "outputDataConfig", "customizationConfig")
_MAX_FAILURE = 2048


class CustomModelOperations:
    """Handlers by operation name."""

    def __init__(self, models: CustomModels, customizations: Customizations) -> None:
        self._models, self._customizations = models, customizations
        self.handlers: dict[str, Handle] = {
            "CreateCustomModel": self.create,
            "GetCustomModel": self.get,
            "ListCustomModels": self.list,
            "DeleteCustomModel": self.delete,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        made = await self._models.create(tenant, read_custom_model(value), value.get("clientRequestToken", ""))
        return operation.write({"modelArn": custom_model_arn(made, claimed_region(request))})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        found = await self._models.get(tenant, resource_id(value["modelIdentifier"], KIND, tenant))
        job: Json = {}
        if found.customization:
            made_by = await self._customizations.get(tenant, found.customization)
            arn = resource_arn(f"model-customization-job/{made_from(made_by.base)}", made_by.id, tenant, region)
            job = {"jobName": made_by.name, "jobArn": arn}
        return operation.write({**write_custom_model(found, region), **job})

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        bases = {value[name] for name in ("baseModelArnEquals", "foundationModelArnEquals") if name in value}
        listing = read_listing(value, _OURS, status="modelStatus")
        if value.get("isOwned") is False or len(bases) > 1:
            return operation.write({"modelSummaries": []})  # nobody else's are shared here
        base = model_name(bases.pop()) if bases else ""
        models, cursor = await self._models.list(tenant, listing, base)
        return operation.write(
            {"modelSummaries": [_write_summary(one, region) for one in models], **next_token(cursor)}
        )

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._models.delete(tenant, resource_id(value["modelIdentifier"], KIND, tenant))
        return operation.write({})


def read_custom_model(value: Json) -> NewCustomModel:
    """Raises Unsupported, InvalidRequest."""
    if "customModelDataSource" in value:
        raise Unsupported("customModelDataSource", f"Give modelSourceConfig.s3DataSource.s3Uri: {SOURCES}.")
    source = (value.get("modelSourceConfig") or {}).get("s3DataSource", {}).get("s3Uri", "")
    if not source.startswith(("s3://", "hf://")):
        raise InvalidRequest(f"must be {SOURCES}", "modelSourceConfig.s3DataSource.s3Uri")
    extra: Json = {name: value[name] for name in ("roleArn", "modelKmsKeyArn") if name in value}
    return NewCustomModel(value["modelName"], source, read_tags(value.get("modelTags")), extra)


def custom_model_arn(model: CustomModel, region: str) -> str:
    kind = made_from(model.base) if model.customization and model.base else "imported"  # whoever got it keeps it
    return resource_arn(f"{KIND}/{kind}", model.id, model.tenant, region)


def write_custom_model(model: CustomModel, region: str) -> Json:
    written: Json = {
        **present(
            baseModelArn=_base_arn(model, region),
            modelKmsKeyArn=model.extra.get("modelKmsKeyArn") or model.extra.get("kmsKey"),
            failureMessage=model.failure[:_MAX_FAILURE],
        ),
        **{name: model.extra[name] for name in _KEPT if name in model.extra},
        "modelArn": custom_model_arn(model, region),
        "modelName": model.name,
        "creationTime": model.created,
        "customizationType": TYPES.get(model.method, "IMPORTED"),
        "modelStatus": _STATUSES[model.status],
    }
    if model.losses.training is not None:
        written["trainingMetrics"] = {"trainingLoss": model.losses.training}
    if model.losses.validation is not None:
        written["validationMetrics"] = [{"validationLoss": model.losses.validation}]
    return written


def _base_arn(model: CustomModel, region: str) -> str:
    kept: str = model.extra.get("baseModelArn", "")
    return kept or (model_arn(model.base, region) if model.base else "")


def _write_summary(model: CustomModel, region: str) -> Json:
    arn = custom_model_arn(model, region)
    return {
        "modelArn": arn,
        "modelName": model.name,
        "creationTime": model.created,
        "baseModelArn": _base_arn(model, region) or arn,  # required: what was brought in has no other base
        "baseModelName": model.base or model.name,
        "customizationType": TYPES.get(model.method, "IMPORTED"),
        "ownerAccountId": account_of(model.tenant),
        "modelStatus": _STATUSES[model.status],
    }
