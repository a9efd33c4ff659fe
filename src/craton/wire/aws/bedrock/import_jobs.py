"""Model import jobs: create (from a bucket or a repository, in Hugging Face's format), get, list."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.customizing.importing.imports import Imports, NewImport
from craton.customizing.importing.values import ImportJob, Status
from craton.wire.aws.bedrock.custom_models import SOURCES
from craton.wire.aws.bedrock.imported_models import model_arn
from craton.wire.aws.bedrock.listings import present, read_listing, read_tags
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import resource_arn, resource_id
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "model-import-job"
STATUSES: dict[Status, str] = {"in_progress": "InProgress", "completed": "Completed", "failed": "Failed"}
OURS = {theirs: ours for ours, theirs in STATUSES.items()}
_MAX_FAILURE = 2048


class ImportJobOperations:
    """Handlers by operation name."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports
        self.handlers: dict[str, Handle] = {
            "CreateModelImportJob": self.create,
            "GetModelImportJob": self.get,
            "ListModelImportJobs": self.list,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        made = await self._imports.create(tenant, read_import(value), value.get("clientRequestToken", ""))
        return operation.write({"jobArn": resource_arn(KIND, made.id, tenant, claimed_region(request))})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        found = await self._imports.get(tenant, resource_id(value["jobIdentifier"], KIND, tenant))
        return operation.write({**_write_summary(found, region), **_more(found)})

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        jobs, cursor = await self._imports.list(tenant, read_listing(value, OURS))
        written = [_write_summary(one, region) for one in jobs]
        return operation.write({"modelImportJobSummaries": written, **next_token(cursor)})


def read_import(value: Json) -> NewImport:
    """Raises InvalidRequest."""
    source: str = value["modelDataSource"].get("s3DataSource", {}).get("s3Uri", "")
    if not source.startswith(("s3://", "hf://")):
        raise InvalidRequest(f"must be {SOURCES}", "modelDataSource.s3DataSource.s3Uri")
    extra: Json = {name: value[name] for name in ("roleArn", "vpcConfig") if name in value}
    if "importedModelKmsKeyId" in value:
        extra["kms"] = value["importedModelKmsKeyId"]
    return NewImport(
        value["jobName"],
        value["importedModelName"],
        source,
        read_tags(value.get("jobTags")),
        read_tags(value.get("importedModelTags")),
        extra,
    )


def _write_summary(job: ImportJob, region: str) -> Json:
    return {
        **present(endTime=job.ended, importedModelArn=job.model and model_arn(job.model, job.tenant, region)),
        "jobArn": resource_arn(KIND, job.id, job.tenant, region),
        "jobName": job.name,
        "importedModelName": job.output,
        "status": STATUSES[job.status],
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
    }


def _more(job: ImportJob) -> Json:
    return {
        **present(failureMessage=job.failure[:_MAX_FAILURE], importedModelKmsKeyArn=job.extra.get("kms")),
        **{name: job.extra[name] for name in ("roleArn", "vpcConfig") if name in job.extra},
        "modelDataSource": {"s3DataSource": {"s3Uri": job.source}},
    }
