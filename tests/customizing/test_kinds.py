"""Kinds of customization by unmodified boto3, from records in a bucket to an answer of what was deployed.

One with each loop and source of answers; `python -m tests.proof customizing` does all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.customizing.firm import Firm
from tests.customizing.kinds import COMPARED, FIT, TEACHER, check, kinds, start, supplied

pytest.importorskip("trl")

TRIED = ("texts", "taught", "function")
ALL = kinds("http://127.0.0.1:1/")


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    with supplied(tmp_path_factory.mktemp("kinds")) as firm:
        yield firm


@pytest.fixture(scope="module")
def jobs(firm: Firm) -> dict[str, str]:
    """ARNs by name."""
    return {name: start(firm, name, ALL[name]) for name in TRIED}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_a_job_leaves_its_curves_and_a_model(firm: Firm, jobs: dict[str, str], name: str) -> None:
    before, after = check(firm, name, jobs[name], ALL[name])
    assert before > 0 < after


@pytest.mark.slow
def test_what_it_left_is_deployed_and_answers(firm: Firm, jobs: dict[str, str]) -> None:
    check(firm, "function", jobs["function"], ALL["function"])
    arn = firm.alice.deploy("function", firm.get(jobs["function"])["outputModelArn"])
    assert firm.alice.say(arn) == firm.alice.say("custom/function")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"customizationType": "DISTILLATION"}, "teacherModelConfig"),
        ({"customizationConfig": TEACHER}, "belongs to DISTILLATION"),
        ({"customizationType": "DISTILLATION", "customizationConfig": {"distillationConfig": {"teacherModelConfig": {
            "teacherModelIdentifier": "nobody"}}}}, "nobody"),
        ({"customizationType": "REINFORCEMENT_FINE_TUNING", "hyperParameters": COMPARED | {"graderJudge": "nobody"}},
            "nobody"),
        ({"customizationType": "REINFORCEMENT_FINE_TUNING", "hyperParameters": COMPARED}, "a grader is needed"),
        ({"customizationType": "REINFORCEMENT_FINE_TUNING", "customizationConfig": {"rftConfig": {"graderConfig": {
            "lambdaGrader": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:grade"}}}}}, "graderPython"),
        ({"customizationType": "REINFORCEMENT_FINE_TUNING", "customizationConfig": {"rftConfig": {"hyperParameters": {
            "trainingSamplePerPrompt": 1000}}}}, "less than or equal to 16"),
        ({"customizationType": "REINFORCEMENT_FINE_TUNING", "hyperParameters": FIT | {"packing": "true"}}, "packing"),
        ({"customizationType": "CONTINUED_PRE_TRAINING", "hyperParameters": {"loraRank": "1000"}}, "from 1 to 256"),
        ({"customizationType": "CONTINUED_PRE_TRAINING"}, "line 1: "),
        ({"trainingDataConfig": {"s3Uri": "s3://records/texts.jsonl"}}, "0 of 8 records are good"),
    ],
)  # fmt: skip
def test_what_no_kind_takes_is_refused_at_once(firm: Firm, more: dict[str, Any], said: str) -> None:
    asked = {"trainingDataConfig": {"s3Uri": "s3://records/prompts.jsonl"}} | more
    with pytest.raises(ClientError) as error:
        firm.create("refused", **asked)
    assert error.value.response["Error"]["Code"] in {"ValidationException", "ResourceNotFoundException"}
    assert said in error.value.response["Error"]["Message"]
