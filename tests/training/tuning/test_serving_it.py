"""From texts in a bucket to a model that goes on with them, through the command line and a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.cli.conftest import Craton, inside
from tests.servers import RunningServer

TEXT = "".join(f"The cat number {number} sat on the mat.\n" for number in range(300))


@pytest.fixture(scope="module")
def run(server: RunningServer) -> Craton:
    return inside(server.environment)


@pytest.fixture(scope="module")
def bucket(server: RunningServer) -> str:
    import boto3

    keys = {"aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key}
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **keys)
    s3.create_bucket(Bucket="tuning-texts")
    s3.put_object(Bucket="tuning-texts", Key="cats/one.txt", Body=TEXT.encode())
    s3.put_object(Bucket="tuning-texts", Key="bad.jsonl", Body=b'{"prompt": "a", "completion": "b"}\nnothing\n')
    return "tuning-texts"


def specification(ref: str, **more: Any) -> dict[str, Any]:
    shape = {"layers": 1, "width": 32, "heads": 2, "context": 64, "vocabulary": 300}
    fit = {"steps": 20, "batch": 4, "length": 64, "learning_rate": 0.01}
    return {"method": "pretraining", "data": {"ref": ref}, "model": shape, "train": fit, **more}


def trained(run: Craton, document: dict[str, Any], tmp_path: Any) -> dict[str, Any]:
    file = tmp_path / "specification.json"
    file.write_text(json.dumps(document))
    found: dict[str, Any] = json.loads(run("train", str(file), "--json", check=False).stdout)
    return found


@pytest.mark.slow
def test_a_model_from_nothing_answers_and_is_traced(
    run: Craton, server: RunningServer, bucket: str, tmp_path: Any
) -> None:
    """Two processes train it, the second one a child of the job."""
    document = specification(f"s3://{bucket}/cats/", output={"model": "acme/cats"})
    document["train"]["processes"] = 2
    job = trained(run, document, tmp_path)
    assert job["status"] == "succeeded", job["error"]
    metrics = job["result"]["metrics"]
    assert metrics["perplexity"] < metrics["perplexity_before"] / 3
    with server.client() as client:
        body = {"model": "acme/cats", "messages": [{"role": "user", "content": "The cat number"}], "max_tokens": 8}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
        said = [event["message"] for event in client.get(f"/api/craton/v1/jobs/{job['id']}/events").json()["events"]]
        files = {one["rfilename"] for one in client.get("/api/models/acme/cats").json()["siblings"]}
    assert {"metrics.json", "specification.yaml", "README.md", "report/loss.png", "model-f16.gguf"} <= files
    assert "2 processes share each step and the model's weights" in said
    assert job["id"] in run("trace", "acme/cats").stdout


@pytest.mark.slow
def test_bad_records_fail_the_run_with_their_numbers(run: Craton, bucket: str, tmp_path: Any) -> None:
    document = specification(f"s3://{bucket}/bad.jsonl")
    job = trained(run, document, tmp_path)
    assert job["status"] == "failed"
    assert "line 2: it is not JSON" in job["error"]
    assert "0 of 2 records are good" in job["error"]


def test_what_is_not_there_is_refused_before_anything_is_queued(server: RunningServer, bucket: str) -> None:
    with server.client() as client:
        answer = client.post("/api/craton/v1/trainings", json=specification(f"s3://{bucket}/nothing.jsonl"))
        assert answer.status_code == 404
        answer = client.post("/api/craton/v1/trainings", json=specification("s3://no-such-bucket/a.jsonl"))
        assert answer.status_code == 404
        answer = client.post("/api/craton/v1/trainings", json=specification(f"s3://{bucket}/", tune="most"))
        assert answer.status_code == 400
