"""Deployments of custom models: create, get, list, update, delete."""

from __future__ import annotations

from craton.core.chat import Json
from craton.customizing.deployments import Deployed, Deployments, NewDeployment
from craton.wire.aws.bedrock.custom_models import custom_model_arn
from craton.wire.aws.bedrock.listings import present, read_listing, read_tags
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import resource_arn, resource_id
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "custom-model-deployment"
_STATUSES = {"creating": "Creating", "active": "Active", "updating": "Active", "failed": "Failed"}
_OURS = {"Creating": "creating", "Active": "active", "Failed": "failed"}
_UPDATES = {"updating": "Updating", "completed": "UpdateCompleted", "failed": "UpdateFailed"}
_MAX_FAILURE = 2048


class DeploymentOperations:
    """Handlers by operation name."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments
        self.handlers: dict[str, Handle] = {
            "CreateCustomModelDeployment": self.create,
            "GetCustomModelDeployment": self.get,
            "ListCustomModelDeployments": self.list,
            "UpdateCustomModelDeployment": self.update,
            "DeleteCustomModelDeployment": self.delete,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        new = NewDeployment(
            value["modelDeploymentName"],
            resource_id(value["modelArn"], "custom-model", tenant),
            value.get("description", ""),
            read_tags(value.get("tags")),
        )
        made = await self._deployments.create(tenant, new, value.get("clientRequestToken", ""))
        arn = resource_arn(KIND, made.id, tenant, claimed_region(request))
        return operation.write({"customModelDeploymentArn": arn})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        found = await self._deployments.get(tenant, _id(value, tenant))
        return operation.write(write_deployment(found, claimed_region(request)))

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        model = resource_id(value["modelArnEquals"], "custom-model", tenant) if "modelArnEquals" in value else ""
        found, cursor = await self._deployments.list(tenant, read_listing(value, _OURS, created="created"), model)
        summaries = [_write_summary(one, region) for one in found]
        return operation.write({"modelDeploymentSummaries": summaries, **next_token(cursor)})

    async def update(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        model = resource_id(value["modelArn"], "custom-model", tenant)
        updated = await self._deployments.update(tenant, _id(value, tenant), model)
        arn = resource_arn(KIND, updated.id, tenant, claimed_region(request))
        return operation.write({"customModelDeploymentArn": arn})

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._deployments.delete(tenant, _id(value, tenant))
        return operation.write({})


def _id(value: Json, tenant: str) -> str:
    return resource_id(value["customModelDeploymentIdentifier"], KIND, tenant)


def write_deployment(deployed: Deployed, region: str) -> Json:
    one = deployed.deployment
    written = {
        **present(description=one.description),
        **_common(deployed, region),
        "modelDeploymentName": one.name,
    }
    if one.update is not None and deployed.updating is not None:
        written["updateDetails"] = {
            "modelArn": custom_model_arn(deployed.updating, region),
            "updateStatus": _UPDATES[one.update.status],
        }
    return written


def _write_summary(deployed: Deployed, region: str) -> Json:
    return {**_common(deployed, region), "customModelDeploymentName": deployed.deployment.name}


def _common(deployed: Deployed, region: str) -> Json:
    one = deployed.deployment
    return {
        **present(failureMessage=one.failure[:_MAX_FAILURE]),
        "customModelDeploymentArn": resource_arn(KIND, one.id, one.tenant, region),
        "modelArn": custom_model_arn(deployed.model, region),
        "createdAt": one.created,
        "status": _STATUSES[one.status],
        "lastUpdatedAt": one.updated,
    }
