"""Imported models: get, list, delete. Their ARNs are model ids."""

from __future__ import annotations

from craton.core.chat import Json
from craton.customizing.importing.imports import Imports
from craton.customizing.importing.values import ImportedModel
from craton.wire.aws.bedrock.listings import present, read_listing
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import resource_arn, resource_id
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "imported-model"


class ImportedModelOperations:
    """Handlers by operation name."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports
        self.handlers: dict[str, Handle] = {
            "GetImportedModel": self.get,
            "ListImportedModels": self.list,
            "DeleteImportedModel": self.delete,
        }

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        found = await self._imports.model(tenant, resource_id(value["modelIdentifier"], KIND, tenant))
        return operation.write(
            {
                **_write(found, region),
                **present(modelKmsKeyArn=found.extra.get("kms")),
                "jobName": found.origin_name,
                "jobArn": resource_arn("model-import-job", found.origin, tenant, region),
                "modelDataSource": {"s3DataSource": {"s3Uri": found.source}},
            }
        )

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        models, cursor = await self._imports.models(tenant, read_listing(value, {}))
        return operation.write({"modelSummaries": [_write(one, region) for one in models], **next_token(cursor)})

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._imports.delete(tenant, resource_id(value["modelIdentifier"], KIND, tenant))
        return operation.write({})


def model_arn(id: str, tenant: str, region: str) -> str:
    return resource_arn(KIND, id, tenant, region)


def _write(model: ImportedModel, region: str) -> Json:
    return {
        "modelArn": model_arn(model.id, model.tenant, region),
        "modelName": model.name,
        "creationTime": model.created,
        "instructSupported": model.instruct,
        "modelArchitecture": model.architecture,
    }
