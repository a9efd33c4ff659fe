"""Knowledge bases as unmodified boto3 sees them: clients of a server, and the steps that many tests take."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers import RunningServer

ECHO = "arn:aws:bedrock:us-east-1::foundation-model/echo"
MINILM = "arn:aws:bedrock:us-east-1::foundation-model/all-minilm-l6-v2"
SMOLLM = "arn:aws:bedrock:us-east-1::foundation-model/smollm2-135m-instruct"
ROLE = "arn:aws:iam::123456789012:role/anything"
PATIENCE = 150.0  # seconds; generous, the machine may be busy
GOING = {"STARTING", "IN_PROGRESS", "STOPPING"}
Json = dict[str, Any]


@lru_cache(maxsize=1)
def _session() -> boto3.Session:
    """One for all clients: each would read the service models again."""
    return boto3.Session()


_making = threading.Lock()  # clients can be used by several threads, but not made by them


class Aws:
    """The clients of one key of a server."""

    def __init__(self, server: RunningServer, token: str = "") -> None:
        self.server, self.token = server, token or server.token

    def client(self, service: str) -> Any:
        _, key, secret = self.token.split("-", 2)
        with _making:
            return _session().client(
                service,
                endpoint_url=self.server.url,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                region_name="us-east-1",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
            )

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    @cached_property
    def agent(self) -> Any:
        return self.client("bedrock-agent")

    @cached_property
    def runtime(self) -> Any:
        return self.client("bedrock-agent-runtime")

    def bucket(self) -> str:
        name = f"docs-{uuid4().hex}"
        self.s3.create_bucket(Bucket=name)
        return name

    def base(self, embedder: str = ECHO, **options: Any) -> Base:
        made = self.agent.create_knowledge_base(**new_base(f"base-{uuid4().hex[:12]}", embedder), **options)
        return Base(self, made["knowledgeBase"]["knowledgeBaseId"])


def new_base(name: str, embedder: str = ECHO) -> Json:
    return {
        "name": name,
        "roleArn": ROLE,
        "knowledgeBaseConfiguration": {
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": embedder},
        },
    }


@dataclass
class Base:
    """A knowledge base."""

    aws: Aws
    id: str

    def s3_source(self, bucket: str, chunking: Json | None = None, **options: Any) -> Source:
        configuration = {"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{bucket}"}}
        return self.source(configuration, chunking, bucket, **options)

    def source(self, configuration: Json, chunking: Json | None = None, bucket: str = "", **options: Any) -> Source:
        if chunking is not None:
            options["vectorIngestionConfiguration"] = {"chunkingConfiguration": chunking}
        options.setdefault("name", f"source-{uuid4().hex[:12]}")
        made = self.aws.agent.create_data_source(
            knowledgeBaseId=self.id, dataSourceConfiguration=configuration, **options
        )
        return Source(self, made["dataSource"]["dataSourceId"], bucket)

    def filled(self, files: Mapping[str, str | bytes], chunking: Json | None = None) -> Source:
        """A source over a new bucket with these files, read."""
        source = self.s3_source(self.aws.bucket(), chunking)
        for key, body in files.items():
            source.put(key, body)
        source.ingest()
        return source

    def retrieve(self, text: str, top: int = 100, user: str = "", **search: Any) -> list[Json]:
        found: list[Json] = self.page(text, top, user, **search)["retrievalResults"]
        return found

    def page(self, text: str, top: int = 100, user: str = "", token: str = "", **search: Any) -> Json:
        """One answer of Retrieve. token: where the page before it ended."""
        more = {"userContext": {"userId": user}} if user else {}
        more |= {"nextToken": token} if token else {}
        answer: Json = self.aws.runtime.retrieve(
            knowledgeBaseId=self.id,
            retrievalQuery={"text": text},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": top, **search}},
            **more,
        )
        return answer

    def question(self, text: str, model: str = SMOLLM, session: str = "", user: str = "", **options: Any) -> Json:
        """What RetrieveAndGenerate and its stream take."""
        return {
            "input": {"text": text},
            "retrieveAndGenerateConfiguration": {
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": {"knowledgeBaseId": self.id, "modelArn": model, **options},
            },
            **({"sessionId": session} if session else {}),
            **({"userContext": {"userId": user}} if user else {}),
        }

    def ask(self, text: str, model: str = SMOLLM, **options: Any) -> Json:
        answer: Json = self.aws.runtime.retrieve_and_generate(**self.question(text, model, **options))
        return answer


@dataclass
class Source:
    """A data source. bucket: where its documents lie, "" when they come another way."""

    base: Base
    id: str
    bucket: str = ""
    ids: Json = field(init=False)

    def __post_init__(self) -> None:
        self.ids = {"knowledgeBaseId": self.base.id, "dataSourceId": self.id}

    @property
    def aws(self) -> Aws:
        return self.base.aws

    def put(self, key: str, body: str | bytes) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def describe(self, key: str, attributes: Json, access: list[Json] | None = None) -> None:
        """Puts a document's metadata file."""
        beside = {"metadataAttributes": attributes, **({"accessControlList": access} if access else {})}
        self.put(f"{key}.metadata.json", json.dumps(beside))

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.aws.s3.delete_object(Bucket=self.bucket, Key=key)

    def start(self, **options: Any) -> Json:
        job: Json = self.aws.agent.start_ingestion_job(**self.ids, **options)["ingestionJob"]
        return job

    def job(self, job: str) -> Json:
        found: Json = self.aws.agent.get_ingestion_job(**self.ids, ingestionJobId=job)["ingestionJob"]
        return found

    def ended(self, job: str) -> Json:
        """The job when it is over."""
        give_up = time.monotonic() + PATIENCE
        while (seen := self.job(job))["status"] in GOING:
            assert time.monotonic() < give_up, seen
            time.sleep(0.1)
        return seen

    def ingest(self, expect: str = "COMPLETE", **options: Any) -> Json:
        """Reads the source; the job when it is over."""
        job = self.ended(self.start(**options)["ingestionJobId"])
        assert job["status"] == expect, job
        return job

    def details(self) -> list[Json]:
        """All of the ledger."""
        pages = self.aws.agent.get_paginator("list_knowledge_base_documents").paginate(**self.ids)
        return [document for page in pages for document in page["documentDetails"]]

    def documents(self) -> dict[str, Json]:
        """All of the ledger, by key."""
        return {key_of(document): document for document in self.details()}

    def settled(self) -> dict[str, Json]:
        """The ledger once nothing is pending in it."""
        give_up = time.monotonic() + PATIENCE
        while True:
            seen = self.details()
            if not {document["status"] for document in seen} & {"PENDING", "IN_PROGRESS", "DELETING"}:
                return self.documents()
            assert time.monotonic() < give_up, seen
            time.sleep(0.1)

    def hand_in(self, *documents: Json, **options: Any) -> list[Json]:
        answer = self.aws.agent.ingest_knowledge_base_documents(**self.ids, documents=list(documents), **options)
        details: list[Json] = answer["documentDetails"]
        return details


def key_of(document: Json) -> str:
    """Of a document's details: the object's key or the caller's own id."""
    identifier = document["identifier"]
    if identifier["dataSourceType"] == "S3":
        return str(identifier["s3"]["uri"].split("/", 3)[3])
    return str(identifier["custom"]["id"])


def inline(key: str, text: str, metadata: Json | None = None, access: list[Json] | None = None) -> Json:
    """A document for `Source.hand_in`. metadata: attribute -> string, number, boolean or list of strings."""
    described: Json = {}
    if metadata or access:
        described["type"] = "IN_LINE_ATTRIBUTE"
    if metadata:
        described["inlineAttributes"] = [{"key": key, "value": _attribute(value)} for key, value in metadata.items()]
    if access:
        described["accessControlList"] = access
    content = {
        "dataSourceType": "CUSTOM",
        "custom": {
            "customDocumentIdentifier": {"id": key},
            "sourceType": "IN_LINE",
            "inlineContent": {"type": "TEXT", "textContent": {"data": text}},
        },
    }
    return {"content": content, **({"metadata": described} if described else {})}


def _attribute(value: object) -> Json:
    if isinstance(value, bool):
        return {"type": "BOOLEAN", "booleanValue": value}
    if isinstance(value, int | float):
        return {"type": "NUMBER", "numberValue": value}
    if isinstance(value, list):
        return {"type": "STRING_LIST", "stringListValue": value}
    return {"type": "STRING", "stringValue": value}


def keys(results: list[Json]) -> list[str]:
    """Where retrieval results stand: the objects' keys or the callers' own ids, best first."""
    found = []
    for result in results:
        location = result["location"]
        if location["type"] == "S3":
            found.append(location["s3Location"]["uri"].split("/", 3)[3])
        else:
            found.append(location["customDocumentLocation"]["id"])
    return found


def told(call: Callable[[], Any]) -> tuple[str, int, str]:
    """The error that a call ends with: its code, status and message."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def fold(stream: Any) -> Json:
    """The answer that a stream adds up to."""
    text, citations = "", []
    for event in stream:
        if "output" in event:
            text += event["output"]["text"]
        elif "citation" in event:
            citations.append({name: value for name, value in event["citation"].items() if name != "citation"})
    return {"text": text, "citations": citations}
