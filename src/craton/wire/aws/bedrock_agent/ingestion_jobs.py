"""Ingestion jobs: start, get, list, stop."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.knowledge import Ingestion, Statistics
from craton.knowledge.protocol import Ingestions, Page
from craton.wire.aws.handling import Handle, next_token, page_of
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

ETA, DONE, TOTAL = "x-craton-eta-seconds", "x-craton-documents-done", "x-craton-documents-total"
"""Headers of GetIngestionJob: AWS has no members for them. boto3 shows them in ResponseMetadata.HTTPHeaders."""

_STATUSES = {
    "starting": "STARTING",
    "in_progress": "IN_PROGRESS",
    "complete": "COMPLETE",
    "failed": "FAILED",
    "stopping": "STOPPING",
    "stopped": "STOPPED",
}
SORTED = 1000  # jobs of one source that a sorted or filtered listing looks through


class IngestionJobOperations:
    """Handlers by operation name."""

    def __init__(self, ingestions: Ingestions) -> None:
        self._ingestions = ingestions
        self.handlers: dict[str, Handle] = {
            "StartIngestionJob": self.start,
            "GetIngestionJob": self.get,
            "ListIngestionJobs": self.list,
            "StopIngestionJob": self.stop,
        }

    async def start(self, operation: Operation, request: Request, value: Json) -> Reply:
        ingestion = await self._ingestions.start(
            request.authenticated.tenant,
            value["knowledgeBaseId"],
            value["dataSourceId"],
            description=value.get("description", ""),
            token=value.get("clientToken", ""),
        )
        return operation.write({"ingestionJob": write_ingestion_job(ingestion)})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        ingestion = await self._ingestions.get(
            request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"], value["ingestionJobId"]
        )
        reply = operation.write({"ingestionJob": write_ingestion_job(ingestion)})
        reply.headers[DONE] = str(ingestion.done)
        if ingestion.total is not None:
            reply.headers[TOTAL] = str(ingestion.total)
        if ingestion.eta is not None:
            reply.headers[ETA] = str(round(ingestion.eta))
        return reply

    async def stop(self, operation: Operation, request: Request, value: Json) -> Reply:
        ingestion = await self._ingestions.stop(
            request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"], value["ingestionJobId"]
        )
        return operation.write({"ingestionJob": write_ingestion_job(ingestion)})

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base, source = request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"]
        if not value.get("filters") and not value.get("sortBy"):
            ingestions, cursor = await self._ingestions.list(tenant, base, source, page_of(value))
        else:
            ingestions, _ = await self._ingestions.list(tenant, base, source, Page(SORTED))
            ingestions, cursor = _chosen(ingestions, value), ""
        summaries = [_write_summary(ingestion) for ingestion in ingestions]
        return operation.write({"ingestionJobSummaries": summaries, **next_token(cursor)})


def _chosen(ingestions: list[Ingestion], value: Json) -> list[Ingestion]:
    for given in value.get("filters", []):
        ingestions = [one for one in ingestions if _STATUSES[one.status] in given["values"]]
    if order := value.get("sortBy"):
        ingestions = sorted(
            ingestions,
            key=lambda one: (one.started,) if order["attribute"] == "STARTED_AT" else (one.status, one.started),
            reverse=order["order"] == "DESCENDING",
        )
    return ingestions[: value.get("maxResults", len(ingestions))]


def _write_summary(ingestion: Ingestion) -> Json:
    return {name: member for name, member in write_ingestion_job(ingestion).items() if name != "failureReasons"}


def write_ingestion_job(ingestion: Ingestion) -> Json:
    return {
        "knowledgeBaseId": ingestion.knowledge_base,
        "dataSourceId": ingestion.source,
        "ingestionJobId": ingestion.id,
        **({"description": ingestion.description} if ingestion.description else {}),
        "status": _STATUSES[ingestion.status],
        "statistics": _write_statistics(ingestion.statistics),
        "failureReasons": list(ingestion.failures),
        "startedAt": ingestion.started,
        "updatedAt": ingestion.updated,
    }


def _write_statistics(statistics: Statistics) -> Json:
    return {
        "numberOfDocumentsScanned": statistics.scanned,
        "numberOfMetadataDocumentsScanned": statistics.metadata_scanned,
        "numberOfNewDocumentsIndexed": statistics.new,
        "numberOfModifiedDocumentsIndexed": statistics.modified,
        "numberOfMetadataDocumentsModified": statistics.metadata_modified,
        "numberOfDocumentsDeleted": statistics.deleted,
        "numberOfDocumentsFailed": statistics.failed,
        "numberOfDocumentsSkipped": statistics.skipped,
    }
