"""Batch inference through unmodified boto3: what goes in, what comes out, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.batch.workshop import Bench, Json, as_lines, chat, record, said
from tests.servers import RunningServer


def test_thousands_of_records_come_out_once_each_in_their_order(bench: Bench) -> None:
    count = 3000
    job, outputs = bench.run(bench.put("many/all.jsonl", [record(number) for number in range(count)]))
    assert job["status"] == "Completed"
    assert (job["totalRecordCount"], job["successRecordCount"], job["errorRecordCount"]) == (count, count, 0)
    assert outputs.keys() == {"all.jsonl.out", "manifest.json.out"}
    assert [line["recordId"] for line in outputs["all.jsonl.out"]] == [f"r{number}" for number in range(count)]
    assert [said(line) for line in outputs["all.jsonl.out"]] == [f"say {number}" for number in range(count)]
    assert outputs["manifest.json.out"] == [
        {
            "totalRecordCount": count,
            "processedRecordCount": count,
            "successRecordCount": count,
            "errorRecordCount": 0,
            "inputTokenCount": 2 * count,
            "outputTokenCount": 2 * count,
        }
    ]


def test_an_answer_is_what_the_live_route_answers_but_for_how_long_it_took(bench: Bench) -> None:
    body = chat(
        'weather in "Paris"\u2028',
        system=[{"text": "Be brief."}],
        inferenceConfig={"maxTokens": 2, "stopSequences": ["x"]},
        additionalModelResponseFieldPaths=["/stop_sequence"],
    )
    _, outputs = bench.run(bench.put("live/one.jsonl", [{"recordId": "a", "modelInput": body}]))
    live = bench.aws.client("bedrock-runtime").converse(modelId="echo", **body)
    live.pop("ResponseMetadata")
    (line,) = outputs["one.jsonl.out"]
    assert line["modelInput"] == body
    assert line["modelOutput"].pop("metrics").keys() == live.pop("metrics").keys()
    assert line["modelOutput"] == {key: value for key, value in live.items() if value is not None}


def test_what_cannot_be_read_or_answered_stands_among_the_others(bench: Bench) -> None:
    lines: list[Json | str] = [
        record(0),
        "this is not JSON",
        "",
        {"modelInput": chat("no id")},
        {"recordId": "r4"},
        {"recordId": "r5", "modelInput": {"messages": "none"}},
        {
            "recordId": "r6",
            "modelInput": chat("hm", guardrailConfig={"guardrailIdentifier": "abc", "trace": "enabled"}),
        },
        {"recordId": "r7", "modelInput": chat("please fail")},
        '["a list"]',
        record(9),
    ]
    job, outputs = bench.run(bench.put("mixed/a.jsonl", lines))
    assert job["status"] == "Completed"
    assert (job["totalRecordCount"], job["successRecordCount"], job["errorRecordCount"]) == (9, 3, 6)
    found = outputs["a.jsonl.out"]
    assert [line["recordId"] for line in found] == [
        *("r0", "REC00000002", "REC00000003", "r4", "r5", "r6", "r7", "REC00000008", "r9")
    ]
    errors = {line["recordId"]: line["error"] for line in found if "error" in line}
    assert all("modelOutput" not in line for line in found if "error" in line)
    assert errors["REC00000002"]["errorMessage"].startswith("line 2: ")
    assert errors["r4"]["errorMessage"].startswith("line 5: ")
    assert errors["REC00000008"]["errorMessage"].startswith("line 9: ")
    assert {name: error["errorCode"] for name, error in errors.items()} == {
        **dict.fromkeys(("REC00000002", "r4", "r5", "r6", "REC00000008"), 400),
        "r7": 424,
    }
    assert [name for name, error in errors.items() if error["retryable"]] == ["r7"]
    assert not any(error["expired"] for error in errors.values())
    assert said(found[2]) == "no id"


def test_a_prefix_gives_an_output_for_each_of_its_objects(bench: Bench) -> None:
    for name, count in (("a.jsonl", 3), ("deep/b.jsonl", 2), ("empty.jsonl", 0)):
        bench.put(f"prefix/{name}", [record(number, f"{name} {number}") for number in range(count)])
    bench.aws.s3.put_object(Bucket=bench.bucket, Key="prefix/notes.txt", Body=b"not for the model")
    job, outputs = bench.run(f"s3://{bench.bucket}/prefix/")
    assert job["totalRecordCount"] == 5
    assert {name: [said(line) for line in lines] for name, lines in outputs.items() if name.endswith(".jsonl.out")} == {
        "a.jsonl.out": [f"a.jsonl {number}" for number in range(3)],
        "deep/b.jsonl.out": [f"deep/b.jsonl {number}" for number in range(2)],
        "empty.jsonl.out": [],
    }


def test_buckets_of_a_real_s3_protocol_are_read_and_written(bench: Bench) -> None:
    bench.aws.s3.put_object(Bucket="far", Key="in/a.jsonl", Body=as_lines(record(number) for number in range(50)))
    out = {"s3OutputDataConfig": {"s3Uri": "s3://far/results"}}
    job = bench.start("s3://far/in/a.jsonl", outputDataConfig=out)
    assert bench.until(job)["status"] == "Completed"
    body = bench.aws.s3.get_object(Bucket="far", Key=f"results/{job}/a.jsonl.out")["Body"].read()
    assert [said(json.loads(line)) for line in body.splitlines()] == [f"say {number}" for number in range(50)]


def test_a_job_is_stopped_with_what_it_had_answered(bench: Bench) -> None:
    lines = [record(number) for number in range(20)] + [record(number, "please wait") for number in range(20, 200)]
    job = bench.start(bench.put("stop/a.jsonl", lines))
    bench.until(job, {"InProgress"})
    while bench.get(job)["processedRecordCount"] < 20:
        pass
    bench.bedrock.stop_model_invocation_job(jobIdentifier=job)
    assert bench.until(job)["status"] == "Stopped"
    outputs = bench.outputs(job)
    assert [line["recordId"] for line in outputs["a.jsonl.out"]] == [f"r{number}" for number in range(20)]
    assert outputs["manifest.json.out"][0]["processedRecordCount"] == 20
    assert code(lambda: bench.bedrock.stop_model_invocation_job(jobIdentifier=job)) == "ConflictException"


def test_the_same_token_starts_one_job(bench: Bench) -> None:
    uri = bench.put("token/a.jsonl", [record(1)])
    options = {"clientRequestToken": "same", "jobName": "same"}
    first = bench.start(uri, **options)
    assert bench.start(uri, **options) == first
    assert code(lambda: bench.start(uri, clientRequestToken="same", jobName="other")) == "ConflictException"
    bench.until(first)
    assert bench.start(uri, **options) == first


def test_jobs_are_listed_by_name_status_and_page(bench: Bench) -> None:
    uri = bench.put("list/a.jsonl", [record(1)])
    ids = [bench.start(uri, jobName=f"listed-{number}") for number in range(3)]
    for job in ids:
        bench.until(job)

    def listed(**asked: Any) -> list[str]:
        pages = bench.bedrock.get_paginator("list_model_invocation_jobs").paginate(nameContains="listed-", **asked)
        return [one["jobArn"].rpartition("/")[2] for page in pages for one in page["invocationJobSummaries"]]

    assert listed() == ids[::-1]
    assert listed(sortOrder="Ascending", PaginationConfig={"PageSize": 2}) == ids
    assert listed(statusEquals="Completed") == ids[::-1]
    assert listed(statusEquals="Failed") == listed(statusEquals="Scheduled") == []
    made = bench.get(ids[1])["submitTime"]
    assert ids[0] in listed(submitTimeBefore=made)
    assert ids[2] in listed(submitTimeAfter=made)


def test_what_cannot_work_is_refused_before_it_begins(bench: Bench) -> None:
    uri = bench.put("refused/a.jsonl", [record(1)])
    absent = f"s3://{bench.bucket}/nothing/"
    nowhere = {"s3OutputDataConfig": {"s3Uri": "s3://no-such-bucket/out"}}
    assert code(lambda: bench.start(uri, model="nobody")) == "ResourceNotFoundException"
    assert code(lambda: bench.start(uri, model="vectors")) == "ValidationException"
    assert code(lambda: bench.start(absent)) == "ResourceNotFoundException"
    assert code(lambda: bench.start("s3://no-such-bucket/in")) == "ResourceNotFoundException"
    assert code(lambda: bench.start(uri, outputDataConfig=nowhere)) == "ResourceNotFoundException"
    assert code(lambda: bench.get("abcdefghijkl")) == "ResourceNotFoundException"


def test_usage_and_traces_say_which_record_it_was(bench: Bench, front: RunningServer) -> None:
    job, _ = bench.run(bench.put("traced/a.jsonl", [record(0), record(1, "one two three")]))
    id = job["jobArn"].rpartition("/")[2]
    with front.client() as client:
        trace = client.get(f"/api/craton/v1/requests/{id}.2").json()["row"]
    assert (trace["operation"], trace["resolved"], trace["input_tokens"]) == ("Converse", "echo", 3)
    assert trace["key_id"] == front.access_key_id


def test_tags_are_kept_with_a_job(bench: Bench) -> None:
    uri = bench.put("tags/a.jsonl", [record(1)])
    arn = bench.get(bench.start(uri, tags=[{"key": "team", "value": "red"}]))["jobArn"]
    assert bench.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "red"}]
    bench.bedrock.untag_resource(resourceARN=arn, tagKeys=["team"])
    assert bench.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == []


def test_another_tenant_sees_no_job_and_no_bucket(bench: Bench, front: RunningServer) -> None:
    job = bench.start(bench.put("mine/a.jsonl", [record(1)]))
    front.craton("keys", "tenants", "create", "blue")
    made = json.loads(front.craton("keys", "create", "--role", "admin", "--tenant", "blue", "--json").stdout)
    other = Bench(front, made["token"])
    absent = code(lambda: other.get("abcdefghijkl"))
    assert code(lambda: other.get(job)) == absent == "ResourceNotFoundException"
    assert code(lambda: other.bedrock.stop_model_invocation_job(jobIdentifier=job)) == absent
    assert other.bedrock.list_model_invocation_jobs()["invocationJobSummaries"] == []
    assert code(lambda: other.start(f"s3://{bench.bucket}/mine/a.jsonl")) == absent
    found = bench.until(job)
    assert found["status"] == "Completed"


def code(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    found: str = caught.value.response["Error"]["Code"]
    return found
