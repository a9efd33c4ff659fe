"""Model ids as AWS users write them, reduced to the name that `serve` resolves (which knows the "us." prefixes)."""

from __future__ import annotations

import re

from craton.core.errors import InvalidRequest, Unsupported

DEFAULT_REGION = "us-east-1"

_ARN = re.compile(r"arn:aws[^:]*:bedrock:[^:]*:[^:]*:([a-z-]+)/(.+)", re.DOTALL)
_REDUCED = frozenset({"foundation-model", "inference-profile"})


def model_name(identifier: str) -> str:
    """The name inside a model id, or inside the ARN of a foundation model or inference profile.

    Raises InvalidRequest for an ARN of another service, Unsupported for a resource that is no model.
    """
    if not identifier.isprintable():
        raise InvalidRequest("the name has control characters", "modelId")
    if not identifier.startswith("arn:"):
        return identifier
    match = _ARN.fullmatch(identifier)
    if match is None:
        raise InvalidRequest("the ARN does not name a Bedrock resource", "modelId")
    kind, name = match.groups()
    if kind not in _REDUCED:
        raise Unsupported(f"A {kind} ARN as modelId", "Use a model's id; ListFoundationModels gives them.")
    return name


def model_arn(model: str, region: str) -> str:
    return f"arn:aws:bedrock:{region or DEFAULT_REGION}::foundation-model/{model}"
