"""Asynchronous invocation through unmodified boto3."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import pytest

from tests.batch.test_bodies import BODIES, invoke
from tests.batch.test_invocation_jobs import code
from tests.batch.workshop import PATIENCE, Bench, Json

FAILING: Json = {"messages": [{"role": "user", "content": "please fail"}]}


@pytest.fixture(scope="module")
def runtime(bench: Bench) -> Any:
    return bench.aws.client("bedrock-runtime")


def start(bench: Bench, runtime: Any, body: Json, **options: Any) -> str:
    asked = {
        "modelId": "echo",
        "modelInput": body,
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{bench.bucket}/async"}},
        **options,
    }
    arn: str = runtime.start_async_invoke(**asked)["invocationArn"]
    return arn


def ended(runtime: Any, arn: str) -> Json:
    give_up = time.monotonic() + PATIENCE
    while (found := runtime.get_async_invoke(invocationArn=arn))["status"] == "InProgress":
        assert time.monotonic() < give_up
        time.sleep(0.05)
    answer: Json = found
    return answer


def test_the_answer_is_an_object_of_the_bucket(bench: Bench, runtime: Any) -> None:
    token = uuid4().hex
    good = start(bench, runtime, BODIES["titan"], clientRequestToken=token, tags=[{"key": "a", "value": "b"}])
    bad = start(bench, runtime, FAILING)
    assert start(bench, runtime, BODIES["titan"], clientRequestToken=token, tags=[{"key": "a", "value": "b"}]) == good
    assert code(lambda: start(bench, runtime, FAILING, clientRequestToken=token)) == "ConflictException"

    found = ended(runtime, good)
    assert (found["status"], "failureMessage" in found) == ("Completed", False)
    assert found["submitTime"] <= found["endTime"]
    key = f"async/{good.rpartition('/')[2]}/output.json"
    written = bench.aws.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read()
    assert json.loads(written) == invoke(bench, BODIES["titan"])
    assert bench.bedrock.list_tags_for_resource(resourceARN=good)["tags"] == [{"key": "a", "value": "b"}]

    found = ended(runtime, bad)
    assert (found["status"], "it was asked to" in found["failureMessage"]) == ("Failed", True)

    def listed(**asked: Any) -> list[str]:
        pages = runtime.get_paginator("list_async_invokes").paginate(**asked)
        return [one["invocationArn"] for page in pages for one in page["asyncInvokeSummaries"]]

    assert listed() == [bad, good]
    assert listed(sortOrder="Ascending", PaginationConfig={"PageSize": 1}) == [good, bad]
    assert (listed(statusEquals="Failed"), listed(statusEquals="InProgress")) == ([bad], [])


def test_a_model_that_is_not_here_is_refused_at_once(bench: Bench, runtime: Any) -> None:
    reel = "amazon.nova-reel-v1:1"
    assert code(lambda: start(bench, runtime, {"taskType": "TEXT_VIDEO"}, modelId=reel)) == "ResourceNotFoundException"
    nowhere = {"s3OutputDataConfig": {"s3Uri": "s3://no-such-bucket/out"}}
    assert code(lambda: start(bench, runtime, BODIES["titan"], outputDataConfig=nowhere)) == "ResourceNotFoundException"
    absent = "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl"
    assert code(lambda: runtime.get_async_invoke(invocationArn=absent)) == "ValidationException"
