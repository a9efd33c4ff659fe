"""Customization jobs by unmodified boto3 against a real server: a tiny model is tuned, deployed and asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.customizing.clients import wait
from tests.customizing.firm import BASE, QUICK, TRAINING, VALIDATION, Firm, opened

pytest.importorskip("peft")

PAIRS = [{"prompt": f"How is number {i}?", "completion": f"Number {i} is fine, thanks."} for i in range(24)]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    with opened(tmp_path_factory.mktemp("firm")) as firm:
        firm.put("train.jsonl", PAIRS)
        yield firm


@pytest.fixture(scope="module")
def tuned(firm: Firm) -> str:
    """The ARN of a job that has completed; another one was stopped meanwhile."""
    held = firm.put("held.jsonl", PAIRS[:4])
    job = firm.create(
        "support",
        validationDataConfig={"validators": [{"s3Uri": held}]},
        hyperParameters={**QUICK, "epochCount": "3", "learningRate": "0.02", "batchSize": "4"},
        jobTags=[{"key": "team", "value": "desk"}],
        customModelTags=[{"key": "model", "value": "yes"}],
        clientRequestToken="once",
    )
    firm.create("stopped", customModelName="free")
    firm.alice.bedrock.stop_model_customization_job(jobIdentifier="stopped")
    while firm.get(job)["status"] == "InProgress":
        models = firm.alice.bedrock.list_custom_models()["modelSummaries"]
        if firm.get(job)["status"] == "InProgress":
            firm.seen |= {one["modelName"] for one in models}
        time.sleep(0.1)
    wait(lambda: firm.get(job), "Completed")
    return job


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


def test_a_job_ends_with_its_metrics_and_its_model(firm: Firm, tuned: str) -> None:
    job = firm.get(tuned)
    assert job["endTime"] >= job["creationTime"]
    assert {part["status"] for part in job["statusDetails"].values()} == {"Completed"}
    assert job["hyperParameters"]["epochCount"] == "3"
    model = firm.alice.bedrock.get_custom_model(modelIdentifier=job["outputModelArn"])
    assert (model["modelName"], model["jobName"], model["jobArn"]) == ("support", "support", tuned)
    assert model["customizationType"] == "FINE_TUNING"
    assert model["trainingMetrics"] == job["trainingMetrics"]
    assert model["validationMetrics"] == job["validationMetrics"]
    tags = firm.alice.bedrock.list_tags_for_resource
    assert tags(resourceARN=tuned)["tags"] == [{"key": "team", "value": "desk"}]
    assert tags(resourceARN=job["outputModelArn"])["tags"] == [{"key": "model", "value": "yes"}]


def test_the_curves_lie_in_the_output_bucket_as_bedrock_writes_them(firm: Firm, tuned: str) -> None:
    rows = firm.csv(tuned, TRAINING)
    assert list(rows[0]) == ["step_number", "epoch_number", "training_loss", "perplexity"]
    assert [int(row["step_number"]) for row in rows] == list(range(18))  # 24 records by 4, three times
    assert [int(row["epoch_number"]) for row in rows] == [step // 6 for step in range(18)]
    assert float(rows[-1]["training_loss"]) < float(rows[0]["training_loss"])
    job = firm.get(tuned)
    assert float(rows[-1]["training_loss"]) == pytest.approx(job["trainingMetrics"]["trainingLoss"], rel=1e-4)
    held = firm.csv(tuned, VALIDATION)
    assert list(held[0]) == ["step_number", "epoch_number", "validation_loss", "perplexity"]
    assert float(held[-1]["validation_loss"]) < float(held[0]["validation_loss"])
    last = job["validationMetrics"][0]["validationLoss"]
    assert float(held[-1]["validation_loss"]) == pytest.approx(last, rel=1e-4)


def test_the_tuned_model_is_deployed_and_answers_otherwise_than_its_base(firm: Firm, tuned: str) -> None:
    arn = firm.alice.deploy("desk", firm.get(tuned)["outputModelArn"])
    said = firm.alice.say(arn, "How is number 7?", 20)
    assert said == firm.alice.say("custom/support", "How is number 7?", 20)
    assert said != firm.alice.say(BASE, "How is number 7?", 20)


def test_nobody_sees_half_a_model(firm: Firm, tuned: str) -> None:
    assert firm.seen == set()
    (model,) = firm.alice.bedrock.list_custom_models(nameContains="support")["modelSummaries"]
    assert model["modelArn"] == firm.get(tuned)["outputModelArn"]


@pytest.mark.usefixtures("tuned")
def test_a_job_that_is_stopped_leaves_no_model(firm: Firm) -> None:
    assert firm.get("stopped")["status"] == "Stopped"
    assert "outputModelArn" not in firm.get("stopped")
    assert not firm.company.alice.repo_exists("custom/free")
    with pytest.raises(ClientError) as error:
        firm.alice.bedrock.stop_model_customization_job(jobIdentifier="stopped")
    assert refused(error)[0] == "ConflictException"


def bad(key: str) -> dict[str, Any]:
    return {"trainingDataConfig": {"s3Uri": f"s3://records/{key}"}}


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (bad("bad.jsonl"), "ValidationException", "line 2: it is not JSON"),
        (bad("bad.jsonl"), "ValidationException", "2 of 4 records are good"),
        (bad("empty.jsonl"), "ValidationException", "holds no records"),
        (bad("nothing.jsonl"), "ResourceNotFoundException", "s3://records/nothing.jsonl"),
        ({"trainingDataConfig": {"s3Uri": "s3://no-such-bucket/a"}}, "ResourceNotFoundException", "no-such-bucket"),
        ({"outputDataConfig": {"s3Uri": "s3://no-such-bucket/"}}, "ResourceNotFoundException", "no-such-bucket"),
        ({"baseModelIdentifier": "echo"}, "ValidationException", f"can be tuned: {BASE}"),
        ({"baseModelIdentifier": "nobody"}, "ResourceNotFoundException", "nobody"),
        ({"hyperParameters": {"epochs": "1"}}, "ValidationException", "did you mean 'epochCount'"),
        ({"hyperParameters": {"epochCount": "0"}}, "ValidationException", "from 1 to 1000"),
        ({"vpcConfig": {"subnetIds": ["a"], "securityGroupIds": ["b"]}}, "ValidationException", "vpcConfig"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(firm: Firm, more: dict[str, Any], code: str, said: str) -> None:
    firm.put("bad.jsonl", [PAIRS[0], "{not json", PAIRS[1], {"prompt": "no answer"}])
    firm.put("empty.jsonl", [])
    with pytest.raises(ClientError) as error:
        firm.create("refused", **more)
    assert refused(error)[0] == code
    assert said in refused(error)[1]


def test_names_are_used_once_and_a_token_asks_once(firm: Firm, tuned: str) -> None:
    held = {"validators": [{"s3Uri": "s3://records/held.jsonl"}]}
    again = firm.create(
        "support",
        validationDataConfig=held,
        hyperParameters={**QUICK, "epochCount": "3", "learningRate": "0.02", "batchSize": "4"},
        jobTags=[{"key": "team", "value": "desk"}],
        customModelTags=[{"key": "model", "value": "yes"}],
        clientRequestToken="once",
    )
    assert again == tuned
    with pytest.raises(ClientError) as error:
        firm.create("support", customModelName="another")
    assert refused(error)[0] == "ConflictException"
    with pytest.raises(ClientError) as error:
        firm.create("another", customModelName="support")
    assert "in use" in refused(error)[1]


def test_jobs_are_listed_by_what_became_of_them_and_by_pages(firm: Firm, tuned: str) -> None:
    listed = firm.alice.bedrock.list_model_customization_jobs
    pages = firm.alice.bedrock.get_paginator("list_model_customization_jobs").paginate(
        sortOrder="Ascending", PaginationConfig={"PageSize": 1}
    )
    found = [one["jobArn"] for page in pages for one in page["modelCustomizationJobSummaries"]]
    assert found == [one["jobArn"] for one in listed(sortOrder="Ascending")["modelCustomizationJobSummaries"]]
    assert tuned in found
    completed = listed(statusEquals="Completed")["modelCustomizationJobSummaries"]
    assert tuned in [one["jobArn"] for one in completed]
    assert all(one["status"] == "Completed" for one in completed)
    assert tuned not in [one["jobArn"] for one in listed(statusEquals="Failed")["modelCustomizationJobSummaries"]]
    (one,) = listed(nameContains="uppor")["modelCustomizationJobSummaries"]
    assert (one["jobName"], one["customModelName"]) == ("support", "support")


def test_nobody_sees_another_accounts_jobs(firm: Firm, tuned: str) -> None:
    assert firm.bob.bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []
    for identifier in (tuned, "support"):
        with pytest.raises(ClientError) as error:
            firm.bob.bedrock.get_model_customization_job(jobIdentifier=identifier)
        assert refused(error)[0] == "ResourceNotFoundException"
        with pytest.raises(ClientError) as error:
            firm.bob.bedrock.stop_model_customization_job(jobIdentifier=identifier)
        assert refused(error)[0] == "ResourceNotFoundException"


@pytest.mark.slow
def test_the_example_tunes_deploys_asks_and_cleans_up(firm: Firm) -> None:
    example = Path(__file__).parents[2] / "examples" / "customization.py"
    variables = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": firm.company.server.url,
        "AWS_ACCESS_KEY_ID": firm.alice.token.split("-", 2)[1],
        "AWS_SECRET_ACCESS_KEY": firm.alice.token.split("-", 2)[2],
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, str(example), "--base", BASE, "--pairs", "12", "--epochs", "1"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout.splitlines()
    assert said[0] == "10 pairs to train, 2 held out"
    assert said[2].startswith("validation_metrics.csv: from ")
    assert said[-1] == "cleaned up"
    assert firm.alice.bedrock.list_custom_models(nameContains="help-desk")["modelSummaries"] == []
