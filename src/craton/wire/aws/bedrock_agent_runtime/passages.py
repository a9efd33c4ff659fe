"""Passages as Bedrock's retrieval results and retrieved references."""

from __future__ import annotations

from typing import Any

from craton.core.chat import Json
from craton.core.knowledge import Location, Passage

PREFIX = "x-amz-bedrock-kb-"
OWN = "x-craton-"


def write_content(passage: Passage) -> Json:
    if passage.row is not None:
        return {"type": "ROW", "row": [_write_column(name, value) for name, value in passage.row.items()]}
    return {"type": "TEXT", "text": passage.text}


def _write_column(name: str, value: Any) -> Json:
    if value is None:
        return {"columnName": name, "columnValue": "", "type": "NULL"}
    if isinstance(value, bool):
        return {"columnName": name, "columnValue": str(value).lower(), "type": "BOOLEAN"}
    kind = {int: "LONG", float: "DOUBLE"}.get(type(value), "STRING")
    return {"columnName": name, "columnValue": str(value), "type": kind}


def write_location(passage: Passage) -> Json:
    if passage.query:
        return {"type": "SQL", "sqlLocation": {"query": passage.query}}
    return _write_location(passage.location)


def _write_location(location: Location) -> Json:
    uri = location.uri
    if uri.startswith("s3://"):
        return {"type": "S3", "s3Location": {"uri": uri}}
    if location.kind in {"web", "api"}:
        return {"type": "WEB", "webLocation": {"url": uri}}
    return {"type": "CUSTOM", "customDocumentLocation": {"id": uri}}


def write_metadata(passage: Passage) -> Json:
    """The document's own, what Bedrock adds to it, and where the text stands in the parsed document (characters, end
    excluded), for which Bedrock has no member."""
    metadata: Json = {
        name: list(value) if isinstance(value, tuple) else value for name, value in passage.metadata.items()
    }
    metadata[f"{PREFIX}source-uri"] = passage.location.uri
    if passage.row is None:
        metadata[f"{PREFIX}chunk-id"] = str(passage.chunk)
        metadata[f"{PREFIX}data-source-id"] = passage.source
        metadata[f"{OWN}document-id"] = passage.document
        metadata[f"{OWN}span"] = [passage.start, passage.end]
    if passage.page is not None:
        metadata[f"{PREFIX}document-page-number"] = passage.page
    if passage.title:
        metadata[f"{OWN}title"] = passage.title
    if passage.heading:
        metadata[f"{OWN}heading"] = passage.heading
    return metadata
