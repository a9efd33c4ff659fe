"""Documents of a data source: handed in directly, looked at, deleted."""

from __future__ import annotations

from collections.abc import Sequence

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.knowledge import Access, Document, External, Metadata
from craton.knowledge.protocol import DirectDocument, Documents
from craton.wire.aws.handling import Handle, next_token, page_of
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

_STATUSES = {
    "pending": "PENDING",
    "in_progress": "IN_PROGRESS",
    "indexed": "INDEXED",
    "partially_indexed": "PARTIALLY_INDEXED",
    "failed": "FAILED",
    "ignored": "IGNORED",
    "deleting": "DELETING",
}


class DocumentOperations:
    """Handlers by operation name."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.handlers: dict[str, Handle] = {
            "IngestKnowledgeBaseDocuments": self.ingest,
            "GetKnowledgeBaseDocuments": self.get,
            "ListKnowledgeBaseDocuments": self.list,
            "DeleteKnowledgeBaseDocuments": self.delete,
        }

    async def ingest(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base, source = request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"]
        given = [_read_document(document) for document in value["documents"]]
        documents = await self._documents.ingest(tenant, base, source, given, value.get("clientToken", ""))
        return operation.write({"documentDetails": [_write_document(document) for document in documents]})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base, source = request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"]
        keys = [_read_identifier(identifier) for identifier in value["documentIdentifiers"]]
        found = await self._documents.get(tenant, base, source, keys)
        return operation.write({"documentDetails": _write_found(base, source, keys, found)})

    async def delete(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base, source = request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"]
        keys = [_read_identifier(identifier) for identifier in value["documentIdentifiers"]]
        found = await self._documents.delete(tenant, base, source, keys, value.get("clientToken", ""))
        return operation.write({"documentDetails": _write_found(base, source, keys, found)})

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, base, source = request.authenticated.tenant, value["knowledgeBaseId"], value["dataSourceId"]
        documents, cursor = await self._documents.list(tenant, base, source, page_of(value))
        details = [_write_document(document) for document in documents]
        return operation.write({"documentDetails": details, **next_token(cursor)})


def _read_document(value: Json) -> DirectDocument:
    content, described = value["content"], value.get("metadata", {})
    metadata = _read_metadata(described)
    access = _read_access(described.get("accessControlList", []))
    if content["dataSourceType"] == "S3":
        return DirectDocument(content["s3"]["s3Location"]["uri"], metadata=metadata, access=access)
    custom = content["custom"]
    key = custom["customDocumentIdentifier"]["id"]
    if custom["sourceType"] == "S3_LOCATION":
        raise Unsupported("A custom document read from S3", "Hand it in with dataSourceType S3, or in line.")
    inline = custom["inlineContent"]
    if inline["type"] == "TEXT":
        read = External(key, inline["textContent"]["data"].encode(), "text/plain")
    else:
        read = External(key, inline["byteContent"]["data"], inline["byteContent"]["mimeType"])
    return DirectDocument(key, read, metadata, access)


def _read_metadata(described: Json) -> Metadata:
    if described.get("type") == "S3_LOCATION":
        raise Unsupported("Metadata read from S3", "Give inlineAttributes.")
    metadata: Metadata = {}
    for attribute in described.get("inlineAttributes", []):
        value = attribute["value"]
        kind = value["type"]
        name = {
            "STRING": "stringValue",
            "NUMBER": "numberValue",
            "BOOLEAN": "booleanValue",
            "STRING_LIST": "stringListValue",
        }[kind]
        if name not in value:
            raise InvalidRequest(f"a value of type {kind} needs {name}", f"inlineAttributes.{attribute['key']}")
        metadata[attribute["key"]] = tuple(value[name]) if kind == "STRING_LIST" else value[name]
    return metadata


def _read_access(entries: Sequence[Json]) -> Access:
    return Access(
        allow=tuple(entry["name"] for entry in entries if entry["access"] == "ALLOW"),
        deny=tuple(entry["name"] for entry in entries if entry["access"] == "DENY"),
    )


def _read_identifier(value: Json) -> str:
    kind, member, name = value["dataSourceType"], "custom", "id"
    if kind == "S3":
        member, name = "s3", "uri"
    if member not in value:
        raise InvalidRequest(f"dataSourceType {kind} needs it", f"documentIdentifiers.{member}")
    key: str = value[member][name]
    return key


def _write_identifier(key: str) -> Json:
    if key.startswith("s3://"):
        return {"dataSourceType": "S3", "s3": {"uri": key}}
    return {"dataSourceType": "CUSTOM", "custom": {"id": key}}


def _write_document(document: Document) -> Json:
    uri = document.location.uri
    return {
        "knowledgeBaseId": document.knowledge_base,
        "dataSourceId": document.source,
        "status": _STATUSES[document.status],
        "identifier": _write_identifier(uri if uri.startswith("s3://") else document.key),
        **({"statusReason": document.reason} if document.reason else {}),
        "updatedAt": document.updated,
    }


def _write_found(base: str, source: str, keys: Sequence[str], found: Sequence[Document | None]) -> list[Json]:
    return [
        _write_document(document)
        if document is not None
        else {
            "knowledgeBaseId": base,
            "dataSourceId": source,
            "status": "NOT_FOUND",
            "identifier": _write_identifier(key),
        }
        for key, document in zip(keys, found, strict=True)
    ]
