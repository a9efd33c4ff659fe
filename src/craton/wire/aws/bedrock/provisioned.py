"""Provisioned throughput: create, get, list, update, delete."""

from __future__ import annotations

from datetime import UTC, datetime

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.customizing.throughputs import NewThroughput, Provisioned, Throughputs, Wanted
from craton.customizing.values import CustomModel, Throughput
from craton.wire.aws.bedrock.custom_models import custom_model_arn
from craton.wire.aws.bedrock.listings import present, read_listing, read_tags
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import model_arn, model_name, resource_arn, resource_id, resource_of
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "provisioned-model"
_STATUSES = {"creating": "Creating", "active": "InService", "updating": "Updating", "failed": "Failed"}
_OURS = {theirs: ours for ours, theirs in _STATUSES.items()}
_MONTHS = {"OneMonth": 1, "SixMonths": 6}
_MAX_FAILURE = 2048


class ProvisionedOperations:
    """Handlers by operation name."""

    def __init__(self, throughputs: Throughputs) -> None:
        self._throughputs = throughputs
        self.handlers: dict[str, Handle] = {
            "CreateProvisionedModelThroughput": self.create,
            "GetProvisionedModelThroughput": self.get,
            "ListProvisionedModelThroughputs": self.list,
            "UpdateProvisionedModelThroughput": self.update,
            "DeleteProvisionedModelThroughput": self.delete,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        new = NewThroughput(
            value["provisionedModelName"],
            _wanted(value["modelId"], tenant),
            value["modelUnits"],
            read_tags(value.get("tags")),
            {"commitmentDuration": value["commitmentDuration"]} if "commitmentDuration" in value else {},
        )
        made = await self._throughputs.create(tenant, new, value.get("clientRequestToken", ""))
        arn = resource_arn(KIND, made.id, tenant, claimed_region(request))
        return operation.write({"provisionedModelArn": arn})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        found = await self._throughputs.get(tenant, resource_id(value["provisionedModelId"], KIND, tenant))
        failure = present(failureMessage=found.throughput.failure[:_MAX_FAILURE])
        return operation.write({**write_throughput(found, claimed_region(request)), **failure})

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        wanted = _wanted(value["modelArnEquals"], tenant) if "modelArnEquals" in value else None
        if wanted is not None and not wanted.custom:
            raise InvalidRequest("must be a custom model's ARN", "modelArnEquals")
        found, cursor = await self._throughputs.list(
            tenant, read_listing(value, _OURS), wanted.custom if wanted else ""
        )
        summaries = [write_throughput(one, region) for one in found]
        return operation.write({"provisionedModelSummaries": summaries, **next_token(cursor)})

    async def update(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._throughputs.update(
            tenant,
            resource_id(value["provisionedModelId"], KIND, tenant),
            value.get("desiredProvisionedModelName", ""),
            _wanted(value["desiredModelId"], tenant) if "desiredModelId" in value else None,
        )
        return operation.write({})

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._throughputs.delete(tenant, resource_id(value["provisionedModelId"], KIND, tenant))
        return operation.write({})


def _wanted(identifier: str, tenant: str) -> Wanted:
    named = resource_of(identifier, tenant)
    if named is not None and named.kind == "custom-model":
        return Wanted(custom=named.id)
    return Wanted(base=model_name(identifier))


def write_throughput(provisioned: Provisioned, region: str) -> Json:
    one = provisioned.throughput
    model = _model_arn(provisioned.model, one.base, region)
    desired = _model_arn(provisioned.desired, one.desired_base, region) if one.changing else model
    return {
        **_commitment(one),
        "modelUnits": one.units,
        "desiredModelUnits": one.units,
        "provisionedModelName": one.name,
        "provisionedModelArn": resource_arn(KIND, one.id, one.tenant, region),
        "modelArn": model,
        "desiredModelArn": desired,
        "foundationModelArn": _foundation_arn(provisioned, region),
        "status": _STATUSES[one.status],
        "creationTime": one.created,
        "lastModifiedTime": one.updated,
    }


def _model_arn(model: CustomModel | None, base: str, region: str) -> str:
    return custom_model_arn(model, region) if model is not None else model_arn(base.partition("@")[0], region)


def _foundation_arn(provisioned: Provisioned, region: str) -> str:
    """What the model is at bottom, as far as it is known."""
    model = provisioned.model
    name = provisioned.throughput.base.partition("@")[0] if model is None else model.base or model.repo
    return model_arn(name, region)


def _commitment(one: Throughput) -> Json:
    duration: str = one.extra.get("commitmentDuration", "")
    if not duration:
        return {}
    begun = datetime.fromtimestamp(one.created, UTC)
    months = begun.month - 1 + _MONTHS[duration]
    expires = begun.replace(year=begun.year + months // 12, month=months % 12 + 1, day=min(begun.day, 28))
    return {"commitmentDuration": duration, "commitmentExpirationTime": expires.timestamp()}
