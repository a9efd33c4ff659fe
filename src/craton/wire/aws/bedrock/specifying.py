"""What CreateModelCustomizationJob asks for, as the specification of a tuning."""

from __future__ import annotations

from typing import NamedTuple

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.customizing.logs import Logs
from craton.training.specification.suggesting import unknown
from craton.wire.aws.bedrock.hyperparameters import place_hyperparameters
from craton.wire.aws.names import model_name

TYPES = {
    "fine-tuning": "FINE_TUNING",
    "preference-tuning": "FINE_TUNING",
    "continued-pretraining": "CONTINUED_PRE_TRAINING",
    "distillation": "DISTILLATION",
    "reward-tuning": "REINFORCEMENT_FINE_TUNING",
}
"""Method -> customizationType."""

_METHODS = {
    "FINE_TUNING": "fine-tuning",
    "CONTINUED_PRE_TRAINING": "continued-pretraining",
    "DISTILLATION": "distillation",
    "REINFORCEMENT_FINE_TUNING": "reward-tuning",
}
_OBJECTIVES = {"answers": "fine-tuning", "preferences": "preference-tuning"}
GRADERS = (
    "Name a grader by hyperParameters instead: graderPython (a Python module in a bucket, s3://bucket/grader.py, with "
    "grade(prompt, answer, record) -> float), graderUrl (an HTTP grader that the operator allows), or graderJudge (a "
    "model that is served here) with graderInstruction."
)


class Asked(NamedTuple):
    method: str
    document: Json


def read_specification(value: Json, base: str) -> Asked:
    """base: the model's name here. Raises InvalidRequest, Unsupported."""
    given: dict[str, str] = dict(value.get("hyperParameters") or {})
    method = _method(value, given)
    document: Json = {"method": method, "base": base, "name": value["jobName"], "data": _data(value)}
    configuration = value.get("customizationConfig") or {}
    if method == "distillation":
        _distil(document, configuration)
    elif "distillationConfig" in configuration:
        raise InvalidRequest("belongs to DISTILLATION", "customizationConfig.distillationConfig")
    if method == "reward-tuning":
        given = _rewarding(document, configuration.get("rftConfig") or {}, given)
    elif "rftConfig" in configuration:
        raise InvalidRequest("belongs to REINFORCEMENT_FINE_TUNING", "customizationConfig.rftConfig")
    place_hyperparameters(document, method, given)
    if method == "reward-tuning" and not document.get("grader"):
        raise InvalidRequest(f"a grader is needed. {GRADERS}", "hyperParameters")
    return Asked(method, document)


def _method(value: Json, given: dict[str, str]) -> str:
    kind = value.get("customizationType", "FINE_TUNING")
    method = _METHODS.get(kind)
    if method is None:
        raise Unsupported(f"A customization of the type {kind}", f"Craton does {', '.join(_METHODS)}.")
    objective = given.pop("objective", None)
    if objective is None or method != "fine-tuning":
        if objective is not None:
            raise InvalidRequest("belongs to FINE_TUNING", "hyperParameters.objective")
        return method
    if objective not in _OBJECTIVES:
        raise InvalidRequest(unknown("objective", objective, _OBJECTIVES), "hyperParameters.objective")
    return _OBJECTIVES[objective]


def _data(value: Json) -> Json:
    training = value["trainingDataConfig"]
    if ("invocationLogsConfig" in training) == ("s3Uri" in training):
        raise InvalidRequest(
            "says where the records are (s3://bucket/records.jsonl), or which logs", "trainingDataConfig.s3Uri"
        )
    validators = (value.get("validationDataConfig") or {}).get("validators", [])
    if len(validators) > 1:
        raise Unsupported("More than one validator", "Put the records into one file.")
    return {"ref": training.get("s3Uri", ""), "validation": validators[0]["s3Uri"] if validators else ""}


def read_logs(value: Json) -> Logs | None:
    """Raises InvalidRequest where they belong to nothing."""
    given = value["trainingDataConfig"].get("invocationLogsConfig")
    if given is None:
        return None
    if value.get("customizationType") != "DISTILLATION":
        raise InvalidRequest("belongs to DISTILLATION", "trainingDataConfig.invocationLogsConfig")
    source = given["invocationLogSource"].get("s3Uri", "")
    return Logs(source, bool(given.get("usePromptResponse")), given.get("requestMetadataFilters"))


def _distil(document: Json, configuration: Json) -> None:
    teacher = (configuration.get("distillationConfig") or {}).get("teacherModelConfig")
    if teacher is None:
        raise InvalidRequest("says who teaches", "customizationConfig.distillationConfig.teacherModelConfig")
    document["teacher"] = model_name(teacher["teacherModelIdentifier"])
    if "maxResponseLengthForInference" in teacher:
        document["tokens"] = teacher["maxResponseLengthForInference"]


def _rewarding(document: Json, configuration: Json, given: dict[str, str]) -> dict[str, str]:
    """The hyperparameters of both places. Raises Unsupported for a function in Lambda."""
    if "lambdaGrader" in (configuration.get("graderConfig") or {}):
        raise Unsupported("A grader in AWS Lambda", GRADERS)
    typed: Json = dict(configuration.get("hyperParameters") or {})
    if typed.pop("reasoningEffort", None):
        raise Unsupported("rftConfig.hyperParameters.reasoningEffort", "No model here is trained at several efforts.")
    if "evalInterval" in typed:
        raise Unsupported("rftConfig.hyperParameters.evalInterval", "What is set apart is judged after each epoch.")
    prompt = typed.pop("maxPromptLength", None)
    if prompt is not None:
        document["train"] = {"length": prompt}  # where rewards are learned from, it bounds prompts
    return {name: str(value) for name, value in typed.items()} | given
