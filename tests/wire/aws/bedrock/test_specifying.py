"""CreateModelCustomizationJob read into the specification of a tuning; and refused where it cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest, Unsupported
from craton.training.specification.tuning import (
    ContinuedPretraining,
    Distillation,
    FineTuning,
    PreferenceTuning,
    RewardTuning,
    Tuning,
)
from craton.wire.aws.bedrock.customization_jobs import read_customization
from craton.wire.aws.bedrock.hyperparameters import KNOWN
from craton.wire.aws.bedrock.specifying import read_specification

LAMBDA = {"lambdaGrader": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:grade"}}


def asked(kind: str = "FINE_TUNING", hyper: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "jobName": "job",
        "customModelName": "tuned",
        "roleArn": "arn:aws:iam::123456789012:role/x",
        "baseModelIdentifier": "base",
        "customizationType": kind,
        "trainingDataConfig": {"s3Uri": "s3://train/support.jsonl"},
        "outputDataConfig": {"s3Uri": "s3://out/runs"},
        "hyperParameters": hyper or {},
        **more,
    }


def read(value: dict[str, Any]) -> Any:
    return msgspec.convert(read_specification(value, "base").document, Tuning)


def test_every_type_is_a_method() -> None:
    validated = {"validators": [{"s3Uri": "s3://train/held.jsonl"}]}
    spec = read(asked(validationDataConfig=validated, hyper={"epochCount": "2", "loraRank": "8", "tuningType": "lora"}))
    assert isinstance(spec, FineTuning)
    assert (spec.base, spec.data.ref, spec.data.validation) == (
        "base",
        "s3://train/support.jsonl",
        "s3://train/held.jsonl",
    )
    assert (spec.train.epochs, spec.lora.rank, spec.tune) == (2, 8, "lora")
    assert isinstance(read(asked("CONTINUED_PRE_TRAINING")), ContinuedPretraining)
    assert isinstance(read(asked(hyper={"objective": "preferences", "beta": "0.2"})), PreferenceTuning)
    teacher = {
        "teacherModelIdentifier": "arn:aws:bedrock:us-east-1::foundation-model/big",
        "maxResponseLengthForInference": 99,
    }
    distilled = read(asked("DISTILLATION", customizationConfig={"distillationConfig": {"teacherModelConfig": teacher}}))
    assert isinstance(distilled, Distillation)
    assert (distilled.teacher, distilled.tokens) == ("big", 99)
    rewarded = read(
        asked(
            "REINFORCEMENT_FINE_TUNING",
            {"graderPython": "s3://train/grader.py"},
            customizationConfig={
                "rftConfig": {
                    "hyperParameters": {
                        "epochCount": 3,
                        "trainingSamplePerPrompt": 4,
                        "inferenceMaxTokens": 64,
                        "maxPromptLength": 100,
                        "learningRate": 1e-5,
                    }
                }
            },
        )
    )
    assert isinstance(rewarded, RewardTuning)
    assert (rewarded.train.epochs, rewarded.group, rewarded.tokens, rewarded.train.length) == (3, 4, 64, 100)
    assert rewarded.train.learning_rate == 1e-5
    assert rewarded.grader.python == "s3://train/grader.py"


@given(st.data())
def test_every_hyperparameter_lands_where_the_specification_has_it(data: st.DataObject) -> None:
    """All that is known at once, drawn within its range, is a specification that msgspec takes."""
    method = data.draw(st.sampled_from(sorted(KNOWN)))
    given_values = {}
    for name, value in KNOWN[method].items():
        if hasattr(value, "low"):
            low, high = value.low, min(value.high, 1e6)
            number = data.draw(st.integers(int(low), int(high)) if value.whole else st.floats(low, high))
            given_values[name] = str(number)
        elif hasattr(value, "choices"):
            given_values[name] = data.draw(st.sampled_from(list(value.choices)))
        else:
            given_values[name] = "q_proj,v_proj"
    kinds = {
        "fine-tuning": ("FINE_TUNING", {}),
        "preference-tuning": ("FINE_TUNING", {"objective": "preferences"}),
        "continued-pretraining": ("CONTINUED_PRE_TRAINING", {}),
        "reward-tuning": ("REINFORCEMENT_FINE_TUNING", {}),
        "distillation": ("DISTILLATION", {}),
    }
    kind, more = kinds[method]
    teacher = {"distillationConfig": {"teacherModelConfig": {"teacherModelIdentifier": "big"}}}
    extra = {"customizationConfig": teacher} if kind == "DISTILLATION" else {}
    spec = read(asked(kind, given_values | more, **extra))
    assert type(spec).__struct_config__.tag == method


@pytest.mark.parametrize(
    ("hyper", "said"),
    [
        ({"epochs": "2"}, "did you mean 'epochCount'"),
        ({"learningrate": "0.1"}, "did you mean 'learningRate'"),
        ({"epochCount": "0"}, "a whole number from 1 to 1000"),
        ({"epochCount": "two"}, "a whole number from 1 to 1000"),
        ({"learningRate": "2"}, "a number from 1e-08 to 1"),
        ({"learningRate": "nan"}, "a number from 1e-08 to 1"),
        ({"tuningType": "half"}, "one of lora, full"),
        ({"objective": "preference"}, "did you mean 'preferences'"),
    ],
)
def test_a_hyperparameter_that_is_unknown_or_out_of_range_is_refused_with_what_is_allowed(
    hyper: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidRequest) as error:
        read_specification(asked(hyper=hyper), "base")
    assert said in str(error.value)
    assert next(iter(hyper)) in str(error.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (asked("IMPORTED"), "FINE_TUNING"),
        (asked("DISTILLATION"), "who teaches"),
        (asked("REINFORCEMENT_FINE_TUNING"), "graderPython"),
        (
            asked("REINFORCEMENT_FINE_TUNING", customizationConfig={"rftConfig": {"graderConfig": LAMBDA}}),
            "graderJudge",
        ),
        (asked(customizationConfig={"rftConfig": {}}), "REINFORCEMENT_FINE_TUNING"),
        (asked(validationDataConfig={"validators": [{"s3Uri": "s3://a/b"}, {"s3Uri": "s3://a/c"}]}), "one file"),
        (asked(trainingDataConfig={}), "s3Uri"),
        (asked(vpcConfig={"subnetIds": ["a"], "securityGroupIds": ["b"]}), "vpcConfig"),
        (asked(outputDataConfig={"s3Uri": "https://out"}), "s3://bucket/folder/"),
    ],
)
def test_what_cannot_be_done_says_what_can(value: dict[str, Any], said: str) -> None:
    with pytest.raises((InvalidRequest, Unsupported)) as error:
        read_customization(value, "base", "us-east-1")
    assert said in str(error.value)


def test_the_page_says_of_each_hyperparameter_what_is_allowed() -> None:
    page = (Path(__file__).parents[4] / "docs" / "customization.md").read_text()
    told = {
        name: (said, methods)
        for name, said, methods in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    }
    told.pop("FINE_TUNING", None)
    known: dict[str, tuple[str, str]] = {}
    for name in {name for values in KNOWN.values() for name in values}:
        having = sorted(method for method, values in KNOWN.items() if name in values)
        said = KNOWN[having[0]][name].allowed
        known[name] = (said, "all" if len(having) == len(KNOWN) else ", ".join(having))
    assert {name: row for name, row in told.items() if name in known} == known
