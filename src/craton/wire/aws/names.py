"""Model ids as AWS users write them, reduced to the name that `serve` resolves (which knows the "us." prefixes)."""

from __future__ import annotations

import re
from typing import NamedTuple

from craton.core.errors import InvalidRequest, NotFound, Unsupported
from craton.wire.aws.account import account_of

DEFAULT_REGION = "us-east-1"

_ARN = re.compile(r"arn:aws[^:]*:bedrock:[^:]*:[^:]*:([a-z-]+)/(.+)", re.DOTALL)
_ACCOUNT_ARN = re.compile(r"arn:aws[^:]*:bedrock:[^:]*:(\d{12}):knowledge-base/([0-9a-zA-Z]+)")
_BUCKET_ARN = re.compile(r"arn:aws[^:]*:s3:::([^/:]+)")
_RESOURCE = re.compile(r"arn:aws[^:]*:bedrock:[^:]*:(\d{12}):([a-z-]+)/(?:[^/:]+(?::[^/:]+)*/)*([a-z0-9]{12})")
_REDUCED = frozenset({"foundation-model", "inference-profile"})
_ANSWERING = frozenset({"custom-model", "custom-model-deployment", "imported-model", "provisioned-model"})
_MAX_SEGMENT = 63


class Resource(NamedTuple):
    """kind: as ARNs have it ("custom-model-deployment")."""

    kind: str
    id: str


def model_name(identifier: str) -> str:
    """The name inside a model id, or inside the ARN of a foundation model or inference profile; the whole ARN of a
    resource of an account's own that answers (`resource_of` takes it apart).

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
    if kind in _ANSWERING:
        return identifier
    if kind not in _REDUCED:
        raise Unsupported(f"A {kind} ARN as modelId", "Use a model's id; ListFoundationModels gives them.")
    return name


def model_arn(model: str, region: str) -> str:
    return f"arn:aws:bedrock:{region or DEFAULT_REGION}::foundation-model/{model}"


def resource_arn(kind: str, id: str, tenant: str, region: str) -> str:
    """kind: with what stands between it and the id ("custom-model/craton.smollm2")."""
    return f"arn:aws:bedrock:{region or DEFAULT_REGION}:{account_of(tenant)}:{kind}/{id}"


def resource_of(arn: str, tenant: str) -> Resource | None:
    """What the ARN names of the tenant's own; None for anything else."""
    match = _RESOURCE.fullmatch(arn)
    return Resource(match[2], match[3]) if match is not None and match[1] == account_of(tenant) else None


def resource_id(identifier: str, kind: str, tenant: str) -> str:
    """The id inside the ARN of such a resource, or what stands there instead of an ARN: a name, an id.

    Raises InvalidRequest for no ARN of Bedrock or one of another kind, NotFound for another account's."""
    if not identifier.startswith("arn:"):
        return identifier
    match = _RESOURCE.fullmatch(identifier)
    if match is None or match[2] != kind:
        raise InvalidRequest(f"the ARN does not name a {kind}", "identifier")
    if match[1] != account_of(tenant):
        raise NotFound(kind, identifier)
    return match[3]


def made_from(base: str) -> str:
    """The part of an ARN that says what a model was made from: "craton.smollm2-135m-instruct"."""
    plain = re.sub(r"[^a-z0-9]+", "-", base.partition("@")[0].lower()).strip("-")[:_MAX_SEGMENT]
    return f"craton.{plain or 'model'}"


def knowledge_base_arn(base: str, tenant: str, region: str) -> str:
    return f"arn:aws:bedrock:{region or DEFAULT_REGION}:{account_of(tenant)}:knowledge-base/{base}"


def knowledge_base_id(identifier: str, tenant: str) -> str:
    """The id inside a knowledge base's ARN, or the id itself.

    Raises InvalidRequest for no ARN of Bedrock, Unsupported for another kind of resource, NotFound for another
    account's knowledge base."""
    if not identifier.startswith("arn:"):
        return identifier
    match = _ACCOUNT_ARN.fullmatch(identifier)
    if match is None and _ARN.fullmatch(identifier):
        raise Unsupported("A resource other than a knowledge base here")
    if match is None:
        raise InvalidRequest("the ARN does not name a knowledge base", "resourceArn")
    if match[1] != account_of(tenant):
        raise NotFound("knowledge base", identifier)
    return match[2]


def bucket_name(arn: str) -> str:
    """The bucket in "arn:aws:s3:::bucket". Raises InvalidRequest."""
    match = _BUCKET_ARN.fullmatch(arn)
    if match is None:
        raise InvalidRequest("the ARN does not name a bucket", "bucketArn")
    return match[1]
