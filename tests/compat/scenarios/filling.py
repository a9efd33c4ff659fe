"""A knowledge base over three small documents, made with boto3, for scenarios that then ask it in their own way."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from checks import ACCESS_KEY_ID, SECRET_ACCESS_KEY, URL, equal

ECHO_ARN = "arn:aws:bedrock:us-east-1::foundation-model/echo"
ROLE_ARN = "arn:aws:iam::123456789012:role/kept-as-bookkeeping"
DOCUMENTS = {
    "keys.md": ("# Keys\n\nA key can be rotated at any time.\n", {"topic": "keys", "year": 2024}),
    "backups.md": ("# Backups\n\nBackups are kept for thirty days.\n", {"topic": "backups", "year": 2026}),
    "travel.md": ("# Travel\n\nTrips by train need no approval.\n", {"topic": "travel", "year": 2025}),
}
PATIENCE = 120.0  # seconds
GOING = {"STARTING", "IN_PROGRESS", "STOPPING"}

# What clients that are given no endpoint take from their environment, as under `craton exec`.
os.environ |= {
    "AWS_ENDPOINT_URL": URL,
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def connect(service: str) -> Any:
    return boto3.client(service, config=Config(retries={"total_max_attempts": 1}, read_timeout=60))


@dataclass(frozen=True)
class Filled:
    base: str
    source: str
    bucket: str


def new_bucket(s3: Any) -> str:
    name = f"docs-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def new_base(agent: Any) -> str:
    made = agent.create_knowledge_base(
        name=f"base-{uuid.uuid4().hex[:12]}",
        roleArn=ROLE_ARN,
        knowledgeBaseConfiguration={
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": ECHO_ARN},
        },
        storageConfiguration={
            "type": "OPENSEARCH_SERVERLESS",
            "opensearchServerlessConfiguration": {
                "collectionArn": "arn:aws:aoss:us-east-1:123456789012:collection/abcdefghij0123456789",
                "vectorIndexName": "vectors",
                "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"},
            },
        },
    )
    identity: str = made["knowledgeBase"]["knowledgeBaseId"]
    return identity


def new_source(agent: Any, base: str, bucket: str, **options: Any) -> str:
    made = agent.create_data_source(
        knowledgeBaseId=base,
        name=f"source-{uuid.uuid4().hex[:12]}",
        dataSourceConfiguration={"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{bucket}"}},
        **options,
    )
    identity: str = made["dataSource"]["dataSourceId"]
    return identity


def ingest(agent: Any, base: str, source: str) -> Any:
    """The job, when it is complete."""
    here = {"knowledgeBaseId": base, "dataSourceId": source}
    job = agent.start_ingestion_job(**here)["ingestionJob"]
    give_up = time.monotonic() + PATIENCE
    while job["status"] in GOING and time.monotonic() < give_up:
        time.sleep(0.2)
        job = agent.get_ingestion_job(**here, ingestionJobId=job["ingestionJobId"])["ingestionJob"]
    equal(job["status"], "COMPLETE")
    return job


def fill() -> Filled:
    """DOCUMENTS with their metadata beside them, in a base of their own."""
    s3, agent = connect("s3"), connect("bedrock-agent")
    bucket, base = new_bucket(s3), new_base(agent)
    for key, (text, attributes) in DOCUMENTS.items():
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
        beside = json.dumps({"metadataAttributes": attributes})
        s3.put_object(Bucket=bucket, Key=f"{key}.metadata.json", Body=beside.encode())
    source = new_source(agent, base, bucket)
    ingest(agent, base, source)
    return Filled(base, source, bucket)


def uri(filled: Filled, key: str) -> str:
    return f"s3://{filled.bucket}/{key}"
