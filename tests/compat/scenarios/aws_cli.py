"""The `aws` command line, version 1: files to a bucket and back, and a knowledge base from nothing to an answer."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from checks import ACCESS_KEY_ID, SECRET_ACCESS_KEY, URL, equal, holds, raises, run

AWS = Path(sys.executable).parent / "aws"
ECHO_ARN = "arn:aws:bedrock:us-east-1::foundation-model/echo"
STORAGE = {
    "type": "OPENSEARCH_SERVERLESS",
    "opensearchServerlessConfiguration": {
        "collectionArn": "arn:aws:aoss:us-east-1:123456789012:collection/abcdefghij0123456789",
        "vectorIndexName": "vectors",
        "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"},
    },
}
ENVIRONMENT = os.environ | {
    "AWS_ENDPOINT_URL": URL,
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_DEFAULT_OUTPUT": "json",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_PAGER": "",
}
work = tempfile.TemporaryDirectory()
here = Path(work.name) / "here"
bucket = f"cli-{uuid.uuid4().hex[:12]}"
SMALL = {"keys.md": "A key can be rotated at any time.", "deep er/ü.txt": "Backups are kept for thirty days."}


class Failed(Exception):
    """The command ended with an error, whose words these are."""


def aws(*arguments: str, stdin: bytes | None = None) -> str:
    command = [sys.executable, str(AWS), *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, input=stdin, capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise Failed(f"{arguments[:2]}: {done.stderr.decode()}")
    return done.stdout.decode()


def said(*arguments: str) -> Any:
    return json.loads(aws(*arguments))


def files_come_back_as_they_went() -> None:
    for name, text in SMALL.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    (here / "big").write_bytes(os.urandom(20_000_000))  # three parts
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "cp", "--recursive", "--no-progress", str(here), f"s3://{bucket}/docs/")
    back = here.with_name("back")
    aws("s3", "cp", "--recursive", "--no-progress", f"s3://{bucket}/docs", str(back))
    names = [*SMALL, "big"]
    equal(filecmp.cmpfiles(here, back, names, shallow=False), (names, [], []))


def what_is_listed() -> None:
    lines = aws("s3", "ls", f"s3://{bucket}/docs/").splitlines()
    equal([line.split()[-1] for line in lines], ["er/", "big", "keys.md"])
    page = said("s3api", "list-objects-v2", "--bucket", bucket, "--max-items", "1")
    equal(page["Contents"][0]["Key"], "docs/big")
    holds(page["NextToken"], "no NextToken")


def sync_sends_only_what_changed() -> None:
    equal(aws("s3", "sync", "--no-progress", str(here), f"s3://{bucket}/docs/"), "")
    (here / "keys.md").write_text(SMALL["keys.md"] + "\n")
    holds("keys.md" in aws("s3", "sync", "--no-progress", str(here), f"s3://{bucket}/docs/"), "nothing was sent")
    aws("s3", "rm", f"s3://{bucket}/docs/big")


def a_pipe_there_and_back() -> None:
    aws("s3", "cp", "-", f"s3://{bucket}/piped", stdin=b"through a pipe")
    aws("s3", "mv", f"s3://{bucket}/piped", f"s3://{bucket}/moved")
    equal(aws("s3", "cp", f"s3://{bucket}/moved", "-"), "through a pipe")
    aws("s3", "rm", f"s3://{bucket}/moved")


def a_knowledge_base_answers() -> None:
    base = said(
        *("bedrock-agent", "create-knowledge-base", "--name", bucket),
        *("--role-arn", "arn:aws:iam::123456789012:role/kept"),
        "--knowledge-base-configuration",
        json.dumps(
            {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": ECHO_ARN}},
        ),
        "--storage-configuration",
        json.dumps(STORAGE),
    )["knowledgeBase"]["knowledgeBaseId"]
    s3 = {"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{bucket}"}}
    source = said(
        *("bedrock-agent", "create-data-source", "--knowledge-base-id", base, "--name", "files"),
        *("--data-source-configuration", json.dumps(s3)),
    )["dataSource"]["dataSourceId"]
    ids = ("--knowledge-base-id", base, "--data-source-id", source)
    job = said("bedrock-agent", "start-ingestion-job", *ids)["ingestionJob"]
    give_up = time.monotonic() + 120
    while job["status"] in {"STARTING", "IN_PROGRESS"} and time.monotonic() < give_up:
        time.sleep(0.5)
        job = said("bedrock-agent", "get-ingestion-job", *ids, "--ingestion-job-id", job["ingestionJobId"])[
            "ingestionJob"
        ]
    holds((job["status"], job["statistics"]["numberOfNewDocumentsIndexed"]) == ("COMPLETE", 2), str(job))
    question = "How long are backups kept?"
    found = said(
        "bedrock-agent-runtime", "retrieve", "--knowledge-base-id", base, "--retrieval-query", f"text={question}"
    )["retrievalResults"]
    places = sorted(one["location"]["s3Location"]["uri"] for one in found)
    equal(places, [f"s3://{bucket}/docs/deep er/ü.txt", f"s3://{bucket}/docs/keys.md"])
    asked = {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {"knowledgeBaseId": base, "modelArn": ECHO_ARN}}
    answer = said(
        *("bedrock-agent-runtime", "retrieve-and-generate", "--input", f"text={question}"),
        *("--retrieve-and-generate-configuration", json.dumps(asked)),
    )
    holds(answer["output"]["text"] and answer["sessionId"], "no answer")
    equal(said("bedrock-agent", "delete-knowledge-base", "--knowledge-base-id", base)["status"], "DELETING")


def a_refusal_is_told() -> None:
    with raises(Failed, says="NotImplemented"):
        aws("s3api", "put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
    with raises(Failed, says="does not speak the AWS service 'ec2'"):
        aws("ec2", "describe-instances")


def a_bucket_is_emptied_and_removed() -> None:
    aws("s3", "rb", "--force", f"s3://{bucket}")
    holds(bucket not in aws("s3", "ls"), "it is still listed")


run(
    [
        files_come_back_as_they_went,
        what_is_listed,
        sync_sends_only_what_changed,
        a_pipe_there_and_back,
        a_knowledge_base_answers,
        a_refusal_is_told,
        a_bucket_is_emptied_and_removed,
    ]
)
