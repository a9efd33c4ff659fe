"""Data sources: create, get, list, update, delete.

Sources for which AWS has no type (a folder, a database, an HTTP API, a dataset of the hub) come as
MANAGED_KNOWLEDGE_BASE_CONNECTOR, whose connectorParameters are free: {"type": "FOLDER", "path": "..."}.
"""

from __future__ import annotations

from typing import Any

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import Chunking, DataSource, SourceKind, SourceSpec
from craton.knowledge.protocol import NewDataSource, Sources
from craton.wire.aws.handling import Handle, next_token, page_of, refuse_members
from craton.wire.aws.names import bucket_name
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

CONNECTORS: dict[str, SourceKind] = {
    "FOLDER": "folder",
    "BUCKET": "bucket",
    "WEB": "web",
    "SQL": "sql",
    "API": "api",
    "HUB": "hub",
}
_STATUSES = {"available": "AVAILABLE", "deleting": "DELETING", "failed": "FAILED"}
_SCOPES = {"HOST_ONLY": "host_only", "SUBDOMAINS": "subdomains"}


class DataSourceOperations:
    """Handlers by operation name."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.handlers: dict[str, Handle] = {
            "CreateDataSource": self.create,
            "GetDataSource": self.get,
            "ListDataSources": self.list,
            "UpdateDataSource": self.update,
            "DeleteDataSource": self.delete,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base = request.authenticated.tenant, value["knowledgeBaseId"]
        source = await self._sources.create(tenant, base, read_data_source(value), value.get("clientToken", ""))
        return operation.write({"dataSource": write_data_source(source)})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        source = await self._sources.get(tenant, value["knowledgeBaseId"], value["dataSourceId"])
        return operation.write({"dataSource": write_data_source(source)})

    async def update(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base = request.authenticated.tenant, value["knowledgeBaseId"]
        source = await self._sources.update(tenant, base, value["dataSourceId"], read_data_source(value))
        return operation.write({"dataSource": write_data_source(source)})

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        source = await self._sources.delete(tenant, value["knowledgeBaseId"], value["dataSourceId"])
        return operation.write(
            {"knowledgeBaseId": source.knowledge_base, "dataSourceId": source.id, "status": _STATUSES[source.status]}
        )

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        sources, cursor = await self._sources.list(tenant, value["knowledgeBaseId"], page_of(value))
        summaries = [
            {
                "knowledgeBaseId": source.knowledge_base,
                "dataSourceId": source.id,
                "name": source.name,
                "status": _STATUSES[source.status],
                **({"description": source.description} if source.description else {}),
                "updatedAt": source.updated,
            }
            for source in sources
        ]
        return operation.write({"dataSourceSummaries": summaries, **next_token(cursor)})


def read_data_source(value: Json) -> NewDataSource:
    """Raises InvalidRequest and Unsupported for what cannot be honoured."""
    ingestion = value.get("vectorIngestionConfiguration", {})
    refuse_members(
        ingestion,
        ["customTransformationConfiguration", "parsingConfiguration", "contextEnrichmentConfiguration"],
        "vectorIngestionConfiguration",
        "Leave it out: Craton's own parsers read the documents.",
    )
    return NewDataSource(
        name=value["name"],
        description=value.get("description", ""),
        spec=read_source(value["dataSourceConfiguration"]),
        chunking=read_chunking(ingestion.get("chunkingConfiguration")),
        keep_on_delete=value.get("dataDeletionPolicy") == "RETAIN",
        extra={
            name: value[name]
            for name in ("dataSourceConfiguration", "vectorIngestionConfiguration", "serverSideEncryptionConfiguration")
            if name in value
        },
    )


def read_source(configuration: Json) -> SourceSpec:
    kind = configuration["type"]
    if kind == "CUSTOM":
        return SourceSpec("direct")
    if kind == "S3":
        given = _member(configuration, "s3Configuration", kind)
        prefixes = given.get("inclusionPrefixes", [])
        return SourceSpec("bucket", {"bucket": bucket_name(given["bucketArn"]), "prefixes": prefixes})
    if kind == "WEB":
        return SourceSpec("web", _read_web(_member(configuration, "webConfiguration", kind)))
    if kind == "MANAGED_KNOWLEDGE_BASE_CONNECTOR":
        return _read_connector(_member(configuration, "managedKnowledgeBaseConnectorConfiguration", kind))
    raise Unsupported(f"A data source of type {kind}", "Craton reads S3, WEB, CUSTOM and, as connectors, " + _CHOICE)


_CHOICE = ", ".join(CONNECTORS) + "."


def _member(configuration: Json, name: str, kind: str) -> Json:
    found: Json | None = configuration.get(name)
    if found is None:
        raise InvalidRequest(f"a data source of type {kind} needs it", f"dataSourceConfiguration.{name}")
    return found


def _read_web(given: Json) -> Json:
    seeds = given["sourceConfiguration"]["urlConfiguration"].get("seedUrls", [])
    crawler = given.get("crawlerConfiguration", {})
    limits = crawler.get("crawlerLimits", {})
    options: dict[str, Any] = {
        "seeds": [seed["url"] for seed in seeds if seed.get("url")],
        "scope": _SCOPES.get(crawler.get("scope", ""), "default"),
        "include": crawler.get("inclusionFilters"),
        "exclude": crawler.get("exclusionFilters"),
        "max_pages": limits.get("maxPages"),
        "user_agent": crawler.get("userAgentHeader") or crawler.get("userAgent"),
        "rate": limits.get("rateLimit"),
    }
    return {name: option for name, option in options.items() if option is not None}


def _read_connector(given: Json) -> SourceSpec:
    refuse_members(
        given,
        ["deletionProtectionConfiguration", "mediaExtractionConfiguration", "syncSchedule"],
        "managedKnowledgeBaseConnectorConfiguration",
    )
    parameters = given.get("connectorParameters")
    kind = CONNECTORS.get(str(parameters.get("type", "")).upper()) if isinstance(parameters, dict) else None
    if kind is None or not isinstance(parameters, dict):
        raise InvalidRequest(f"type must be one of {_CHOICE}", "connectorParameters")
    options = {name: option for name, option in parameters.items() if name not in {"type", "credential"}}
    return SourceSpec(kind, options, str(parameters.get("credential", "")))


def read_chunking(given: Json | None) -> Chunking:
    """Where nothing is said: Bedrock's own 300 tokens, or as many as the embedder reads whole where those are fewer, a
    fifth of them shared."""
    if given is None:
        return Chunking()
    strategy = given["chunkingStrategy"]
    if strategy == "NONE":
        return Chunking("none")
    name = {
        "FIXED_SIZE": "fixedSizeChunkingConfiguration",
        "HIERARCHICAL": "hierarchicalChunkingConfiguration",
        "SEMANTIC": "semanticChunkingConfiguration",
    }[strategy]
    options = given.get(name)
    if options is None:
        raise InvalidRequest(f"the strategy {strategy} needs it", f"chunkingConfiguration.{name}")
    if strategy == "FIXED_SIZE":
        return Chunking("fixed", max_tokens=options["maxTokens"], overlap_percent=options["overlapPercentage"])
    if strategy == "SEMANTIC":
        return Chunking(
            "semantic",
            max_tokens=options["maxTokens"],
            buffer=options["bufferSize"],
            percentile=options["breakpointPercentileThreshold"],
        )
    parent, child = (level["maxTokens"] for level in _two_levels(options["levelConfigurations"]))
    return Chunking(
        "hierarchical", parent_tokens=parent, max_tokens=child, overlap_tokens=min(options["overlapTokens"], child - 1)
    )


def _two_levels(levels: list[Json]) -> list[Json]:
    if len(levels) != 2 or levels[0]["maxTokens"] <= levels[1]["maxTokens"]:
        raise InvalidRequest("must be the parent's and then the smaller child's", "levelConfigurations")
    return levels


def write_data_source(source: DataSource) -> Json:
    return {
        "knowledgeBaseId": source.knowledge_base,
        "dataSourceId": source.id,
        "name": source.name,
        "status": _STATUSES[source.status],
        **({"description": source.description} if source.description else {}),
        "dataSourceConfiguration": source.extra.get("dataSourceConfiguration") or _write_source(source.spec),
        **{
            name: source.extra[name]
            for name in ("vectorIngestionConfiguration", "serverSideEncryptionConfiguration")
            if name in source.extra
        },
        "dataDeletionPolicy": "RETAIN" if source.keep_on_delete else "DELETE",
        "createdAt": source.created,
        "updatedAt": source.updated,
        "failureReasons": list(source.failures),
    }


def _write_source(spec: SourceSpec) -> Json:
    """A source that another door made."""
    if spec.kind == "direct":
        return {"type": "CUSTOM"}
    parameters = {"type": spec.kind.upper(), **spec.options}
    if spec.credential:
        parameters["credential"] = spec.credential
    return {
        "type": "MANAGED_KNOWLEDGE_BASE_CONNECTOR",
        "managedKnowledgeBaseConnectorConfiguration": {"connectorParameters": parameters},
    }
