"""Batches as a user of boto3 makes them: records in a bucket, a job, what it wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from tests.app.knowing import Aws
from tests.servers import RunningServer

Json = dict[str, Any]

ROLE = "arn:aws:iam::123456789012:role/batch"
ENDED = {"Completed", "Failed", "Stopped", "PartiallyCompleted", "Expired"}
PATIENCE = 120.0  # seconds


def chat(text: str, **more: Any) -> Json:
    """The body of a Converse request."""
    return {"messages": [{"role": "user", "content": [{"text": text}]}], **more}


def record(number: int, text: str | None = None) -> Json:
    return {"recordId": f"r{number}", "modelInput": chat(text if text is not None else f"say {number}")}


def as_lines(records: Iterable[Json | str]) -> bytes:
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in records).encode()


class Bench:
    """One caller's buckets and batches."""

    def __init__(self, server: RunningServer, token: str = "", bucket: str = "") -> None:
        self.aws = Aws(server, token)
        self.bedrock = self.aws.client("bedrock")
        self.runtime = self.aws.runtime
        self.bucket = bucket or self.aws.bucket()

    def at(self, server: RunningServer) -> Bench:
        """The same, of a server that was started again on this one's home."""
        return Bench(server, self.aws.token, self.bucket)

    def put(self, key: str, records: Iterable[Json | str]) -> str:
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=as_lines(records))
        return f"s3://{self.bucket}/{key}"

    def start(self, uri: str, model: str = "echo", **options: Any) -> str:
        """The job's id."""
        asked = {
            "jobName": f"job-{uuid4().hex[:8]}",
            "roleArn": ROLE,
            "modelId": model,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{self.bucket}/out/"}},
            "modelInvocationType": "Converse",
            **options,
        }
        arn: str = self.bedrock.create_model_invocation_job(**asked)["jobArn"]
        return arn.rpartition("/")[2]

    def get(self, job: str) -> Json:
        found: Json = self.bedrock.get_model_invocation_job(jobIdentifier=job)
        return found

    def until(self, job: str, statuses: Sequence[str] | set[str] = ENDED) -> Json:
        give_up = time.monotonic() + PATIENCE
        while (found := self.get(job))["status"] not in statuses:
            assert time.monotonic() < give_up, found
            assert found["status"] not in ENDED, found
            time.sleep(0.05)
        return found

    def further(self, job: str, before: int) -> int:
        """How many records are answered, once that is more than before, or all are."""
        give_up = time.monotonic() + PATIENCE
        while (found := self.get(job))["status"] not in ENDED and found["processedRecordCount"] <= before:
            assert time.monotonic() < give_up, found
            time.sleep(0.05)
        count: int = found["processedRecordCount"]
        return count

    def run(self, uri: str, **options: Any) -> tuple[Json, dict[str, list[Json]]]:
        """The job at its end, and what it wrote."""
        job = self.start(uri, **options)
        return self.until(job), self.outputs(job)

    def outputs(self, job: str) -> dict[str, list[Json]]:
        """By name, as lines; of the manifest too."""
        prefix = f"out/{job}/"
        listed = self.aws.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {one["Key"].removeprefix(prefix): self.read(one["Key"]) for one in listed}

    def read(self, key: str) -> list[Json]:
        body = self.aws.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return [json.loads(line) for line in body.splitlines()]


def said(line: Json) -> str:
    text: str = line["modelOutput"]["output"]["message"]["content"][0]["text"]
    return text
